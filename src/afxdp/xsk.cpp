#include "xsk_core.hpp"

#include <utility>

namespace netring_asio::afxdp {

xsk::xsk() noexcept = default;
xsk::xsk(xsk&& other) noexcept = default;
xsk& xsk::operator=(xsk&& other) noexcept = default;
xsk::~xsk() = default;

void xsk::open(umem const& memory, std::string const& interface, int interface_index, std::uint32_t queue,
               xdp_options const& options, bool transmits, error_code& ec) {
    if (core_) {
        ec = error::already_open;
        return;
    }
    if (!memory) {
        ec = error::no_ring_memory;
        return;
    }
    core_ =
        std::make_unique<detail::xsk_core>(*memory.core_, interface, interface_index, queue, options, transmits, ec);
    if (ec)
        core_.reset();
}

void xsk::close() noexcept { core_.reset(); }

int xsk::native_handle() const noexcept { return core_ ? core_->socket() : -1; }
int xsk::release_event() const noexcept { return core_ ? core_->receive_pool().release_event() : -1; }
std::uint32_t xsk::queue() const noexcept { return core_ ? core_->queue() : 0; }
bool xsk::zero_copy() const noexcept { return core_ && core_->zero_copy(); }

bool xsk::receive(packet_batch& batch) { return core_ && core_->receive(batch); }
void xsk::refill(bool await_more) {
    if (core_)
        core_->refill(await_more);
}

std::byte* xsk::place(std::size_t size) noexcept { return core_ ? core_->place(size) : nullptr; }
bool xsk::append(std::size_t size) noexcept { return core_ && core_->append(size); }
bool xsk::append_in_place(packet_view const& packet) noexcept { return core_ && core_->append_in_place(packet, false); }
std::size_t xsk::transmit_capacity() const noexcept { return core_ ? core_->transmit_capacity() : 0; }
std::size_t xsk::transmit_ring() const noexcept { return core_ ? core_->transmit_ring() : 0; }
std::size_t xsk::available() noexcept { return core_ ? core_->available() : 0; }
std::size_t xsk::pending() noexcept { return core_ ? core_->pending() : 0; }
std::size_t xsk::queued() noexcept { return core_ ? core_->queued() : 0; }
std::size_t xsk::retract(std::size_t count) noexcept { return core_ ? core_->retract(count) : 0; }
error_code xsk::kick() noexcept { return core_ ? core_->kick() : error_code{error::not_open}; }
void xsk::collect() noexcept {
    if (core_)
        core_->collect();
}
void xsk::begin_drain() noexcept {
    if (core_)
        core_->begin_drain();
}
bool xsk::drained() noexcept { return core_ && core_->drained(); }
xdp_statistics xsk::statistics() const noexcept { return core_ ? core_->statistics() : xdp_statistics{}; }

} // namespace netring_asio::afxdp
