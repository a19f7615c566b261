// Compares the messages of every capture of the shared traces with those that tshark found in it.

#include "pcap/files.hpp"
#include "session/findings.hpp"
#include <netring_asio/pcap/reader.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session/tracker.hpp>

#include <boost/json/src.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace nr = netring_asio;
namespace flow = netring_asio::flow;
namespace session = netring_asio::session;
namespace fs = std::filesystem;
using test::bag, test::collector, test::expected, test::findings;

namespace {

/// Captures known to differ, and why.
std::map<std::string, std::string> const known{
    {"100-continue__loss.pcap", "tshark gives a response with a gap up"},
    {"100-continue__seqwrap.pcap", "tshark gives up where sequence numbers wrap"},
    {"100-continue__seqwrap_boundary.pcap", "tshark gives up where sequence numbers wrap"},
    {"cid_tcp.pcap", "the snap length cuts a request line, of which tshark shows the part"},
    {"ja4_tls-non-ascii-alpn.pcapng", "tshark replaced the bytes of a protocol that are no text"},
    {"ndpi_badpackets.pcap",
     "the snap length cuts within the twelve bytes of a DNS head, of which tshark shows the part"},
    {"ndpi_fuzz-2006-09-29-28586.pcap", "damaged by a fuzzer"},
    {"ndpi_malformed_dns.pcap", "damaged: a compression loop, of which tshark shows the part before it"},
    {"ndpi_reddit.pcap", "tshark goes on behind the RST of clients that did not await the certificates"},
    {"ndpi_tls_cipher_lens.pcap", "damaged on purpose: lengths of cipher lists"},
    {"ndpi_tls_multiple_synack_different_seq.pcapng",
     "tshark follows the first of two different SYN-ACKs, and sees no server"},
    {"one_tcp_stream__seqwrap.pcap", "tshark gives up where sequence numbers wrap"},
    {"pcpp_4KHttpRequests.pcap", "begins within connections and has gaps, behind which tshark gives up"},
    {"pcpp_raw_ip.pcap", "tshark does not show a response whose connection goes on"},
    {"proxy__loss.pcap", "tshark gives a response with a gap up"},
    {"proxy__seqwrap.pcap", "tshark gives up where sequence numbers wrap"},
    {"proxy__seqwrap_boundary.pcap", "tshark gives up where sequence numbers wrap"},
    {"sv_http-connect-simple.pcap", "tshark goes on within the tunnel that CONNECT made"},
    {"sv_http-evader-027.pcap", "tshark leaves out a body whose last chunk is damaged"},
    {"sv_http-evader-100.pcap", "damaged on purpose: a space before chunk sizes"},
    {"sv_http-gap-simple.pcap", "tshark gives responses with gaps up"},
    {"sv_http-gap-whole-body.pcap", "tshark gives responses with gaps up"},
    {"sv_tcp-rst-unacked-stream-11.pcap", "tshark gives a response up that a RST cut"},
    {"sv_tcp-urgp-01-oob.pcap", "tshark does not show a request with urgent data"},
    {"tcpdump_dns_fwdptr.pcap", "damaged: pointers that lead forward"},
    {"zeek_dns-edns-ecs-bad.pcap", "damaged: more records announced than there are"},
    {"zeek_entity_gap.pcap", "tshark gives a response with a gap up"},
    {"zeek_gtp1_gn_normal_incl_fragmentation.pcap", "tshark gives a response with gaps up"},
    {"zeek_methods.pcap", "damaged: tshark tells of targets and of bodies that are none"},
    {"zeek_mpls-in-vlan.pcap", "tshark counts the part of a body before a gap as all of it"},
    {"zeek_tcp-http-with-padding.pcap", "tshark does not know a request at this port"},
    {"zeek_variant-01-chunk_2pow64_overflow.pcap", "request smuggling: the request within is found, as by Zeek"},
    {"zeek_variant-04-te_cl_desync.pcap", "request smuggling: chunks count, as for Zeek; tshark tells an empty body"},
    {"zeek_variant-09-te_obs_fold.pcap", "request smuggling: the folded field counts, and tshark ignores it"},
};

findings found(fs::path const& capture) {
    findings result;
    session::tracker sessions{
        flow::tracker{flow::five_tuple{}},
        session::session_options{},
        session::use{session::dns_over_udp{}}.ports({53}),
        session::use{session::multicast_dns{}}.ports({5353, 5355}),
        session::use{session::dns_over_tcp{}}.ports({53}),
        session::use{session::http1_parser{session::http1_options{}.max_body(std::size_t{64} << 20)}}.ports({80, 8080}),
        session::use{session::tls_handshake{}}.ports({443}),
        session::use{session::tls_handshake{session::tls_options{}.after_text(true)}}.ports({21, 25, 110, 143, 587}),
        session::use{session::quic_initial{}}};
    decltype(sessions)::event_list events;
    auto const collect = [&] {
        for (auto const& e : events) {
            if (auto const* m = e.message())
                std::visit(collector{result}, *m);
        }
        events.clear();
    };
    nr::pcap::reader reader{nr::pcap::reader_options{capture.string()}};
    nr::packet_batch packets;
    nr::error_code error;
    while (reader.read(packets, error) != 0) {
        sessions.track(packets, events);
        collect();
    }
    for (bool more = true; more;) {
        more = sessions.flush(events);
        collect();
    }
    return result;
}

} // namespace

namespace {

struct total {
    std::size_t expected = 0, agree = 0, more = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(messages_of_the_traces, *files::has_traces()) {
    std::map<std::string, total> totals;
    std::size_t captures = 0;
    for (auto const& [file, packets] : files::traces()) {
        auto folder = file;
        if (folder.extension() == ".gz")
            folder.replace_extension();
        folder.replace_extension(".expect");
        if (!fs::exists(folder / "l7.json"))
            continue;
        ++captures;
        auto const want = expected(folder);
        auto const got = found(file);
        std::size_t differing = 0;
        std::ostringstream differences;
        auto const compare = [&](char const* what, bag const& w, bag const& g, bool more_is_wrong) {
            bag missing, surplus;
            std::set_difference(w.begin(), w.end(), g.begin(), g.end(), std::inserter(missing, missing.end()));
            std::set_difference(g.begin(), g.end(), w.begin(), w.end(), std::inserter(surplus, surplus.end()));
            auto& t = totals[what];
            t.expected += w.size();
            t.agree += w.size() - missing.size();
            t.more += surplus.size();
            differing += missing.size() + (more_is_wrong ? surplus.size() : 0);
            for (auto const& line : missing)
                differences << "\n  not found: " << what << ' ' << line;
            for (auto const& line : surplus)
                differences << "\n  surplus: " << what << ' ' << line;
        };
        compare("dns", want.dns, got.dns, true);
        compare("client hello", want.client_hellos, got.client_hellos, true);
        compare("server hello", want.server_hellos, got.server_hellos, true);
        compare("alert", want.alerts, got.alerts, false);
        compare("http request", want.requests, got.requests, true);
        compare("http response", want.responses, got.responses, true);
        compare("http body", want.bodies, got.bodies, false);
        compare("certificates", want.certificates, got.certificates, false);
        compare("dns, other fields", want.dns_fields, got.dns_fields, false);
        compare("hello, other fields", want.tls_fields, got.tls_fields, false);
        compare("http head, other fields", want.http_fields, got.http_fields, false);
        auto const name = file.filename().string();
        if (known.contains(name)) {
            BOOST_TEST(differing != 0, name << " agrees now: take it off the list");
            std::cerr << "\n=== " << name << ": " << known.at(name) << differences.str() << "\n";
        } else
            BOOST_TEST(differing == 0, name << differences.str());
    }
    BOOST_TEST(captures == 229u);
    for (auto const& [what, t] : totals)
        BOOST_TEST_MESSAGE("figure: " << what << ": " << t.agree << " of " << t.expected << " agree, " << t.more
                                      << " more were found");
    for (auto const& [name, reason] : known)
        BOOST_TEST_MESSAGE("figure: " << name << " differs: " << reason);
    BOOST_TEST_MESSAGE("figure: " << captures << " captures, " << known.size() << " of them known to differ");
}

BOOST_AUTO_TEST_CASE(quic_as_tshark_decrypts_it, *files::has_traces()) {
    auto const file = files::traces_folder() / "tls/retina_quic.pcap";
    bag want, got;
    for (auto const& line : files::tshark(file, {"quic.version", "tls.handshake.extensions_server_name",
                                                 "tls.handshake.extensions_alpn_str", "tls.handshake.ja3"}))
        if (std::istringstream in{line}; !line.starts_with(' ')) {
            std::string version, rest;
            if (in >> version && std::getline(in >> std::ws, rest))
                want.insert(rest);
        }
    session::tracker sessions{flow::tracker{flow::five_tuple{}}, session::session_options{},
                              session::use{session::quic_initial{}}};
    decltype(sessions)::event_list events;
    nr::pcap::reader reader{nr::pcap::reader_options{file.string()}};
    nr::packet_batch packets;
    nr::error_code error;
    while (reader.read(packets, error) != 0)
        sessions.track(packets, events);
    for (auto const& e : events)
        if (auto const* m = e.message())
            got.insert(m->hello.server_name + " " + m->hello.application_protocols.at(0) + " " + m->hello.ja3());
    BOOST_TEST(want == got, boost::test_tools::per_element());
    BOOST_TEST(!want.empty());
    BOOST_TEST_MESSAGE("figure: " << got.size() << " QUIC connections with the names, protocols and JA3 of tshark");
}

BOOST_AUTO_TEST_CASE(an_encrypted_client_hello_is_seen, *files::has_traces()) {
    // Chrome's, and that of a client without; tshark lists the types of extensions.
    for (auto const* capture : {"tls/zeek_chrome-1250-tls-x25519-kyber", "cid/sv_community-id-ipv4"}) {
        auto path = files::traces_folder() / capture;
        std::size_t want = 0, got = 0;
        std::ifstream in{path.string() + ".expect/l7.json"};
        auto const tools = boost::json::parse(std::string{std::istreambuf_iterator<char>{in}, {}});
        for (auto const& e : tools.at("tls").as_array())
            if (e.as_object().contains("handshake.ja3"))
                want +=
                    static_cast<std::size_t>(std::ranges::count(e.at("handshake.extension.type").as_array(), "65037"));
        session::tracker sessions{flow::tracker{flow::five_tuple{}}, session::session_options{},
                                  session::use{session::tls_handshake{}}};
        decltype(sessions)::event_list events;
        path += fs::exists(path.string() + ".pcap") ? ".pcap" : ".pcapng";
        nr::pcap::reader reader{nr::pcap::reader_options{path.string()}};
        nr::packet_batch packets;
        nr::error_code error;
        while (reader.read(packets, error) != 0)
            sessions.track(packets, events);
        for (auto const& e : events)
            if (auto const* m = e.message())
                if (auto const* hello = std::get_if<session::tls::client_hello>(m))
                    got += hello->has_encrypted_client_hello ? 1 : 0;
        BOOST_TEST(want == got);
        BOOST_TEST_MESSAGE("figure: " << capture << ": " << got << " encrypted ClientHello");
    }
}

namespace {

/// What one connection gave its parser.
struct tape {
    struct part {
        session::side from;
        std::string bytes; // or, if empty, a gap
        std::uint64_t missing;
    };
    std::vector<part> parts;
    std::size_t size = 0;
};

/// Records what a parser is given; its message is the tape.
template <class Parser>
class recording {
public:
    using message_type = tape;

    nr::error_code feed(session::side from, std::span<std::byte const> bytes, nr::timestamp, session::output<tape>&) {
        std::string_view const text{reinterpret_cast<char const*>(bytes.data()), bytes.size()};
        if (!tape_.parts.empty() && tape_.parts.back().from == from && !tape_.parts.back().bytes.empty())
            tape_.parts.back().bytes += text;
        else
            tape_.parts.push_back({from, std::string{text}, 0});
        tape_.size += bytes.size();
        return {};
    }
    nr::error_code gap(session::side from, std::uint64_t length, nr::timestamp, session::output<tape>&) {
        tape_.parts.push_back({from, {}, length});
        return {};
    }
    void finish(session::side from, nr::timestamp, session::output<tape>& out) {
        if (from == session::side::responder)
            out(from, std::move(tape_));
    }
    static session::match probe(session::side from, std::span<std::byte const> bytes) {
        return Parser::probe(from, bytes);
    }

private:
    tape tape_;
};

template <class Parser>
std::string replayed(tape const& of, auto cut) {
    struct : session::output<typename Parser::message_type> {
        void operator()(session::side from, typename Parser::message_type&& message) override {
            text << static_cast<int>(from);
            std::visit([this](auto const& m) { text << m << '\n'; }, message);
        }
        std::ostringstream text;
    } out;
    auto& sink = static_cast<session::output<typename Parser::message_type>&>(out);
    Parser parser;
    nr::error_code error;
    std::size_t fed = 0;
    auto const open = [&] {
        if constexpr (requires { parser.done(); })
            return !error && !parser.done();
        else
            return !error;
    };
    for (auto const& p : of.parts) {
        if constexpr (requires { parser.gap(p.from, p.missing, nr::timestamp{}, sink); })
            if (p.bytes.empty() && open())
                error = parser.gap(p.from, p.missing, {}, sink);
        for (std::size_t at = 0; at < p.bytes.size() && open();) {
            auto const size = std::min(p.bytes.size() - at, std::max<std::size_t>(1, cut(fed)));
            error = parser.feed(p.from, std::as_bytes(std::span{p.bytes}.subspan(at, size)), {}, sink);
            at += size;
            fed += size;
        }
    }
    if constexpr (requires { parser.finish(session::side::initiator, nr::timestamp{}, sink); })
        if (open()) {
            parser.finish(session::side::initiator, {}, sink);
            parser.finish(session::side::responder, {}, sink);
        }
    return out.text.str() + error.message();
}

struct cuts {
    std::size_t sessions = 0, everywhere = 0, tried = 0, differ = 0;

    template <class Parser>
    void operator()(tape const& of, std::mt19937& random) {
        static constexpr std::size_t whole = std::size_t{1} << 30, longest = 65'536, shortest = 800, exhaustive = 30;
        if (of.size > longest)
            return;
        ++sessions;
        auto const expected = replayed<Parser>(of, [](std::size_t) { return whole; });
        auto const expect = [&](auto cut) {
            ++tried;
            differ += replayed<Parser>(of, cut) != expected ? 1 : 0;
        };
        for (int i = 0; i != 3; ++i)
            expect([&](std::size_t) { return random() % (i == 0 ? 8 : 200); });
        if (of.size <= shortest && everywhere++ < exhaustive)
            for (std::size_t place = 1; place < of.size; ++place)
                expect([&](std::size_t at) { return at < place ? place - at : whole; });
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(recorded_sessions_give_the_same_messages_however_they_are_cut, *files::has_traces()) {
    std::mt19937 random{5};
    cuts http, tls, dns;
    for (auto const& [file, packets] : files::traces()) {
        if (packets > 2'000)
            continue;
        auto const replay = [&]<class Parser>(cuts& count, std::type_identity<Parser>, auto ports) {
            session::tracker sessions{flow::tracker{flow::five_tuple{}}, session::session_options{},
                                      session::use{recording<Parser>{}}.ports(ports)};
            typename decltype(sessions)::event_list events;
            auto const take = [&] {
                for (auto const& e : events)
                    if (auto const* m = e.message())
                        count.template operator()<Parser>(*m, random);
                events.clear();
            };
            nr::packet_batch batch;
            nr::error_code error;
            nr::pcap::reader reader;
            reader.open(nr::pcap::reader_options{file.string()}, error);
            while (!error && reader.read(batch, error) != 0) {
                sessions.track(batch, events);
                take();
            }
            for (bool more = true; more;) {
                more = sessions.flush(events);
                take();
            }
        };
        using ports = std::vector<std::uint16_t>;
        replay(http, std::type_identity<session::http1_parser>{}, ports{80, 8080});
        replay(tls, std::type_identity<session::tls_handshake>{}, ports{443});
        replay(dns, std::type_identity<session::dns_over_tcp>{}, ports{53});
    }
    for (auto const& [what, count] : {std::pair{"HTTP", http}, {"TLS", tls}, {"DNS over TCP", dns}}) {
        BOOST_TEST(count.differ == 0u, what << " differs");
        BOOST_TEST_MESSAGE("figure: " << what << ": " << count.sessions << " recorded sessions, " << count.tried
                                      << " ways to cut them, " << std::min<std::size_t>(count.everywhere, 30)
                                      << " of them cut at every byte; " << count.differ << " differ");
    }
    BOOST_TEST(http.sessions > 100u);
    BOOST_TEST(tls.sessions > 100u);
    BOOST_TEST(dns.sessions > 5u);
}
