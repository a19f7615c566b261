#pragma once

#include "../afpacket/device.hpp"
#include "../detail/unique_descriptor.hpp"
#include "named_device.hpp"
#include "xsk_core.hpp"
#include <netring_asio/afxdp/port.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace netring_asio::afxdp::detail {

using afpacket::detail::link_state;
using netring_asio::detail::unique_descriptor;

/// An inner epoll that one direction waits on, with a timer and news of the links in it.
class wait_set {
public:
    bool open(error_code& ec);
    int handle() const noexcept { return epoll_.get(); }
    bool watch(int descriptor, std::uint32_t events) noexcept;
    void change(int descriptor, std::uint32_t events) noexcept;
    void forget(int descriptor) noexcept;
    void set_timer(std::chrono::microseconds after) noexcept;
    /// Clears what is ready; whether links changed.
    bool acknowledge() noexcept;
    bool timer_is_set() const noexcept { return timer_is_set_; }

private:
    unique_descriptor epoll_, timer_, link_events_;
    bool timer_is_set_ = false;
};

/// How many queues are to be opened of those that the device has.
std::uint32_t queue_count(xdp_options const& options, std::uint32_t device_queues) noexcept;

/// What the halves of a port share.
class port_core {
public:
    port_core(xdp_options options, error_code& ec, std::string& context);
    ~port_core() { close(); }

    bool is_open() const noexcept { return open_; }
    void close() noexcept;

    take_result take(packet_batch& batch);
    void arm_receiver() noexcept;
    void acknowledge_receiver() noexcept;
    error_code take_error() noexcept;

    std::byte* place(std::size_t size, error_code& ec) noexcept {
        ec = check(size, tag_size);
        if (!ec && reserved_ != nullptr)
            ec = error::frame_reserved;
        return ec ? nullptr : sender().place(size);
    }
    void append(std::size_t size, error_code& ec, offload_info const& offload = {}) noexcept {
        if (size > longest_) [[unlikely]]
            ec = check_tagged(size);
        if (ec)
            return;
        if (sender().append(size, offload))
            ++sent_;
        else
            ec = error::no_ring_memory;
    }
    void append(packet_view const& packet, error_code& ec) noexcept;
    error_code pause(bool value) noexcept;
    void reserve(tx_frame& frame, std::size_t size, error_code& ec) noexcept;
    void commit(tx_frame& frame, std::size_t length, offload_info const& offload, error_code& ec) noexcept;
    void forget(tx_frame& frame) noexcept;
    void moved(tx_frame& frame) noexcept { reserved_ = &frame; }
    std::size_t forward(packet_batch& batch, error_code& ec) noexcept;
    error_code kick() noexcept;
    error_code kick_if_due() noexcept;
    void arm_transmitter() noexcept;
    void disarm_transmitter() noexcept;
    void acknowledge_transmitter() noexcept;
    std::size_t maximum_frame_size() noexcept;
    void begin_send() noexcept { sent_ = 0; }
    std::size_t retract() noexcept { return sender().retract(sent_); }
    tx_result take_sent() noexcept;

    void set_filters(std::vector<filter> const& filters, error_code& ec);
    afxdp::bypass* bypass() noexcept { return program_.bypassed(); }

    xsk_core& sender() noexcept { return *queues_.front().core_; }
    xdp_statistics statistics() const noexcept;
    std::string explain() const;

    xdp_options options;
    std::string name;
    umem memory;
    wait_set receiving, transmitting;
    std::vector<xsk> queues_;
    program program_;
    std::atomic<std::uint64_t> discarded{0}, wakeups{0};

private:
    bool open_in_namespace(error_code& ec, std::string& context);
    bool open_queues(error_code& ec, std::string& context);
    bool reopen() noexcept;
    /// Adds what the queues and the program have counted, which are about to be closed.
    void keep_totals() noexcept;
    /// Calls it in the network namespace that the port was opened in.
    void in_namespace(error_code& ec, std::function<void()> const& function);
    void follow_link() noexcept;
    /// Polls the devices before a wait, until something comes or the time for it is over.
    void poll_devices() noexcept;
    static constexpr std::size_t tag_size = 4;
    static constexpr std::size_t link_header_size = 14;

    error_code check(std::size_t size, std::size_t tag) noexcept {
        return size >= link_header_size && size <= longest_ ? error_code{} : check_again(size, tag);
    }
    error_code check_again(std::size_t size, std::size_t tag) noexcept;
    /// Of what was placed and is too long without a tag.
    error_code check_tagged(std::size_t size) noexcept;
    void ask_mtu() noexcept;

    unique_descriptor namespace_;
    unique_descriptor control_; // a packet socket on the device: asks, and holds promiscuous mode
    std::string driver_;
    std::uint32_t device_queues_ = 0;
    std::size_t next_ = 0;
    std::size_t mtu_ = 0;
    std::size_t longest_ = 0; // frame that can be sent for certain; 0 where it is not open
    std::size_t sent_ = 0;
    tx_frame* reserved_ = nullptr;
    tx_result told_;
    std::chrono::microseconds pause_;
    error_code link_error_;
    bool open_ = false;
    bool link_is_up_ = true;
    bool removed_ = false;
    bool paused_ = false;
    bool cut_off_ = false; // the last kick found the interface down
    bool muted_ = false;
    bool lively_ = false; // packets came since the last wait
    bool watching_ = false;
    bool watching_queues_ = false;

    mutable std::mutex closing_; // statistics against close, and against another opening
    xdp_statistics final_;       // of what was closed
};

} // namespace netring_asio::afxdp::detail
