#include "sender.hpp"
#include <netring_asio/injector.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>

namespace bench {
namespace {

namespace net = boost::asio;
namespace nr = netring_asio;

net::awaitable<void> send_frames(nr::injector& injector, sending const& what) {
    frame_burst frames{what.length};
    std::vector<net::const_buffer> buffers;
    for (std::size_t i = 0; i != burst; ++i)
        buffers.emplace_back(frames[i].data(), what.length);
    for (std::uint64_t sent = 0; sent != what.count; sent += buffers.size()) {
        frames.number(sent);
        buffers.resize(std::min<std::uint64_t>(burst, what.count - sent));
        co_await injector.async_send_frames(buffers, net::use_awaitable);
    }
    co_await injector.async_drain(net::use_awaitable);
}

net::awaitable<void> reserve_frames(nr::injector& injector, sending const& what) {
    frame_burst frames{what.length};
    for (std::uint64_t sent = 0; sent != what.count;) {
        auto const end = std::min(what.count, sent + burst);
        frames.number(sent);
        for (std::size_t i = 0; sent != end; ++sent, ++i) {
            auto room = injector.try_reserve(what.length);
            if (!room)
                co_await injector.async_reserve(room, what.length, net::use_awaitable);
            std::memcpy(room.data().data(), frames[i].data(), what.length);
            room.commit();
        }
        injector.flush();
    }
    co_await injector.async_drain(net::use_awaitable);
}

template <class Body>
void run(sending const& what, Body body) {
    net::io_context context{1};
    nr::injector injector{context, nr::injector_options{what.interface}
                                       .frame_count(ring_frames)
                                       .frame_size(ring_frame_size)
                                       .qdisc_bypass(what.bypass)};
    net::co_spawn(context, body(injector, what), [](std::exception_ptr failure) {
        if (failure)
            std::rethrow_exception(failure);
    });
    context.run();
}

} // namespace

void send_by_injector(sending const& what) { run(what, send_frames); }
void send_by_reservation(sending const& what) { run(what, reserve_frames); }

} // namespace bench
