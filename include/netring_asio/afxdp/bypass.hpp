#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace netring_asio::afxdp {

/// A connection of TCP or UDP by its ends. Either may be called the source.
struct bypass_key {
    std::array<std::uint8_t, 16> source{}; ///< in network order; an IPv4 address mapped (RFC 4291, section 2.5.5.2)
    std::array<std::uint8_t, 16> destination{};
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;

    friend bool operator==(bypass_key const&, bypass_key const&) = default;
};

/// Connections of which nothing more is wanted: the XDP program passes their frames to the stack, whatever its filter
/// says, at the cost of one lookup.
///
/// A frame with SYN, FIN or RST is judged by the filter nevertheless, and so is all that follows it, so that the end of
/// a connection is seen, and the next between the same ends. Fragments, and frames with tags, options of IPv4, or
/// extension headers of IPv6, are none of its frames. Addresses and ports are those of the outermost headers.
///
/// @par Thread safety
/// As the socket's.
class NETRING_ASIO_API bypass {
public:
    using key_type = bypass_key;

    bypass() noexcept;
    bypass(bypass&&) noexcept;
    bypass& operator=(bypass&&) noexcept;
    ~bypass();

    /// Makes the map, for so many connections, 16777216 at most.
    void open(std::size_t connections, error_code& ec);
    bool is_open() const noexcept { return state_ != nullptr; }
    int native_handle() const noexcept;

    /// Passes frames of the connection for so long from now on, also where it was in before. False where there is no
    /// room, or the kernel refuses.
    bool add(bypass_key const& connection, std::chrono::nanoseconds lifetime);
    /// Connections of which no frame passed for so long make room for others. Default 5 min.
    void forget_after(std::chrono::nanoseconds value) noexcept;
    void remove(bypass_key const& connection) noexcept;
    /// Passes no frame of any of them from now on, until it is added again. They are still in.
    void stop() noexcept;
    void clear() noexcept;

    struct passing {
        std::chrono::nanoseconds ago; ///< since the last of its frames passed, or it was added, if that is later
        bool stopped;                 ///< since it was added, by `stop` or by its end
    };
    /// Nothing where the connection is not in.
    std::optional<passing> find(bypass_key const& connection) const noexcept;
    /// Those that are in, also where their time is over.
    std::size_t size() const noexcept;

private:
    class state;
    std::unique_ptr<state> state_;
};

} // namespace netring_asio::afxdp
