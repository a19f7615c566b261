#include "../detail/unique_descriptor.hpp"
#include "xdp_code.hpp"
#include <netring_asio/afxdp/program.hpp>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <xdp/libxdp.h>

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

namespace netring_asio::afxdp {
namespace {

using netring_asio::detail::unique_descriptor;

constexpr std::uint32_t most_queues = 1024;

error_code from_errno(int code) { return {code, boost::system::system_category()}; }

/// The kernel's functions that tell what the driver knows of a frame; nothing where it has none.
struct metadata_functions {
    std::optional<std::int32_t> time, hash; // Linux 6.3
    std::optional<std::int32_t> tag;        // that the device took out; Linux 6.8

    static metadata_functions const& of_this_kernel() {
        static auto const found = [] {
            metadata_functions result;
            if (auto* const types = btf__load_vmlinux_btf(); types != nullptr) {
                auto const find = [&](char const* name) {
                    auto const id = btf__find_by_name_kind(types, name, BTF_KIND_FUNC);
                    return id > 0 ? std::optional{id} : std::nullopt;
                };
                result.time = find("bpf_xdp_metadata_rx_timestamp");
                result.hash = find("bpf_xdp_metadata_rx_hash");
                result.tag = find("bpf_xdp_metadata_rx_vlan_tag");
                btf__free(types);
            }
            return result;
        }();
        return found;
    }
};

/// libxdp attaches a program alone, without a word to its caller, where the kernel has no program extensions.
bool is_dispatched(int interface_index) {
    auto* const programs = xdp_multiprog__get_from_ifindex(interface_index);
    if (programs == nullptr || libxdp_get_error(programs) != 0)
        return false;
    bool const result = !xdp_multiprog__is_legacy(programs);
    xdp_multiprog__close(programs);
    return result;
}

struct object_deleter {
    void operator()(bpf_object* object) const noexcept { bpf_object__close(object); }
};

} // namespace

struct program::state {
    std::string interface;
    int interface_index = 0;
    unique_descriptor map;
    unique_descriptor counters;
    afxdp::bypass bypassed;
    unique_descriptor code;
    unique_descriptor link;
    std::unique_ptr<bpf_object, object_deleter> object;
    xdp_program* dispatched = nullptr;
    std::vector<filter> filters;
    std::uint32_t id = 0;
    xdp_attach_mode mode = xdp_attach_mode::automatic;
    bool multi_buffer = false;
    bool metadata = false;
    bool bound = false; // the program is for this device only, and may ask its driver
    bool sees_tags = false;

    state() = default;
    state(state const&) = delete;
    state& operator=(state const&) = delete;
    ~state() {
        if (dispatched != nullptr) {
            xdp_program__detach(dispatched, interface_index, XDP_MODE_UNSPEC, 0);
            xdp_program__close(dispatched);
        }
    }

    bool make_maps(std::size_t connections, error_code& ec) {
        int const sockets =
            bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks_map", sizeof(int), sizeof(int), most_queues, nullptr);
        int const passed =
            bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "passed", sizeof(int), sizeof(std::uint64_t), 3, nullptr);
        map.reset(sockets);
        counters.reset(passed);
        if (int const result = std::min(sockets, passed); result < 0)
            ec = result == -EPERM ? error_code{error::missing_privilege} : from_errno(-result);
        else if (connections != 0)
            bypassed.open(connections, ec);
        return !ec;
    }

    /// Makes and loads a program; with `to_bind` for this device only.
    unique_descriptor load(std::vector<filter> const& wanted, bool to_bind, error_code& ec) const {
        auto const functions = to_bind ? metadata_functions::of_this_kernel() : metadata_functions{};
        detail::xdp_code const parts{.filters = wanted,
                                     .multi_buffer = multi_buffer,
                                     .tag_function = functions.tag,
                                     .metadata = metadata,
                                     .time_function = functions.time,
                                     .hash_function = functions.hash,
                                     .map = map.get(),
                                     .counters = counters.get(),
                                     .bypass = bypassed.native_handle()};
        auto const instructions = detail::make_xdp_program(parts, ec);
        if (ec)
            return {};
        bpf_prog_load_opts options{};
        options.sz = sizeof options;
        options.expected_attach_type = BPF_XDP;
        options.prog_flags = multi_buffer ? BPF_F_XDP_HAS_FRAGS : 0;
        if (to_bind) {
            options.prog_flags |= BPF_F_XDP_DEV_BOUND_ONLY;
            options.prog_ifindex = static_cast<std::uint32_t>(interface_index);
        }
        unique_descriptor loaded{bpf_prog_load(BPF_PROG_TYPE_XDP, "netring_asio", "GPL", instructions.data(),
                                               instructions.size(), &options)};
        if (!loaded)
            ec = errno == EPERM                      ? error_code{error::missing_privilege}
                 : errno == E2BIG || errno == ENOMEM ? error_code{error::filter_too_long}
                                                     : from_errno(errno);
        return loaded;
    }

    bool attach(int program, xdp_attach_mode wanted, error_code& ec) {
        bpf_link_create_opts options{};
        options.sz = sizeof options;
        options.flags = wanted == xdp_attach_mode::generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
        int const result = bpf_link_create(program, interface_index, BPF_XDP, &options);
        link.reset(result);
        if (link) {
            mode = wanted;
            bpf_prog_info info{};
            auto length = static_cast<std::uint32_t>(sizeof info);
            if (bpf_obj_get_info_by_fd(program, &info, &length) == 0)
                id = info.id;
            ec = {};
            return true;
        }
        switch (-result) {
        case EBUSY:
        case EEXIST:
            ec = error::program_attached;
            break;
        case EPERM:
            ec = error::missing_privilege;
            break;
        case EOPNOTSUPP:
        case ERANGE: // frames may be longer than a buffer
        case EINVAL:
        case 524: // ENOTSUPP, which the kernel has for itself
            ec = error::unsupported_option;
            break;
        default:
            ec = from_errno(-result);
        }
        return false;
    }

    /// Loads for a mode and attaches.
    bool try_mode(xdp_attach_mode wanted, error_code& ec) {
        bool const driver = wanted == xdp_attach_mode::native;
        bool const needs_tags = std::any_of(filters.begin(), filters.end(), detail::looks_at_tags);
        auto const& functions = metadata_functions::of_this_kernel();
        for (bool const tags : {true, false}) {
            if (tags && (!driver || !(metadata ? functions.time : filters.empty() ? std::nullopt : functions.tag)))
                continue;
            if (!tags && metadata) {
                ec = error::unsupported_option;
                return false;
            }
            if (needs_tags && !(tags && functions.tag)) {
                ec = error::unsupported_filter;
                return false;
            }
            auto loaded = load(filters, tags, ec);
            if (!ec && attach(loaded.get(), wanted, ec)) {
                code = std::move(loaded);
                bound = tags;
                sees_tags = tags && functions.tag;
                return true;
            }
            if (ec == error::program_attached || ec == error::missing_privilege)
                return false;
        }
        return false;
    }
};

program::program() noexcept = default;
program::program(program&&) noexcept = default;
program& program::operator=(program&&) noexcept = default;
program::~program() = default;

void program::close() noexcept { state_.reset(); }

void program::open(std::string const& interface, int interface_index, xdp_options const& options, error_code& ec,
                   std::string& context) {
    using choice = xdp_options::choice;
    ec = {};
    auto made = std::make_unique<state>();
    auto& s = *made;
    s.interface = interface;
    s.interface_index = interface_index;
    s.multi_buffer = options.multi_buffer();
    s.metadata = options.metadata();
    context = "XDP program";
    bool const ours = options.chosen() == choice::filter || options.chosen() == choice::everything ||
                      options.chosen() == choice::unsaid;
    if (options.metadata() && !ours) {
        context = "metadata: the program is not made here";
        ec = error::conflicting_options;
        return;
    }
    if (options.bypass() != 0 && !ours) {
        context = "bypass: the program is not made here";
        ec = error::conflicting_options;
        return;
    }
    switch (options.chosen()) {
    case choice::unsaid:
        context = "say what to redirect: filter, rules, take_everything or nothing";
        ec = error::conflicting_options;
        return;
    case choice::nothing:
        return;
    case choice::map:
        context = "map";
        s.map.reset(options.pinned_map().empty() ? ::fcntl(options.map(), F_DUPFD_CLOEXEC, 0)
                                                 : bpf_obj_get(options.pinned_map().c_str()));
        if (bpf_map_info info{}; !s.map)
            ec = from_errno(errno);
        else if (auto length = static_cast<std::uint32_t>(sizeof info);
                 bpf_obj_get_info_by_fd(s.map.get(), &info, &length) != 0 || info.type != BPF_MAP_TYPE_XSKMAP)
            ec = error::invalid_option;
        break;
    case choice::object: {
        context = "object_file '" + options.object_file() + "'";
        if (options.dispatcher()) {
            s.dispatched = xdp_program__open_file(options.object_file().c_str(), nullptr, nullptr);
            if (libxdp_get_error(s.dispatched) != 0) {
                ec = from_errno(static_cast<int>(-libxdp_get_error(std::exchange(s.dispatched, nullptr))));
                return;
            }
            auto const mode = options.attach_mode() == xdp_attach_mode::generic ? XDP_MODE_SKB : XDP_MODE_NATIVE;
            if (auto const code = xdp_program__attach(s.dispatched, interface_index, mode, 0); code != 0) {
                xdp_program__close(std::exchange(s.dispatched, nullptr));
                ec = code == -EBUSY || code == -EEXIST ? error_code{error::program_attached} : from_errno(-code);
                return;
            }
            if (!is_dispatched(interface_index)) {
                context = "dispatcher: libxdp could only attach the program alone";
                ec = error::unsupported_option;
                return;
            }
            s.mode = mode == XDP_MODE_SKB ? xdp_attach_mode::generic : xdp_attach_mode::native;
            s.id = xdp_program__id(s.dispatched);
        } else {
            s.object.reset(bpf_object__open_file(options.object_file().c_str(), nullptr));
            if (!s.object || bpf_object__load(s.object.get()) != 0) {
                ec = from_errno(errno);
                return;
            }
        }
        auto* const object = s.dispatched != nullptr ? xdp_program__bpf_obj(s.dispatched) : s.object.get();
        auto* const map = bpf_object__find_map_by_name(object, "xsks_map");
        auto* const first = bpf_object__next_program(object, nullptr);
        if (map == nullptr || bpf_map__type(map) != BPF_MAP_TYPE_XSKMAP || first == nullptr) {
            ec = error::invalid_option;
            return;
        }
        s.map.reset(::fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0));
        if (s.dispatched == nullptr) {
            auto const wanted = options.attach_mode();
            if (wanted == xdp_attach_mode::generic ||
                (!s.attach(bpf_program__fd(first), xdp_attach_mode::native, ec) &&
                 wanted == xdp_attach_mode::automatic && ec == error::unsupported_option))
                s.attach(bpf_program__fd(first), xdp_attach_mode::generic, ec);
        }
        break;
    }
    case choice::filter:
    case choice::everything: {
        if (options.dispatcher()) {
            context = "dispatcher: needs an object_file, for what is made in this process has no type information";
            ec = error::conflicting_options;
            return;
        }
        std::string message;
        auto const compile = [&](std::string const& expression) {
            if (!ec)
                s.filters.push_back(
                    filter::compile(expression, link_type::ethernet, filter::whole_packet, ec, &message));
        };
        if (!options.rules().empty())
            for (auto const& rule : options.rules())
                compile(rule.expression());
        else if (options.chosen() == choice::filter)
            compile(options.filter());
        if (ec) {
            context = "filter: " + message;
            return;
        }
        if (!s.make_maps(options.bypass(), ec))
            return;
        auto const wanted = options.attach_mode();
        if (wanted != xdp_attach_mode::generic && s.try_mode(xdp_attach_mode::native, ec))
            break;
        if (wanted == xdp_attach_mode::native) {
            context = s.metadata ? "metadata" : "attach_mode";
            break;
        }
        if (wanted == xdp_attach_mode::generic || ec == error::unsupported_option || ec == error::unsupported_filter)
            s.try_mode(xdp_attach_mode::generic, ec);
        if (ec == error::unsupported_filter)
            context = "filter";
        else if (ec == error::unsupported_option && s.metadata)
            context = "metadata: the driver, or the kernel, does not tell them";
        break;
    }
    }
    if (!ec)
        state_ = std::move(made);
}

int program::map() const noexcept { return state_ ? state_->map.get() : -1; }

void program::set_queue(std::uint32_t queue, int socket, error_code& ec) noexcept {
    ec = {};
    if (!state_)
        return;
    auto const map = state_->map.get();
    if (socket >= 0 ? bpf_map_update_elem(map, &queue, &socket, 0) != 0
                    : bpf_map_delete_elem(map, &queue) != 0 && errno != ENOENT)
        ec = from_errno(errno);
}

void program::set_filters(std::vector<filter> const& filters, error_code& ec) {
    ec = {};
    if (!state_ || !state_->link || !state_->counters) {
        ec = error::conflicting_options;
        return;
    }
    if (!state_->sees_tags && std::any_of(filters.begin(), filters.end(), detail::looks_at_tags)) {
        ec = error::unsupported_filter;
        return;
    }
    auto loaded = state_->load(filters, state_->bound, ec);
    if (ec)
        return;
    if (bpf_link_update(state_->link.get(), loaded.get(), nullptr) != 0) {
        ec = from_errno(errno);
        return;
    }
    state_->code = std::move(loaded);
    state_->filters = filters;
    bpf_prog_info info{};
    auto length = static_cast<std::uint32_t>(sizeof info);
    if (bpf_obj_get_info_by_fd(state_->code.get(), &info, &length) == 0)
        state_->id = info.id;
}

std::uint32_t program::id() const noexcept { return state_ ? state_->id : 0; }
xdp_attach_mode program::mode() const noexcept { return state_ ? state_->mode : xdp_attach_mode::automatic; }
bypass* program::bypassed() noexcept { return state_ && state_->bypassed.is_open() ? &state_->bypassed : nullptr; }
bool program::sees_tags() const noexcept { return state_ && state_->sees_tags; }

bool program::is_attached() const noexcept {
    if (!state_ || !state_->link)
        return state_ != nullptr;
    bpf_link_info info{};
    auto length = static_cast<std::uint32_t>(sizeof info);
    return bpf_obj_get_info_by_fd(state_->link.get(), &info, &length) == 0 && info.xdp.ifindex != 0;
}

program::passed_frames program::passed() const noexcept {
    passed_frames result;
    auto const processors = libbpf_num_possible_cpus();
    if (!state_ || !state_->counters || processors <= 0)
        return result;
    std::vector<std::uint64_t> values(static_cast<std::size_t>(processors));
    for (std::uint32_t key = 0; key != 3; ++key)
        if (bpf_map_lookup_elem(state_->counters.get(), &key, values.data()) == 0)
            for (auto const value : values)
                (key == 0 ? result.all : key == 1 ? result.no_queue : result.bypassed) += value;
    return result;
}

} // namespace netring_asio::afxdp

namespace netring_asio {

xdp_options& xdp_options::program(std::shared_ptr<afxdp::program const> value) {
    program_ = std::move(value);
    return map(program_->map());
}

} // namespace netring_asio
