#pragma once

#include <netring_asio/filter.hpp>

#include <cstdint>
#include <limits>
#include <vector>

namespace netring_asio::detail {

/// Builds a classic BPF program with labels for jump targets. All jumps go forward.
class bpf_assembler {
public:
    using label = std::uint32_t;

    label make_label();
    label here(); ///< a label placed at the next instruction
    void place(label at);

    void emit(unsigned code, std::uint32_t k = 0);
    void branch(unsigned code, std::uint32_t k, label holds, label fails);
    void jump(label to);

    /// The program: without what no path reaches, without jumps to jumps, and with conditional jumps that go too far
    /// for their 8 bits led over unconditional ones.
    std::vector<filter::instruction> assemble() const;

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    struct node {
        std::uint16_t code;
        std::uint32_t k;
        label holds = none;
        label fails = none;
    };

    std::uint32_t target(label to) const noexcept;
    std::vector<bool> reachable() const;

    std::vector<node> nodes_;
    std::vector<std::uint32_t> labels_;
};

} // namespace netring_asio::detail
