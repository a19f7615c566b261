#pragma once

#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/quic.hpp>
#include <netring_asio/session/tls.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <openssl/evp.h>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the tools say of a capture's messages, and what the parsers made of it, as lines that can be compared.
namespace test {

namespace nr = netring_asio;
namespace session = netring_asio::session;
namespace fs = std::filesystem;
namespace json = boost::json;

using bag = std::multiset<std::string>;

/// What a capture holds, a line each: what the tools say, and what the parsers made.
struct findings {
    bag dns, client_hellos, server_hellos, certificates, requests, responses, bodies, alerts;
    bag dns_fields, tls_fields, http_fields; ///< whatever else the tools tell of a message
};

/// tshark also lists the types that a record is about as types of records.
inline bool tells_of_types(std::string const& type) { return type == "46" || type == "47" || type == "50"; }

inline std::string joined(std::vector<std::string> const& values) {
    std::string result;
    for (auto const& v : values)
        result += v + ' ';
    return result;
}

inline std::vector<std::string> strings(json::value const& of, char const* field) {
    std::vector<std::string> result;
    if (auto const* list = of.as_object().if_contains(field))
        for (auto const& v : list->as_array())
            result.emplace_back(v.as_string());
    return result;
}

/// A line without what tools write in different ways: bytes of names that are no printable ASCII, escapes, and spaces.
inline std::string plain(std::string_view line) {
    std::string result;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\' && i + 3 < line.size() && line[i + 1] >= '0' && line[i + 1] <= '9')
            i += 3;
        else if (line[i] != '\\' && line[i] > ' ' && line[i] < 0x7f)
            result += line[i];
    }
    return result;
}

inline std::string first(json::value const& of, char const* field) {
    auto const all = strings(of, field);
    return all.empty() ? std::string{} : all.front();
}

inline std::string hex(unsigned value, int digits) {
    std::string result = "0x";
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        result += "0123456789abcdef"[value >> shift & 15];
    return result;
}

/// Of a message of DNS, beside what `findings::dns` has.
constexpr std::array dns_fields{"qry.class", "resp.name",         "resp.class", "resp.ttl",
                                "soa.rname", "soa.serial_number", "srv.port",   "rr.udp_payload_size",
                                "txt",       "resp.edns0_version"};
constexpr std::array tls_fields{"handshake.version",
                                "handshake.random",
                                "handshake.session_id_length",
                                "handshake.ciphersuite",
                                "handshake.extension.type",
                                "handshake.extensions_supported_group",
                                "handshake.extensions_alpn_str",
                                "handshake.extensions.supported_version"};
constexpr std::array<std::pair<char const*, char const*>, 10> http_fields{{{"host", "host"},
                                                                           {"user-agent", "user_agent"},
                                                                           {"connection", "connection"},
                                                                           {"server", "server"},
                                                                           {"content-length", "content_length_header"},
                                                                           {"content-type", "content_type"},
                                                                           {"cookie", "cookie"},
                                                                           {"content-encoding", "content_encoding"},
                                                                           {"location", "location"},
                                                                           {"transfer-encoding", "transfer_encoding"}}};

/// Other versions than those of HTTP/1 are none to the parser.
inline std::string known_version(std::string const& text) {
    return text == "HTTP/1.0" || text == "HTTP/1.1" || !text.starts_with("HTTP/") ? text : std::string{};
}

/// Reads what tshark says.
inline findings expected(fs::path const& folder) {
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
            line = first(e, "id") + " " + first(e, "flags.truncated") + first(e, "flags.recdesired");
            if (first(e, "flags.response") == "1")
                line += first(e, "flags.authoritative") + first(e, "flags.recavail");
            for (auto const* field : dns_fields) {
                auto values = strings(e, field);
                for (auto& value : values) // a number, which tshark shows in base 16 in multicast
                    if (value.starts_with("0x") && field == std::string_view{"rr.udp_payload_size"})
                        value = std::to_string(std::stoul(value, nullptr, 16));
                line += " " + std::string{field} + " " + joined(values);
            }
            if (!first(e, "flags.recdesired").empty()) // in LLMNR that bit means something else
                result.dns_fields.insert(plain(line));
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
        for (auto const& type : strings(e, "handshake.type"))
            if (type == "11")
                result.certificates.insert("certificates");
        if (ja3.size() + ja3s.size() == 1) {
            std::string line = ja3.empty() ? "server" : "client";
            for (auto const* field : tls_fields)
                line += " " + std::string{field} + " " + joined(strings(e, field));
            result.tls_fields.insert(plain(line + (ja3.empty() ? "" : joined(strings(e, "sig_algs_ext13")))));
        }
        auto const levels = strings(e, "alert_message.level");
        for (std::size_t i = 0; i != levels.size(); ++i)
            result.alerts.insert(levels[i] + " " + strings(e, "alert_message.desc")[i]);
    });
    each("http", [&](json::value const& e) {
        if (auto const methods = strings(e, "request.method"); !methods.empty())
            for (std::size_t i = 0; i != methods.size(); ++i)
                result.requests.insert(methods[i] + " " + strings(e, "request.uri").at(i) + " " +
                                       known_version(strings(e, "request.version").at(i)));
        auto const codes = strings(e, "response.code");
        auto const phrases = strings(e, "response.phrase");
        for (std::size_t i = 0; i != codes.size(); ++i)
            result.responses.insert(codes[i] + " " + (i < phrases.size() ? phrases[i] : std::string{}));
        if (auto const method = first(e, "request.method"); strings(e, "request.method").size() + codes.size() == 1) {
            std::string line = method + first(e, "response.code");
            for (auto const& [name, field] : http_fields)
                line += " " + std::string{name} + " " + joined(strings(e, field));
            result.http_fields.insert(plain(line));
        }
    });
    if (std::ifstream objects_file{folder / "http_objects.json"}) {
        auto const objects = json::parse(std::string{std::istreambuf_iterator<char>{objects_file}, {}});
        for (auto const& o : objects.as_array())
            result.bodies.insert(std::to_string(o.at("size").to_number<std::uint64_t>()) + " " +
                                 std::string{o.at("sha256").as_string()});
    }
    return result;
}

inline std::string sha256(std::string_view bytes) {
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
    static constexpr unsigned class_mask = 0x7fff; // the other bit means something else in multicast

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
        rest_of(m);
    }
    void operator()(session::dns::unanswered const&) const {}
    void operator()(session::tls::client_hello const& h) const {
        list values;
        values["handshake.session_id_length"] = {std::to_string(h.session_id.size())};
        values["handshake.ciphersuite"] = numbers(h.cipher_suites);
        values["handshake.extensions_supported_group"] = numbers(h.groups);
        values["handshake.extensions_alpn_str"] = h.application_protocols;
        values["handshake.extensions.supported_version"] = numbers(h.supported_versions);
        hello("client", h.version, h, values, joined(numbers(h.signature_algorithms)));
        to.client_hellos.insert(h.ja3_text() + " " + h.ja3() + " " + h.ja4() + " " + h.server_name);
    }
    void operator()(session::tls::server_hello const& h) const {
        list values;
        values["handshake.session_id_length"] = {std::to_string(h.session_id.size())};
        values["handshake.ciphersuite"] = {hex(h.cipher_suite, 4)};
        if (!h.application_protocol.empty())
            values["handshake.extensions_alpn_str"] = {h.application_protocol};
        if (std::ranges::count(h.extensions, 43) != 0)
            values["handshake.extensions.supported_version"] = {hex(h.version, 4)};
        hello("server", h.legacy_version, h, values, {});
        to.server_hellos.insert(h.ja3s_text() + " " + h.ja3s());
    }
    void operator()(session::tls::certificates const&) const { to.certificates.insert("certificates"); }
    void operator()(session::tls::alert const& a) const {
        to.alerts.insert(std::to_string(a.level) + " " + std::to_string(a.description));
    }
    void operator()(session::tls::handshake const&) const {}
    void operator()(session::quic::initial const&) const {}
    void operator()(session::http1::request const& r) const {
        to.requests.insert(r.method + " " + r.target + " " +
                           (r.version == 0 ? std::string{} : "HTTP/1." + std::to_string(r.version - 10)));
        fields(r.method, r);
        body(r);
    }
    void operator()(session::http1::response const& r) const {
        to.responses.insert(std::to_string(r.status) + " " + r.reason);
        fields(std::to_string(r.status), r);
        body(r);
    }
    void operator()(session::http1::body_piece const&) const {}

    using list = std::map<std::string, std::vector<std::string>>;

    void rest_of(session::dns::message const& m) const {
        using namespace session::dns;
        list values;
        auto const shown = [](session::dns::name const& n) { return n.empty() ? std::string{"<Root>"} : n; };
        for (auto const& q : m.questions)
            values["qry.class"].push_back(hex(q.class_ & class_mask, 4));
        for (auto const* section : {&m.answers, &m.authorities, &m.additionals})
            for (auto const& r : *section) {
                if (r.type != record_type::srv) // whose name tshark cuts into its parts
                    values["resp.name"].push_back(shown(r.name));
                if (auto const* e = std::get_if<extension>(&r.data)) {
                    values["rr.udp_payload_size"].push_back(std::to_string(e->udp_payload_size));
                    values["resp.edns0_version"].push_back(std::to_string(e->version));
                    continue;
                }
                values["resp.class"].push_back(hex(r.class_ & class_mask, 4));
                values["resp.ttl"].push_back(std::to_string(r.time_to_live));
                if (auto const* soa = std::get_if<start_of_authority>(&r.data)) {
                    values["soa.rname"].push_back(shown(soa->mailbox));
                    values["soa.serial_number"].push_back(std::to_string(soa->serial));
                }
                if (auto const* srv = std::get_if<service>(&r.data))
                    values["srv.port"].push_back(std::to_string(srv->port));
                if (auto const* txt = std::get_if<std::vector<std::string>>(&r.data))
                    values["txt"].insert(values["txt"].end(), txt->begin(), txt->end());
            }
        std::string line = hex(m.id, 4) + " " + std::to_string(m.truncated) + std::to_string(m.recursion_desired);
        if (m.is_response)
            line += std::to_string(m.authoritative) + std::to_string(m.recursion_available);
        for (auto const* field : dns_fields)
            line += " " + std::string{field} + " " + joined(values[field]);
        to.dns_fields.insert(plain(line));
    }

    static std::vector<std::string> numbers(std::vector<std::uint16_t> const& values) {
        std::vector<std::string> result;
        for (auto const v : values)
            result.push_back(hex(v, 4));
        return result;
    }
    void hello(char const* whose, std::uint16_t version, auto const& h, list& values, std::string const& more) const {
        values["handshake.version"] = {hex(version, 4)};
        std::string random;
        for (auto const b : h.random)
            random += (random.empty() ? "" : ":") + hex(std::to_integer<unsigned>(b), 2).substr(2);
        values["handshake.random"] = {random};
        for (auto const type : h.extensions)
            values["handshake.extension.type"].push_back(std::to_string(type));
        std::string line = whose;
        for (auto const* field : tls_fields)
            line += " " + std::string{field} + " " + joined(values[field]);
        to.tls_fields.insert(plain(line + more));
    }

    void fields(std::string line, session::http1::content const& c) const {
        for (auto const& [name, field] : http_fields) {
            line += " " + std::string{name} + " ";
            for (std::size_t i = 0; i != c.fields.size(); ++i)
                if (std::ranges::equal(c.fields[i].first, std::string_view{name}, {}, [](char x) {
                        return x >= 'A' && x <= 'Z' ? static_cast<char>(x + 'a' - 'A') : x;
                    }))
                    line += std::string{c.fields[i].second} + ' ';
        }
        to.http_fields.insert(plain(line));
    }

    void body(session::http1::content const& c) const {
        if (c.body_size != 0)
            to.bodies.insert(std::to_string(c.body_size) + " " + sha256(c.body));
    }
};

} // namespace test
