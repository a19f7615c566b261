#pragma once

#include <netring_asio/afxdp/bypass.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/filter.hpp>
#include <netring_asio/xdp_options.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace netring_asio::afxdp {

/// The XDP program of an interface and its XSKMAP, by which frames come to AF_XDP sockets.
///
/// The program is put together in this process from filters and needs no compiler. It is attached by a BPF link, so
/// that it goes with the process however that ends, and never takes the place of another's. A frame for a queue that
/// the map does not have passes to the stack.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe, except `passed`, which is safe on any thread.
class NETRING_ASIO_API program {
public:
    program() noexcept;
    program(program&& other) noexcept;
    program& operator=(program&& other) noexcept;
    ~program();

    /// Makes and attaches the program that the options ask for, or takes the map that they have. `context` says what
    /// an error is about. The interface lies in the calling thread's network namespace.
    ///
    /// @par Errors
    /// `error::program_attached`, `missing_privilege`, `bad_filter`, `unsupported_filter`, `filter_too_long`,
    /// `unsupported_option` (attach mode; frames too long for the program), `conflicting_options`; others of the
    /// system.
    void open(std::string const& interface, int interface_index, xdp_options const& options, error_code& ec,
              std::string& context);
    /// Detaches it. Idempotent.
    void close() noexcept;
    bool is_open() const noexcept { return state_ != nullptr; }

    /// The XSKMAP, -1 if there is none. It belongs to the program.
    int map() const noexcept;

    /// Has the map lead a queue to a socket, or with -1 to the stack.
    void set_queue(std::uint32_t queue, int socket, error_code& ec) noexcept;
    /// Replaces the filters while frames come: each is judged by the old ones or by the new. On failure the old ones
    /// stay.
    void set_filters(std::vector<filter> const& filters, error_code& ec);

    /// The kernel's number of the program, 0 for one that somebody else attached.
    std::uint32_t id() const noexcept;
    /// False once somebody detached it, or the interface is gone; true for a program that somebody else attached.
    bool is_attached() const noexcept;
    /// Whether it runs in the driver.
    xdp_attach_mode mode() const noexcept;
    /// Whether it sees tags that the device took out.
    bool sees_tags() const noexcept;
    /// The connections that it passes over; nothing unless `xdp_options::bypass` asked for room for some.
    bypass* bypassed() noexcept;
    /// Frames that it passed to the stack, those of them that it would have redirected, but to a queue that is not
    /// open, and those of connections that are passed over; zero for a program from elsewhere.
    struct passed_frames {
        std::uint64_t all = 0, no_queue = 0, bypassed = 0;
    };
    passed_frames passed() const noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace netring_asio::afxdp
