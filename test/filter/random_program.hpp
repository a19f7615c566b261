#pragma once

#include <netring_asio/filter.hpp>

#include <cstdint>
#include <random>
#include <vector>

#include <linux/filter.h>

/// Random classic programs that are valid, and look mostly at the first bytes.
class random_program {
public:
    explicit random_program(unsigned seed)
        : random_{seed} {}

    std::vector<netring_asio::filter::instruction> operator()() {
        // From none of the scratch words to all: with few left, not everything can be translated.
        words_ = below(3) == 0 ? 12 + below(5) : below(8);
        auto const size = below(8) == 0 ? 200 + below(600) : 2 + below(40);
        program_.clear();
        for (std::uint32_t word = 0; word != words_; ++word)
            add(BPF_ST, word);
        while (program_.size() < size)
            step(static_cast<std::uint32_t>(size - program_.size()));
        add(below(3) == 0 ? BPF_RET | BPF_A : BPF_RET | BPF_K, length());
        return program_;
    }

    std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

private:
    void add(unsigned code, std::uint32_t k = 0, std::uint32_t jt = 0, std::uint32_t jf = 0) {
        program_.push_back(
            {static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(jt), static_cast<std::uint8_t>(jf), k});
    }

    std::uint32_t length() {
        return below(4) == 0 ? netring_asio::filter::whole_packet : below(3) == 0 ? 0 : below(90);
    }
    std::uint32_t offset() { return below(50) == 0 ? random() : below(36); }
    std::uint32_t random() { return static_cast<std::uint32_t>(random_()); }
    unsigned width() { return below(3) << 3; }

    /// Something to compare with that is equal now and then.
    std::uint32_t value() {
        static constexpr std::uint32_t usual[] = {0,      1,      4,      5,      0x45,       0x81,       0x0800,
                                                  0x8100, 0x88a8, 0x86dd, 0x0005, 0x81000005, 0x00050800, 1500};
        return below(4) == 0 ? below(256) : usual[below(std::size(usual))];
    }

    void step(std::uint32_t left) {
        switch (below(16)) {
        case 0:
        case 1:
        case 2:
            add(BPF_LD | BPF_ABS | width(), offset() & 0x7fffffff);
            break;
        case 3:
        case 4:
            // With an X that leads somewhere.
            add(BPF_LDX | BPF_IMM, below(8) == 0 ? random() : below(30));
            [[fallthrough]];
        case 5:
            add(BPF_LD | BPF_IND | width(), offset() & 0x7fffffff);
            break;
        case 6:
            add(BPF_LDX | BPF_B | BPF_MSH, offset() & 0x7fffffff);
            break;
        case 7:
            add(below(2) == 0 ? BPF_LD | BPF_LEN : BPF_LDX | BPF_LEN);
            break;
        case 8:
            add(below(2) == 0 ? BPF_MISC | BPF_TAX : BPF_MISC | BPF_TXA);
            break;
        case 9:
            if (words_ != 0)
                add(below(2) == 0 ? BPF_ST : BPF_STX, below(words_));
            break;
        case 10:
            if (words_ != 0)
                add(below(2) == 0 ? BPF_LD | BPF_MEM : BPF_LDX | BPF_MEM, below(words_));
            break;
        case 11:
        case 12: {
            auto const operation = below(11) << 4;
            if (operation == BPF_NEG)
                add(BPF_ALU | BPF_NEG);
            else if (below(2) == 0)
                add(BPF_ALU | BPF_X | operation);
            else
                add(BPF_ALU | BPF_K | operation, 1 + below(31));
            break;
        }
        case 13:
            if (below(6) == 0)
                add(BPF_JMP | BPF_JA, below(std::min(left, 20U)));
            else if (below(12) == 0)
                add(BPF_LD | BPF_H | BPF_ABS, 12);
            break;
        default: {
            auto const far = std::min({left, 256U, below(20) == 0 ? 256U : 6U});
            add(BPF_JMP | ((1 + below(4)) << 4) | (below(6) == 0 ? BPF_X : BPF_K), value(), below(far), below(far));
        }
        }
    }

    std::mt19937 random_;
    std::vector<netring_asio::filter::instruction> program_;
    std::uint32_t words_ = 0;
};
