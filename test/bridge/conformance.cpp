#include "support.hpp"

#include <asio/conformance.hpp>

namespace {

struct run {
    static constexpr bool endless = true;

    static between const& hosts() {
        static between const instance;
        return instance;
    }
    nr::bridge make(net::any_io_executor executor) {
        return hosts().open(std::move(executor), between::options().block_count(4).frame_count(16));
    }
    template <class Bridge, class... Token>
    auto start(Bridge& bridge, Token&&... token) {
        return bridge.async_run(std::forward<Token>(token)...);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(bridge, *lab::available())

BOOST_AUTO_TEST_CASE(async_run) { conformance::verify<run>(); }

BOOST_AUTO_TEST_SUITE_END()
