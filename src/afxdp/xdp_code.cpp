#include "xdp_code.hpp"

#include "../detail/bpf.hpp"
#include "bypass_code.hpp"
#include "rx_metadata.hpp"
#include <netring_asio/detail/kernel_filter.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

#include <linux/if_ether.h>

namespace netring_asio::afxdp::detail {
namespace {

namespace bpf = netring_asio::detail::bpf;
using netring_asio::detail::make_kernel_filter;

// Registers that calls leave alone.
constexpr std::uint8_t context = 6, a = 7, x = 8, data = 9, frame = 10;

// The stack, downwards from the frame pointer: scratch words, what loads by helper bring, the tag, a map key.
constexpr int scratch_at = -64, loaded_at = -72, present_at = -80, tpid_at = -84, tci_at = -88, key_at = -92;

// Where the metadata are put together, and filters are done.
constexpr int metadata_at = -32;

// Fields of xdp_md.
constexpr int md_data = 0, md_data_end = 4, md_data_meta = 8, md_ingress = 12, md_queue = 16;

// No buffer is longer, so that the verifier knows bounds.
constexpr std::uint32_t longest_direct = 0x7f00;

/// Translates one program.
class translator {
public:
    translator(ebpf_assembler& out, xdp_code const& code, std::span<filter::instruction const> program,
               ebpf_assembler::label accept, ebpf_assembler::label reject)
        : out_{out}
        , code_{code}
        , program_{program}
        , accept_{accept}
        , reject_{reject} {}

    bool run() {
        for (std::size_t i = 0; i != program_.size(); ++i)
            labels_.push_back(out_.make_label());
        out_.set(a, 0);
        out_.set(x, 0);
        // The verifier wants every instruction to have a path to it, and a program may accept or reject everything.
        never(accept_);
        never(reject_);
        for (at_ = 0; at_ != program_.size(); ++at_) {
            out_.place(labels_[at_]);
            if (!translate(program_[at_]))
                return false;
        }
        return true;
    }

private:
    using instruction = filter::instruction;
    static int scratch(std::uint32_t word) noexcept { return scratch_at + static_cast<int>(4 * word); }
    static std::int32_t imm(std::uint32_t k) noexcept { return static_cast<std::int32_t>(k); }

    void never(ebpf_assembler::label to) {
        out_.set32(0, 1);
        out_.branch(BPF_JMP32 | BPF_JEQ | BPF_K, 0, 0, 0, to);
    }
    void always(ebpf_assembler::label to) {
        out_.set32(0, 1);
        out_.branch(BPF_JMP32 | BPF_JNE | BPF_K, 0, 0, 0, to);
    }

    bool translate(instruction const& step) {
        switch (BPF_CLASS(step.code)) {
        case BPF_LD:
            return load(a, step);
        case BPF_LDX:
            return load(x, step);
        case BPF_ST:
            out_.store(BPF_W, frame, scratch(step.k), a);
            return true;
        case BPF_STX:
            out_.store(BPF_W, frame, scratch(step.k), x);
            return true;
        case BPF_ALU:
            return compute(step);
        case BPF_JMP:
            return jump(step);
        case BPF_RET:
            if (step.code == (BPF_RET | bpf::ret_a)) {
                out_.branch(BPF_JMP32 | BPF_JNE | BPF_K, a, 0, 0, accept_);
                out_.jump(reject_);
            } else {
                out_.jump(step.k != 0 ? accept_ : reject_);
            }
            return true;
        default: // BPF_MISC
            if ((step.code & 0xf8) == bpf::txa)
                out_.emit(BPF_ALU | BPF_MOV | BPF_X, a, x);
            else
                out_.emit(BPF_ALU | BPF_MOV | BPF_X, x, a);
            return true;
        }
    }

    bool load(std::uint8_t to, instruction const& step) {
        auto const width = static_cast<unsigned>(BPF_SIZE(step.code));
        switch (BPF_MODE(step.code)) {
        case BPF_IMM:
            out_.set32(to, step.k);
            return true;
        case BPF_MEM:
            out_.load(BPF_W, to, frame, scratch(step.k));
            return true;
        case BPF_LEN:
            length(to);
            return true;
        case BPF_MSH:
            bytes(to, BPF_B, step.k, false);
            out_.emit(BPF_ALU | BPF_AND | BPF_K, to, 0, 0, 0xf);
            out_.emit(BPF_ALU | BPF_LSH | BPF_K, to, 0, 0, 2);
            return true;
        case BPF_ABS:
            if (step.k >= bpf::ancillary::first)
                return metadata(to, step.k);
            bytes(to, width, step.k, false);
            return true;
        case BPF_IND:
            bytes(to, width, step.k, true);
            return true;
        default:
            return false;
        }
    }

    bool metadata(std::uint8_t to, std::uint32_t k) {
        switch (k) {
        case bpf::ancillary::interface_index:
            out_.load(BPF_W, to, context, md_ingress);
            return true;
        case bpf::ancillary::vlan_present:
            out_.load(BPF_W, to, frame, present_at);
            return code_.tag_function.has_value();
        case bpf::ancillary::vlan_tci:
            out_.load(BPF_H, to, frame, tci_at);
            return code_.tag_function.has_value();
        case bpf::ancillary::vlan_tpid:
            out_.load(BPF_H, to, frame, tpid_at);
            out_.emit(BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, 16);
            return code_.tag_function.has_value();
        default:
            return false;
        }
    }

    void length(std::uint8_t to) {
        if (code_.multi_buffer) {
            out_.move(1, context);
            out_.call(BPF_FUNC_xdp_get_buff_len);
            out_.emit(BPF_ALU | BPF_MOV | BPF_X, to, 0);
        } else {
            out_.load(BPF_W, 1, context, md_data_end);
            out_.emit(BPF_ALU64 | BPF_SUB | BPF_X, 1, data);
            out_.emit(BPF_ALU | BPF_MOV | BPF_X, to, 1);
        }
    }

    /// Loads from the frame at `k`, or at X + `k`, in network byte order.
    void bytes(std::uint8_t to, unsigned width, std::uint32_t k, bool indirect) {
        int const size = width == BPF_W ? 4 : width == BPF_H ? 2 : 1;
        auto const slow = out_.make_label();
        auto const swap = out_.make_label();
        auto const missed = code_.multi_buffer ? slow : reject_;
        bool const direct = indirect || k <= longest_direct;
        if (!direct && !code_.multi_buffer)
            return always(reject_); // no frame of one buffer is so long
        if (indirect) {
            // X + K must not wrap; it is computed in 64 bits.
            out_.emit(BPF_ALU | BPF_MOV | BPF_X, 2, x);
            out_.set32(3, k);
            out_.emit(BPF_ALU64 | BPF_ADD | BPF_X, 2, 3);
            out_.branch(BPF_JMP | BPF_JGT | BPF_K, 2, 0, static_cast<std::int32_t>(longest_direct), missed);
            out_.move(4, data);
            out_.emit(BPF_ALU64 | BPF_ADD | BPF_X, 4, 2);
        } else if (direct) {
            out_.move(4, data);
            out_.add(4, imm(k));
        }
        if (direct) {
            out_.move(5, 4);
            out_.add(5, size);
            out_.load(BPF_W, 1, context, md_data_end);
            out_.branch(BPF_JMP | BPF_JGT | BPF_X, 5, 1, 0, missed);
            out_.load(width, to, 4, 0);
        }
        if (code_.multi_buffer) {
            if (direct)
                out_.jump(swap);
            out_.place(slow);
            if (!indirect)
                out_.set32(2, k);
            // The helper takes a 32-bit offset.
            out_.set32(3, 0xffff);
            out_.branch(BPF_JMP | BPF_JGT | BPF_X, 2, 3, 0, reject_);
            out_.move(1, context);
            out_.move(3, frame);
            out_.add(3, loaded_at);
            out_.set(4, size);
            out_.call(BPF_FUNC_xdp_load_bytes);
            out_.branch(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 0, reject_);
            out_.load(width, to, frame, loaded_at);
        }
        out_.place(swap);
        if (size != 1)
            out_.emit(BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, 8 * size);
    }

    bool compute(instruction const& step) {
        auto const operation = static_cast<unsigned>(BPF_OP(step.code));
        bool const by_x = BPF_SRC(step.code) == BPF_X;
        if (operation == BPF_NEG) {
            out_.emit(BPF_ALU | BPF_NEG, a);
            return true;
        }
        if (operation == BPF_DIV || operation == BPF_MOD) {
            if (by_x)
                out_.branch(BPF_JMP32 | BPF_JEQ | BPF_K, x, 0, 0, reject_);
            else if (step.k == 0)
                return always(reject_), true;
        }
        if (operation == BPF_LSH || operation == BPF_RSH) {
            // libpcap shifts everything out where the kernel would take the lower five bits.
            if (!by_x && step.k > 31) {
                out_.set32(a, 0);
                return true;
            }
            if (by_x) {
                auto const small = out_.make_label();
                auto const after = out_.make_label();
                out_.branch(BPF_JMP32 | BPF_JLE | BPF_K, x, 0, 31, small);
                out_.set32(a, 0);
                out_.jump(after);
                out_.place(small);
                out_.emit(BPF_ALU | operation | BPF_X, a, x);
                out_.place(after);
                return true;
            }
        }
        if (by_x)
            out_.emit(BPF_ALU | operation | BPF_X, a, x);
        else
            out_.emit(BPF_ALU | operation | BPF_K, a, 0, 0, imm(step.k));
        return true;
    }

    bool jump(instruction const& step) {
        if (bpf::is_jump(step.code)) {
            // A jump back is a large number: libpcap's loops over headers, of which no bound is known.
            if (step.k >= program_.size() - at_ - 1)
                return false;
            out_.jump(labels_[at_ + 1 + step.k]);
            return true;
        }
        auto const holds = labels_[at_ + 1 + step.jt];
        auto const fails = labels_[at_ + 1 + step.jf];
        auto const code = BPF_JMP32 | BPF_OP(step.code) | BPF_SRC(step.code);
        out_.branch(static_cast<unsigned>(code), a, BPF_SRC(step.code) == BPF_X ? x : std::uint8_t{0},
                    BPF_SRC(step.code) == BPF_X ? 0 : imm(step.k), holds);
        if (step.jf != 0)
            out_.jump(fails);
        return true;
    }

    ebpf_assembler& out_;
    xdp_code const& code_;
    std::span<filter::instruction const> program_;
    ebpf_assembler::label const accept_, reject_;
    std::vector<ebpf_assembler::label> labels_;
    std::size_t at_ = 0;
};

void count(ebpf_assembler& out, int counters, int key) {
    if (counters < 0)
        return;
    auto const missing = out.make_label();
    out.set32(1, static_cast<std::uint32_t>(key));
    out.store(BPF_W, frame, key_at, 1);
    out.load_map(1, counters);
    out.move(2, frame);
    out.add(2, key_at);
    out.call(BPF_FUNC_map_lookup_elem);
    out.branch(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0, missing);
    out.load(BPF_DW, 1, 0, 0);
    out.add(1, 1);
    out.store(BPF_DW, 0, 0, 1);
    out.place(missing);
}

/// Writes what the driver tells of the frame before it, if there is room.
void put_metadata(ebpf_assembler& out, xdp_code const& code) {
    constexpr auto at = [](std::size_t field) { return metadata_at + static_cast<int>(field); };
    constexpr auto size = static_cast<int>(sizeof(rx_metadata));
    auto const done = out.make_label();
    out.set(1, 0);
    for (int i = 0; i != size; i += 8)
        out.store(BPF_DW, frame, metadata_at + i, 1);
    out.set32(a, rx_metadata::mark);
    auto const ask = [&](std::optional<std::int32_t> function, std::uint32_t bit, int first,
                         std::optional<int> second) {
        if (!function)
            return;
        auto const none = out.make_label();
        out.move(1, context);
        out.move(2, frame);
        out.add(2, first);
        if (second) {
            out.move(3, frame);
            out.add(3, *second);
        }
        out.call_kernel(*function);
        out.branch(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 0, none);
        out.emit(BPF_ALU64 | BPF_OR | BPF_K, a, 0, 0, static_cast<std::int32_t>(bit));
        out.place(none);
    };
    ask(code.time_function, rx_metadata::has_time, at(offsetof(rx_metadata, time)), {});
    ask(code.hash_function, rx_metadata::has_hash, at(offsetof(rx_metadata, hash)),
        at(offsetof(rx_metadata, hash_type)));
    ask(code.tag_function, rx_metadata::has_tag, at(offsetof(rx_metadata, tpid)), at(offsetof(rx_metadata, tci)));
    out.store(BPF_W, frame, at(offsetof(rx_metadata, what)), a);
    out.move(1, context);
    out.set(2, -size);
    out.call(BPF_FUNC_xdp_adjust_meta);
    out.branch(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 0, done);
    out.load(BPF_W, 2, context, md_data_meta);
    out.load(BPF_W, 3, context, md_data);
    out.move(4, 2);
    out.add(4, size);
    out.branch(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 0, done);
    for (int i = 0; i != size; i += 8) {
        out.load(BPF_DW, 1, frame, metadata_at + i);
        out.store(BPF_DW, 2, i, 1);
    }
    out.place(done);
}

} // namespace

bool looks_at_tags(filter const& wanted) noexcept {
    auto const program = wanted.instructions();
    return std::any_of(program.begin(), program.end(), [](auto const& step) {
        return step.code == (BPF_JMP | BPF_JEQ | BPF_K) &&
               (step.k == ETH_P_8021Q || step.k == ETH_P_8021AD || step.k == ETH_P_QINQ1);
    });
}

std::vector<bpf_insn> make_xdp_program(xdp_code const& code, error_code& ec) {
    ec = {};
    ebpf_assembler out;
    auto const accept = out.make_label();
    out.move(context, 1);
    out.load(BPF_W, data, context, md_data);
    if (code.bypass >= 0) {
        auto const passed = out.make_label();
        auto const others = out.make_label();
        skip_bypassed(out, code.bypass, {context, data, a, x}, passed);
        out.jump(others);
        out.place(passed);
        count(out, code.counters, 0);
        count(out, code.counters, 2);
        out.set(0, XDP_PASS);
        out.exit();
        out.place(others);
    }
    if (code.tag_function && !code.filters.empty()) {
        auto const none = out.make_label();
        out.set(1, 0);
        out.store(BPF_DW, frame, present_at, 1);
        out.store(BPF_DW, frame, tci_at, 1);
        out.move(1, context);
        out.move(2, frame);
        out.add(2, tpid_at);
        out.move(3, frame);
        out.add(3, tci_at);
        out.call_kernel(*code.tag_function);
        out.branch(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 0, none);
        out.set(1, 1);
        out.store(BPF_W, frame, present_at, 1);
        out.place(none);
    }
    for (auto const& wanted : code.filters) {
        auto const reject = out.make_label();
        std::vector<filter::instruction> program{wanted.instructions().begin(), wanted.instructions().end()};
        if (code.tag_function) {
            auto const translated = make_kernel_filter(wanted);
            if (!translated.verdict.exact) {
                ec = error::unsupported_filter;
                return {};
            }
            program = translated.program;
        }
        if (!translator{out, code, program, accept, reject}.run()) {
            ec = error::unsupported_filter;
            return {};
        }
        out.place(reject);
    }
    if (!code.filters.empty()) {
        count(out, code.counters, 0);
        out.set(0, XDP_PASS);
        out.exit();
    }
    out.place(accept);
    if (code.metadata)
        put_metadata(out, code);
    if (code.map >= 0) {
        auto const done = out.make_label();
        out.load(BPF_W, 2, context, md_queue);
        out.load_map(1, code.map);
        out.set(3, XDP_PASS);
        out.call(BPF_FUNC_redirect_map);
        out.branch(BPF_JMP | BPF_JNE | BPF_K, 0, 0, XDP_PASS, done);
        count(out, code.counters, 0);
        count(out, code.counters, 1);
        out.set(0, XDP_PASS);
        out.place(done);
    } else {
        out.set(0, XDP_TX);
    }
    out.exit();
    auto result = out.assemble();
    if (result.empty())
        ec = error::filter_too_long;
    return result;
}

} // namespace netring_asio::afxdp::detail
