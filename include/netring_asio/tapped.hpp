#pragma once

#include <netring_asio/adapted_source.hpp>
#include <netring_asio/pcap/recorder.hpp>

#include <utility>

namespace netring_asio {

namespace detail {
struct record_pass {
    void operator()(packet_batch& batch) { recorder.record(batch); }
    pcap::recorder recorder;
};
} // namespace detail

/// A source of packets that records what is received from it.
/// @code
/// nr::flow_stream flows{nr::tapped{std::move(capture), nr::pcap::recorder_options{"/var/log/web"}}};
/// @endcode
/// Writing a file blocks the executor as long as the file does.
template <packet_source Source>
class tapped : public adapted_source<Source, detail::record_pass> {
    using base = adapted_source<Source, detail::record_pass>;

public:
    /// The same over its source on another executor type.
    template <class Executor>
    struct rebind_executor {
        using other = tapped<typename Source::template rebind_executor<Executor>::other>;
    };

    /// @throws system_error with what `pcap::recorder` reports.
    tapped(Source source, pcap::recorder_options options)
        : tapped{std::move(source), pcap::recorder{std::move(options)}} {}
    tapped(Source source, pcap::recorder recorder)
        : base{std::move(source), detail::record_pass{std::move(recorder)}} {}

    template <class Other>
        requires(!std::same_as<Other, Source> && std::constructible_from<Source, Other &&>)
    tapped(tapped<Other>&& other)
        : base{static_cast<adapted_source<Other, detail::record_pass>&&>(other)} {}

    /// To trigger it, and to read its statistics.
    pcap::recorder& recorder() noexcept { return this->pass().recorder; }
    pcap::recorder const& recorder() const noexcept { return this->pass().recorder; }
};

} // namespace netring_asio
