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

/// Writes the history of a connection. Side 0 is the initiator.
class history_log {
public:
    flow::history const& text() const noexcept { return text_; }
    std::uint8_t of(std::size_t side) const noexcept { return seen_[side]; }

    /// `bit` is one of `seen`.
    void note(std::size_t side, std::uint8_t bit) noexcept {
        if ((seen_[side] & bit) != 0) [[likely]]
            return;
        seen_[side] |= bit;
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
        std::swap(seen_[0], seen_[1]);
        if (!flipped_)
            text_.push_back('^');
        flipped_ = true;
    }

private:
    void add(std::size_t side, char letter) noexcept {
        text_.push_back(side == 0 ? letter : static_cast<char>(letter - 'A' + 'a'));
    }
    std::size_t letters_to_come() const noexcept {
        auto const missing = [](std::uint8_t bits) { return static_cast<std::size_t>(8 - std::popcount(bits)); };
        return missing(seen_[0]) + missing(seen_[1]) + (flipped_ ? 0 : 1);
    }

    flow::history text_;
    std::array<std::uint8_t, 2> seen_{};
    bool flipped_ = false;
};

} // namespace netring_asio::flow::detail
