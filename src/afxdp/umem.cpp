#include "umem_core.hpp"
#include <netring_asio/afxdp/umem.hpp>

namespace netring_asio::afxdp {

umem::umem(umem_options const& options) {
    error_code ec;
    *this = umem{options, ec};
    if (ec)
        throw system_error{ec, "umem"};
}

umem::umem(umem_options const& options, error_code& ec)
    : core_{new detail::umem_core{options, ec}} {
    if (ec)
        core_.reset();
}

umem_options const& umem::options() const noexcept {
    static umem_options const none;
    return core_ ? core_->options() : none;
}

bool umem::huge_pages() const noexcept { return core_ && core_->huge_pages(); }

std::size_t umem::frame_capacity() const noexcept {
    constexpr std::size_t kernel_headroom = 256;
    return core_ ? core_->chunk_size() - kernel_headroom - core_->options().headroom() : 0;
}

umem_ledger umem::ledger() const noexcept { return core_ ? core_->ledger() : umem_ledger{}; }

bool umem::contains(packet_view const& packet) const noexcept { return core_ && core_->contains(packet.data.data()); }

} // namespace netring_asio::afxdp
