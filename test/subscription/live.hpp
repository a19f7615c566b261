#pragma once

#include "stream/memory_source.hpp"
#include "subscription/wire.hpp"
#include <netring_asio/subscriptions.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <lab/lab.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

/// Traffic of which some subscriptions want some, and what they are delivered of it from anywhere.
struct interest_in_traffic : wire {
    using deliveries = std::map<std::string, std::vector<std::string>>;

    /// The frames of each subscription, and what connections were told.
    static inline std::vector<std::string> const all{
        "tcp.port = 80 and http.host = 'a'",
        "tcp.port = 443 and not http",
        "udp.port = 6000",
        "tcp.port in {80, 443} and tcp.syn and conn.packets > 3",
        "tcp.port = 8080 and http.host = 'again'",
        "udp.port = 5353 and dns",
    };

    interest_in_traffic() {
        for (unsigned i = 0; i != 20; ++i)
            connection(40000 + i, 80)
                .open()
                .send(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .send(1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .close();
        for (unsigned i = 0; i != 20; ++i)
            connection(50000 + i, 443).open().send(0, "x").close();
        udp(true, 5000, 6000, "x");
        udp(false, 5000, 6000, "y");
        packet(craft{40}.ethernet(0x0806));
        std::vector<tcp> long_ones;
        for (unsigned i = 0; i != 10; ++i) { // decided against with the first bytes, and going on
            auto& c = long_ones.emplace_back(connection(20000 + i, 8080));
            c.open();
            for (unsigned n = 0; n != 20; ++n)
                c.send(n % 2 == 0 ? 0 : 1, "nothing that is known");
            for (unsigned n = 0; n != 30; ++n)
                udp(true, 1000 + i, 5353, "no name");
        }
        needed = views.size();
        for (unsigned i = 0; i != 20; ++i)
            connection(30000 + i, 9999).open().send(0, "x").close(); // what nobody wants
        first_part = views.size();
        for (auto& c : long_ones) {
            for (unsigned n = 0; n != 20; ++n)
                c.send(n % 2, "nothing that is known");
            c.close();
            auto again = connection(c.client, c.server); // the same ends
            again.next[0] += 1'000'000;
            again.open().send(0, "GET / HTTP/1.1\r\nHost: again\r\n\r\n").close();
            for (unsigned n = 0; n != 30; ++n)
                udp(true, 1000 + static_cast<unsigned>(&c - long_ones.data()), 5353, "no name");
        }
    }
    static constexpr std::size_t flows = 20 + 20 + 2 * 10; // of TCP, that are wanted

    template <class Interest>
    static auto subscribe(Interest& interest, std::string const& text, deliveries& to) {
        auto& frames_of = to[text];
        auto& told = to["connections of " + text];
        return std::vector<std::shared_ptr<void>>{
            interest.subscribe(sub::packets{sub::expression{text}},
                               [&frames_of](sub::packet const& p) {
                                   auto const bytes = p.frame->data;
                                   frames_of.emplace_back(reinterpret_cast<char const*>(bytes.data()), bytes.size());
                               }),
            interest.subscribe(sub::connections{sub::expression{text}}, [&told](sub::connection const& c) {
                told.push_back(std::to_string(c.flow.key.a.port) + '-' + std::to_string(c.flow.key.b.port) + ": " +
                               std::to_string(c.flow.stats.packets()) + ' ' + std::string{c.flow.stats.history.str()} +
                               (c.partial ? " partial" : ""));
            })};
    }

    /// From memory, or from any other source that ends.
    template <class Source>
    static deliveries of(boost::asio::io_context& context, Source source, std::vector<std::string> const& wanted) {
        nr::subscriptions interest{std::move(source)};
        deliveries result;
        std::vector<std::vector<std::shared_ptr<void>>> subscribed;
        for (auto const& text : wanted)
            subscribed.push_back(subscribe(interest, text, result));
        interest.async_run([](nr::error_code) {});
        context.restart();
        context.run();
        return result;
    }
    deliveries from_memory(std::vector<std::string> const& wanted, std::size_t batch) {
        boost::asio::io_context context;
        auto const store = std::make_shared<packet_store>();
        for (std::size_t i = 0; i < views.size(); i += batch)
            store->batches.emplace_back(views.begin() + static_cast<std::ptrdiff_t>(i),
                                        views.begin() + static_cast<std::ptrdiff_t>(std::min(views.size(), i + batch)));
        return of(context, memory_source<>{context.get_executor(), store}, wanted);
    }

    /// From an open source at the end of a wire, to which the traffic is sent.
    template <class Source>
    deliveries live(boost::asio::io_context& context, Source source, lab::side const& sender,
                    std::vector<std::string> const& wanted, bool pushed) {
        nr::subscriptions interest{std::move(source)};
        deliveries result;
        std::vector<std::vector<std::shared_ptr<void>>> subscribed;
        for (auto const& text : wanted)
            subscribed.push_back(subscribe(interest, text, result));
        if (pushed)
            interest.push_down(true);
        interest.async_run([](nr::error_code) {});
        auto const send = [&](std::size_t first, std::size_t last) {
            std::vector<std::vector<std::uint8_t>> some;
            for (auto i = first; i != last; ++i) {
                auto const* const data = reinterpret_cast<std::uint8_t const*>(views[i].data.data());
                some.emplace_back(data, data + views[i].data.size());
            }
            sender.send_each(some);
        };
        auto const until = [&](auto condition) {
            auto const patience = std::chrono::steady_clock::now() + std::chrono::seconds{60};
            while (!condition() && std::chrono::steady_clock::now() < patience) {
                context.restart();
                context.run_for(std::chrono::milliseconds{5});
            }
            BOOST_TEST(condition());
        };
        deliveries const expected = from_memory(wanted, 1000);
        send(0, first_part);
        until([&] { return interest.tracking().packets >= (pushed && wanted.size() == all.size() ? needed : 0); });
        send(first_part, views.size());
        // Connections are told at their end, UDP's with the flush of a source that ends, which these do not.
        until([&] {
            for (auto const& [text, items] : expected)
                if (result[text].size() < items.size() && text.find("udp") == text.npos)
                    return false;
            return true;
        });
        context.restart();
        context.run_for(std::chrono::milliseconds{20}); // for what should not come
        seen = interest.tracking().packets;
        at_end(interest);
        interest.close();
        context.restart();
        context.poll();
        return result;
    }

    /// Whether both are the same; of live ones the connections of UDP have not ended.
    static void check(deliveries const& expected, deliveries const& got, std::string const& where) {
        for (auto const& [text, items] : expected)
            if (text.find("connections of udp") == text.npos)
                BOOST_TEST((got.at(text) == items),
                           where << ": " << text << ": " << got.at(text).size() << " instead of " << items.size());
    }

    template <class Interest>
    void at_end(Interest& interest) {
        bypassed = interest.statistics().bypassed;
        if constexpr (requires { interest.source().statistics().passed_bypassed; })
            passed_over = interest.source().statistics().passed_bypassed;
    }

    std::size_t needed = 0;     // of the first part, by the filter
    std::size_t first_part = 0; // frames
    std::uint64_t seen = 0, bypassed = 0, passed_over = 0;
};

} // namespace test
