#include "../measure.hpp"
#include "frame.hpp"

#include <cerrno>
#include <span>
#include <stdexcept>
#include <system_error>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sys/mman.h>
#include <unistd.h>

namespace bench {
namespace {

[[noreturn]] void fail(char const* what) { throw std::system_error{errno, std::generic_category(), what}; }

/// What the program and we share. Its only element is the program's variables.
struct variables {
    std::uint64_t gap;     // nanoseconds between two frames, 0 for none
    std::uint64_t due;     // when the next frame may go, on the monotonic clock
    std::uint64_t number;  // of the next frame
    std::uint64_t refused; // frames too short for a number
};

constexpr bpf_insn instruction(unsigned code, unsigned to, unsigned from, int offset, int value) noexcept {
    bpf_insn result{};
    result.code = static_cast<__u8>(code);
    result.dst_reg = static_cast<__u8>(to & 0xf);
    result.src_reg = static_cast<__u8>(from & 0xf);
    result.off = static_cast<__s16>(offset);
    result.imm = value;
    return result;
}

constexpr auto move(unsigned to, unsigned from) { return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
constexpr auto set(unsigned to, int value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
constexpr auto add(unsigned to, int value) { return instruction(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
constexpr auto add_register(unsigned to, unsigned from) {
    return instruction(BPF_ALU64 | BPF_ADD | BPF_X, to, from, 0, 0);
}
constexpr auto load(unsigned to, unsigned from, std::size_t offset, unsigned size = BPF_DW) {
    return instruction(BPF_LDX | BPF_MEM | size, to, from, static_cast<int>(offset), 0);
}
constexpr auto store(unsigned to, std::size_t offset, unsigned from) {
    return instruction(BPF_STX | BPF_MEM | BPF_DW, to, from, static_cast<int>(offset), 0);
}
constexpr auto jump_if(unsigned condition, unsigned a, unsigned b, int skip) {
    return instruction(BPF_JMP | condition | BPF_X, a, b, skip, 0);
}
constexpr auto jump_if_value(unsigned condition, unsigned a, int value, int skip) {
    return instruction(BPF_JMP | condition | BPF_K, a, 0, skip, value);
}
constexpr auto call(int function) { return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, function); }

/// Writes the number into the frame, waits until it is due, and sends it from the interface.
auto make_program(int map, int interface) {
    enum : unsigned { r0, r1, r2, r3, r4, r5, context, shared, gap, patience };
    return std::array{
        move(context, r1),
        instruction(BPF_LD | BPF_DW | BPF_IMM, shared, BPF_PSEUDO_MAP_VALUE, 0, map),
        instruction(0, 0, 0, 0, 0),
        load(r2, context, offsetof(xdp_md, data), BPF_W),
        load(r3, context, offsetof(xdp_md, data_end), BPF_W),
        move(r4, r2),
        add(r4, number_offset + sizeof(std::uint64_t)),
        jump_if(BPF_JGT, r4, r3, 18), // to the end: refused
        load(r1, shared, offsetof(variables, number)),
        store(r2, number_offset, r1),
        add(r1, 1),
        store(shared, offsetof(variables, number), r1),
        load(gap, shared, offsetof(variables, gap)),
        jump_if_value(BPF_JEQ, gap, 0, 8), // to sending
        // The verifier walks through every turn, so there is an end to patience: some 100 microseconds.
        set(patience, 4096),
        call(BPF_FUNC_ktime_get_ns),
        load(r1, shared, offsetof(variables, due)),
        jump_if(BPF_JGE, r0, r1, 2),
        add(patience, -1),
        jump_if_value(BPF_JNE, patience, 0, -5),
        add_register(r1, gap),
        store(shared, offsetof(variables, due), r1),
        set(r1, interface),
        set(r2, 0),
        call(BPF_FUNC_redirect),
        instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
        load(r1, shared, offsetof(variables, refused)),
        add(r1, 1),
        store(shared, offsetof(variables, refused), r1),
        set(r0, XDP_DROP),
        instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
}

class live_frames final : public generator {
public:
    explicit live_frames(std::string const& interface) {
        bpf_map_create_opts mappable{};
        mappable.sz = sizeof mappable;
        mappable.map_flags = BPF_F_MMAPABLE;
        map_.value =
            ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "variables", sizeof(std::uint32_t), sizeof(variables), 1, &mappable);
        if (map_.value < 0)
            fail("bpf_map_create");
        auto* const mapped = ::mmap(nullptr, sizeof(variables), PROT_READ | PROT_WRITE, MAP_SHARED, map_.value, 0);
        if (mapped == MAP_FAILED)
            fail("mmap");
        shared_.reset(static_cast<variables*>(mapped));
        auto const program = make_program(map_.value, static_cast<int>(::if_nametoindex(interface.c_str())));
        program_.value =
            ::bpf_prog_load(BPF_PROG_TYPE_XDP, "send_numbered", "GPL", program.data(), program.size(), nullptr);
        if (program_.value < 0)
            fail("bpf_prog_load");
        run(std::array<std::uint8_t, number_offset>{}, 1); // too short to be sent: only asks whether it may run
    }

    char const* name() const noexcept override { return "live frames"; }

    void send(traffic const& what) override {
        auto const frame = make_frame(what);
        *shared_ = {};
        shared_->gap = what.rate == 0 ? 0 : 1'000'000'000 / what.rate;
        shared_->due = static_cast<std::uint64_t>(read_clock(CLOCK_MONOTONIC).count());
        for (auto left = what.count; left != 0;) {
            auto const count = std::min<std::uint64_t>(left, 1U << 30);
            run(frame, static_cast<int>(count));
            left -= count;
        }
        if (shared_->number != what.count || shared_->refused != 0)
            throw std::runtime_error{"the generator sent another number of frames than asked"};
    }

private:
    struct descriptor {
        int value = -1;
        descriptor() = default;
        descriptor(descriptor const&) = delete;
        ~descriptor() {
            if (value >= 0)
                ::close(value);
        }
    };
    struct unmap {
        void operator()(variables* shared) const noexcept { ::munmap(shared, sizeof(variables)); }
    };

    void run(std::span<std::uint8_t const> frame, int count) const {
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = frame.data();
        options.data_size_in = static_cast<__u32>(frame.size());
        options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
        options.batch_size = 16;
        options.repeat = count;
        if (::bpf_prog_test_run_opts(program_.value, &options) != 0)
            fail("BPF_PROG_TEST_RUN");
    }

    descriptor map_, program_;
    std::unique_ptr<variables, unmap> shared_;
};

} // namespace

std::unique_ptr<generator> make_live_frames(std::string const& interface) {
    return std::make_unique<live_frames>(interface);
}

} // namespace bench
