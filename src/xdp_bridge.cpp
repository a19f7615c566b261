#include <netring_asio/afxdp/port.hpp>
#include <netring_asio/xdp_bridge.hpp>

#include <algorithm>

namespace netring_asio {

std::chrono::milliseconds xdp_bridge_options::longest_delay() const noexcept {
    auto const budget = std::max(left_.latency_budget(), right_.latency_budget());
    return std::chrono::ceil<std::chrono::milliseconds>(budget) + std::chrono::milliseconds{10};
}

afxdp::umem xdp_bridge_options::shared_memory() const {
    auto const& left = left_.memory();
    auto const& right = right_.memory();
    if (left && right && left != right)
        throw system_error{error::conflicting_options, "memory: the two sides have different ones"};
    if (left || right)
        return left ? left : right;
    if (left_.memory_options() != right_.memory_options())
        throw system_error{error::conflicting_options, "memory_options: the two sides share one memory"};
    std::size_t chunks = 0;
    for (auto const* side : {&left_, &right_}) {
        error_code ec;
        chunks += afxdp::port::chunks_needed(*side, ec);
        if (ec)
            throw system_error{ec, "interface '" + side->interface_name() + "'"};
    }
    return afxdp::umem{afxdp::umem_options{left_.memory_options()}.frame_count(chunks)};
}

template class basic_bridge<boost::asio::any_io_executor, detail::xdp_ends>;

} // namespace netring_asio
