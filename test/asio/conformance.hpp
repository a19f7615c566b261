#pragma once

#include "conformance/cancellation.hpp"
#include "conformance/lifetime.hpp"
#include "conformance/pipes.hpp"
#include "conformance/senders.hpp"
#include "conformance/tokens.hpp"

#include <boost/test/framework.hpp>
#include <boost/test/unit_test.hpp>

#include <string>

/// Whether an asynchronous operation keeps the contract that Asio's users rely on.
///
/// An operation is described by a class such as
/// @code
/// struct receive {
///     static constexpr bool exclusive = true;         // a second one is refused with operation_in_progress
///     static constexpr bool keeps = true;             // cancelled, it leaves what it waited for to the next one
///     static constexpr bool allocates = false;        // each success makes an object of the user's
///     static constexpr auto cancellable = net::cancellation_type::all;     // the types that it honours
///     static constexpr std::chrono::milliseconds latency{10};              // from make_ready to being noticed
///     static constexpr std::chrono::milliseconds patience{5000};           // after which it is not coming any more
///
///     capture make(net::any_io_executor executor);    // the I/O object, ready to be used
///     template <class Object, class... Token>         // Token is empty where the default token is tested
///     auto start(Object& object, Token&&... token) {
///         return object.async_receive(batch, std::forward<Token>(token)...);
///     }
///     void make_ready();                              // lets one operation complete with success
///     void take_back();                               // optional: undoes make_ready behind the operation's back
/// };
/// @endcode
/// and tested by the line `conformance::verify<receive>();`. The members without braces may be left out; shown are
/// the values that they then have, but for `latency`, which is 0. An operation that runs until it is cancelled says
/// `static constexpr bool endless = true` and has no `make_ready`: `cancel()` of its object takes that place.
namespace conformance {

/// Everything that was looked at, and everything that is wrong with an operation.
template <class Operation>
report examine_all() {
    report result;
    detail::token_checks<Operation>{result}.run();
    detail::sender_checks<Operation>{result}.run();
    detail::cancellation_checks<Operation>{result}.run();
    detail::lifetime_checks<Operation>{result}.run();
    return result;
}

/// Everything that is wrong with an operation.
template <class Operation>
findings examine() {
    return examine_all<Operation>().findings;
}

/// Fails the running test for everything that is wrong with an operation, and prints the row of `doc/conformance.md`.
template <class Operation>
void verify() {
    auto const all = examine_all<Operation>();
    std::string row = "conformance: " + boost::unit_test::framework::current_test_case().full_name();
    for (auto const& [name, holds] : all.aspects)
        row += " | " + name + (holds ? ": yes" : ": NO");
    BOOST_TEST_MESSAGE(row);
    for (auto const& problem : all.findings)
        BOOST_ERROR(problem);
    BOOST_TEST(all.findings.empty());
}

} // namespace conformance
