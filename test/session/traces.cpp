// Compares the messages of every capture of the shared traces with those that tshark found in it.

#include "pcap/files.hpp"
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
#include <openssl/evp.h>
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
namespace json = boost::json;

namespace {

using bag = std::multiset<std::string>;

/// What a capture holds, a line each: what the tools say, and what the parsers made.
struct findings {
    bag dns, client_hellos, server_hellos, requests, responses, bodies, alerts;
};

/// Captures known to differ, and why.
std::map<std::string, std::string> const known{
    {"100-continue__loss.pcap", "tshark gives a response with a gap up"},
    {"100-continue__seqwrap.pcap", "tshark gives up where sequence numbers wrap"},
    {"100-continue__seqwrap_boundary.pcap", "tshark gives up where sequence numbers wrap"},
    {"cid_tcp.pcap", "the snap length cuts a request line, of which tshark shows the part"},
    {"ja4_tls-non-ascii-alpn.pcapng", "tshark replaced the bytes of a protocol that are no text"},
    {"ndpi_badpackets.pcap", "the snap length cuts messages within a record, of which tshark shows the part"},
    {"ndpi_fuzz-2006-09-29-28586.pcap", "damaged by a fuzzer"},
    {"ndpi_malformed_dns.pcap", "damaged: a compression loop, of which tshark shows the part before it"},
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
    {"zeek_methods.pcap", "damaged: tshark tells of versions and of bodies that are none"},
    {"zeek_mpls-in-vlan.pcap", "tshark counts the part of a body before a gap as all of it"},
    {"zeek_tcp-http-with-padding.pcap", "tshark does not know a request at this port"},
    {"zeek_variant-01-chunk_2pow64_overflow.pcap", "request smuggling: the request within is found, as by Zeek"},
    {"zeek_variant-04-te_cl_desync.pcap", "request smuggling: chunks count, as for Zeek; tshark tells an empty body"},
    {"zeek_variant-09-te_obs_fold.pcap", "request smuggling: the folded field counts, and tshark ignores it"},
};

/// tshark also lists the types that a record is about as types of records.
bool tells_of_types(std::string const& type) { return type == "46" || type == "47" || type == "50"; }

std::string joined(std::vector<std::string> const& values) {
    std::string result;
    for (auto const& v : values)
        result += v + ' ';
    return result;
}

std::vector<std::string> strings(json::value const& of, char const* field) {
    std::vector<std::string> result;
    if (auto const* list = of.as_object().if_contains(field))
        for (auto const& v : list->as_array())
            result.emplace_back(v.as_string());
    return result;
}

/// A line without what tools write in different ways: bytes of names that are no printable ASCII, escapes, and spaces.
std::string plain(std::string_view line) {
    std::string result;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\' && i + 3 < line.size() && line[i + 1] >= '0' && line[i + 1] <= '9')
            i += 3;
        else if (line[i] != '\\' && line[i] > ' ' && line[i] < 0x7f)
            result += line[i];
    }
    return result;
}

std::string first(json::value const& of, char const* field) {
    auto const all = strings(of, field);
    return all.empty() ? std::string{} : all.front();
}

std::string hex(unsigned value, int digits) {
    std::string result = "0x";
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        result += "0123456789abcdef"[value >> shift & 15];
    return result;
}

/// Reads what tshark says.
findings expected(fs::path const& folder) {
    findings result;
    std::ifstream in{folder / "l7.json"};
    auto const root = json::parse(std::string{std::istreambuf_iterator<char>{in}, {}});
    auto const each = [&](char const* protocol, auto f) {
        if (auto const* list = root.as_object().if_contains(protocol))
            for (auto const& e : list->as_array())
                f(e);
    };
    for (auto const* protocol : {"dns", "mdns", "llmnr"})
        each(protocol, [&](json::value const& e) {
            if (e.as_object().contains("in_icmp"))
                return;
            std::string line = first(e, "id") + " " + first(e, "flags.response") + " " + first(e, "flags.opcode") +
                               " " + (first(e, "flags.rcode").empty() ? "0" : first(e, "flags.rcode")) + " ";
            for (auto const* count : {"count.queries", "count.answers", "count.auth_rr", "count.add_rr"})
                line += first(e, count) + " ";
            for (auto const* field : {"qry.name", "qry.type", "resp.type", "a", "aaaa", "cname", "ns",
                                      "ptr.domain_name", "soa.mname", "srv.target"})
                if (auto const values = strings(e, field);
                    field != std::string_view{"resp.type"} || std::ranges::none_of(values, tells_of_types))
                    line += std::string{field} + " " + joined(values);
            result.dns.insert(plain(line));
        });
    each("tls", [&](json::value const& e) {
        auto const ja3 = strings(e, "handshake.ja3_full");
        for (std::size_t i = 0; i != ja3.size(); ++i)
            result.client_hellos.insert(
                ja3[i] + " " + strings(e, "handshake.ja3")[i] + " " +
                (e.as_object().contains("ja4_calc") ? std::string{e.at("ja4_calc").as_string()} : std::string{}) + " " +
                first(e, "handshake.extensions_server_name"));
        auto const ja3s = strings(e, "handshake.ja3s_full");
        for (std::size_t i = 0; i != ja3s.size(); ++i)
            result.server_hellos.insert(ja3s[i] + " " + strings(e, "handshake.ja3s")[i]);
        auto const levels = strings(e, "alert_message.level");
        for (std::size_t i = 0; i != levels.size(); ++i)
            result.alerts.insert(levels[i] + " " + strings(e, "alert_message.desc")[i]);
    });
    each("http", [&](json::value const& e) {
        if (auto const methods = strings(e, "request.method"); !methods.empty())
            for (std::size_t i = 0; i != methods.size(); ++i)
                result.requests.insert(methods[i] + " " + strings(e, "request.uri").at(i) + " " +
                                       strings(e, "request.version").at(i));
        auto const codes = strings(e, "response.code");
        auto const phrases = strings(e, "response.phrase");
        for (std::size_t i = 0; i != codes.size(); ++i)
            result.responses.insert(codes[i] + " " + (i < phrases.size() ? phrases[i] : std::string{}));
    });
    if (std::ifstream objects_file{folder / "http_objects.json"}) {
        auto const objects = json::parse(std::string{std::istreambuf_iterator<char>{objects_file}, {}});
        for (auto const& o : objects.as_array())
            result.bodies.insert(std::to_string(o.at("size").to_number<std::uint64_t>()) + " " +
                                 std::string{o.at("sha256").as_string()});
    }
    return result;
}

std::string sha256(std::string_view bytes) {
    unsigned char digest[32];
    EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
    std::string result;
    for (auto const b : digest) {
        result += "0123456789abcdef"[b >> 4];
        result += "0123456789abcdef"[b & 15];
    }
    return result;
}

/// Writes what the parsers made in the same way.
struct collector {
    findings& to;

    void operator()(session::dns::message const& m) const {
        using namespace session::dns;
        if (!m.questions.empty() && m.questions.front().type == record_type{32})
            return; // NetBIOS names, which tshark tells apart by the port
        std::map<std::string, std::vector<std::string>> fields;
        auto const shown = [](session::dns::name const& n) { return n.empty() ? std::string{"<Root>"} : n; };
        for (auto const& q : m.questions) {
            fields["qry.name"].push_back(shown(q.name));
            fields["qry.type"].push_back(std::to_string(static_cast<unsigned>(q.type)));
        }
        for (auto const* section : {&m.answers, &m.authorities, &m.additionals})
            for (auto const& r : *section) {
                fields["resp.type"].push_back(std::to_string(static_cast<unsigned>(r.type)));
                if (auto const* a = std::get_if<nr::decode::ip_address>(&r.data))
                    fields[r.type == record_type::a ? "a" : "aaaa"].push_back(
                        a->to_string(r.type == record_type::a ? 4 : 6));
                if (auto const* n = std::get_if<session::dns::name>(&r.data))
                    fields[r.type == record_type::cname ? "cname"
                           : r.type == record_type::ns  ? "ns"
                           : r.type == record_type::ptr ? "ptr.domain_name"
                                                        : "other"]
                        .push_back(shown(*n));
                if (auto const* soa = std::get_if<start_of_authority>(&r.data))
                    fields["soa.mname"].push_back(shown(soa->primary));
                if (auto const* srv = std::get_if<service>(&r.data))
                    fields["srv.target"].push_back(shown(srv->target));
            }
        std::string line = hex(m.id, 4) + " " + std::to_string(m.is_response) + " " + std::to_string(m.opcode) + " " +
                           std::to_string(m.response_code) + " ";
        for (auto const size : m.announced)
            line += std::to_string(size) + " ";
        for (auto const* field : {"qry.name", "qry.type", "resp.type", "a", "aaaa", "cname", "ns", "ptr.domain_name",
                                  "soa.mname", "srv.target"})
            if (field != std::string_view{"resp.type"} || std::ranges::none_of(fields[field], tells_of_types))
                line += std::string{field} + " " + joined(fields[field]);
        to.dns.insert(plain(line));
    }
    void operator()(session::dns::unanswered const&) const {}
    void operator()(session::tls::client_hello const& h) const {
        to.client_hellos.insert(h.ja3_text() + " " + h.ja3() + " " + h.ja4() + " " + h.server_name);
    }
    void operator()(session::tls::server_hello const& h) const {
        to.server_hellos.insert(h.ja3s_text() + " " + h.ja3s());
    }
    void operator()(session::tls::certificates const&) const {}
    void operator()(session::tls::alert const& a) const {
        to.alerts.insert(std::to_string(a.level) + " " + std::to_string(a.description));
    }
    void operator()(session::tls::handshake const&) const {}
    void operator()(session::quic::initial const&) const {}
    void operator()(session::http1::request const& r) const {
        to.requests.insert(r.method + " " + r.target + " " +
                           (r.version == 0 ? std::string{} : "HTTP/1." + std::to_string(r.version - 10)));
        body(r);
    }
    void operator()(session::http1::response const& r) const {
        to.responses.insert(std::to_string(r.status) + " " + r.reason);
        body(r);
    }
    void operator()(session::http1::body_piece const&) const {}

    void body(session::http1::content const& c) const {
        if (c.body_size != 0)
            to.bodies.insert(std::to_string(c.body_size) + " " + sha256(c.body));
    }
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
