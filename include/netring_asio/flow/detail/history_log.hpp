#pragma once

#include <netring_asio/flow/lifecycle.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace netring_asio::flow::detail {

/// Letters that stand in a history once for each side, as bits.
namespace seen {
inline constexpr std::uint8_t syn = 1;
inline constexpr std::uint8_t syn_ack = 2;
inline constexpr std::uint8_t ack = 4;
inline constexpr std::uint8_t data = 8;
inline constexpr std::uint8_t fin = 16;
inline constexpr std::uint8_t rst = 32;
inline constexpr std::uint8_t fin_rst = 64;
inline constexpr std::uint8_t many = 128;
} // namespace seen

/// Which letters a history has. Kept apart from its text, because every packet looks here.
struct history_marks {
    std::array<std::uint8_t, 2> seen{}; // bits of `seen`, of each side
    bool flipped = false;
};

/// Writes the history of a connection, which lies elsewhere. Side 0 is the initiator.
class history_log {
public:
    history_log(history_marks& marks, flow::history& text) noexcept
        : marks_{marks}
        , text_{text} {}

    /// `bit` is one of `seen`.
    void note(std::size_t side, std::uint8_t bit) noexcept {
        if ((marks_.seen[side] & bit) != 0) [[likely]]
            return;
        marks_.seen[side] |= bit;
        add(side, "SHADFRIQ"[std::countr_zero(bit)]);
    }

    /// Something of which only the first, tenth, hundredth... is told.
    void note_scaled(std::size_t side, char letter, std::uint32_t count) noexcept {
        while (count >= 10 && count % 10 == 0)
            count /= 10;
        if (count == 1 && text_.size() + letters_to_come() < flow::history::capacity)
            add(side, letter);
    }

    /// The sides were the other way round.
    void flip() noexcept {
        std::swap(marks_.seen[0], marks_.seen[1]);
        if (!marks_.flipped)
            text_.push_back('^');
        marks_.flipped = true;
    }

private:
    void add(std::size_t side, char letter) noexcept {
        text_.push_back(side == 0 ? letter : static_cast<char>(letter - 'A' + 'a'));
    }
    std::size_t letters_to_come() const noexcept {
        auto const missing = [](std::uint8_t bits) { return static_cast<std::size_t>(8 - std::popcount(bits)); };
        return missing(marks_.seen[0]) + missing(marks_.seen[1]) + (marks_.flipped ? 0 : 1);
    }

    history_marks& marks_;
    flow::history& text_;
};

} // namespace netring_asio::flow::detail
