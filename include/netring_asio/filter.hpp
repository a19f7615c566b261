#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace netring_asio {

/// A compiled packet filter: a classic BPF program for one link type, usually made from a tcpdump expression.
///
/// @par One meaning everywhere
/// A filter is evaluated on the frame *with its VLAN tags in place*, as tcpdump does on a file: a tag that the kernel
/// or the device took out (`packet_view::vlan`) is back at its place when the program looks, and counts in `len`. The
/// same filter therefore gives the same verdict in the kernel, on a capture file and on any other packet. `inbound`,
/// `outbound` and `ifindex` look at `packet_view::direction` and `interface_index`; where the packet does not know, it
/// is rejected.
///
/// A packet is judged by the bytes that were captured. A program that looks beyond them rejects, as tcpdump's does.
///
/// Copies share the immutable program.
///
/// @par Thread safety
/// All const members may be called on one object from several threads; distinct objects may be made on any.
class NETRING_ASIO_API filter {
public:
    /// One instruction, laid out as the kernel's `sock_filter` and libpcap's `bpf_insn`.
    struct instruction {
        std::uint16_t code = 0;
        std::uint8_t jt = 0; ///< instructions to skip if the condition holds
        std::uint8_t jf = 0; ///< instructions to skip if not
        std::uint32_t k = 0;
        friend constexpr bool operator==(instruction const&, instruction const&) = default;
    };

    /// The snap length that keeps every packet whole, tcpdump's default.
    static constexpr std::uint32_t whole_packet = 262144;

    /// The most instructions of a program, the kernel's limit.
    static constexpr std::size_t max_instructions = 4096;

    /// Accepts every packet of every link type, whole.
    filter();

    // Copies only: a filter that was moved from would have no program.
    filter(filter const&) = default;
    filter& operator=(filter const&) = default;
    ~filter() = default;

    /// Compiles a tcpdump expression, see pcap-filter(7); the empty one accepts everything.
    ///
    /// No device and no privilege is needed. Names of hosts, networks and services are looked up as tcpdump does, so
    /// an expression with a host name may block. Its optimiser needs seconds for hundreds of alternatives, growing with
    /// the cube of their number. The netmask is taken as unknown, so that `ip broadcast` is refused.
    /// @param snap_length Bytes to keep of an accepted packet, its tag counted; 1 to 2^31 - 1.
    /// @throws system_error with the errors of `compile`; `what()` quotes the expression and says what is wrong where.
    explicit filter(std::string_view expression, link_type link = link_type::ethernet,
                    std::uint32_t snap_length = whole_packet);

    /// Compiles a tcpdump expression without throwing for a bad one.
    ///
    /// @param message If not null, receives libpcap's text with the place in the expression, or is cleared.
    /// @return On failure a filter that rejects everything.
    /// @par Errors
    /// `error::bad_filter`, `error::filter_too_long` (more than 4096 instructions), `error::invalid_option` (snap
    /// length).
    static filter compile(std::string_view expression, link_type link, std::uint32_t snap_length, error_code& error,
                          std::string* message = nullptr);

    /// Takes a ready program.
    ///
    /// It must be one that the kernel would attach: known instructions, jumps that go forward and stay inside, a return
    /// at the end of every path, and no scratch memory read before it is written. Of the kernel's ancillary loads it
    /// may use only those that mean the same on every packet: the packet type and the interface index.
    /// @throws system_error with the errors of the other form.
    static filter from_instructions(std::span<instruction const> program, link_type link = link_type::ethernet);

    /// Takes a ready program without throwing for a bad one.
    /// @return On failure a filter that rejects everything.
    /// @par Errors
    /// `error::bad_filter`, `error::filter_too_long`.
    static filter from_instructions(std::span<instruction const> program, link_type link, error_code& error,
                                    std::string* message = nullptr);

    /// The expression that the filter was compiled from; empty for a ready program.
    std::string_view expression() const noexcept;

    /// The link type that the filter was made for. Packets of another are rejected, unless the program is one return.
    link_type link() const noexcept;

    /// The most bytes that the filter keeps of a packet.
    std::uint32_t snap_length() const noexcept;

    /// The program as compiled. What is attached to a socket differs, because the kernel takes tags out.
    std::span<instruction const> instructions() const noexcept;

    /// The bytes that the filter keeps of a packet, its tag put back and counted; 0 rejects.
    ///
    /// Allocates nothing but, on each thread, a buffer for the longest tagged packet seen so far.
    std::uint32_t accepted_length(packet_view const& packet) const;

    /// Whether the filter accepts a packet.
    bool matches(packet_view const& packet) const { return accepted_length(packet) != 0; }

    /// Does to a packet what the kernel does when the filter is attached: returns false if the packet is rejected, and
    /// shortens `data` to the snap length if not.
    bool apply(packet_view& packet) const;

    /// The program in words, one instruction a line, as `tcpdump -d` prints it.
    friend NETRING_ASIO_API std::string to_string(filter const& value);
    friend NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, filter const& value);

private:
    struct state;
    explicit filter(std::shared_ptr<state const> shared) noexcept;

    std::shared_ptr<state const> state_;
};

} // namespace netring_asio
