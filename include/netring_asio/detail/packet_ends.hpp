#pragma once

#include <netring_asio/bridge_options.hpp>
#include <netring_asio/capture.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/injector.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace netring_asio::detail {

/// The ends of a bridge over packet sockets.
template <class Executor>
class packet_ends {
public:
    using options_type = bridge_options;
    using source_type = basic_capture<Executor>;
    using sink_type = basic_injector<Executor>;

    static bridge_options no_options() { return {std::string{}, std::string{}}; }

    explicit packet_ends(Executor const& executor)
        : sources_{source_type{executor}, source_type{executor}}
        , sinks_{sink_type{executor}, sink_type{executor}} {}
    template <class Other>
    explicit packet_ends(packet_ends<Other>&& other)
        : sources_{source_type{std::move(other.sources_[0])}, source_type{std::move(other.sources_[1])}}
        , sinks_{sink_type{std::move(other.sinks_[0])}, sink_type{std::move(other.sinks_[1])}}
        , on_link_down_{other.on_link_down_} {}

    source_type& source(bridge_side side) noexcept { return sources_[index(side)]; }
    sink_type& sink(bridge_side side) noexcept { return sinks_[index(side)]; }
    bool is_open() const noexcept { return sources_[0].is_open(); }

    void open(bridge_options const& wanted) {
        constexpr std::array sides{bridge_side::left, bridge_side::right};
        // Sinks first, so that nothing comes that could not be sent.
        for (auto const side : sides)
            sink(side).open(wanted.sending(side));
        if (sinks_[0].link() != sinks_[1].link())
            throw system_error{error::mixed_link_types, "open"};
        for (auto const side : sides)
            source(side).open(wanted.receiving(side));
        on_link_down_ = wanted.on_link_down();
    }

    void pause() {
        error_code ignored;
        for (auto& source : sources_)
            source.pause(ignored);
    }
    error_code resume() {
        error_code ec;
        for (auto& source : sources_)
            if (!ec)
                source.resume(ec);
        return ec;
    }
    void cancel_receive(bridge_side side) { source(side).cancel(); }
    void cancel_send(bridge_side side) { sink(side).cancel(); }
    void close() {
        for (auto& source : sources_)
            source.close();
        for (auto& sink : sinks_)
            sink.close();
    }

    link_down_policy on_link_down(bridge_side) const noexcept { return on_link_down_; }
    std::uint64_t lost(bridge_side side) const { return sources_[index(side)].statistics().dropped; }

private:
    template <class>
    friend class packet_ends;
    static constexpr std::size_t index(bridge_side side) noexcept { return side == bridge_side::left ? 0 : 1; }

    std::array<source_type, 2> sources_;
    std::array<sink_type, 2> sinks_;
    link_down_policy on_link_down_ = link_down_policy::wait_until_up;
};

} // namespace netring_asio::detail
