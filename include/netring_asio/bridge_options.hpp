#pragma once

#include <netring_asio/bridge_packet.hpp>
#include <netring_asio/capture_options.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/injector_options.hpp>
#include <netring_asio/link_down_policy.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>

namespace netring_asio {

/// What the options of all bridges have.
template <class Options>
class bridge_settings {
public:
    /// Looks at every packet, and may change it. Called on the bridge's executor; must not throw.
    using filter_type = std::function<bridge_verdict(bridge_packet&)>;
    /// Is told which packet could not be forwarded, and why: `error::frame_too_long` (for the other side),
    /// `invalid_offload`, `interface_down`. Called on the bridge's executor; must not throw.
    using drop_observer = std::function<void(bridge_side from, packet_view const& packet, error_code why)>;

    Options& filter(filter_type value) {
        filter_ = std::move(value);
        return static_cast<Options&>(*this);
    }
    Options& on_drop(drop_observer value) {
        on_drop_ = std::move(value);
        return static_cast<Options&>(*this);
    }
    /// The longest that a cancelled run goes on for the sake of what it has received, at least 1 ms.
    Options& stop_limit(std::chrono::milliseconds value) noexcept {
        stop_limit_ = value;
        return static_cast<Options&>(*this);
    }
    filter_type const& filter() const noexcept { return filter_; }
    drop_observer const& on_drop() const noexcept { return on_drop_; }
    std::chrono::milliseconds stop_limit() const noexcept { return stop_limit_; }

private:
    friend Options;
    bridge_settings() = default;

    filter_type filter_;
    drop_observer on_drop_;
    std::chrono::milliseconds stop_limit_{1000};
};

/// How a bridge is opened. Every setting has a default that works; values are checked by `open`.
class NETRING_ASIO_API bridge_options : public bridge_settings<bridge_options> {
public:
    /// Forwards between the interfaces of these names.
    bridge_options(std::string left, std::string right)
        : left_{std::move(left)}
        , right_{std::move(right)} {}

    /// The interfaces lie in these network namespaces: a name below /run/netns, or a path such as /proc/PID/ns/net;
    /// empty is the calling thread's. Needs CAP_SYS_ADMIN there.
    bridge_options& network_namespaces(std::string left, std::string right) {
        left_namespace_ = std::move(left);
        right_namespace_ = std::move(right);
        return *this;
    }
    /// What a run does when an interface goes down or is removed: with `fail` it ends; with `wait_until_up`, the
    /// default, it drops and counts what would go there until it is up; with `reopen_by_name` it waits instead, until
    /// an interface of that name is up.
    bridge_options& on_link_down(link_down_policy value) noexcept {
        on_link_down_ = value;
        return *this;
    }
    /// The longest that a frame waits for others to be forwarded together; see `capture_options`.
    bridge_options& block_timeout(std::chrono::milliseconds value) noexcept {
        block_timeout_ = value;
        return *this;
    }
    /// Bytes in a block of the receiving rings; a frame longer than that is too long.
    bridge_options& block_size(std::size_t value) noexcept {
        block_size_ = value;
        return *this;
    }
    /// Blocks in each receiving ring, which is the buffer of its direction.
    bridge_options& block_count(std::size_t value) noexcept {
        block_count_ = value;
        return *this;
    }
    /// Frames in each sending ring, of 68 KiB each.
    bridge_options& frame_count(std::size_t value) noexcept {
        frame_count_ = value;
        return *this;
    }
    /// See `injector_options`.
    bridge_options& qdisc_bypass(bool value) noexcept {
        qdisc_bypass_ = value;
        return *this;
    }

    std::string const& interface_name(bridge_side side) const noexcept {
        return side == bridge_side::left ? left_ : right_;
    }
    std::string const& network_namespace(bridge_side side) const noexcept {
        return side == bridge_side::left ? left_namespace_ : right_namespace_;
    }
    link_down_policy on_link_down() const noexcept { return on_link_down_; }
    std::chrono::milliseconds block_timeout() const noexcept { return block_timeout_; }
    std::size_t block_size() const noexcept { return block_size_; }
    std::size_t block_count() const noexcept { return block_count_; }
    std::size_t frame_count() const noexcept { return frame_count_; }
    bool qdisc_bypass() const noexcept { return qdisc_bypass_; }

    /// How long a frame may be on its way that came before. The block that the kernel is filling is closed by its
    /// timeout, which some kernels round up to their tick.
    std::chrono::milliseconds longest_delay() const noexcept {
        return 2 * block_timeout_ + std::chrono::milliseconds{10};
    }

    /// How a side receives: all frames that come to the interface, and none that leave it.
    capture_options receiving(bridge_side side) const;
    /// How a side sends.
    injector_options sending(bridge_side side) const;

private:
    std::string left_, right_;
    std::string left_namespace_, right_namespace_;
    std::chrono::milliseconds block_timeout_{1};
    std::size_t block_size_ = std::size_t{256} << 10;
    std::size_t block_count_ = 64;
    std::size_t frame_count_ = 256;
    link_down_policy on_link_down_ = link_down_policy::wait_until_up;
    bool qdisc_bypass_ = false;
};

} // namespace netring_asio
