// What messages cost: each parser by itself, and the whole way from packets. Prints a table, or one JSON object a line
// with --json.

#include "../measure.hpp"
#include "conversations.hpp"
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session/tracker.hpp>

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <lab/allocations.hpp>
#include <optional>
#include <string_view>

namespace {

using namespace bench;
constexpr int rounds = 21;

struct cost {
    double time = 0; // ns
    std::uint64_t messages = 0, bytes = 0, packets = 0, allocations = 0;
};

template <class Message>
struct counter final : session::output<Message> {
    void operator()(session::side, Message&&) override { ++messages; }
    std::uint64_t messages = 0;
};

/// The median of several rounds, each with so many repetitions.
template <class F>
cost measure(F f) {
    f(); // warms up
    std::vector<cost> all;
    for (int i = 0; i != rounds; ++i) {
        cost c;
        auto const before = thread_cpu_time();
        f(&c);
        c.time = (thread_cpu_time() - before).count();
        all.push_back(c);
    }
    std::ranges::sort(all, {}, &cost::time);
    lab::allocation_counter const allocations;
    f();
    auto result = all[rounds / 2];
    result.allocations = allocations.here();
    return result;
}

class table {
public:
    explicit table(bool json)
        : json_{json} {
        if (!json_)
            std::cout << std::left << std::setw(44) << "" << std::right << std::setw(12) << "ns/message"
                      << std::setw(10) << "ns/byte" << std::setw(11) << "ns/packet" << std::setw(16) << "allocs/message"
                      << '\n';
    }
    void operator()(std::string_view what, cost const& c, unsigned conversations) {
        auto const per = [](double value, std::uint64_t count) {
            return count == 0 ? 0.0 : value / static_cast<double>(count);
        };
        auto const message = per(c.time, c.messages), byte = per(c.time, c.bytes), packet = per(c.time, c.packets),
                   allocations = per(static_cast<double>(c.allocations), c.messages);
        if (json_)
            std::cout << R"({"measure":")" << what << R"(","ns_per_message":)" << message << R"(,"ns_per_byte":)"
                      << byte << R"(,"ns_per_packet":)" << packet << R"(,"allocations_per_message":)" << allocations
                      << R"(,"ns":)" << per(c.time, conversations) << R"(,"allocations":)"
                      << per(static_cast<double>(c.allocations), conversations) << R"(,"messages":)"
                      << per(static_cast<double>(c.messages), conversations) << R"(,"bytes":)"
                      << per(static_cast<double>(c.bytes), conversations) << "}\n";
        else
            std::cout << std::left << std::setw(44) << what << std::right << std::fixed << std::setprecision(0)
                      << std::setw(12) << message << std::setprecision(2) << std::setw(10) << byte
                      << std::setprecision(0) << std::setw(11) << packet << std::setprecision(2) << std::setw(16)
                      << allocations << '\n';
    }

private:
    bool json_;
};

std::span<std::byte const> bytes_of(std::string const& text) { return std::as_bytes(std::span{text}); }

/// One parser. With `anew` each conversation has its own, as each connection has.
template <class Parser>
cost parser(Parser const& prototype, conversation const& what, bool anew, int repetitions) {
    return measure([&](cost* c = nullptr) {
        counter<typename Parser::message_type> out;
        auto& sink = static_cast<session::output<typename Parser::message_type>&>(out);
        std::optional<Parser> used{prototype};
        nr::timestamp time{std::chrono::hours{400'000}};
        for (int i = 0; i != repetitions; ++i) {
            if (anew)
                used.emplace(prototype);
            for (auto const& s : what) {
                time += std::chrono::microseconds{10};
                if constexpr (session::stream_parser<Parser>)
                    used->feed(s.from, bytes_of(s.bytes), time, sink);
                else
                    used->datagram(s.from, bytes_of(s.bytes), time, sink);
            }
        }
        if (c) {
            c->messages = out.messages;
            c->bytes = size_of(what) * static_cast<std::uint64_t>(repetitions);
        }
    });
}

/// The whole way, of connections that come and go.
cost path(packets& load, std::size_t conversation_bytes) {
    session::tracker tracker{
        nr::flow::tracker{nr::flow::five_tuple{}},         session::session_options{},
        session::use{session::http1_parser{}}.ports({80}), session::use{session::tls_handshake{}}.ports({443}),
        session::use{session::dns_over_udp{}}.ports({53}), session::use{session::quic_initial{}}};
    typename decltype(tracker)::event_list events;
    nr::timestamp time{std::chrono::hours{400'000}};
    std::uint64_t messages = 0;
    return measure([&](cost* c = nullptr) {
        messages = 0;
        time += std::chrono::minutes{10}; // what was before is over
        auto const all = load.at(time);
        for (std::size_t at = 0; at < all.size(); at += 256) {
            tracker.track(all.subspan(at, std::min<std::size_t>(256, all.size() - at)), events);
            for (auto const& e : events)
                messages += e.message() != nullptr ? 1 : 0;
            events.clear();
        }
        if (c) {
            c->messages = messages;
            c->packets = all.size();
            c->bytes = conversation_bytes;
        }
    });
}

/// What a peer is to parse too: numbers of 32 bits, little-endian, and bytes behind their number.
class conversation_file {
public:
    explicit conversation_file(char const* name)
        : out_{name, std::ios::binary} {}

    void parser(std::string_view name, std::string_view protocol, bool anew, int repetitions,
                conversation const& what) {
        head(name, protocol, anew, repetitions, what.size());
        for (auto const& s : what) {
            number(index(s.from));
            bytes(bytes_of(s.bytes));
        }
    }
    void path(std::string_view name, unsigned conversations, packets& load) {
        nr::timestamp time{};
        auto const all = load.at(time);
        head(name, "path", false, static_cast<int>(conversations), all.size());
        for (auto const& view : all) {
            number(0);
            bytes(view.data);
        }
    }

private:
    void head(std::string_view name, std::string_view protocol, bool anew, int repetitions, std::size_t parts) {
        bytes(std::as_bytes(std::span{name}));
        bytes(std::as_bytes(std::span{protocol}));
        number(anew ? 1 : 0);
        number(static_cast<std::size_t>(repetitions));
        number(parts);
    }
    void number(std::size_t value) {
        for (int i = 0; i != 4; ++i)
            out_.put(static_cast<char>(value >> 8 * i & 255));
    }
    void bytes(std::span<std::byte const> value) {
        number(value.size());
        out_.write(reinterpret_cast<char const*>(value.data()), static_cast<std::streamsize>(value.size()));
    }

    std::ofstream out_;
};

conversation quic_exchange() {
    std::ifstream in{QUIC_INITIAL, std::ios::binary};
    std::string const file{std::istreambuf_iterator<char>{in}, {}};
    return {{session::side::initiator, file.substr(2)}}; // behind the fuzzer's head
}

} // namespace

// main [--json | --conversations FILE]: with FILE only writes what is measured.
int main(int argc, char* argv[]) {
    pin_to(receiver_processor);
    std::string_view const option = argc > 1 ? argv[1] : "";
    std::optional<conversation_file> file;
    if (option == "--conversations" && argc > 2)
        file.emplace(argv[2]);
    table print{option == "--json" || file};

    auto const of_parser = [&](std::string_view name, std::string_view protocol, auto const& prototype,
                               conversation const& what, bool anew, int repetitions) {
        if (file)
            file->parser(name, protocol, anew, repetitions, what);
        else
            print(name, parser(prototype, what, anew, repetitions), static_cast<unsigned>(repetitions));
    };
    auto const http = http_exchange(1024), large = http_exchange(std::size_t{1} << 20), dns = dns_exchange(),
               tls = tls_exchange(), quic = quic_exchange();
    of_parser("HTTP/1, request and response with 1 KiB", "http", session::http1_parser{}, http, false, 2'000);
    of_parser("HTTP/1, response with 1 MiB, 64 KiB kept", "http", session::http1_parser{}, large, false, 20);
    of_parser("DNS, query and response", "dns", session::dns_over_udp{}, dns, false, 5'000);
    of_parser("TLS 1.3 hellos", "tls", session::tls_handshake{}, tls, true, 2'000);
    of_parser("QUIC Initial", "quic", session::quic_initial{}, quic, true, 1'000);

    constexpr unsigned connections = 2'000;
    packets web, names, secure;
    for (unsigned i = 0; i != connections; ++i) {
        web.tcp(10'000 + i, 80, http);
        names.udp(10'000 + i, 53, dns);
        secure.tcp(10'000 + i, 443, tls);
    }
    auto const of_path = [&](std::string_view name, packets& load, conversation const& what) {
        if (file)
            file->path(name, connections, load);
        else
            print(name, path(load, connections * size_of(what)), connections);
    };
    of_path("packets to messages, HTTP/1", web, http);
    of_path("packets to messages, DNS", names, dns);
    of_path("packets to messages, TLS", secure, tls);
}
