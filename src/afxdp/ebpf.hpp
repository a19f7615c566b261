#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/bpf.h>

namespace netring_asio::afxdp::detail {

/// Builds an extended BPF program (Documentation/bpf/standardization/instruction-set.rst) with labels as jump targets.
class ebpf_assembler {
public:
    using label = std::size_t;
    using reg = std::uint8_t;

    label make_label() {
        labels_.push_back(none);
        return labels_.size() - 1;
    }
    void place(label at) { labels_[at] = code_.size(); }

    void emit(unsigned code, reg destination, reg source = 0, int offset = 0, std::int32_t immediate = 0) {
        bpf_insn instruction{};
        instruction.code = static_cast<std::uint8_t>(code);
        instruction.dst_reg = destination & 0xf;
        instruction.src_reg = source & 0xf;
        instruction.off = static_cast<std::int16_t>(offset);
        instruction.imm = immediate;
        code_.push_back(instruction);
    }

    void move(reg to, reg from) { emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from); }
    void set(reg to, std::int32_t value) { emit(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
    void set32(reg to, std::uint32_t value) {
        emit(BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, static_cast<std::int32_t>(value));
    }
    void add(reg to, std::int32_t value) { emit(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
    void load(unsigned width, reg to, reg base, int offset) { emit(BPF_LDX | BPF_MEM | width, to, base, offset); }
    void store(unsigned width, reg base, int offset, reg from) { emit(BPF_STX | BPF_MEM | width, base, from, offset); }
    void call(std::int32_t helper) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
    void call_kernel(std::int32_t function) { emit(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function); }
    void load_map(reg to, int descriptor) {
        emit(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, descriptor);
        emit(0, 0);
    }
    void exit() { emit(BPF_JMP | BPF_EXIT, 0); }
    void jump(label to) { branch(BPF_JMP | BPF_JA, 0, 0, 0, to); }
    /// A conditional jump; `code` says class, operation and whether it compares with the register or the immediate.
    void branch(unsigned code, reg destination, reg source, std::int32_t immediate, label to) {
        jumps_.push_back({code_.size(), to});
        emit(code, destination, source, 0, immediate);
    }

    /// The program; empty where a jump goes too far.
    std::vector<bpf_insn> assemble() const {
        auto result = code_;
        for (auto const& [at, to] : jumps_) {
            auto const distance = static_cast<std::int64_t>(labels_[to]) - static_cast<std::int64_t>(at) - 1;
            if (labels_[to] == none || distance > INT16_MAX || distance < 0)
                return {};
            result[at].off = static_cast<std::int16_t>(distance);
        }
        return result;
    }

private:
    static constexpr auto none = static_cast<std::size_t>(-1);
    struct jump_to {
        std::size_t at;
        label to;
    };
    std::vector<bpf_insn> code_;
    std::vector<std::size_t> labels_;
    std::vector<jump_to> jumps_;
};

} // namespace netring_asio::afxdp::detail
