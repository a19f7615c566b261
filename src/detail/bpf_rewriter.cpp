#include "bpf_rewriter.hpp"

#include "bpf.hpp"

#include <algorithm>
#include <array>

namespace netring_asio::detail {
namespace {

using instruction = filter::instruction;
using source = bpf_segment::source;

// No frame is that long, so a load from here on rejects; and two of these do not wrap.
constexpr std::uint32_t beyond_any_frame = 1U << 30;

constexpr unsigned load_absolute(std::uint32_t width) noexcept {
    return BPF_LD | BPF_ABS | (width == 4 ? BPF_W : width == 2 ? BPF_H : BPF_B);
}

constexpr std::uint32_t width_of(std::uint16_t code) noexcept {
    return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

// What announces a tag: IEEE 802.1Q and 802.1ad, and what was used before the latter.
constexpr std::array<std::uint32_t, 5> tag_protocols{0x8100, 0x88a8, 0x9100, 0x9200, 0x9300};

/// Bytes of one load that lie in one place, at most as many as one instruction reads.
struct piece {
    bpf_segment const* segment;
    std::uint32_t offset;
    std::uint32_t width;
};

std::vector<piece> pieces_of(bpf_layout const& layout, std::uint32_t width, std::uint32_t offset) {
    std::vector<piece> pieces;
    for (auto const end = offset + width; offset != end;) {
        auto const& segment = layout.at(offset);
        auto size = std::min(end, segment.end) - offset;
        if (size == 3)
            size = 2;
        pieces.push_back({&segment, offset, size});
        offset += size;
    }
    return pieces;
}

void load_piece(bpf_assembler& out, piece const& part) {
    auto const& segment = *part.segment;
    switch (segment.from) {
    case source::data:
        out.emit(load_absolute(part.width), part.offset - segment.value);
        return;
    case source::field: {
        out.emit(BPF_LD | BPF_W | BPF_ABS, segment.value);
        if (auto const below = segment.end - part.offset - part.width; below != 0)
            out.emit(BPF_ALU | BPF_RSH | BPF_K, 8 * below);
        if (part.offset != segment.begin)
            out.emit(BPF_ALU | BPF_AND | BPF_K, (1U << (8 * part.width)) - 1);
        return;
    }
    default:
        out.emit(BPF_LD | BPF_IMM, 0);
    }
}

} // namespace

bpf_rewriter::bpf_rewriter(std::span<instruction const> program, bpf_layout const& layout, bpf_assembler& out)
    : program_{program}
    , layout_{layout}
    , out_{out}
    , labels_(program.size())
    , known_(program.size()) {
    std::array<bool, bpf::scratch_words> used{};
    for (auto const& step : program) {
        auto const kind = BPF_CLASS(step.code);
        if (kind == BPF_ST || kind == BPF_STX ||
            ((kind == BPF_LD || kind == BPF_LDX) && BPF_MODE(step.code) == BPF_MEM))
            used[step.k] = true;
    }
    for (std::uint32_t word = 0; word != bpf::scratch_words; ++word)
        if (!used[word])
            scratch_.push_back(word);
}

bool bpf_rewriter::run(bool whole) {
    whole_ = whole;
    exact_ = true;
    std::ranges::generate(labels_, [&] { return out_.make_label(); });
    std::ranges::fill(known_, knowledge{});
    known_[0].reached = true;
    for (std::size_t i = 0; i != program_.size(); ++i)
        if (known_[i].reached) {
            out_.place(labels_[i]);
            step(i);
        }
    return exact_;
}

void bpf_rewriter::flow_to(std::size_t target, knowledge const& known) {
    auto& there = known_[target];
    there = {true, there.x_small && known.x_small, (!there.reached || there.a_is_tag_type) && known.a_is_tag_type};
}

void bpf_rewriter::step(std::size_t at) {
    auto const& op = program_[at];
    auto const mode = BPF_MODE(op.code);
    auto next = known_[at];
    bool goes_on = true;
    switch (BPF_CLASS(op.code)) {
    case BPF_LD:
        next.a_is_tag_type = false;
        if (mode == BPF_ABS) {
            auto const width = width_of(op.code);
            if (bpf::is_portable_ancillary(op.k)) {
                out_.emit(op.code, op.k);
            } else if (op.k >= beyond_any_frame) {
                goes_on = reject();
            } else {
                goes_on = load(width, op.k);
                auto const& segment = layout_.at(op.k);
                next.a_is_tag_type = width == 2 && op.k == segment.begin && segment.from == source::field &&
                                     segment.value == bpf::ancillary::vlan_tpid;
            }
        } else if (mode == BPF_IND) {
            goes_on = load_indirect(op, next.x_small);
        } else if (mode == BPF_LEN) {
            load_length(false);
        } else {
            out_.emit(op.code, op.k);
        }
        break;
    case BPF_LDX:
        next.x_small = mode == BPF_LEN || mode == BPF_MSH || (mode == BPF_IMM && op.k < beyond_any_frame);
        if (mode == BPF_MSH) {
            goes_on = op.k >= beyond_any_frame ? reject() : load_header_length(op.k);
        } else if (mode == BPF_LEN && layout_.growth() != 0) {
            if (scratch_.empty())
                goes_on = accept_whole();
            else
                load_length(true);
        } else {
            out_.emit(op.code, op.k);
        }
        break;
    case BPF_ALU:
        next.a_is_tag_type = false;
        if (BPF_SRC(op.code) == BPF_X && (BPF_OP(op.code) == BPF_LSH || BPF_OP(op.code) == BPF_RSH))
            goes_on = shift_by_x(op);
        else
            out_.emit(op.code, op.k);
        break;
    case BPF_MISC:
        if (op.code == (BPF_MISC | bpf::tax))
            next.x_small = false;
        else
            next.a_is_tag_type = false;
        out_.emit(op.code);
        break;
    case BPF_JMP:
        if (bpf::is_jump(op.code)) {
            if (op.k >= program_.size() - at) {
                accept_whole();
                return;
            }
            flow_to(at + 1 + op.k, next);
            out_.jump(labels_[at + 1 + op.k]);
            return;
        }
        if (auto const holds = decide(op, next)) {
            auto const target = at + 1 + (*holds ? op.jt : op.jf);
            flow_to(target, next);
            out_.jump(labels_[target]);
            return;
        }
        flow_to(at + 1 + op.jt, next);
        flow_to(at + 1 + op.jf, next);
        out_.branch(op.code, op.k, labels_[at + 1 + op.jt], labels_[at + 1 + op.jf]);
        return;
    case BPF_RET:
        give(op);
        return;
    default:
        out_.emit(op.code, op.k);
    }
    if (goes_on)
        flow_to(at + 1, next);
}

std::optional<bool> bpf_rewriter::decide(instruction const& step, knowledge const& known) const {
    if (!known.a_is_tag_type || BPF_SRC(step.code) != BPF_K)
        return {};
    auto const holds = [&](std::uint32_t a) {
        switch (BPF_OP(step.code)) {
        case BPF_JEQ:
            return a == step.k;
        case BPF_JGT:
            return a > step.k;
        case BPF_JGE:
            return a >= step.k;
        default:
            return (a & step.k) != 0;
        }
    };
    auto const count = std::ranges::count_if(tag_protocols, holds);
    if (count != 0 && count != std::ssize(tag_protocols))
        return {};
    return count != 0;
}

bool bpf_rewriter::accept_whole() {
    exact_ = false;
    out_.emit(BPF_RET | BPF_K, bpf::everything);
    return false;
}

bool bpf_rewriter::reject() {
    out_.emit(BPF_RET | BPF_K, 0);
    return false;
}

/// A = the bytes of the frame at an offset. Returns whether the program goes on.
bool bpf_rewriter::load(std::uint32_t width, std::uint32_t offset) {
    auto const pieces = pieces_of(layout_, width, offset);
    if (std::ranges::any_of(pieces, [](piece const& part) { return part.segment->from == source::unknown; }))
        return accept_whole();
    if (pieces.size() == 1) {
        load_piece(out_, pieces.front());
        return true;
    }
    if (scratch_.size() < 2)
        return accept_whole();
    auto const saved_x = scratch_[0];
    auto const sum = scratch_[1];
    out_.emit(BPF_STX, saved_x);
    auto below = 8 * width;
    for (auto const& part : pieces) {
        load_piece(out_, part);
        below -= 8 * part.width;
        if (below != 0)
            out_.emit(BPF_ALU | BPF_LSH | BPF_K, below);
        if (&part != &pieces.front()) {
            out_.emit(BPF_LDX | BPF_MEM, sum);
            out_.emit(BPF_ALU | BPF_OR | BPF_X);
        }
        if (below != 0)
            out_.emit(BPF_ST, sum);
    }
    out_.emit(BPF_LDX | BPF_MEM, saved_x);
    return true;
}

bool bpf_rewriter::load_indirect(instruction const& step, bool x_small) {
    if (step.k >= beyond_any_frame)
        return reject();
    if (!x_small) {
        auto const far = out_.make_label();
        auto const near = out_.make_label();
        out_.emit(BPF_MISC | bpf::txa);
        out_.branch(BPF_JGE | BPF_K, beyond_any_frame, far, near);
        out_.place(far);
        reject();
        out_.place(near);
    }
    auto const& tail = layout_.tail();
    if (step.k >= tail.begin || layout_.identity()) {
        out_.emit(step.code, step.k - tail.value);
        return true;
    }

    // Where the load goes is known at run time only: one case for each run of offsets inside one piece of data, and one
    // for each other offset.
    auto const width = width_of(step.code);
    auto const done = out_.make_label();
    out_.emit(BPF_MISC | bpf::txa);
    out_.emit(BPF_ALU | BPF_ADD | BPF_K, step.k);
    for (auto offset = step.k; offset < tail.begin;) {
        auto const& segment = layout_.at(offset);
        bool const plain = segment.from == source::data && offset + width <= segment.end;
        auto const last = plain ? segment.end - width : offset;
        auto const inside = out_.make_label();
        auto const after = out_.make_label();
        out_.branch(BPF_JGT | BPF_K, last, after, inside);
        out_.place(inside);
        bool goes_on = true;
        if (plain)
            out_.emit(step.code, step.k - segment.value);
        else
            goes_on = load(width, offset);
        if (goes_on)
            out_.jump(done);
        out_.place(after);
        offset = last + 1;
    }
    out_.emit(step.code, step.k - tail.value);
    out_.place(done);
    return true;
}

/// X = 4 * (the low nibble of a byte).
bool bpf_rewriter::load_header_length(std::uint32_t offset) {
    auto const& segment = layout_.at(offset);
    if (segment.from == source::data) {
        out_.emit(BPF_LDX | BPF_B | BPF_MSH, offset - segment.value);
        return true;
    }
    if (scratch_.empty())
        return accept_whole();
    out_.emit(BPF_ST, scratch_[0]);
    if (!load(1, offset))
        return false;
    out_.emit(BPF_ALU | BPF_AND | BPF_K, 0x0f);
    out_.emit(BPF_ALU | BPF_LSH | BPF_K, 2);
    out_.emit(BPF_MISC | bpf::tax);
    out_.emit(BPF_LD | BPF_MEM, scratch_[0]);
    return true;
}

void bpf_rewriter::load_length(bool to_x) {
    if (to_x)
        out_.emit(BPF_ST, scratch_[0]);
    out_.emit(BPF_LD | BPF_LEN);
    if (layout_.growth() != 0)
        out_.emit(BPF_ALU | BPF_ADD | BPF_K, layout_.growth());
    if (to_x) {
        out_.emit(BPF_MISC | bpf::tax);
        out_.emit(BPF_LD | BPF_MEM, scratch_[0]);
    }
}

bool bpf_rewriter::shift_by_x(instruction const& step) {
    if (scratch_.empty())
        return accept_whole();
    auto const out_of_word = out_.make_label();
    auto const inside = out_.make_label();
    auto const done = out_.make_label();
    out_.emit(BPF_ST, scratch_[0]);
    out_.emit(BPF_MISC | bpf::txa);
    out_.branch(BPF_JGE | BPF_K, 32, out_of_word, inside);
    out_.place(inside);
    out_.emit(BPF_LD | BPF_MEM, scratch_[0]);
    out_.emit(step.code);
    out_.jump(done);
    out_.place(out_of_word);
    out_.emit(BPF_LD | BPF_IMM, 0);
    out_.place(done);
    return true;
}

void bpf_rewriter::give(instruction const& step) {
    if (step.code != (BPF_RET | bpf::ret_a)) {
        out_.emit(step.code, step.k != 0 && whole_ ? bpf::everything : layout_.kept(step.k));
        return;
    }
    auto const none = out_.make_label();
    auto const some = out_.make_label();
    auto const much = out_.make_label();
    auto const little = out_.make_label();
    out_.branch(BPF_JEQ | BPF_K, 0, none, some);
    out_.place(none);
    reject();
    out_.place(some);
    if (whole_) {
        out_.emit(BPF_RET | BPF_K, bpf::everything);
        return;
    }
    out_.branch(BPF_JGT | BPF_K, layout_.tail().begin, much, little);
    out_.place(much);
    out_.emit(BPF_ALU | BPF_SUB | BPF_K, layout_.growth());
    out_.place(little);
    out_.emit(step.code);
}

} // namespace netring_asio::detail
