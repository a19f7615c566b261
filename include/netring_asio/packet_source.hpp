#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <concepts>
#include <cstddef>

namespace netring_asio {

namespace detail {
struct packet_source_archetype_handler {
    void operator()(error_code, std::size_t) const {}
};
} // namespace detail

/// What the streams read packets from: `capture`, `xdp_socket`, `pcap_source`, `merge`, or a type of your own.
///
/// - `async_receive(packet_batch& batch, token)` completes with `void(error_code, std::size_t packets)`. It releases at
///   initiation what the batch held, never completes with zero packets and no error, and reports the end with
///   `net::error::eof`. Total cancellation; a packet that was not delivered is delivered by the next receive.
/// - `try_receive(packet_batch& batch)` gives what is there at once, or returns false.
/// - `static constexpr bool waits_for_reader = true`, where nothing is lost while nobody reads, as of a file; optional.
/// - `cancel()` completes what is pending with `net::error::operation_aborted`; `close()` also ends the source.
template <class Source>
concept packet_source =
    std::move_constructible<Source> && requires(Source& source, Source const& constant, packet_batch& batch) {
        typename Source::executor_type;
        { constant.get_executor() } -> std::convertible_to<typename Source::executor_type>;
        source.async_receive(batch, detail::packet_source_archetype_handler{});
        { source.try_receive(batch) } -> std::same_as<bool>;
        source.cancel();
        source.close();
    };

/// Whether nothing of a source is lost while nobody reads it.
template <class Source>
inline constexpr bool waits_for_reader = false;
template <class Source>
    requires requires { Source::waits_for_reader; }
inline constexpr bool waits_for_reader<Source> = Source::waits_for_reader;

} // namespace netring_asio
