#pragma once

#include <netring_asio/packet/packet_view.hpp>

#include <cstdint>
#include <optional>
#include <span>

namespace netring_asio::detail {

/// A run of bytes of the frame that a filter is written for, and where the kernel's program finds them.
struct bpf_segment {
    enum class source : std::uint8_t {
        data,    ///< in the data, `value` bytes before their place in the frame
        field,   ///< the ancillary load `value`
        zero,    ///< always zero
        unknown, ///< nowhere
    };
    std::uint32_t begin;
    std::uint32_t end;
    source from;
    std::uint32_t value = 0;
};

/// How the frame relates to what a classic program on a packet socket sees. The last segment is data without end.
struct bpf_layout {
    std::span<bpf_segment const> segments;

    bpf_segment const& tail() const noexcept { return segments.back(); }

    /// How many bytes longer the frame is.
    std::uint32_t growth() const noexcept { return tail().value; }

    bool identity() const noexcept { return segments.size() == 1 && growth() == 0; }

    /// What the program must return so that at least the data in the first `length` bytes of the frame are kept.
    std::uint32_t kept(std::uint32_t length) const noexcept;

    bpf_segment const& at(std::uint32_t offset) const noexcept;
};

/// The layouts of a link type: without a tag in metadata, and with one where the link type has tags.
struct bpf_layouts {
    bpf_layout untagged;
    std::optional<bpf_layout> tagged;
    bool cooked = false; ///< a tag may also be in the protocol field while the data begins behind it

    /// Nothing for a link type that packet sockets do not deliver.
    static std::optional<bpf_layouts> of(link_type link) noexcept;
};

} // namespace netring_asio::detail
