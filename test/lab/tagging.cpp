#include <algorithm>
#include <cerrno>
#include <cstring>
#include <lab/tagging.hpp>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lab {

namespace {

// Not in the headers of Linux 6.1.
constexpr unsigned tcx_ingress = 46;
constexpr unsigned tcx_egress = 47;

constexpr std::uint8_t pass = TC_ACT_OK;
constexpr std::uint8_t drop = TC_ACT_SHOT;

using program = std::vector<bpf_insn>;

bpf_insn instruction(int code, int destination, int source, int offset, std::int32_t value) {
    bpf_insn result{};
    result.code = static_cast<std::uint8_t>(code);
    result.dst_reg = static_cast<std::uint8_t>(destination) & 0xf;
    result.src_reg = static_cast<std::uint8_t>(source) & 0xf;
    result.off = static_cast<std::int16_t>(offset);
    result.imm = value;
    return result;
}

bpf_insn set(int reg, std::int32_t value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value); }
bpf_insn copy(int to, int from) { return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
bpf_insn call(int function) { return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, function); }
bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
bpf_insn load(int reg, std::size_t field) {
    return instruction(BPF_LDX | BPF_MEM | BPF_W, reg, 6, static_cast<int>(field), 0);
}

void finish(program& code, std::uint8_t verdict) {
    code.push_back(set(0, verdict));
    code.push_back(leave());
}

/// Drops the packet unless the value is this.
void require(program& code, int reg, std::int32_t value) {
    code.push_back(instruction(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, 2, value));
    finish(code, drop);
}

program pushing(std::vector<tag> const& tags) {
    program code{copy(6, 1)};
    for (auto const& tag : tags)
        code.insert(code.end(),
                    {copy(1, 6), set(2, htons(tag.protocol)), set(3, tag.control), call(BPF_FUNC_skb_vlan_push)});
    finish(code, pass);
    return code;
}

program popping(std::vector<tag> const& tags) {
    program code{copy(6, 1)};
    for (auto tag = tags.rbegin(); tag != tags.rend(); ++tag) {
        code.push_back(load(2, offsetof(__sk_buff, vlan_present)));
        require(code, 2, 1);
        code.push_back(load(2, offsetof(__sk_buff, vlan_tci)));
        require(code, 2, tag->control);
        code.push_back(load(2, offsetof(__sk_buff, vlan_proto)));
        require(code, 2, htons(tag->protocol));
        code.insert(code.end(), {copy(1, 6), call(BPF_FUNC_skb_vlan_pop)});
    }
    code.push_back(load(2, offsetof(__sk_buff, vlan_present)));
    require(code, 2, 0);
    finish(code, pass);
    return code;
}

int call_kernel(int command, bpf_attr& arguments) {
    auto const result = static_cast<int>(::syscall(SYS_bpf, command, &arguments, sizeof arguments));
    if (result < 0)
        throw std::system_error{errno, std::generic_category(), "bpf"};
    return result;
}

int attach(side const& at, program const& code, unsigned where) {
    bpf_attr arguments{};
    arguments.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    arguments.insns = reinterpret_cast<std::uintptr_t>(code.data());
    arguments.insn_cnt = static_cast<std::uint32_t>(code.size());
    arguments.license = reinterpret_cast<std::uintptr_t>("GPL");
    int const loaded = call_kernel(BPF_PROG_LOAD, arguments);
    auto const index = at.index();
    return at.enter([&] {
        bpf_attr link{};
        link.link_create.prog_fd = static_cast<std::uint32_t>(loaded);
        link.link_create.target_ifindex = index;
        link.link_create.attach_type = where;
        int const attached = call_kernel(BPF_LINK_CREATE, link);
        ::close(loaded);
        return attached;
    });
}

} // namespace

tagging::tagging(side const& at, std::vector<tag> const& tags) {
    links_ = {attach(at, pushing(tags), tcx_egress), attach(at, popping(tags), tcx_ingress)};
}

tagging::~tagging() {
    for (int const link : links_)
        ::close(link);
}

} // namespace lab
