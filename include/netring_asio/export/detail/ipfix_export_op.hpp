#pragma once

#include <netring_asio/export/detail/ipfix_connection.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace netring_asio::exports::detail {

/// Connects where that is needed, then sends message after message. A composed operation.
template <class Executor>
class ipfix_export_op {
public:
    ipfix_export_op(std::shared_ptr<ipfix_connection<Executor>> connection, std::span<flow::event const> events)
        : connection_{std::move(connection)}
        , left_{events}
        , count_{events.size()} {}

    template <class Self>
    void operator()(Self& self, error_code ec = {}, std::size_t = 0) {
        auto& c = *connection_;
        switch (std::exchange(next_, step::none)) {
        case step::begin:
            self.reset_cancellation_state(boost::asio::enable_partial_cancellation());
            if (c.exporting)
                return finish_later(self, error::operation_in_progress, false);
            c.exporting = true;
            cancels_ = c.cancels;
            if (!c.over_tcp() && !c.udp.is_open()) {
                c.open_udp(ec);
                if (ec)
                    return finish_later(self, ec, true);
            }
            if (c.over_tcp() && !c.connected)
                return connect(self);
            return send(self, true);
        case step::connect:
            if (!ec && c.cancels != cancels_)
                ec = boost::asio::error::operation_aborted;
            if (ec)
                return fail(self, ec);
            c.connected = true;
            ++c.statistics.connections;
            c.encoder.repeat_templates();
            return send(self, false);
        case step::send:
            c.end_message(!ec);
            if (ec)
                return fail(self, ec);
            left_ = left_.subspan(in_message_);
            if (c.cancels != cancels_ ||
                self.get_cancellation_state().cancelled() != boost::asio::cancellation_type::none)
                return finish(self, boost::asio::error::operation_aborted, true);
            return send(self, false);
        case step::end:
            return finish(self, result_, owner_);
        case step::none:
            return;
        }
    }

private:
    enum class step : std::uint8_t { none, begin, connect, send, end };

    template <class Self>
    void connect(Self& self) {
        auto& c = *connection_;
        error_code ignored;
        c.tcp.close(ignored);
        next_ = step::connect;
        c.tcp.async_connect({c.options.collector(), c.options.port()}, std::move(self));
    }

    template <class Self>
    void send(Self& self, bool initiating) {
        auto& c = *connection_;
        in_message_ = c.encode(left_);
        if (c.message.empty()) {
            left_ = {};
            return initiating ? finish_later(self, {}, true) : finish(self, {}, true);
        }
        next_ = step::send;
        if (c.over_tcp())
            boost::asio::async_write(c.tcp, boost::asio::buffer(c.message), std::move(self));
        else
            c.udp.async_send(boost::asio::buffer(c.message), std::move(self));
    }

    // A message that was cut spoils the connection; the next export begins another.
    template <class Self>
    void fail(Self& self, error_code ec) {
        auto& c = *connection_;
        if (c.over_tcp()) {
            c.connected = false;
            error_code ignored;
            c.tcp.close(ignored);
        }
        finish(self, ec, true);
    }

    template <class Self>
    void finish_later(Self& self, error_code ec, bool owner) {
        next_ = step::end;
        result_ = ec;
        owner_ = owner;
        auto executor = connection_->tcp.get_executor();
        boost::asio::post(executor, std::move(self));
    }
    template <class Self>
    void finish(Self& self, error_code ec, bool owner) {
        if (owner)
            connection_->exporting = false;
        auto const done = owner ? count_ - left_.size() : 0;
        connection_.reset();
        self.complete(ec, done);
    }

    std::shared_ptr<ipfix_connection<Executor>> connection_;
    std::span<flow::event const> left_;
    std::size_t count_;
    std::size_t in_message_ = 0;
    std::uint64_t cancels_ = 0;
    step next_ = step::begin;
    error_code result_;
    bool owner_ = false;
};

} // namespace netring_asio::exports::detail
