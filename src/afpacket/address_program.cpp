#include "address_program.hpp"

#include "../detail/bpf.hpp"
#include "../detail/bpf_assembler.hpp"

#include <cstdint>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/in.h>

namespace netring_asio::afpacket::detail {
namespace {

namespace bpf = netring_asio::detail::bpf;

/// Offsets of headers that are passed over lie in words of scratch memory, for X is the only index.
class address_program : netring_asio::detail::bpf_assembler {
public:
    enum class result : std::uint8_t { by_addresses, by_flows, unplaced };
    enum class where : std::uint8_t { kernel, user_space };

    address_program(result what, where place)
        : what_{what}
        , where_{place} {}

    std::vector<filter::instruction> make() {
        if (what_ == result::by_flows) {
            emit(BPF_LD | BPF_IMM, 0);
            keep(first_port);
            keep(second_port);
        }
        if (where_ == where::kernel)
            find_network_header();
        else
            begin_at_type();
        pass_tags();
        jump_by_type(level_[0].ipv4, level_[0].ipv6, not_ip_);
        for (std::size_t i = 0; i != level_.size(); ++i) {
            place(level_[i].ipv4);
            pass_ipv4(i);
            place(level_[i].ipv6);
            pass_ipv6(i);
        }
        if (what_ == result::unplaced)
            tell_header();
        else
            hash();
        place(not_ip_);
        emit(BPF_RET | BPF_K, 0);
        return assemble();
    }

private:
    enum word : std::uint32_t { header, next, type, sum, other, first_port, second_port };

    void load(unsigned width, std::uint32_t offset) { emit(BPF_LD | BPF_IND | width, offset); }
    void recall(word from) { emit(BPF_LD | BPF_MEM, from); }
    void keep(word to) { emit(BPF_ST, to); }
    void index(word from) { emit(BPF_LDX | BPF_MEM, from); }
    void compute(unsigned operation, std::uint32_t k) { emit(BPF_ALU | operation | BPF_K, k); }
    void compute_with_x(unsigned operation) { emit(BPF_ALU | operation | BPF_X); }
    void a_to_x() { emit(BPF_MISC | bpf::tax); }
    void x_to_a() { emit(BPF_MISC | bpf::txa); }

    void jump_if(unsigned comparison, std::uint32_t k, label to) {
        auto const otherwise = make_label();
        branch(BPF_JMP | comparison | BPF_K, k, to, otherwise);
        place(otherwise);
    }
    void jump_unless(unsigned comparison, std::uint32_t k, label to) {
        auto const otherwise = make_label();
        branch(BPF_JMP | comparison | BPF_K, k, otherwise, to);
        place(otherwise);
    }
    void jump_by_type(label ipv4, label ipv6, label neither) {
        jump_if(BPF_JEQ, ETH_P_IP, ipv4);
        jump_if(BPF_JEQ, ETH_P_IPV6, ipv6);
        jump(neither);
    }

    /// A group sees received packets from the network header on, and sent ones from the link header on.
    void find_network_header() {
        auto const at_start = make_label();
        auto const found = make_label();
        auto const with_link = make_label();
        emit(BPF_LD | BPF_W | BPF_ABS, bpf::ancillary::packet_type);
        jump_unless(BPF_JEQ, PACKET_OUTGOING, at_start);
        emit(BPF_LD | BPF_W | BPF_ABS, bpf::ancillary::hardware_type);
        jump_if(BPF_JEQ, ARPHRD_ETHER, with_link);
        jump_unless(BPF_JEQ, ARPHRD_LOOPBACK, at_start);
        place(with_link);
        emit(BPF_LD | BPF_IMM, ETH_HLEN);
        jump(found);
        place(at_start);
        emit(BPF_LD | BPF_IMM, 0);
        place(found);
        keep(header);
        emit(BPF_LD | BPF_W | BPF_ABS, bpf::ancillary::protocol);
    }

    void begin_at_type() {
        emit(BPF_LD | BPF_IMM, 2);
        keep(header);
        emit(BPF_LD | BPF_H | BPF_ABS, 0);
    }

    /// Tags that are in the packet still. Leaves the type of what follows in A.
    void pass_tags() {
        auto const done = make_label();
        for (int i = 0; i != 2; ++i) {
            auto const tag = make_label();
            jump_if(BPF_JEQ, ETH_P_8021Q, tag);
            jump_unless(BPF_JEQ, ETH_P_8021AD, done);
            place(tag);
            index(header);
            load(BPF_H, 2);
            keep(type);
            x_to_a();
            compute(BPF_ADD, 4);
            keep(header);
            recall(type);
        }
        place(done);
    }

    void pass_ipv4(std::size_t i) {
        index(header);
        load(BPF_H, 6);
        jump_if(BPF_JSET, 0x3fff, hash_ipv4_); // any fragment, the first one too
        load(BPF_B, 0);
        compute(BPF_AND, 0xf);
        compute(BPF_LSH, 2);
        compute_with_x(BPF_ADD);
        keep(next);
        load(BPF_B, 9);
        pass_transport(i, whole_ipv4_);
    }

    void pass_ipv6(std::size_t i) {
        index(header);
        x_to_a();
        compute(BPF_ADD, 40);
        keep(next);
        load(BPF_B, 6);
        if (what_ == result::unplaced)
            for (std::uint32_t const extension : {0U, 43U, 44U, 51U, 60U, 135U, 139U, 140U})
                jump_if(BPF_JEQ, extension, hash_ipv6_);
        pass_transport(i, whole_ipv6_);
    }

    /// Where A says that a tunnel follows, goes on with what is in it; else with `give_up`.
    void pass_transport(std::size_t i, label give_up) {
        if (i + 1 == level_.size())
            return jump(give_up);
        auto const ipv4 = make_label();
        auto const ipv6 = make_label();
        auto const gre = make_label();
        auto const typed = make_label();
        auto const ethernet = make_label();
        jump_if(BPF_JEQ, 4, ipv4);
        jump_if(BPF_JEQ, 41, ipv6);
        jump_if(BPF_JEQ, 47, gre);
        jump_unless(BPF_JEQ, 17, give_up);
        pass_udp(give_up, typed, ethernet, ipv4, ipv6);
        place(gre);
        pass_gre(give_up);
        place(typed);
        jump_if(BPF_JEQ, ETH_P_TEB, ethernet);
        jump_by_type(ipv4, ipv6, give_up);
        place(ethernet);
        index(next);
        load(BPF_H, 12);
        keep(type);
        x_to_a();
        compute(BPF_ADD, ETH_HLEN);
        keep(next);
        recall(type);
        jump_by_type(ipv4, ipv6, give_up);
        for (auto const& [found, follows] :
             {std::pair{ipv4, level_[i + 1].ipv4}, std::pair{ipv6, level_[i + 1].ipv6}}) {
            place(found);
            recall(next);
            keep(header);
            jump(follows);
        }
    }

    void pass_udp(label give_up, label typed, label ethernet, label ipv4, label ipv6) {
        auto const vxlan = make_label();
        auto const geneve = make_label();
        auto const gtp = make_label();
        index(next);
        load(BPF_H, 4);
        jump_unless(BPF_JGE, 16, give_up); // no room for a tunnel's header
        load(BPF_H, 2);
        jump_if(BPF_JEQ, 4789, vxlan);
        jump_if(BPF_JEQ, 6081, geneve);
        jump_if(BPF_JEQ, 2152, gtp);
        jump(give_up);

        place(vxlan); // RFC 7348
        load(BPF_W, 8);
        jump_unless(BPF_JEQ, 0x08000000, give_up);
        x_to_a();
        compute(BPF_ADD, 16);
        keep(next);
        jump(ethernet);

        place(geneve); // RFC 8926
        load(BPF_B, 8);
        jump_if(BPF_JSET, 0xc0, give_up);
        compute(BPF_LSH, 2);
        compute(BPF_ADD, 16);
        compute_with_x(BPF_ADD);
        keep(next);
        load(BPF_H, 10);
        jump(typed);

        place(gtp); // 3GPP TS 29.281: version 1, a packet of a user, perhaps with a number
        auto const bare = make_label();
        auto const inside = make_label();
        load(BPF_H, 8);
        keep(type);
        compute(BPF_AND, 0xfcff);
        jump_unless(BPF_JEQ, 0x30ff, give_up);
        recall(type);
        jump_unless(BPF_JSET, 0x0300, bare);
        x_to_a();
        compute(BPF_ADD, 20);
        jump(inside);
        place(bare);
        x_to_a();
        compute(BPF_ADD, 16);
        place(inside);
        keep(next);
        a_to_x();
        load(BPF_B, 0);
        compute(BPF_RSH, 4);
        jump_if(BPF_JEQ, 4, ipv4);
        jump_if(BPF_JEQ, 6, ipv6);
        jump(give_up);
    }

    /// RFC 2784 and 2890. Leaves the type of what follows in A.
    void pass_gre(label give_up) {
        index(next);
        load(BPF_H, 0);
        jump_if(BPF_JSET, 0x4007, give_up); // source routes, or another version
        keep(type);
        emit(BPF_LD | BPF_IMM, 4);
        keep(sum);
        for (unsigned const shift : {13U, 11U, 10U}) { // checksum, key, sequence number: four bytes each
            recall(type);
            compute(BPF_RSH, shift);
            compute(BPF_AND, 4);
            index(sum);
            compute_with_x(BPF_ADD);
            keep(sum);
        }
        index(next);
        load(BPF_H, 2);
        keep(type);
        recall(sum);
        compute_with_x(BPF_ADD);
        keep(next);
        recall(type);
    }

    /// Scatters the value in A.
    void scatter() {
        compute(BPF_MUL, 0x9e3779b1);
        a_to_x();
        compute(BPF_RSH, 15);
        compute_with_x(BPF_XOR);
    }

    void hash_address(std::uint32_t at, int words) {
        index(header);
        load(BPF_W, at);
        for (int i = 1; i != words; ++i) {
            scatter();
            keep(other);
            index(header);
            load(BPF_W, at + static_cast<std::uint32_t>(i) * 4);
            index(other);
            compute_with_x(BPF_ADD);
        }
        scatter();
    }

    /// Leads what is no fragment to its hash, with the ports where they count.
    void find_ports() {
        if (what_ == result::by_addresses) {
            place(whole_ipv4_);
            jump(hash_ipv4_);
            place(whole_ipv6_);
            return jump(hash_ipv6_);
        }
        place(whole_ipv4_);
        index(header);
        load(BPF_B, 9);
        jump_unless_ports(hash_ipv4_);
        load(BPF_B, 0);
        compute(BPF_AND, 0xf);
        compute(BPF_LSH, 2);
        compute_with_x(BPF_ADD);
        a_to_x();
        keep_ports(0);
        jump(hash_ipv4_);
        place(whole_ipv6_);
        index(header);
        load(BPF_B, 6);
        jump_unless_ports(hash_ipv6_);
        keep_ports(40);
        jump(hash_ipv6_);
    }
    void jump_unless_ports(label otherwise) {
        auto const found = make_label();
        for (std::uint32_t const protocol : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_UDPLITE})
            jump_if(BPF_JEQ, protocol, found);
        jump(otherwise);
        place(found);
    }
    void keep_ports(std::uint32_t at) {
        load(BPF_H, at);
        keep(first_port);
        load(BPF_H, at + 2);
        keep(second_port);
    }
    void add_port(word port) {
        if (what_ != result::by_flows)
            return;
        index(port);
        compute_with_x(BPF_ADD);
        scatter();
    }

    void tell_header() {
        for (auto const at : {hash_ipv4_, hash_ipv6_})
            place(at);
        recall(header);
        emit(BPF_RET | bpf::ret_a);
        for (auto const at : {whole_ipv4_, whole_ipv6_})
            place(at);
    }

    /// The sum of both ends, each scattered, is the same for both directions.
    void hash() {
        find_ports();
        auto const last = make_label();
        for (auto const& [at, first, second, words] :
             {place_of_addresses{hash_ipv4_, 12, 16, 1}, place_of_addresses{hash_ipv6_, 8, 24, 4}}) {
            place(at);
            hash_address(first, words);
            add_port(first_port);
            keep(sum);
            hash_address(second, words);
            add_port(second_port);
            index(sum);
            compute_with_x(BPF_ADD);
            jump(last);
        }
        place(last);
        scatter();
        compute(BPF_RSH, 16);
        emit(BPF_RET | bpf::ret_a);
    }

    struct headers_at {
        label ipv4, ipv6;
    };
    struct place_of_addresses {
        label at;
        std::uint32_t first, second;
        int words;
    };

    result what_;
    where where_;
    label whole_ipv4_ = make_label();
    label whole_ipv6_ = make_label();
    label hash_ipv4_ = make_label();
    label hash_ipv6_ = make_label();
    label not_ip_ = make_label();
    std::vector<headers_at> level_{
        {make_label(), make_label()}, {make_label(), make_label()}, {make_label(), make_label()}};
};

} // namespace

std::vector<filter::instruction> make_address_program() {
    return address_program{address_program::result::by_addresses, address_program::where::kernel}.make();
}
std::vector<filter::instruction> make_flow_program() {
    return address_program{address_program::result::by_flows, address_program::where::kernel}.make();
}
std::vector<filter::instruction> make_flow_place_program() {
    return address_program{address_program::result::by_flows, address_program::where::user_space}.make();
}
std::vector<filter::instruction> make_unplaced_program() {
    return address_program{address_program::result::unplaced, address_program::where::user_space}.make();
}

} // namespace netring_asio::afpacket::detail
