#include "port_core.hpp"

#include <sstream>

namespace netring_asio::afxdp::detail {
namespace {

char const* word(xdp_attach_mode mode) noexcept {
    return mode == xdp_attach_mode::native    ? "native (in the driver)"
           : mode == xdp_attach_mode::generic ? "generic (in the stack)"
                                              : "not ours";
}

} // namespace

std::string port_core::explain() const {
    if (!open_)
        return "not open\n";
    std::ostringstream out;
    auto const index = options.interface_index();
    auto const state = afpacket::detail::query_link(control_.get(), index);
    auto const total = statistics();
    out << "interface " << name << " (" << index << "), "
        << (state == link_state::up     ? "up"
            : state == link_state::down ? "down"
                                        : "removed")
        << ", MTU " << mtu_ << ", " << device_queues_ << (device_queues_ == 1 ? " queue" : " queues")
        << (options.promiscuous() ? ", promiscuous" : "") << '\n';
    if (program_.is_open())
        out << "program " << program_.id() << ", " << word(program_.mode())
            << (program_.sees_tags() ? ", sees tags that the device took out" : "") << '\n';
    else
        out << "no program: the socket only sends\n";
    out << "queues " << options.first_queue() << " to " << options.first_queue() + queues_.size() - 1 << " open, "
        << (options.copy_mode() == xdp_copy_mode::zero_copy ? "zero copy" : "copied") << '\n';
    for (std::size_t i = 0; i != queues_.size(); ++i) {
        auto const s = queues_[i].statistics();
        out << "  queue " << queues_[i].queue() << ": received " << s.received << ", ring full " << s.dropped_ring_full
            << ", no chunk " << s.dropped_no_frame << ", fill ring empty " << s.fill_ring_empty << ", invalid "
            << s.dropped_invalid << '\n';
    }
    out << "passed to the stack " << total.passed << ", of them for queues that are not open " << total.passed_no_queue
        << '\n';
    if (total.unfinished_checksums != 0)
        out << "unfinished checksums " << total.unfinished_checksums
            << (options.finish_checksums() ? ", finished\n" : ", of those looked at\n");
    if (options.timestamps() || options.offload())
        out << "asked of the device for frames sent:" << (options.timestamps() ? " when" : "")
            << (options.offload() ? " to finish checksums" : "") << '\n';
    auto const chunks = memory.ledger();
    out << "chunks: " << chunks.free << " free, " << chunks.kernel << " with the kernel, " << chunks.held << " held, "
        << chunks.sending << " being sent\n";

    // What stands against packets, the surest cause first.
    auto const advice = [&](auto const&... words) {
        out << "-> ";
        (out << ... << words) << '\n';
    };
    if (state != link_state::up)
        advice("the interface is not up: 'ip link set ", name, " up'");
    if (total.rejected != 0)
        advice("the driver had no room for ", total.rejected, " frames to send, or no carrier: send more slowly");
    if (!program_.is_open())
        return out.str();
    if (!program_.is_attached())
        advice("the program was detached from the interface: close and open again");
    if (paused_)
        advice("paused: all frames pass to the stack");
    else if (total.passed_no_queue != 0)
        advice(total.passed_no_queue,
               " frames came on queues that are not open: open all queues, or lead the flows to ",
               "those that are ('ethtool -X', 'ethtool -N', or 'ethtool -L ", name, " combined 1')");
    if (total.passed > total.passed_no_queue && total.received == 0)
        advice("the program runs, and no frame was what the filter accepts");
    if (total.passed == 0 && total.received == 0) {
        advice("no frame has reached the program", program_.id() == 0 ? ", or it is not ours and does not count" : "");
        if (!options.promiscuous())
            advice("frames for other hosts reach it with promiscuous(true) only");
    }
    if (total.dropped_ring_full != 0)
        advice("the receive ring was full: receive more often, or ask for a larger ring (ring_sizes)");
    if (total.fill_ring_empty != 0 || total.dropped_no_frame != 0)
        advice("no chunk was there to receive into: ", chunks.held,
               " are held by batches and frames; hold fewer, or ask "
               "for more (receive_frames). Frames longer than a chunk count here too (multi_buffer)");
    bool const finished = options.finish_checksums();
    if (total.unfinished_checksums != 0 && !finished)
        advice("frames come with checksums that a local stack left to the device, and XDP does not know: what is "
               "forwarded of them is dropped at its end. 'ethtool -K DEV tx off' where they are sent, or "
               "finish_checksums(true)");
    else if ((driver_ == "veth" || driver_ == "tun") && !finished)
        advice("local stacks leave checksums of ", driver_,
               " frames to the device, and XDP does not know: 'ethtool -K DEV tx off' where they are sent, or "
               "finish_checksums(true), or such frames arrive with wrong ones");
    if ((driver_ == "veth" || driver_ == "tun") && program_.mode() == xdp_attach_mode::generic)
        advice("in generic mode they leave cutting into segments to the device too, and frames longer than a chunk are "
               "lost: 'ethtool -K DEV tso off gso off' where they are sent");
    return out.str();
}

} // namespace netring_asio::afxdp::detail
