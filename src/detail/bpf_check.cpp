#include "bpf_check.hpp"

#include "bpf.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace netring_asio::detail {
namespace {

using instruction = filter::instruction;

bool known(std::uint16_t code) noexcept {
    auto const size = BPF_SIZE(code);
    switch (BPF_CLASS(code)) {
    case BPF_LD:
        switch (BPF_MODE(code)) {
        case BPF_ABS:
        case BPF_IND:
            return (code & ~0xff) == 0 && size != 0x18;
        default:
            return code == (BPF_LD | BPF_IMM) || code == (BPF_LD | BPF_MEM) || code == (BPF_LD | BPF_LEN);
        }
    case BPF_LDX:
        return code == (BPF_LDX | BPF_IMM) || code == (BPF_LDX | BPF_MEM) || code == (BPF_LDX | BPF_LEN) ||
               code == (BPF_LDX | BPF_B | BPF_MSH);
    case BPF_ST:
        return code == BPF_ST;
    case BPF_STX:
        return code == BPF_STX;
    case BPF_ALU:
        return code == (BPF_ALU | BPF_NEG) ||
               ((code & ~0xff) == 0 && BPF_OP(code) != BPF_NEG && BPF_OP(code) <= BPF_XOR);
    case BPF_JMP:
        return code == (BPF_JMP | BPF_JA) ||
               ((code & ~0xff) == 0 && BPF_OP(code) >= BPF_JEQ && BPF_OP(code) <= BPF_JSET);
    case BPF_RET:
        return code == (BPF_RET | BPF_K) || code == (BPF_RET | bpf::ret_a);
    default:
        return code == (BPF_MISC | bpf::tax) || code == (BPF_MISC | bpf::txa);
    }
}

char const* operand_error(instruction const& step) noexcept {
    auto const mode = BPF_MODE(step.code);
    switch (BPF_CLASS(step.code)) {
    case BPF_ST:
    case BPF_STX:
        return step.k < bpf::scratch_words ? nullptr : "scratch memory has 16 words";
    case BPF_LD:
    case BPF_LDX:
        if (mode == BPF_MEM && step.k >= bpf::scratch_words)
            return "scratch memory has 16 words";
        if ((mode == BPF_ABS || mode == BPF_IND || mode == BPF_MSH) && step.k >= bpf::first_negative &&
            !(mode == BPF_ABS && bpf::is_portable_ancillary(step.k)))
            return "a load of kernel metadata that a packet outside of the kernel does not have";
        return nullptr;
    case BPF_ALU:
        if (BPF_SRC(step.code) != BPF_K)
            return nullptr;
        if ((BPF_OP(step.code) == BPF_DIV || BPF_OP(step.code) == BPF_MOD) && step.k == 0)
            return "division by zero";
        if ((BPF_OP(step.code) == BPF_LSH || BPF_OP(step.code) == BPF_RSH) && step.k >= 32)
            return "shift by more than 31 bits";
        return nullptr;
    default:
        return nullptr;
    }
}

} // namespace

std::string check_program(std::span<instruction const> program) {
    auto const wrong = [](std::size_t at, char const* what) {
        return "instruction " + std::to_string(at) + ": " + what;
    };
    if (program.empty())
        return "the program is empty";

    // Which scratch words are written on every path to an instruction; all, where no path is known yet.
    std::vector<std::uint16_t> written(program.size(), 0xffff);
    written[0] = 0;
    for (std::size_t i = 0; i != program.size(); ++i) {
        auto const& step = program[i];
        if (!known(step.code))
            return wrong(i, "unknown operation");
        if (auto const* const what = operand_error(step))
            return wrong(i, what);

        auto now = written[i];
        auto const word = static_cast<std::uint16_t>(1U << (step.k & 15));
        auto const kind = BPF_CLASS(step.code);
        if ((kind == BPF_LD || kind == BPF_LDX) && BPF_MODE(step.code) == BPF_MEM && (now & word) == 0)
            return wrong(i, "reads scratch memory that may not have been written");
        if (kind == BPF_ST || kind == BPF_STX)
            now = static_cast<std::uint16_t>(now | word);

        auto const flows_to = [&](std::uint64_t target) {
            if (target >= program.size())
                return false;
            written[target] &= now;
            return true;
        };
        bool inside = true;
        if (bpf::is_jump(step.code))
            inside = flows_to(i + 1ULL + step.k);
        else if (bpf::is_conditional_jump(step.code))
            inside = flows_to(i + 1ULL + step.jt) && flows_to(i + 1ULL + step.jf);
        else if (kind != BPF_RET)
            inside = flows_to(i + 1ULL);
        if (!inside)
            return wrong(i, "leaves the program; every path must go forward to a return");
    }
    return {};
}

} // namespace netring_asio::detail
