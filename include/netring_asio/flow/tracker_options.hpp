#pragma once

#include <netring_asio/decode/decoder.hpp>
#include <netring_asio/decode/defragmenter.hpp>
#include <netring_asio/flow/dedup.hpp>

#include <chrono>
#include <cstddef>
#include <optional>

namespace netring_asio::flow {

/// What a tracker keeps, and for how long. All times are packet time.
class tracker_options {
public:
    using duration = std::chrono::nanoseconds;

    tracker_options() = default;

    /// Flows in the table at once; one more evicts one. Default 1 000 000, at most 2^31.
    tracker_options& max_flows(std::size_t value) noexcept { return max_flows_ = value, *this; }
    /// Flows for which memory is taken at the start, in huge pages where the kernel has them, which makes large tables
    /// faster. What more flows need is taken little by little. Default 0.
    tracker_options& expected_flows(std::size_t value) noexcept { return expected_flows_ = value, *this; }
    /// A TCP connection is over when nothing came for so long. Default 300 s.
    tracker_options& tcp_timeout(duration value) noexcept { return tcp_timeout_ = value, *this; }
    /// The same for UDP. Default 60 s.
    tracker_options& udp_timeout(duration value) noexcept { return udp_timeout_ = value, *this; }
    /// The same for all other protocols. Default 30 s.
    tracker_options& other_timeout(duration value) noexcept { return other_timeout_ = value, *this; }
    /// A TCP connection that nobody answered is given up after so long. Default 5 s.
    tracker_options& unanswered_timeout(duration value) noexcept { return unanswered_timeout_ = value, *this; }
    /// How long after its end a TCP connection is remembered, so that a straggler makes no new flow. Default 5 s.
    tracker_options& linger(duration value) noexcept { return linger_ = value, *this; }
    /// A flow longer than this is cut into parts, each told; zero, the default, cuts none. One that carried 2^47 bytes
    /// in one direction is cut in any case.
    tracker_options& active_timeout(duration value) noexcept { return active_timeout_ = value, *this; }
    /// A packet that comes this much later than the one before, by the stamps, must be confirmed by a second one before
    /// the clock goes on. Default one hour for packets of files.
    tracker_options& max_clock_jump(duration value) noexcept { return max_clock_jump_ = value, *this; }
    /// The same for packets stamped by this machine's kernel or device, measured against the time that really passed.
    /// Default 10 s.
    tracker_options& max_live_clock_jump(duration value) noexcept { return max_live_clock_jump_ = value, *this; }
    /// Which headers make the flows.
    tracker_options& decoding(decode::decoder_options const& value) noexcept { return decoding_ = value, *this; }
    /// How fragments are put together.
    tracker_options& defragmenting(decode::defragmenter_options const& value) noexcept {
        return defragmenting_ = value, *this;
    }

    /// Whether packets with a wrong checksum are told from others: they count, get a C in the history and do nothing
    /// else, as their receiver drops them; where it is the IPv4 header's, they are no flow's. Default no: where they
    /// are captured on the machine that sends them, checksums may not be there yet.
    tracker_options& verifying_checksums(bool value) noexcept { return verifying_checksums_ = value, *this; }

    /// Leaves copies of packets out, as on `lo` and behind mirrors. Default: every packet counts.
    tracker_options& deduplicating(dedup_options const& value) noexcept { return deduplicating_ = value, *this; }

    std::size_t max_flows() const noexcept { return max_flows_; }
    std::size_t expected_flows() const noexcept { return expected_flows_; }
    duration tcp_timeout() const noexcept { return tcp_timeout_; }
    duration udp_timeout() const noexcept { return udp_timeout_; }
    duration other_timeout() const noexcept { return other_timeout_; }
    duration unanswered_timeout() const noexcept { return unanswered_timeout_; }
    duration linger() const noexcept { return linger_; }
    duration active_timeout() const noexcept { return active_timeout_; }
    duration max_clock_jump() const noexcept { return max_clock_jump_; }
    duration max_live_clock_jump() const noexcept { return max_live_clock_jump_; }
    decode::decoder_options const& decoding() const noexcept { return decoding_; }
    decode::defragmenter_options const& defragmenting() const noexcept { return defragmenting_; }
    bool verifying_checksums() const noexcept { return verifying_checksums_; }
    std::optional<dedup_options> const& deduplicating() const noexcept { return deduplicating_; }

private:
    std::size_t max_flows_ = 1'000'000;
    std::size_t expected_flows_ = 0;
    duration tcp_timeout_ = std::chrono::seconds{300};
    duration udp_timeout_ = std::chrono::seconds{60};
    duration other_timeout_ = std::chrono::seconds{30};
    duration unanswered_timeout_ = std::chrono::seconds{5};
    duration linger_ = std::chrono::seconds{5};
    duration active_timeout_{};
    duration max_clock_jump_ = std::chrono::hours{1};
    duration max_live_clock_jump_ = std::chrono::seconds{10};
    decode::decoder_options decoding_;
    decode::defragmenter_options defragmenting_;
    bool verifying_checksums_ = false;
    std::optional<dedup_options> deduplicating_;
};

} // namespace netring_asio::flow
