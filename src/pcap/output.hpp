#pragma once

#include "../detail/unique_descriptor.hpp"
#include <netring_asio/error.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::pcap::detail {

/// A buffer before a file that takes records as a whole or not at all.
class output {
public:
    /// The longest record: a packet with its headers.
    static constexpr std::size_t longest_record = std::size_t{384} << 10;

    explicit output(netring_asio::detail::unique_descriptor descriptor)
        : descriptor_{std::move(descriptor)}
        , buffer_(2 * longest_record) {}

    /// Room for a record of at most `size` bytes, to be filled with `put` and so on and then kept by `commit`.
    bool begin(std::size_t size, error_code& ec) noexcept;
    void commit() noexcept { end_ = at_; }

    template <class Integer>
    void put(Integer value) noexcept {
        std::memcpy(skip(sizeof value), &value, sizeof value);
    }
    void put(std::span<std::byte const> bytes) noexcept {
        if (!bytes.empty())
            std::memcpy(skip(bytes.size()), bytes.data(), bytes.size());
    }
    void put_zeros(std::size_t count) noexcept { std::memset(skip(count), 0, count); }
    std::byte* skip(std::size_t count) noexcept { return buffer_.data() + std::exchange(at_, at_ + count); }
    /// Drops bytes at the end of the record.
    void drop(std::size_t count) noexcept { at_ -= count; }

    void flush(error_code& ec) noexcept;
    /// Flushes and closes; the first error is told.
    void close(error_code& ec) noexcept;

private:
    netring_asio::detail::unique_descriptor descriptor_;
    std::vector<std::byte> buffer_;
    std::size_t begin_ = 0; // of what is not written yet
    std::size_t end_ = 0;
    std::size_t at_ = 0; // in the record that is being made
};

} // namespace netring_asio::pcap::detail
