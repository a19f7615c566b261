#pragma once

#include "bpf_assembler.hpp"
#include "bpf_layout.hpp"

#include <optional>
#include <span>
#include <vector>

namespace netring_asio::detail {

/// Translates a program written for the whole frame, with libpcap's rules, into one for what a packet socket's program
/// sees, with the kernel's rules.
///
/// - Loads move to where the layout has their bytes; those that span several places are put together in free scratch
///   words, with A and X kept.
/// - The kernel takes an offset for a signed number that wraps, and shifts by the lower five bits. libpcap rejects the
///   packet, and shifts everything out. Where that can make a difference the kernel's program tests for it.
/// - What cannot be translated (bytes that the kernel does not have, the backward jumps of `protochain`, no scratch
///   word left) accepts the packet whole.
/// - The protocol identifier of a tag is one of the known ones, so comparing it with anything else is decided here.
class bpf_rewriter {
public:
    bpf_rewriter(std::span<filter::instruction const> program, bpf_layout const& layout, bpf_assembler& out);

    /// Appends the translation. The program must be entered with A and X zero. Returns whether it is exact.
    ///
    /// @param whole Accept whole packets, because somebody else looks at them again.
    bool run(bool whole);

private:
    /// What is known on every path to an instruction.
    struct knowledge {
        bool reached = false;
        bool x_small = true;        // X + K does not wrap
        bool a_is_tag_type = false; // A holds the protocol identifier of the tag
    };
    using label = bpf_assembler::label;

    void step(std::size_t at);
    void flow_to(std::size_t target, knowledge const& known);
    bool load(std::uint32_t width, std::uint32_t offset);
    bool load_indirect(filter::instruction const& step, bool x_small);
    bool load_header_length(std::uint32_t offset);
    void load_length(bool to_x);
    bool shift_by_x(filter::instruction const& step);
    void give(filter::instruction const& step);
    bool accept_whole();
    bool reject();
    std::optional<bool> decide(filter::instruction const& step, knowledge const& known) const;

    std::span<filter::instruction const> program_;
    bpf_layout const& layout_;
    bpf_assembler& out_;
    std::vector<label> labels_;
    std::vector<knowledge> known_;
    std::vector<std::uint32_t> scratch_;
    bool whole_ = false;
    bool exact_ = true;
};

} // namespace netring_asio::detail
