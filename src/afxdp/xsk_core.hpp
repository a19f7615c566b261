#pragma once

#include "umem_core.hpp"
#include <netring_asio/afxdp/xsk.hpp>

#include <array>
#include <atomic>
#include <string>

namespace netring_asio::afxdp::detail {

/// The socket behind `xsk`, at an address that stays.
///
/// What is appended is told to the kernel by the next kick, so that until then it can be taken back. Each descriptor in
/// flight has a reference of its chunk.
class xsk_core {
public:
    xsk_core(umem_core& memory, std::string const& interface, int interface_index, std::uint32_t queue,
             xdp_options const& options, bool transmits, error_code& ec);
    ~xsk_core();
    xsk_core(xsk_core const&) = delete;
    xsk_core& operator=(xsk_core const&) = delete;

    int socket() const noexcept { return socket_; }
    chunk_pool& receive_pool() const noexcept { return *receive_pool_; }
    std::uint32_t queue() const noexcept { return queue_; }
    bool zero_copy() const noexcept { return zero_copy_; }

    bool receive(packet_batch& batch);
    void refill(bool await_more);

    std::byte* place(std::size_t size) noexcept;
    bool append(std::size_t size) noexcept;
    bool append_in_place(packet_view const& packet) noexcept;
    std::size_t transmit_capacity() const noexcept;
    std::size_t transmit_ring() const noexcept { return transmits_ ? tx_.size : 0; }
    std::size_t available() noexcept;
    std::size_t pending() noexcept;
    std::size_t queued() noexcept;
    std::size_t retract(std::size_t count) noexcept;
    error_code kick() noexcept;
    void collect() noexcept;
    void begin_drain() noexcept;
    bool drained() noexcept;
    xdp_statistics statistics() const noexcept;

private:
    using counter = std::atomic<std::uint64_t>;

    bool bind(std::string const& interface, xdp_options const& options, error_code& ec);
    void look_at_checksums(std::span<packet_view> packets) noexcept;
    void set_options(xdp_options const& options, error_code& ec);
    bool put(std::uint32_t index, std::uint64_t address, std::size_t size, std::uint32_t flags) noexcept;
    void take_back(std::uint64_t address) noexcept;
    std::uint32_t consumed() const noexcept { return __atomic_load_n(tx_.consumer, __ATOMIC_ACQUIRE); }

    boost::intrusive_ptr<umem_core> memory_;
    chunk_pool* receive_pool_ = nullptr;
    chunk_pool* transmit_pool_ = nullptr;
    xsk_socket* handle_ = nullptr;
    int socket_ = -1;
    xsk_ring_cons rx_{}, completion_{};
    xsk_ring_prod tx_{}, fill_{};
    std::uint32_t const queue_;
    int const interface_index_;
    std::size_t const batch_size_;
    bool const transmits_;
    bool const multi_buffer_;
    bool const finish_checksums_;
    bool zero_copy_ = false;

    std::uint32_t placed_ = no_chunk;
    std::vector<std::byte> bounce_; // a frame longer than a chunk
    std::uint32_t unsubmitted_ = 0;
    std::array<std::size_t, 2> in_flight_{}; // by generation of the drains
    bool odd_ = false;
    bool drains_both_ = false;
    std::uint64_t frames_back_ = 0;
    std::uint64_t sequence_ = 0;

    counter received_{0}, received_bytes_{0}, bad_addresses_{0}, unfinished_{0};
    counter committed_{0}, in_place_{0}, taken_{0}, rejected_{0}, kicks_{0}, would_block_{0};
};

} // namespace netring_asio::afxdp::detail
