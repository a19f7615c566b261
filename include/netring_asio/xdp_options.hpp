#pragma once

#include <netring_asio/afxdp/umem.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/detail/spinner.hpp>
#include <netring_asio/link_down_policy.hpp>
#include <netring_asio/xdp_rule.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace netring_asio {

namespace afxdp {
class program;
}

/// Where the XDP program runs.
enum class xdp_attach_mode : std::uint8_t {
    automatic, ///< in the driver where it can, else in the network stack; `xdp_socket::options()` tells which
    native,    ///< in the driver
    generic,   ///< in the network stack, after the kernel made a packet of the frame: any device, and slower
};

/// How frames come between the device and the UMEM.
enum class xdp_copy_mode : std::uint8_t {
    automatic, ///< zero copy where the driver can, else copied; `xdp_socket::options()` tells which
    zero_copy,
    copy,
};

/// How an AF_XDP socket is opened. Values are checked by `open`.
///
/// What the program redirects reaches neither the host's stack nor its captures, so say what it is to be: `filter`,
/// `rules`, `take_everything`, or `nothing` for a socket that only sends.
class xdp_options {
public:
    explicit xdp_options(std::string interface_name)
        : interface_name_{std::move(interface_name)} {}
    explicit xdp_options(int interface_index) noexcept
        : interface_index_{interface_index} {}

    xdp_options& interface_name(std::string value) {
        interface_name_ = std::move(value);
        return *this;
    }
    xdp_options& interface_index(int value) noexcept {
        interface_index_ = value;
        return *this;
    }

    /// Redirects what this tcpdump expression accepts (pcap-filter(7)), judged in the kernel with VLAN tags in place;
    /// the rest passes to the stack.
    ///
    /// A tag that the device took out is visible to programs in the driver only, and from Linux 6.8 on: elsewhere an
    /// expression over tags is refused with `error::unsupported_filter`, and others are judged without them.
    xdp_options& filter(std::string expression) {
        filter_ = std::move(expression);
        rules_.clear();
        choice_ = choice::filter;
        return *this;
    }
    /// Redirects what one of these rules holds for. They become one program, in this order.
    xdp_options& rules(std::vector<xdp_rule> values) {
        rules_ = std::move(values);
        filter_.clear();
        choice_ = choice::filter;
        return *this;
    }
    /// Redirects every frame: the host receives nothing on the interface any more, not even ARP.
    xdp_options& take_everything() {
        filter_.clear();
        rules_.clear();
        choice_ = choice::everything;
        return *this;
    }
    /// Attaches no program: the socket receives nothing, and sends.
    xdp_options& nothing() {
        choice_ = choice::nothing;
        return *this;
    }
    /// Takes an XSKMAP of a program that somebody else attached and looks after; its keys are queue numbers. The
    /// descriptor is duplicated.
    xdp_options& map(int descriptor) noexcept {
        map_ = descriptor;
        choice_ = choice::map;
        return *this;
    }
    /// The same with a map pinned below a BPF file system.
    xdp_options& pinned_map(std::string path) {
        pinned_map_ = std::move(path);
        choice_ = choice::map;
        return *this;
    }
    /// Takes the map of a program that several sockets share and that stays as long as one of them: see `xdp_group`.
    NETRING_ASIO_API xdp_options& program(std::shared_ptr<afxdp::program const> value);
    /// Attaches the first XDP program of an object file, made by clang or bpftool, which has an XSKMAP "xsks_map".
    xdp_options& object_file(std::string path) {
        object_file_ = std::move(path);
        choice_ = choice::object;
        return *this;
    }
    /// Attaches through libxdp's dispatcher, so that several programs share the interface. It needs program extensions
    /// and a BPF file system, and remains after a process that was killed; where it cannot, `open` fails. Native and
    /// generic mode as libxdp chooses.
    xdp_options& dispatcher(bool value) noexcept {
        dispatcher_ = value;
        return *this;
    }

    /// Opens one queue only.
    xdp_options& queue(std::uint32_t value) noexcept { return queues(value, 1); }
    /// Opens `count` queues from `first` on. The default is all of the device. Frames of other queues pass to the
    /// stack.
    xdp_options& queues(std::uint32_t first, std::uint32_t count) noexcept {
        first_queue_ = first;
        queue_count_ = count;
        return *this;
    }
    xdp_options& attach_mode(xdp_attach_mode value) noexcept {
        attach_mode_ = value;
        return *this;
    }
    xdp_options& copy_mode(xdp_copy_mode value) noexcept {
        copy_mode_ = value;
        return *this;
    }
    /// Shares this memory, so that frames go from one socket to another without a copy. It must have enough chunks
    /// left for both directions of every queue.
    xdp_options& memory(afxdp::umem value) noexcept {
        memory_ = std::move(value);
        return *this;
    }
    /// Chunk size, headroom, huge pages and so on of a memory of its own; its number of chunks follows from the queues.
    xdp_options& memory_options(afxdp::umem_options const& value) noexcept {
        memory_options_ = value;
        return *this;
    }
    /// Chunks for each queue to receive into; twice the receive ring by default. Those that batches and frames hold
    /// are not there to receive into.
    xdp_options& receive_frames(std::size_t value) noexcept {
        receive_frames_ = value;
        return *this;
    }
    /// Chunks to send from; as many as the transmit ring has places by default.
    xdp_options& transmit_frames(std::size_t value) noexcept {
        transmit_frames_ = value;
        return *this;
    }
    /// Places in the rings: powers of 2. The fill ring has twice the receive ring's, the completion ring twice the
    /// transmit ring's.
    xdp_options& ring_sizes(std::uint32_t receive, std::uint32_t transmit) noexcept {
        receive_ring_ = receive;
        transmit_ring_ = transmit;
        return *this;
    }
    /// The most packets of a batch.
    xdp_options& batch_size(std::size_t value) noexcept {
        batch_size_ = value;
        return *this;
    }
    /// Chunks that frames may pin at once in each queue; above it `hold` copies. By default half of those to receive
    /// into.
    xdp_options& pin_budget(std::size_t frames) noexcept {
        pin_budget_ = frames;
        return *this;
    }
    /// Has the driver say when it needs a system call to go on (XDP_USE_NEED_WAKEUP); on by default.
    xdp_options& need_wakeup(bool value) noexcept {
        need_wakeup_ = value;
        return *this;
    }
    /// Receives and sends frames longer than a chunk in several (XDP_USE_SG, Linux 6.6). Such a frame is copied
    /// together when it is received.
    xdp_options& multi_buffer(bool value) noexcept {
        multi_buffer_ = value;
        return *this;
    }
    /// Polls the device for this long before sleeping, on the calling thread (SO_BUSY_POLL, SO_PREFER_BUSY_POLL),
    /// taking up to `budget` packets a poll; a second at most.
    xdp_options& busy_poll(std::chrono::microseconds value, std::uint16_t budget = 64) noexcept {
        busy_poll_ = value;
        busy_poll_budget_ = budget;
        return *this;
    }
    /// How long packets may be collected while they keep coming, so that the receiver is woken for many at once; none
    /// by default. A packet after a pause is received at once. Timers wake expensively in virtual machines: below some
    /// 200 microseconds there is nothing to gain.
    xdp_options& latency_budget(std::chrono::microseconds value) noexcept {
        latency_budget_ = value;
        return *this;
    }
    /// Has asynchronous receives look in the rings for this long before they sleep, while that pays; `spin_always` for
    /// ever. As `capture_options::spin`.
    xdp_options& spin(std::chrono::nanoseconds limit) noexcept {
        spin_ = limit;
        return *this;
    }
    /// Computes the checksums of TCP and UDP that a local stack left to the device, which XDP cannot tell, in what is
    /// received; known by their value. Of the outermost headers only.
    xdp_options& finish_checksums(bool value) noexcept {
        finish_checksums_ = value;
        return *this;
    }
    /// Receives with each packet what the driver tells of it (kernel functions bpf_xdp_metadata_rx_*, Linux 6.3
    /// and 6.8): the tag that the device took out in `packet_view::vlan`, `rx_hash`, and the device's `time` where it
    /// has one. For `filter`, `rules` and `take_everything`, and in the driver only: `error::unsupported_option` where
    /// it cannot.
    xdp_options& metadata(bool value) noexcept {
        metadata_ = value;
        return *this;
    }
    /// Has the kernel tell when each frame was sent: `xdp_socket::try_timestamp`. Where frames are copied that is when
    /// the device was done with it, by the kernel's clock. Needs Linux 6.11, and a memory with
    /// `umem_options::transmit_metadata`; `error::unsupported_option` elsewhere, and with zero copy, where no driver
    /// tells whether it does what it is asked.
    xdp_options& timestamps(bool value) noexcept {
        timestamps_ = value;
        return *this;
    }
    /// Takes frames whose checksum is left to the device: `tx_frame::commit` with an `offload_info`, and packets that
    /// are so. The kernel does what the device cannot. Needs what `timestamps` needs.
    xdp_options& offload(bool value) noexcept {
        offload_ = value;
        return *this;
    }
    /// Makes room for so many connections whose frames pass to the stack whatever is redirected; see
    /// `xdp_socket::bypass`. For `filter`, `rules` and `take_everything`. Default 0.
    xdp_options& bypass(std::size_t connections) noexcept {
        bypass_ = connections;
        return *this;
    }
    /// Receives frames for other hosts too, while the socket is open.
    xdp_options& promiscuous(bool value) noexcept {
        promiscuous_ = value;
        return *this;
    }
    xdp_options& on_link_down(link_down_policy value) noexcept {
        on_link_down_ = value;
        return *this;
    }
    /// Opens it in another network namespace: a name below /run/netns, or a path such as /proc/PID/ns/net.
    xdp_options& network_namespace(std::string name_or_path) {
        network_namespace_ = std::move(name_or_path);
        return *this;
    }

    /// What frames are redirected.
    enum class choice : std::uint8_t { unsaid, filter, everything, nothing, map, object };

    std::string const& interface_name() const noexcept { return interface_name_; }
    int interface_index() const noexcept { return interface_index_; }
    choice chosen() const noexcept { return choice_; }
    std::string const& filter() const noexcept { return filter_; }
    std::vector<xdp_rule> const& rules() const noexcept { return rules_; }
    int map() const noexcept { return map_; }
    std::string const& pinned_map() const noexcept { return pinned_map_; }
    std::string const& object_file() const noexcept { return object_file_; }
    bool dispatcher() const noexcept { return dispatcher_; }
    std::uint32_t first_queue() const noexcept { return first_queue_; }
    /// 0: all.
    std::uint32_t queue_count() const noexcept { return queue_count_; }
    xdp_attach_mode attach_mode() const noexcept { return attach_mode_; }
    xdp_copy_mode copy_mode() const noexcept { return copy_mode_; }
    afxdp::umem const& memory() const noexcept { return memory_; }
    afxdp::umem_options const& memory_options() const noexcept { return memory_options_; }
    std::size_t receive_frames() const noexcept { return receive_frames_.value_or(std::size_t{2} * receive_ring_); }
    std::size_t transmit_frames() const noexcept { return transmit_frames_.value_or(transmit_ring_); }
    std::uint32_t receive_ring() const noexcept { return receive_ring_; }
    std::uint32_t transmit_ring() const noexcept { return transmit_ring_; }
    std::size_t batch_size() const noexcept { return batch_size_; }
    std::size_t pin_budget() const noexcept { return pin_budget_.value_or(receive_frames() / 2); }
    bool need_wakeup() const noexcept { return need_wakeup_; }
    bool multi_buffer() const noexcept { return multi_buffer_; }
    std::optional<std::chrono::microseconds> busy_poll() const noexcept { return busy_poll_; }
    std::uint16_t busy_poll_budget() const noexcept { return busy_poll_budget_; }
    std::chrono::microseconds latency_budget() const noexcept { return latency_budget_; }
    std::chrono::nanoseconds spin() const noexcept { return spin_; }
    bool finish_checksums() const noexcept { return finish_checksums_; }
    bool metadata() const noexcept { return metadata_; }
    bool timestamps() const noexcept { return timestamps_; }
    bool offload() const noexcept { return offload_; }
    std::size_t bypass() const noexcept { return bypass_; }
    bool promiscuous() const noexcept { return promiscuous_; }
    link_down_policy on_link_down() const noexcept { return on_link_down_; }
    std::string const& network_namespace() const noexcept { return network_namespace_; }

private:
    std::string interface_name_;
    std::string filter_;
    std::string pinned_map_;
    std::string object_file_;
    std::string network_namespace_;
    std::vector<xdp_rule> rules_;
    std::shared_ptr<afxdp::program const> program_;
    afxdp::umem memory_;
    afxdp::umem_options memory_options_;
    std::optional<std::size_t> receive_frames_;
    std::optional<std::size_t> transmit_frames_;
    std::optional<std::size_t> pin_budget_;
    std::optional<std::chrono::microseconds> busy_poll_;
    std::chrono::microseconds latency_budget_{0};
    std::chrono::nanoseconds spin_{0};
    std::size_t batch_size_ = 1024;
    std::size_t bypass_ = 0;
    int interface_index_ = 0;
    int map_ = -1;
    std::uint32_t first_queue_ = 0;
    std::uint32_t queue_count_ = 0;
    std::uint32_t receive_ring_ = 4096;
    std::uint32_t transmit_ring_ = 2048;
    std::uint16_t busy_poll_budget_ = 64;
    choice choice_ = choice::unsaid;
    xdp_attach_mode attach_mode_ = xdp_attach_mode::automatic;
    xdp_copy_mode copy_mode_ = xdp_copy_mode::automatic;
    link_down_policy on_link_down_ = link_down_policy::fail;
    bool dispatcher_ = false;
    bool need_wakeup_ = true;
    bool multi_buffer_ = false;
    bool finish_checksums_ = false;
    bool metadata_ = false;
    bool timestamps_ = false;
    bool offload_ = false;
    bool promiscuous_ = false;
};

} // namespace netring_asio
