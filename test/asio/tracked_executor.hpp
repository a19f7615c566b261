#pragma once

#include <boost/asio/execution/executor.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <string_view>
#include <type_traits>
#include <utility>

namespace conformance {

namespace net = boost::asio;

/// Name of the innermost tracked executor that runs on this thread, or nothing.
inline thread_local std::string_view running_on;

/// An executor that can be told from others: what it runs sees its name in `running_on`.
template <class Inner>
class tracked_executor {
public:
    tracked_executor(Inner inner, char const* name) noexcept
        : inner_{std::move(inner)}
        , name_{name} {}

    template <class Property>
        requires(net::can_query_v<Inner const&, Property>)
    decltype(auto) query(Property const& property) const
        noexcept(noexcept(net::query(std::declval<Inner const&>(), property))) {
        return net::query(inner_, property);
    }

    template <class Property>
        requires(net::can_require_v<Inner const&, Property>)
    auto require(Property const& property) const {
        return tracked_executor<std::decay_t<decltype(net::require(inner_, property))>>{net::require(inner_, property),
                                                                                        name_};
    }

    template <class Function>
    void execute(Function&& function) const {
        inner_.execute([name = name_, function = std::forward<Function>(function)]() mutable {
            struct scope {
                std::string_view before;
                explicit scope(std::string_view now)
                    : before{std::exchange(running_on, now)} {}
                ~scope() { running_on = before; }
            } const here{name};
            std::move(function)();
        });
    }

    friend bool operator==(tracked_executor const& a, tracked_executor const& b) noexcept {
        return a.inner_ == b.inner_ && std::string_view{a.name_} == b.name_;
    }

private:
    Inner inner_;
    char const* name_;
};

} // namespace conformance
