#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/export/detail/ipfix_export_op.hpp>
#include <netring_asio/export/ipfix_exporter_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace netring_asio::exports {

/// Sends flows to an IPFIX collector (RFC 7011) over UDP or TCP.
///
/// Connects when there is something to send, and again after a failure, with the templates anew; there is nothing to
/// open. What could not be sent is told by the count, and may be exported again.
///
/// @par Operations
/// One `async_export` at a time; a second one completes with `error::operation_in_progress`.
///
/// @par Destruction
/// Closes; what is pending completes with `net::error::operation_aborted`.
///
/// @par Thread safety
/// Distinct objects: safe. Shared objects: unsafe; use a context run by one thread, or a strand.
template <class Executor = boost::asio::any_io_executor>
class NETRING_ASIO_API basic_ipfix_exporter {
    using connection = detail::ipfix_connection<Executor>;

public:
    using executor_type = Executor;

    /// The same exporter on another executor type.
    template <class Other>
    struct rebind_executor {
        using other = basic_ipfix_exporter<Other>;
    };

    basic_ipfix_exporter(executor_type const& executor, ipfix_exporter_options const& options)
        : connection_{std::make_shared<connection>(executor, options)} {}
    template <class Context>
        requires std::convertible_to<Context&, boost::asio::execution_context&> &&
                 std::constructible_from<Executor, typename Context::executor_type>
    basic_ipfix_exporter(Context& context, ipfix_exporter_options const& options)
        : basic_ipfix_exporter{executor_type{context.get_executor()}, options} {}

    basic_ipfix_exporter(basic_ipfix_exporter&&) noexcept = default;
    basic_ipfix_exporter& operator=(basic_ipfix_exporter&& other) noexcept {
        basic_ipfix_exporter moved{std::move(other)};
        std::swap(connection_, moved.connection_);
        return *this;
    }
    /// From an exporter on a convertible executor; no operation may be pending. It connects anew.
    template <class Other>
        requires(!std::same_as<Other, Executor> && std::constructible_from<Executor, Other>)
    basic_ipfix_exporter(basic_ipfix_exporter<Other>&& other)
        : basic_ipfix_exporter{Executor{other.get_executor()}, other.options()} {
        connection_->encoder = std::move(other.connection_->encoder);
        connection_->encoder.repeat_templates();
        connection_->statistics = other.connection_->statistics;
        other.close();
        other.connection_.reset();
    }

    ~basic_ipfix_exporter() {
        if (connection_)
            connection_->close();
    }

    executor_type get_executor() const noexcept { return connection_->tcp.get_executor(); }
    ipfix_exporter_options const& options() const noexcept { return connection_->options; }
    ipfix_exporter_statistics const& statistics() const noexcept { return connection_->statistics; }

    /// Ends a pending export with `net::error::operation_aborted`.
    void cancel() { connection_->cancel(); }
    /// Ends what is pending and the connection; the next export makes a new one.
    void close() { connection_->close(); }

    /// Sends the flows that ended among these events, in as many messages as it takes.
    ///
    /// @par Completion signature
    /// `void(error_code, std::size_t events)`: the events dealt with, from the first on, whose messages the kernel has
    /// taken. Over UDP that says nothing of their arrival.
    ///
    /// @param events must stay valid until completion.
    ///
    /// @par Errors
    /// What the sockets report, for instance `connection_refused` where no collector listens (over UDP told of the
    /// message before); `operation_aborted`; `error::operation_in_progress`.
    ///
    /// @par Cancellation
    /// Partial, hence also terminal: the count says how many events were dealt with. Over TCP a message may have been
    /// cut by it; the connection is closed then.
    template <boost::asio::completion_token_for<void(error_code, std::size_t)> Token =
                  boost::asio::default_completion_token_t<executor_type>>
    auto async_export(std::span<flow::event const> events,
                      Token&& token = boost::asio::default_completion_token_t<executor_type>{}) {
        return boost::asio::async_compose<Token, void(error_code, std::size_t)>(
            detail::ipfix_export_op<Executor>{connection_, events}, token, connection_->tcp);
    }

private:
    template <class>
    friend class basic_ipfix_exporter;

    std::shared_ptr<connection> connection_;
};

using ipfix_exporter = basic_ipfix_exporter<>;

extern template class basic_ipfix_exporter<>;

} // namespace netring_asio::exports
