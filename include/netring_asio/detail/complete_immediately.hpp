#pragma once

#include <boost/asio/append.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 102700
#include <boost/asio/associated_immediate_executor.hpp>
#include <boost/asio/dispatch.hpp>
#else
#include <boost/asio/post.hpp>
#endif

#include <utility>

namespace netring_asio::detail {

/// Completes an operation whose result is known within its initiating function.
///
/// Never inline, because a coroutine loop over operations that are always ready would then overflow the stack: posts
/// through the I/O executor, from where Asio goes on to the handler's own; where Asio knows associated immediate
/// executors (1.27), dispatches through that one, which posts to the I/O executor unless the user bound another.
template <class IoExecutor, class Handler, class... Args>
void complete_immediately(IoExecutor const& io_executor, Handler&& handler, Args... args) {
#if BOOST_ASIO_VERSION >= 102700
    auto executor = boost::asio::get_associated_immediate_executor(handler, io_executor);
    boost::asio::dispatch(executor, boost::asio::append(std::forward<Handler>(handler), std::move(args)...));
#else
    boost::asio::post(io_executor, boost::asio::append(std::forward<Handler>(handler), std::move(args)...));
#endif
}

} // namespace netring_asio::detail
