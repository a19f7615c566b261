#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/flow/event.hpp>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

namespace netring_asio::exports {

/// How a connection log is written.
enum class log_format : std::uint8_t {
    tsv,  ///< a header, then a line a flow with fields between tabs: what `zeek-cut` reads
    json, ///< an object a line
};

/// What goes into a connection log.
class conn_log_options {
public:
    conn_log_options() = default;

    /// Default `tsv`.
    conn_log_options& format(log_format value) noexcept { return format_ = value, *this; }
    /// Adds the field `community_id`. Default off; it costs a SHA-1 a flow.
    conn_log_options& community_id(bool value) noexcept { return community_id_ = value, *this; }

    log_format format() const noexcept { return format_; }
    bool community_id() const noexcept { return community_id_; }

private:
    log_format format_ = log_format::tsv;
    bool community_id_ = false;
};

/// Writes flows as Zeek writes its conn.log: the same fields, names and types.
///
/// A flow that was cut by the active timeout gives a line for each part, with the same `uid`; stragglers after the end
/// of a flow give none. Bytes of a direction are what its packets carried, repetitions included. `service` is what you
/// say it is; `local_orig`, `local_resp` and `tunnel_parents` are not known here. ICMP has its addresses only, no type
/// and code in place of ports.
///
/// @par Errors
/// Those of the stream, as it reports them.
///
/// @par Thread safety
/// Distinct objects: safe, on distinct streams. Shared objects: unsafe.
class NETRING_ASIO_API conn_log {
public:
    /// The stream must outlive the log.
    explicit conn_log(std::ostream& out, conn_log_options const& options = conn_log_options{});

    /// Writes the flow if the event is the end of one, or of a part; returns whether it was.
    bool write(flow::event const& e, std::string_view service = {});

    template <class Events>
    void write_all(Events const& events) {
        for (flow::event const& e : events)
            write(e);
    }

    /// Writes the last line of a tab-separated log.
    void finish(timestamp now);

    std::uint64_t lines() const noexcept { return lines_; }

private:
    void header(timestamp now);

    std::ostream& out_;
    conn_log_options options_;
    std::uint64_t salt_;
    std::uint64_t lines_ = 0;
    bool begun_ = false;
    std::string line_;
};

} // namespace netring_asio::exports
