#pragma once

#include <netring_asio/filter.hpp>

#include <array>
#include <cstdint>
#include <filter/frames.hpp>
#include <optional>
#include <span>
#include <stdexcept>

#include <linux/filter.h>

/// What the kernel does with a classic program on a packet socket: net/core/filter.c in a hundred lines.
namespace kernel_model {

struct packet {
    frames::bytes data; ///< from the link header on, or from the network header on for a cooked socket
    netring_asio::vlan_tag vlan{};
    std::uint16_t protocol = 0;
    std::uint32_t type = 0;
    std::uint32_t interface_index = 0;
    std::uint32_t hardware_type = 1;
};

class machine {
public:
    machine(std::span<netring_asio::filter::instruction const> program, packet const& on)
        : program_{program}
        , packet_{on} {}

    std::uint32_t run() {
        for (std::size_t at = 0;; ++at) {
            auto const& step = program_[at];
            switch (BPF_CLASS(step.code)) {
            case BPF_LD:
                if (!load(step))
                    return 0;
                break;
            case BPF_LDX:
                if (!load_x(step))
                    return 0;
                break;
            case BPF_ST:
                memory_.at(step.k) = a_;
                break;
            case BPF_STX:
                memory_.at(step.k) = x_;
                break;
            case BPF_ALU:
                if (!compute(step))
                    return 0;
                break;
            case BPF_JMP:
                at += BPF_OP(step.code) == BPF_JA ? step.k : holds(step) ? step.jt : step.jf;
                break;
            case BPF_RET:
                return BPF_RVAL(step.code) == BPF_A ? a_ : step.k;
            default:
                BPF_MISCOP(step.code) == BPF_TAX ? x_ = a_ : a_ = x_;
            }
        }
    }

private:
    using instruction = netring_asio::filter::instruction;

    static std::uint32_t ancillary(int field) { return static_cast<std::uint32_t>(SKF_AD_OFF + field); }

    std::optional<std::uint32_t> metadata(std::uint32_t k) const {
        if (k == ancillary(SKF_AD_PROTOCOL))
            return packet_.protocol;
        if (k == ancillary(SKF_AD_PKTTYPE))
            return packet_.type;
        if (k == ancillary(SKF_AD_IFINDEX))
            return packet_.interface_index;
        if (k == ancillary(SKF_AD_HATYPE))
            return packet_.hardware_type;
        if (k == ancillary(SKF_AD_VLAN_TAG))
            return packet_.vlan.tci;
        if (k == ancillary(SKF_AD_VLAN_TAG_PRESENT))
            return packet_.vlan ? 1 : 0;
        if (k == ancillary(SKF_AD_VLAN_TPID))
            return packet_.vlan.tpid;
        return {};
    }

    bool fetch(std::uint32_t offset, std::uint32_t width, std::uint32_t& to) const {
        // A negative offset counts from the link or the network header, wherever those lie.
        auto from = static_cast<std::int32_t>(offset);
        if (from < 0)
            from &= 0xffff;
        if (static_cast<std::uint64_t>(from) + width > packet_.data.size())
            return false;
        to = 0;
        for (std::uint32_t i = 0; i != width; ++i)
            to = to << 8 | packet_.data[static_cast<std::uint32_t>(from) + i];
        return true;
    }

    bool load(instruction const& step) {
        std::uint32_t const width = BPF_SIZE(step.code) == BPF_W ? 4 : BPF_SIZE(step.code) == BPF_H ? 2 : 1;
        switch (BPF_MODE(step.code)) {
        case BPF_ABS:
            if (auto const value = metadata(step.k))
                return a_ = *value, true;
            return fetch(step.k, width, a_);
        case BPF_IND:
            return fetch(x_ + step.k, width, a_);
        case BPF_MEM:
            return a_ = memory_.at(step.k), true;
        case BPF_LEN:
            return a_ = static_cast<std::uint32_t>(packet_.data.size()), true;
        default:
            return a_ = step.k, true;
        }
    }

    bool load_x(instruction const& step) {
        switch (BPF_MODE(step.code)) {
        case BPF_MSH:
            if (!fetch(step.k, 1, x_))
                return false;
            return x_ = 4 * (x_ & 15), true;
        case BPF_MEM:
            return x_ = memory_.at(step.k), true;
        case BPF_LEN:
            return x_ = static_cast<std::uint32_t>(packet_.data.size()), true;
        default:
            return x_ = step.k, true;
        }
    }

    bool compute(instruction const& step) {
        auto const by = BPF_SRC(step.code) == BPF_X ? x_ : step.k;
        switch (BPF_OP(step.code)) {
        case BPF_ADD:
            return a_ += by, true;
        case BPF_SUB:
            return a_ -= by, true;
        case BPF_MUL:
            return a_ *= by, true;
        case BPF_DIV:
            return by != 0 && (a_ /= by, true);
        case BPF_MOD:
            return by != 0 && (a_ %= by, true);
        case BPF_AND:
            return a_ &= by, true;
        case BPF_OR:
            return a_ |= by, true;
        case BPF_XOR:
            return a_ ^= by, true;
        case BPF_LSH:
            return a_ <<= by & 31, true;
        case BPF_RSH:
            return a_ >>= by & 31, true;
        default:
            return a_ = 0U - a_, true;
        }
    }

    bool holds(instruction const& step) const {
        auto const with = BPF_SRC(step.code) == BPF_X ? x_ : step.k;
        switch (BPF_OP(step.code)) {
        case BPF_JEQ:
            return a_ == with;
        case BPF_JGT:
            return a_ > with;
        case BPF_JGE:
            return a_ >= with;
        default:
            return (a_ & with) != 0;
        }
    }

    std::span<instruction const> program_;
    packet const& packet_;
    std::uint32_t a_ = 0, x_ = 0;
    std::array<std::uint32_t, 16> memory_{};
};

inline std::uint32_t run(std::span<netring_asio::filter::instruction const> program, packet const& on) {
    return machine{program, on}.run();
}

} // namespace kernel_model
