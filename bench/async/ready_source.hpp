#pragma once

#include <netring_asio/detail/complete_immediately.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>
#include <netring_asio/packet/packet_owner.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

namespace bench {

namespace nr = netring_asio;

/// Packets in memory, so many at a time, and then an end. Their memory belongs to somebody else.
template <class Executor>
class ready_source {
    struct nobody final : nr::packet_owner {
        void recycle() noexcept override {}
    };
    static nobody& owner() {
        static thread_local nobody instance;
        return instance;
    }

public:
    using executor_type = Executor;
    static constexpr bool waits_for_reader = true;

    ready_source(Executor executor, std::span<nr::packet_view const> packets, std::size_t batch_size)
        : executor_{std::move(executor)}
        , left_{packets}
        , batch_size_{batch_size} {}

    executor_type get_executor() const noexcept { return executor_; }
    void cancel() {}
    void close() { left_ = {}; }

    bool try_receive(nr::packet_batch& out) {
        out.reset();
        auto const next = left_.first(std::min(batch_size_, left_.size()));
        left_ = left_.subspan(next.size());
        if (!next.empty())
            out = nr::packet_batch{next, nr::packet_owner_ptr{&owner()}};
        return !next.empty();
    }

    template <class Token>
    auto async_receive(nr::packet_batch& out, Token&& token) {
        return boost::asio::async_initiate<Token, void(nr::error_code, std::size_t)>(initiation{this}, token, &out);
    }

private:
    struct initiation {
        using executor_type = Executor;
        executor_type get_executor() const noexcept { return self->executor_; }
        template <class Handler>
        void operator()(Handler&& handler, nr::packet_batch* out) const {
            bool const more = self->try_receive(*out);
            nr::detail::complete_immediately(self->executor_, std::forward<Handler>(handler),
                                             more ? nr::error_code{} : nr::error_code{boost::asio::error::eof},
                                             out->size());
        }
        ready_source* self;
    };

    Executor executor_;
    std::span<nr::packet_view const> left_;
    std::size_t batch_size_;
};

} // namespace bench
