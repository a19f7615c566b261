#include "any_time.hpp"
#include "packet_ring.hpp"
#include <netring_asio/pcap/recorder.hpp>

namespace netring_asio::pcap {

class recorder::impl {
public:
    explicit impl(recorder_options with)
        : options{std::move(with)}
        , files{options.files()}
        , ring{options.pre_trigger_bytes()}
        , triggered{options.pre_trigger_bytes() == 0} {}
    ~impl() {
        tell([this](error_code& ec) { files.close(ec); });
    }

    void record(packet_view const& packet) {
        ++counted.packets;
        now = packet.time;
        if (triggered && until && now > *until)
            arm();
        if (triggered)
            return write(packet);
        counted.forgotten += ring.push(packet);
        forget_old();
    }

    void trigger() {
        ++counted.triggers;
        if (options.post_trigger() && options.pre_trigger_bytes() != 0)
            until = detail::later(now, *options.post_trigger());
        if (triggered)
            return;
        triggered = true;
        for (; auto const packet = ring.front(); ring.pop())
            write(*packet);
    }

    void arm() {
        if (options.pre_trigger_bytes() == 0)
            return;
        triggered = false;
        until.reset();
        tell([this](error_code& ec) { files.close(ec); });
    }

    template <class F>
    bool tell(F f) {
        error_code ec;
        f(ec);
        if (ec && options.on_error())
            options.on_error()(ec);
        return !ec;
    }

    recorder_options options;
    rotating_writer files;
    detail::packet_ring ring;
    recorder_statistics counted;
    timestamp now{};
    std::optional<timestamp> until;
    bool triggered;

private:
    void write(packet_view const& packet) {
        if (tell([&](error_code& ec) { files.write(packet, ec); }))
            ++counted.written;
        else
            ++counted.failed;
    }

    void forget_old() {
        if (!options.pre_trigger_duration())
            return;
        for (auto oldest = ring.front(); oldest && detail::later(oldest->time, *options.pre_trigger_duration()) < now;
             oldest = ring.front()) {
            ring.pop();
            ++counted.forgotten;
        }
    }
};

recorder::recorder(recorder_options options)
    : impl_{std::make_unique<impl>(std::move(options))} {}
recorder::recorder(recorder&&) noexcept = default;
recorder& recorder::operator=(recorder&&) noexcept = default;
recorder::~recorder() = default;

void recorder::record(packet_batch const& packets) {
    for (packet_view const& packet : packets)
        impl_->record(packet);
}
void recorder::record(packet_view const& packet) { impl_->record(packet); }
void recorder::trigger() { impl_->trigger(); }
void recorder::arm() { impl_->arm(); }
bool recorder::triggered() const noexcept { return impl_->triggered; }
void recorder::flush() {
    impl_->tell([this](error_code& ec) { impl_->files.flush(ec); });
}
std::filesystem::path const& recorder::path() const noexcept { return impl_->files.path(); }
recorder_options const& recorder::options() const noexcept { return impl_->options; }

recorder_statistics recorder::statistics() const noexcept {
    auto result = impl_->counted;
    result.waiting = impl_->ring.size();
    result.files = impl_->files.files();
    return result;
}

} // namespace netring_asio::pcap
