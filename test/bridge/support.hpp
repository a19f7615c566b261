#pragma once

#include <netring_asio/bridge.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/test/unit_test.hpp>

#include <lab/lab.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace net = boost::asio;
namespace nr = netring_asio;
using namespace std::chrono_literals;

/// Two hosts with a third between them that joins them by a bridge of ours only.
///
///     here (10.77.0.1) here0 ---- in0  middle  out0 ---- there0 (10.77.0.2) there
class between {
public:
    explicit between(unsigned mtu_here = 1500, unsigned mtu_there = 1500, unsigned queues = 1)
        : first_{here_, middle_, lab::pair_options{}.names("here0", "in0").mtu(mtu_here).queues(queues)}
        , second_{middle_, there_, lab::pair_options{}.names("out0", "there0").mtu(mtu_there).queues(queues)} {
        address(here(), "10.77.0.1/24");
        address(there(), "10.77.0.2/24");
    }

    lab::side const& here() const noexcept { return first_.left; }
    lab::side const& in() const noexcept { return first_.right; }
    lab::side const& out() const noexcept { return second_.left; }
    lab::side const& there() const noexcept { return second_.right; }
    lab::network const& middle() const noexcept { return middle_; }

    static nr::bridge_options options() { return {"in0", "out0"}; }
    template <class Bridge = nr::bridge>
    Bridge open(net::any_io_executor executor, typename Bridge::options_type const& wanted = options()) const {
        Bridge bridge{std::move(executor)};
        middle_.enter([&] { bridge.open(wanted); });
        return bridge;
    }

private:
    static void address(lab::side const& side, std::string const& value) {
        side.run({"ip", "link", "set", side.name(), "arp", "on"});
        side.run({"ip", "addr", "add", value, "dev", side.name()});
    }

    lab::network here_, middle_, there_;
    lab::pair first_, second_;
};

/// A bridge that runs on a thread of its own.
template <class Bridge = nr::bridge>
class running_bridge {
public:
    explicit running_bridge(between const& hosts, typename Bridge::options_type const& options = between::options())
        : bridge_{hosts.open<Bridge>(context_.get_executor(), options)} {
        bridge_.async_run([this](nr::error_code error) { result_ = error; });
        thread_ = std::jthread{[this] { context_.run(); }};
    }
    ~running_bridge() {
        if (thread_.joinable())
            stop();
    }

    /// How the run ended: waits for it.
    nr::error_code wait() {
        thread_.join();
        return *result_;
    }
    nr::error_code stop() {
        net::post(context_, [this] { bridge_.cancel(); });
        return wait();
    }

    nr::bridge_statistics statistics() const { return bridge_.statistics(); }
    Bridge const& object() const noexcept { return bridge_; }

private:
    net::io_context context_;
    Bridge bridge_;
    std::optional<nr::error_code> result_;
    std::jthread thread_;
};
