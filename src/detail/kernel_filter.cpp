#include "bpf.hpp"
#include "bpf_assembler.hpp"
#include "bpf_layout.hpp"
#include "bpf_rewriter.hpp"
#include <netring_asio/detail/kernel_filter.hpp>

#include <algorithm>
#include <utility>

#include <linux/filter.h>
#include <linux/if_ether.h>

namespace netring_asio::detail {
namespace {

using instruction = filter::instruction;

static_assert(sizeof(instruction) == sizeof(sock_filter) && alignof(instruction) == alignof(sock_filter));
static_assert(offsetof(instruction, jt) == offsetof(sock_filter, jt));
static_assert(offsetof(instruction, jf) == offsetof(sock_filter, jf));
static_assert(offsetof(instruction, k) == offsetof(sock_filter, k));
static_assert(bpf::ancillary::first == std::uint32_t(SKF_AD_OFF));
static_assert(bpf::ancillary::protocol - bpf::ancillary::first == SKF_AD_PROTOCOL);
static_assert(bpf::ancillary::packet_type - bpf::ancillary::first == SKF_AD_PKTTYPE);
static_assert(bpf::ancillary::interface_index - bpf::ancillary::first == SKF_AD_IFINDEX);
static_assert(bpf::ancillary::hardware_type - bpf::ancillary::first == SKF_AD_HATYPE);
static_assert(bpf::ancillary::vlan_tci - bpf::ancillary::first == SKF_AD_VLAN_TAG);
static_assert(bpf::ancillary::vlan_present - bpf::ancillary::first == SKF_AD_VLAN_TAG_PRESENT);
static_assert(bpf::ancillary::vlan_tpid - bpf::ancillary::first == SKF_AD_VLAN_TPID);

kernel_filter one_return(std::uint32_t length) { return {.program = {{BPF_RET | BPF_K, 0, 0, length}}}; }

struct translation {
    std::vector<instruction> program;
    bool exact;
};

translation translate(std::span<instruction const> program, bpf_layout const& layout) {
    for (bool const whole : {false, true}) {
        bpf_assembler out;
        bool const exact = bpf_rewriter{program, layout, out}.run(whole);
        if (exact || whole)
            return {out.assemble(), exact};
    }
    return {};
}

/// Appends the translation for a layout, or accepts whole packets if it is not wanted.
void append(bpf_assembler& out, std::span<instruction const> program, bpf_layout const& layout, bool exact,
            bool wanted) {
    if (!wanted)
        return out.emit(BPF_RET | BPF_K, bpf::everything);
    if (BPF_CLASS(program.front().code) != BPF_LD && program.front().code != (BPF_RET | BPF_K))
        out.emit(BPF_LD | BPF_IMM, 0);
    bpf_rewriter{program, layout, out}.run(!exact);
}

/// One program for both layouts, which asks the kernel whether it took a tag out.
std::vector<instruction> join(std::span<instruction const> program, bpf_layouts const& layouts, kernel_verdict verdict,
                              bool with_tagged) {
    bpf_assembler out;
    if (layouts.cooked) {
        // A tag in the data: from Linux 6.10 on the kernel tells the reader what comes after it as the protocol, and
        // may or may not start the data there.
        auto const undecided = out.make_label();
        auto const decided = out.make_label();
        auto const not_first = out.make_label();
        out.emit(BPF_LD | BPF_W | BPF_ABS, bpf::ancillary::protocol);
        out.branch(BPF_JEQ | BPF_K, ETH_P_8021Q, undecided, not_first);
        out.place(not_first);
        out.branch(BPF_JEQ | BPF_K, ETH_P_8021AD, undecided, decided);
        out.place(undecided);
        out.emit(BPF_RET | BPF_K, bpf::everything);
        out.place(decided);
    }
    auto const untagged = out.make_label();
    auto const tagged = out.make_label();
    out.emit(BPF_LD | BPF_W | BPF_ABS, bpf::ancillary::vlan_present);
    out.branch(BPF_JEQ | BPF_K, 0, untagged, tagged);
    out.place(untagged);
    append(out, program, layouts.untagged, verdict.exact_untagged, true);
    out.place(tagged);
    append(out, program, *layouts.tagged, verdict.exact, with_tagged);
    return out.assemble();
}

} // namespace

kernel_filter make_kernel_filter(filter const& wanted) {
    auto const program = wanted.instructions();
    auto const layouts = bpf_layouts::of(wanted.link());
    if (!layouts)
        return program.front().code == (BPF_RET | BPF_K) ? one_return(program.front().k) : kernel_filter::undecided();

    auto untagged = translate(program, layouts->untagged);
    kernel_filter result;
    result.verdict.exact = result.verdict.exact_untagged = untagged.exact;
    if (!layouts->tagged) {
        result.program = std::move(untagged.program);
    } else if (auto const tagged = translate(program, *layouts->tagged); tagged.program == untagged.program) {
        result.program = std::move(untagged.program);
    } else {
        // Whoever looks at a cooked packet cannot see whether its tag was in metadata.
        result.verdict.exact = untagged.exact && tagged.exact && !layouts->cooked;
        result.program = join(program, *layouts, result.verdict, true);
        if (result.program.size() > filter::max_instructions) {
            result.verdict.exact = false;
            result.program = join(program, *layouts, result.verdict, false);
        }
    }
    return result.program.size() <= filter::max_instructions ? result : kernel_filter::undecided();
}

kernel_filter kernel_filter::accept(std::uint32_t snap_length) {
    return make_kernel_filter(filter::from_instructions(one_return(snap_length).program));
}

kernel_filter kernel_filter::reject_all() { return one_return(0); }

kernel_filter kernel_filter::undecided() {
    auto result = one_return(bpf::everything);
    result.verdict.exact = result.verdict.exact_untagged = false;
    return result;
}

} // namespace netring_asio::detail
