#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_batch.hpp>

#include <boost/asio/associator.hpp>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace netring_asio::detail {

template <class Source, class Pass>
struct adapted_state {
    bool try_receive(packet_batch& batch) {
        while (source.try_receive(batch)) {
            pass(batch);
            if (!batch.empty())
                return true;
        }
        return false;
    }
    Source source;
    Pass pass;
};

/// A receive of the source within, repeated while nothing of what it gave passes.
template <class State, class Handler>
class adapted_receive_op {
public:
    adapted_receive_op(std::shared_ptr<State> state, packet_batch* out, Handler handler)
        : state_{std::move(state)}
        , out_{out}
        , handler_{std::move(handler)} {}

    Handler const& handler() const noexcept { return handler_; }

    void receive() {
        auto& source = state_->source;
        source.async_receive(*out_, std::move(*this));
    }
    void operator()(error_code error, std::size_t) {
        if (!error) {
            state_->pass(*out_);
            if (out_->empty())
                return receive();
        }
        state_.reset();
        std::move(handler_)(error, out_->size());
    }

private:
    std::shared_ptr<State> state_;
    packet_batch* out_;
    Handler handler_;
};

template <class State>
struct initiate_adapted_receive {
    using executor_type = typename decltype(State::source)::executor_type;
    executor_type get_executor() const noexcept { return state->source.get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler, packet_batch* out) const {
        adapted_receive_op<State, std::decay_t<Handler>>{state, out, std::forward<Handler>(handler)}.receive();
    }
    std::shared_ptr<State> state;
};

} // namespace netring_asio::detail

template <template <class, class> class Associator, class State, class Handler, class Default>
struct boost::asio::associator<Associator, netring_asio::detail::adapted_receive_op<State, Handler>, Default>
    : Associator<Handler, Default> {
    using op = netring_asio::detail::adapted_receive_op<State, Handler>;
    static auto get(op const& o) noexcept { return Associator<Handler, Default>::get(o.handler()); }
    static auto get(op const& o, Default const& fallback) noexcept {
        return Associator<Handler, Default>::get(o.handler(), fallback);
    }
};
