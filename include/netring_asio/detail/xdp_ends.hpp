#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/xdp_bridge_options.hpp>
#include <netring_asio/xdp_socket.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace netring_asio::detail {

/// The ends of a bridge over AF_XDP sockets, which share their memory.
template <class Executor>
class xdp_ends {
public:
    using options_type = xdp_bridge_options;
    using source_type = basic_xdp_socket<Executor>;
    using sink_type = basic_xdp_socket<Executor>;

    static xdp_bridge_options no_options() { return {xdp_options{0}, xdp_options{0}}; }

    explicit xdp_ends(Executor const& executor)
        : sockets_{source_type{executor}, source_type{executor}} {}
    template <class Other>
    explicit xdp_ends(xdp_ends<Other>&& other)
        : sockets_{source_type{std::move(other.sockets_[0])}, source_type{std::move(other.sockets_[1])}} {}

    source_type& source(bridge_side side) noexcept { return sockets_[index(side)]; }
    sink_type& sink(bridge_side side) noexcept { return sockets_[index(side)]; }
    source_type const& socket(bridge_side side) const noexcept { return sockets_[index(side)]; }
    bool is_open() const noexcept { return sockets_[0].is_open(); }

    void open(xdp_bridge_options const& wanted) {
        auto const memory = wanted.shared_memory();
        for (auto const side : {bridge_side::left, bridge_side::right}) {
            auto options = wanted.side(side);
            source(side).open(options.memory(memory));
        }
    }

    void pause() {
        error_code ignored;
        for (auto& socket : sockets_)
            socket.pause(ignored);
    }
    error_code resume() {
        error_code ec;
        for (auto& socket : sockets_)
            if (!ec)
                socket.resume(ec);
        return ec;
    }
    void cancel_receive(bridge_side side) { source(side).cancel_receive(); }
    void cancel_send(bridge_side side) { sink(side).cancel_send(); }
    void close() {
        for (auto& socket : sockets_)
            socket.close();
    }

    link_down_policy on_link_down(bridge_side side) const noexcept { return socket(side).options().on_link_down(); }
    std::uint64_t lost(bridge_side side) const {
        auto const totals = socket(side).statistics();
        return totals.dropped_ring_full + totals.dropped_no_frame;
    }

private:
    template <class>
    friend class xdp_ends;
    static constexpr std::size_t index(bridge_side side) noexcept { return side == bridge_side::left ? 0 : 1; }

    std::array<source_type, 2> sockets_;
};

} // namespace netring_asio::detail
