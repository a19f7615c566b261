#pragma once

#include <netring_asio/link_down_policy.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace netring_asio {

/// What becomes of a frame in the ring that the kernel refuses: the MTU was lowered after it was committed.
enum class bad_frame_policy : std::uint8_t {
    skip, ///< it is left out and counted as rejected, and those behind it are sent
    stop, ///< operations complete with `error::frame_too_long`, until `discard_rejected()` leaves it out
};

/// How an injector is opened. Every setting has a default that works; values are checked by `open`.
class injector_options {
public:
    /// Sends on the interface of this name.
    explicit injector_options(std::string interface_name)
        : interface_name_{std::move(interface_name)} {}
    /// Sends on the interface of this kernel index.
    explicit injector_options(int interface_index) noexcept
        : interface_index_{interface_index} {}

    injector_options& interface_name(std::string value) {
        interface_name_ = std::move(value);
        return *this;
    }
    injector_options& interface_index(int value) noexcept {
        interface_index_ = value;
        return *this;
    }
    /// Bytes of the ring for each frame, 48 of them for its header (58 with `offload`, 4 more with `insert_vlan`): a
    /// multiple of 16 from 80 to 1 MiB. 0, the default, has room for what the interface's MTU allows, at least 2048;
    /// with `offload` for 64 KiB.
    injector_options& frame_size(std::size_t value) noexcept {
        frame_size_ = value;
        return *this;
    }
    /// Frames in the ring, at least 1 and together at most 1 GiB; by default 512, with `offload` 256. There are more
    /// where they do not fill whole pages; `injector::options()` tells.
    injector_options& frame_count(std::size_t value) noexcept {
        frame_count_ = value;
        return *this;
    }
    /// Bytes that the kernel lets frames in flight take up, its own overhead of about 1 KiB a frame included
    /// (SO_SNDBUF, which it doubles); by default as much as the whole ring takes. More than net.core.wmem_max needs
    /// CAP_NET_ADMIN, without which it is that much. With less than the ring takes, frames wait in the ring, looked
    /// after by a timer. `injector::options()` tells what was obtained.
    injector_options& send_buffer(std::size_t bytes) noexcept {
        send_buffer_ = bytes;
        return *this;
    }
    /// Passes the queueing discipline by (PACKET_QDISC_BYPASS): cheaper where there is one, but nothing holds a frame
    /// that the device has no room for. The ring then tries it again, but a driver may also drop it uncounted; and
    /// captures on this host do not see the frames.
    injector_options& qdisc_bypass(bool value) noexcept {
        qdisc_bypass_ = value;
        return *this;
    }
    /// Puts this tag into every frame behind its addresses (IEEE 802.1Q, 802.1ad), before tags that it has. A tag
    /// protocol of 0, the default, puts none. For Ethernet devices.
    injector_options& insert_vlan(vlan_tag value) noexcept {
        insert_vlan_ = value;
        return *this;
    }
    /// Takes frames whose checksum is left to the device, and TCP and UDP frames beyond the MTU that are to be cut into
    /// segments (PACKET_VNET_HDR): `tx_frame::commit` with an `offload_info`, `send_packet`. The kernel does what the
    /// device cannot. It does not look at the MTU of these frames again once they are committed.
    injector_options& offload(bool value) noexcept {
        offload_ = value;
        return *this;
    }
    /// Has the kernel tell when each frame went to the device, or, where it can, to the wire: `try_timestamp`
    /// (SO_TIMESTAMPING; Documentation/networking/timestamping.rst).
    injector_options& timestamps(bool value) noexcept {
        timestamps_ = value;
        return *this;
    }
    injector_options& on_bad_frame(bad_frame_policy value) noexcept {
        on_bad_frame_ = value;
        return *this;
    }
    /// Frames that the kernel has not taken stay in the ring in any case, and are sent once the interface is up.
    injector_options& on_link_down(link_down_policy value) noexcept {
        on_link_down_ = value;
        return *this;
    }
    /// Sends in another network namespace: a name below /run/netns, or a path such as /proc/PID/ns/net.
    /// Needs CAP_SYS_ADMIN there.
    injector_options& network_namespace(std::string name_or_path) {
        network_namespace_ = std::move(name_or_path);
        return *this;
    }

    std::string const& interface_name() const noexcept { return interface_name_; }
    int interface_index() const noexcept { return interface_index_; }
    std::size_t frame_size() const noexcept { return frame_size_; }
    std::size_t frame_count() const noexcept { return frame_count_.value_or(offload_ ? 256 : 512); }
    std::optional<std::size_t> send_buffer() const noexcept { return send_buffer_; }
    bool qdisc_bypass() const noexcept { return qdisc_bypass_; }
    vlan_tag insert_vlan() const noexcept { return insert_vlan_; }
    bool offload() const noexcept { return offload_; }
    bool timestamps() const noexcept { return timestamps_; }
    bad_frame_policy on_bad_frame() const noexcept { return on_bad_frame_; }
    link_down_policy on_link_down() const noexcept { return on_link_down_; }
    std::string const& network_namespace() const noexcept { return network_namespace_; }

private:
    std::string interface_name_;
    std::string network_namespace_;
    std::optional<std::size_t> send_buffer_;
    std::optional<std::size_t> frame_count_;
    std::size_t frame_size_ = 0;
    int interface_index_ = 0;
    bad_frame_policy on_bad_frame_ = bad_frame_policy::skip;
    link_down_policy on_link_down_ = link_down_policy::fail;
    vlan_tag insert_vlan_{};
    bool qdisc_bypass_ = false;
    bool offload_ = false;
    bool timestamps_ = false;
};

} // namespace netring_asio
