#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/detail/waiting_piece.hpp>

#include <cstddef>

namespace netring_asio::flow {

/// Bounds what many reassemblers keep together, and lends them the memory for it again and again, so that nothing is
/// allocated once it has grown.
///
/// Who asks for more when it is used up is the one that has to do without, by its `budget_policy`.
///
/// @par Lifetime
/// Must outlive the reassemblers that use it.
///
/// @par Thread safety
/// Unsafe: it and all reassemblers that use it belong to one thread at a time.
class NETRING_ASIO_API reassembly_memory {
public:
    /// `max_bytes` of memory: as `reassembler_options::max_buffered` counts, and what a segment's place has room for
    /// beyond it.
    explicit reassembly_memory(std::size_t max_bytes = std::size_t{256} << 20) noexcept
        : max_bytes_{max_bytes} {}
    ~reassembly_memory();
    reassembly_memory(reassembly_memory const&) = delete;
    reassembly_memory& operator=(reassembly_memory const&) = delete;

    std::size_t max_bytes() const noexcept { return max_bytes_; }
    /// What all reassemblers keep now.
    std::size_t used() const noexcept { return used_; }

private:
    friend class reassembler;

    detail::waiting_piece* take(std::size_t size);
    void give_back(detail::waiting_piece* piece) noexcept;

    std::size_t max_bytes_;
    std::size_t used_ = 0;
    std::size_t spare_bytes_ = 0;
    detail::spare_pieces spare_;
};

} // namespace netring_asio::flow
