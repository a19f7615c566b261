#include "bpf_assembler.hpp"

#include "bpf.hpp"

#include <array>

namespace netring_asio::detail {

bpf_assembler::label bpf_assembler::make_label() {
    labels_.push_back(none);
    return static_cast<label>(labels_.size() - 1);
}

bpf_assembler::label bpf_assembler::here() {
    auto const at = make_label();
    place(at);
    return at;
}

void bpf_assembler::place(label at) { labels_[at] = static_cast<std::uint32_t>(nodes_.size()); }

void bpf_assembler::emit(unsigned code, std::uint32_t k) { nodes_.push_back({static_cast<std::uint16_t>(code), k}); }

void bpf_assembler::branch(unsigned code, std::uint32_t k, label holds, label fails) {
    nodes_.push_back({static_cast<std::uint16_t>(BPF_JMP | code), k, holds, fails});
}

void bpf_assembler::jump(label to) { nodes_.push_back({BPF_JMP | BPF_JA, 0, to}); }

std::uint32_t bpf_assembler::target(label to) const noexcept {
    auto at = labels_[to];
    while (bpf::is_jump(nodes_[at].code))
        at = labels_[nodes_[at].holds];
    return at;
}

std::vector<bool> bpf_assembler::reachable() const {
    std::vector<bool> reached(nodes_.size());
    reached[0] = true;
    for (std::uint32_t i = 0; i != nodes_.size(); ++i) {
        if (!reached[i])
            continue;
        auto const& step = nodes_[i];
        // A jump to a return becomes one.
        if (step.holds != none && !(bpf::is_jump(step.code) && BPF_CLASS(nodes_[target(step.holds)].code) == BPF_RET))
            reached[target(step.holds)] = true;
        if (step.fails != none)
            reached[target(step.fails)] = true;
        if (step.holds == none && BPF_CLASS(step.code) != BPF_RET)
            reached[i + 1] = true;
    }
    return reached;
}

std::vector<filter::instruction> bpf_assembler::assemble() const {
    auto const reached = reachable();
    // A node takes one instruction, a conditional jump up to two more for far targets, and a jump none if what it leads
    // to comes next. Sizes only grow while this is found out, so it ends.
    std::vector<std::uint32_t> position(nodes_.size() + 1);
    std::vector<std::array<bool, 2>> far(nodes_.size());
    auto const next_kept = [&](std::uint32_t i) {
        do
            ++i;
        while (i != nodes_.size() && !reached[i]);
        return i;
    };
    auto const idle = [&](std::uint32_t i) {
        return bpf::is_jump(nodes_[i].code) && target(nodes_[i].holds) == next_kept(i);
    };
    auto const measure = [&] {
        for (std::uint32_t i = 0; i != nodes_.size(); ++i)
            position[i + 1] = position[i] + (reached[i] && !idle(i) ? 1U + far[i][0] + far[i][1] : 0U);
    };
    auto const distance = [&](std::uint32_t i, label to) { return position[target(to)] - position[i] - 1; };
    for (bool changed = true; changed;) {
        changed = false;
        measure();
        for (std::uint32_t i = 0; i != nodes_.size(); ++i) {
            if (!reached[i] || !bpf::is_conditional_jump(nodes_[i].code))
                continue;
            for (auto [side, to] : {std::pair{0U, nodes_[i].holds}, std::pair{1U, nodes_[i].fails}})
                if (!far[i][side] && distance(i, to) > 255) {
                    far[i][side] = true;
                    changed = true;
                }
        }
    }

    std::vector<filter::instruction> program;
    program.reserve(position.back());
    for (std::uint32_t i = 0; i != nodes_.size(); ++i) {
        if (!reached[i] || idle(i))
            continue;
        auto const& step = nodes_[i];
        if (bpf::is_jump(step.code)) {
            auto const& destination = nodes_[target(step.holds)];
            if (BPF_CLASS(destination.code) == BPF_RET)
                program.push_back({destination.code, 0, 0, destination.k});
            else
                program.push_back({step.code, 0, 0, distance(i, step.holds)});
        } else if (bpf::is_conditional_jump(step.code)) {
            auto const [far_holds, far_fails] = far[i];
            program.push_back({step.code, static_cast<std::uint8_t>(far_holds ? 0 : distance(i, step.holds)),
                               static_cast<std::uint8_t>(far_fails ? far_holds : distance(i, step.fails)), step.k});
            if (far_holds)
                program.push_back({BPF_JMP | BPF_JA, 0, 0, distance(i, step.holds) - 1});
            if (far_fails)
                program.push_back({BPF_JMP | BPF_JA, 0, 0, distance(i, step.fails) - 1U - far_holds});
        } else {
            program.push_back({step.code, 0, 0, step.k});
        }
    }
    return program;
}

} // namespace netring_asio::detail
