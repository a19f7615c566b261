#pragma once

#include "../detail/unique_descriptor.hpp"
#include <netring_asio/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

namespace netring_asio::pcap::detail {

using netring_asio::detail::unique_descriptor;

/// Opens a capture file for reading without waiting for the writer of a FIFO; "-" is standard input.
unique_descriptor open_input(std::filesystem::path const& path, error_code& ec);

/// Whether reading waits for a writer, as with pipes, sockets and terminals.
bool is_pipe(int descriptor, error_code& ec);

/// The stdio stream that libpcap wants, over a descriptor.
///
/// For regular files it is a plain stream with a large buffer. Anything else is read through a buffer of our own, by
/// which a wait can be ended and which knows whether the next packet is there.
class input {
public:
    input(unique_descriptor descriptor, std::stop_token stop, error_code& ec);
    ~input();

    /// Belongs to the caller, who must close it before the input is destroyed. Null after an error.
    std::FILE* release_stream() noexcept { return stream_.release(); }
    std::FILE* stream() const noexcept { return stream_.get(); }

    /// Reading the next packet of the file would not wait. To be asked between two packets.
    bool has_next() noexcept { return !wake_ || has_whole_record(); }

    /// What ended the stream, where that was neither its end nor its contents.
    error_code failure() const noexcept { return failure_; }

private:
    struct close_stream {
        void operator()(std::FILE* stream) const noexcept { std::fclose(stream); }
    };

    void open_regular(error_code& ec);
    void open_pipe(std::stop_token stop, error_code& ec);
    std::ptrdiff_t deliver(char* to, std::size_t size) noexcept;
    bool fill(int timeout) noexcept;
    bool has_whole_record() noexcept;
    bool is_whole_record() const noexcept;
    std::uint32_t word(std::size_t at, bool swapped) const noexcept;

    std::size_t buffered() const noexcept { return end_ - begin_; }

    unique_descriptor descriptor_;
    unique_descriptor wake_; // set for pipes: an eventfd that ends a wait
    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::array<char, 12> head_{}; // how the file begins: magic numbers
    std::size_t head_size_ = 0;
    bool at_end_ = false;
    error_code failure_;
    std::optional<std::stop_callback<std::function<void()>>> on_stop_;
    std::unique_ptr<std::FILE, close_stream> stream_; // reads from the members above
};

} // namespace netring_asio::pcap::detail
