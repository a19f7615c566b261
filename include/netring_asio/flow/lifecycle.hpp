#pragma once

#include <netring_asio/detail/api.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>

namespace netring_asio::flow {

/// How a connection went, by the names and rules of the `conn_state` of Zeek's conn.log.
///
/// UDP has `s0`, `sf` and `shr` only, and all else but TCP is `oth`.
enum class connection_state : std::uint8_t {
    oth,    ///< none of the others: for instance picked up in mid-stream
    s0,     ///< attempted, and never answered
    s1,     ///< established, and not closed
    sf,     ///< established, and closed by both sides
    rej,    ///< attempted, and refused
    s2,     ///< established, and closed by the initiator only
    s3,     ///< established, and closed by the responder only
    rsto,   ///< established, and reset by the initiator
    rstr,   ///< reset by the responder
    rstos0, ///< attempted, never answered, and reset by the initiator
    rstrh,  ///< the responder sent its half of a handshake and a reset, the initiator nothing
    sh,     ///< the initiator sent a SYN and a FIN, the responder nothing: half open
    shr,    ///< the responder sent its half of a handshake and a FIN, the initiator nothing
};

/// Prints Zeek's name, as `RSTOS0`.
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, connection_state state);

/// What was seen of a connection, in order, in the letters of the `history` of Zeek's conn.log.
///
/// S is a SYN, H a SYN with ACK, A an ACK without data, D data, F a FIN, R a reset, I a FIN with RST, Q any other two
/// of these flags, T data that came again or late, W a window of zero, G missing data that the receiver has; upper case
/// from the initiator, lower from the responder; ^ stands where the two were found to be the other way round; C is a
/// wrong checksum, where these are verified. T, W, G and C are repeated at the tenth, hundredth, ... occurrence while
/// there is room, the others come once from each side. Always leaves room for the letters that come once.
class NETRING_ASIO_API history {
public:
    static constexpr std::size_t capacity = 24;

    std::size_t size() const noexcept;
    bool empty() const noexcept { return words_[0] == 0; }
    char operator[](std::size_t at) const noexcept;
    std::string str() const;

    /// Adds one of the letters above; nothing is added to a full history.
    void push_back(char letter) noexcept;

    friend bool operator==(history const&, history const&) = default;
    friend NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, history const& value);

private:
    // Six letters of five bits in each word, the first in the lowest; 0 is none.
    static constexpr std::size_t letters_per_word = 6;
    std::array<std::uint32_t, capacity / letters_per_word> words_{};
};

} // namespace netring_asio::flow
