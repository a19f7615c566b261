#pragma once

#include <netring_asio/detail/api.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/version.hpp>

// What Asio's types look like depends on Boost's version and on macros. A program whose Asio is another than the
// library's would corrupt memory; as the name of what it refers to here is another as well, it does not link.

#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#define NETRING_ASIO_REACTOR io_uring
#elif defined(BOOST_ASIO_HAS_IO_URING)
#define NETRING_ASIO_REACTOR epoll_beside_io_uring
#elif defined(BOOST_ASIO_HAS_EPOLL)
#define NETRING_ASIO_REACTOR epoll
#else
#define NETRING_ASIO_REACTOR select
#endif

#if defined(BOOST_ASIO_ENABLE_HANDLER_TRACKING)
#define NETRING_ASIO_VARIANT with_handler_tracking
#elif defined(BOOST_ASIO_HAS_THREADS)
#define NETRING_ASIO_VARIANT with_threads
#else
#define NETRING_ASIO_VARIANT without_threads
#endif

#define NETRING_ASIO_ABI_NAME(boost, reactor, variant) built_with_boost_##boost##_asio_on_##reactor##_##variant
#define NETRING_ASIO_ABI_OF(boost, reactor, variant) NETRING_ASIO_ABI_NAME(boost, reactor, variant)
#define NETRING_ASIO_ABI NETRING_ASIO_ABI_OF(BOOST_VERSION, NETRING_ASIO_REACTOR, NETRING_ASIO_VARIANT)

namespace netring_asio::detail {

extern NETRING_ASIO_API char const NETRING_ASIO_ABI;
[[gnu::used]] inline char const* const asio_abi = &NETRING_ASIO_ABI;

} // namespace netring_asio::detail
