#include "detail/bpf.hpp"
#include "detail/bpf_check.hpp"
#include "detail/filter_place.hpp"
#include <netring_asio/detail/vlan.hpp>
#include <netring_asio/filter.hpp>

#include <algorithm>
#include <limits>
#include <mutex>
#include <ostream>
#include <utility>
#include <vector>

#include <pcap/pcap.h>

namespace netring_asio {

struct filter::state {
    std::string expression;
    std::vector<instruction> program;
    link_type link = link_type::ethernet;
    std::uint32_t snap_length = whole_packet;
    bool constant = false;  // one return, whatever the packet
    bool ancillary = false; // looks at metadata of the packet

    state(std::string text, std::vector<instruction> steps, link_type type)
        : expression{std::move(text)}
        , program{std::move(steps)}
        , link{type}
        , snap_length{longest_return(program)}
        , constant{program.front().code == (BPF_RET | BPF_K)}
        , ancillary{std::ranges::any_of(program, reads_metadata)} {}

    static std::uint32_t longest_return(std::vector<instruction> const& program) noexcept {
        std::uint32_t longest = 0;
        for (auto const& step : program)
            if (BPF_CLASS(step.code) == BPF_RET)
                longest = std::max(longest, BPF_RVAL(step.code) == BPF_K ? step.k : whole_packet);
        return longest;
    }

    static bool reads_metadata(instruction const& step) noexcept {
        return detail::bpf::is_absolute_load(step.code) && detail::bpf::is_portable_ancillary(step.k);
    }
};

namespace {

using instruction = filter::instruction;

static_assert(sizeof(instruction) == sizeof(bpf_insn) && alignof(instruction) == alignof(bpf_insn));
static_assert(offsetof(instruction, jt) == offsetof(bpf_insn, jt) &&
              offsetof(instruction, jf) == offsetof(bpf_insn, jf));
static_assert(offsetof(instruction, k) == offsetof(bpf_insn, k));
static_assert(filter::max_instructions == BPF_MAXINSNS);

bpf_insn const* as_pcap(instruction const* program) noexcept { return reinterpret_cast<bpf_insn const*>(program); }

// The numbers of files and of the interface differ for what came before the former were assigned.
int datalink(link_type link) noexcept { return link == link_type::raw_ip ? DLT_RAW : static_cast<int>(link); }

class compiler {
public:
    compiler(link_type link, std::uint32_t snap_length)
        : handle_{::pcap_open_dead(datalink(link), static_cast<int>(snap_length))} {
        if (handle_ == nullptr)
            throw std::bad_alloc{};
    }
    ~compiler() { ::pcap_close(handle_); }
    compiler(compiler const&) = delete;
    compiler& operator=(compiler const&) = delete;

    /// Returns libpcap's message, empty on success.
    std::string operator()(std::string const& text, std::vector<instruction>* result = nullptr) const {
        bpf_program compiled{};
        if (::pcap_compile(handle_, &compiled, text.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
            return ::pcap_geterr(handle_);
        if (result != nullptr)
            std::transform(compiled.bf_insns, compiled.bf_insns + compiled.bf_len, std::back_inserter(*result),
                           [](bpf_insn const& step) { return instruction{step.code, step.jt, step.jf, step.k}; });
        ::pcap_freecode(&compiled);
        return {};
    }

private:
    pcap_t* handle_;
};

std::string locate(std::string const& expression, std::string const& message, compiler const& compile) {
    auto const place =
        detail::filter_place::find(expression, message, [&](std::string const& text) { return compile(text); });
    if (place.length == 0)
        return message + ", the expression ends too early (column " + std::to_string(place.offset + 1) + ')';
    return message + ", at '" + expression.substr(place.offset, place.length) + "' (column " +
           std::to_string(place.offset + 1) + ')';
}

/// The program with loads of metadata made constants; what a packet does not know stays, and rejects.
instruction const* with_metadata(std::vector<instruction> const& program, packet_view const& packet) {
    thread_local std::vector<instruction> resolved;
    resolved.assign(program.begin(), program.end());
    for (auto& step : resolved) {
        if (!detail::bpf::is_absolute_load(step.code))
            continue;
        if (step.k == detail::bpf::ancillary::packet_type && packet.direction != direction::unknown)
            step = {BPF_LD | BPF_IMM, 0, 0, static_cast<std::uint32_t>(packet.direction)};
        else if (step.k == detail::bpf::ancillary::interface_index && packet.interface_index != 0)
            step = {BPF_LD | BPF_IMM, 0, 0, static_cast<std::uint32_t>(packet.interface_index)};
    }
    return resolved.data();
}

std::uint32_t run(instruction const* program, std::span<std::byte const> data, std::uint32_t wire_length) noexcept {
    return ::bpf_filter(as_pcap(program), reinterpret_cast<u_char const*>(data.data()), wire_length,
                        static_cast<u_int>(data.size()));
}

} // namespace

filter::filter(std::shared_ptr<state const> shared) noexcept
    : state_{std::move(shared)} {}

filter::filter() {
    static auto const everything = std::make_shared<state const>(
        std::string{}, std::vector<instruction>{{BPF_RET | BPF_K, 0, 0, whole_packet}}, link_type::ethernet);
    state_ = everything;
}

filter::filter(std::string_view expression, link_type link, std::uint32_t snap_length) {
    error_code error;
    std::string message;
    *this = compile(expression, link, snap_length, error, &message);
    if (error)
        throw system_error{error, "filter \"" + std::string{expression} + "\": " + message};
}

filter filter::compile(std::string_view expression, link_type link, std::uint32_t snap_length, error_code& error,
                       std::string* message) {
    std::string const text{expression};
    auto const fail = [&](netring_asio::error reason, std::string const& what) {
        error = reason;
        if (message != nullptr)
            *message = what;
        return filter{std::make_shared<state const>(text, std::vector<instruction>{{BPF_RET | BPF_K, 0, 0, 0}}, link)};
    };
    if (snap_length == 0 || snap_length > std::uint32_t{std::numeric_limits<std::int32_t>::max()})
        return fail(error::invalid_option, "the snap length must be between 1 and 2147483647");
    if (auto const zero = text.find('\0'); zero != std::string::npos)
        return fail(error::bad_filter, "a null character (column " + std::to_string(zero + 1) + ')');

    compiler const compile{link, snap_length};
    std::vector<instruction> program;
    if (auto const what = compile(text, &program); !what.empty())
        return fail(error::bad_filter, locate(text, what, compile));
    if (program.size() > max_instructions)
        return fail(error::filter_too_long, std::to_string(program.size()) + " instructions");
    error = {};
    if (message != nullptr)
        message->clear();
    return filter{std::make_shared<state const>(text, std::move(program), link)};
}

filter filter::from_instructions(std::span<instruction const> program, link_type link) {
    error_code error;
    std::string message;
    auto result = from_instructions(program, link, error, &message);
    if (error)
        throw system_error{error, "filter program: " + message};
    return result;
}

filter filter::from_instructions(std::span<instruction const> program, link_type link, error_code& error,
                                 std::string* message) {
    auto const finish = [&](error_code outcome, std::string const& what, std::vector<instruction> steps) {
        error = outcome;
        if (message != nullptr)
            *message = what;
        return filter{std::make_shared<state const>(std::string{}, std::move(steps), link)};
    };
    std::vector<instruction> const nothing{{BPF_RET | BPF_K, 0, 0, 0}};
    if (program.size() > max_instructions)
        return finish(error::filter_too_long, std::to_string(program.size()) + " instructions", nothing);
    if (auto const what = detail::check_program(program); !what.empty())
        return finish(error::bad_filter, what, nothing);
    return finish({}, {}, {program.begin(), program.end()});
}

std::string_view filter::expression() const noexcept { return state_->expression; }
link_type filter::link() const noexcept { return state_->link; }
std::uint32_t filter::snap_length() const noexcept { return state_->snap_length; }
std::span<filter::instruction const> filter::instructions() const noexcept { return state_->program; }

std::uint32_t filter::accepted_length(packet_view const& packet) const {
    auto const& self = *state_;
    if (self.constant)
        return self.program.front().k;
    if (packet.link != self.link)
        return 0;
    auto const* const program = self.ancillary ? with_metadata(self.program, packet) : self.program.data();
    if (!detail::can_insert_tag(packet))
        return run(program, packet.data, packet.wire_length);
    thread_local std::vector<std::byte> tagged;
    auto const size = packet.data.size() + detail::vlan_tag_size;
    if (tagged.size() < size)
        tagged.resize(size);
    detail::insert_tag(packet, tagged.data());
    return run(program, {tagged.data(), size}, packet.wire_length + detail::vlan_tag_size);
}

bool filter::apply(packet_view& packet) const {
    std::size_t length = accepted_length(packet);
    if (length == 0)
        return false;
    if (detail::can_insert_tag(packet))
        length = detail::tag_place::of(packet.link).without_tag(length);
    packet.data = packet.data.first(std::min(packet.data.size(), length));
    return true;
}

std::string to_string(filter const& value) {
    // bpf_image() returns one static buffer.
    static std::mutex printing;
    std::lock_guard const lock{printing};
    std::string text;
    for (int n = 0; auto const& step : value.instructions()) {
        text += ::bpf_image(as_pcap(&step), n++);
        text += '\n';
    }
    return text;
}

std::ostream& operator<<(std::ostream& out, filter const& value) { return out << to_string(value); }

} // namespace netring_asio
