// The language of expressions: what is read, how it is printed, and where a text is wrong.

#include <netring_asio/subscription/expression.hpp>
#include <netring_asio/subscription/fields.hpp>

#include <boost/test/unit_test.hpp>

#include <string>

namespace nr = netring_asio;
namespace sub = netring_asio::subscription;
namespace fields = netring_asio::subscription::fields;

namespace {

std::string read(std::string_view text) { return to_string(sub::expression{text}); }

} // namespace

BOOST_AUTO_TEST_CASE(operators_and_their_precedence) {
    BOOST_TEST(read("tcp or udp and ipv4") == "tcp or (udp and ipv4)");
    BOOST_TEST(read("(tcp or udp) and ipv4") == "(tcp or udp) and ipv4");
    BOOST_TEST(read("not tcp and udp") == "not tcp and udp");
    BOOST_TEST(read("not (tcp and udp)") == "not (tcp and udp)");
    BOOST_TEST(read("!!tcp") == "tcp");
    BOOST_TEST(read("tcp && udp || !ipv4") == "(tcp and udp) or not ipv4");
    BOOST_TEST(read("tcp and udp and arp and vlan") == "tcp and udp and arp and vlan");
    BOOST_TEST(read("  ").empty());
    BOOST_TEST(sub::expression{}.is_everything());
}

BOOST_AUTO_TEST_CASE(values_of_every_kind) {
    BOOST_TEST(read("tcp.port = 80") == "tcp.port in {80}");
    BOOST_TEST(read("tcp.port in {80, 0x1bb,1000..2000}") == "tcp.port in {80, 443, 1000..2000}");
    BOOST_TEST(read("tcp.port != 80") == "tcp.port not in {80}");
    BOOST_TEST(read("tcp.port not in 1..1023") == "tcp.port not in {1..1023}");
    BOOST_TEST(read("ipv4.time_to_live < 64") == "ipv4.time_to_live in {0..63}");
    BOOST_TEST(read("ipv4.time_to_live <= 64") == "ipv4.time_to_live in {0..64}");
    BOOST_TEST(read("tcp.length gt 0") == "tcp.length in {1..18446744073709551615}");
    BOOST_TEST(read("ipv4.addr = 10.1.2.3/8") == "ipv4.addr in {10.0.0.0/8}");
    BOOST_TEST(read("ipv6.addr in {fe80::/10, ::1}") == "ipv6.addr in {fe80::/10, ::1/128}");
    BOOST_TEST(read("ip.addr = 10.0.0.1") == "ip.addr in {10.0.0.1/32}");
    BOOST_TEST(read("ethernet.src = 00:1A:2b:3c:4d:5e") == "ethernet.src in {00:1a:2b:3c:4d:5e}");
    BOOST_TEST(read("conn.duration > 1.5s") == "conn.duration in {1500000001ns..18446744073709551615ns}");
    BOOST_TEST(read("tls.sni = 'example.com'") == "tls.sni in {'example.com'}");
    BOOST_TEST(read("tls.sni = \"it's\"") == "tls.sni in {|69742773|}");
    BOOST_TEST(read("tcp.payload contains |16 03 01|") == "tcp.payload contains {|160301|}");
    BOOST_TEST(read("tls.sni ~ '(a|b)\\.example$'") == "tls.sni ~ '(a|b)\\.example$'");
    BOOST_TEST(read("tls.sni !~ 'x' and http.host not contains 'y'") ==
               "tls.sni !~ 'x' and http.host not contains {'y'}");
    BOOST_TEST(read("tcp.syn = true") == "tcp.syn in {1}");
}

BOOST_AUTO_TEST_CASE(what_is_printed_reads_as_the_same) {
    for (std::string_view const text :
         {"tcp.port in {80, 443} and not ipv4.addr = 10.0.0.0/8", "not (tls or http) or dns.query_type = 28",
          "tcp.payload contains |00 ff 27|", "conn.duration > 2min and conn.state = 'SF'",
          "ethernet.dst = ff:ff:ff:ff:ff:ff", "tls.sni ~ 'a\\'b'"})
        BOOST_TEST(read(read(text)) == read(text));
}

BOOST_AUTO_TEST_CASE(errors_say_what_and_where) {
    struct wrong {
        std::string_view text;
        std::size_t position;
        std::string_view part;
    };
    std::string const deep(40, '(');
    for (auto const& [text, position, part] : {wrong{"tcp.prot = 80", 0, "no field 'tcp.prot'"},
                                               wrong{"tcp and", 7, "expected a protocol or a field"},
                                               wrong{"tcp udp", 4, "expected 'and'"},
                                               wrong{"(tcp or udp", 11, "expected ')'"},
                                               wrong{"tcp.port = x", 11, "expected a number"},
                                               wrong{"tcp.port = 90..80", 11, "range is empty"},
                                               wrong{"tcp.port in {80", 15, "expected '}'"},
                                               wrong{"tcp = 3", 6, "a protocol has no value"},
                                               wrong{"tls.sni < 'a'", 8, "no order"},
                                               wrong{"tcp.port ~ '8'", 9, "only texts"},
                                               wrong{"tls.sni = 'a", 10, "no end"},
                                               wrong{"tls.sni ~ '('", 10, "regular expression"},
                                               wrong{"ipv4.addr = ::1", 12, "not an IPv4 address"},
                                               wrong{"ipv4.addr = 10.0.0.0/33", 12, "at most 32"},
                                               wrong{"tcp.port < 0", 11, "no value is beyond"},
                                               wrong{"tcp.payload contains |1|", 23, "hexadecimal"},
                                               wrong{"conn.packets", 0, "expected an operator"},
                                               wrong{"tcp $ udp", 4, "unexpected character"},
                                               wrong{"tcp.port not = 80", 13, "expected 'in'"},
                                               wrong{deep, 32, "too deeply"}}) {
        nr::error_code error;
        sub::problem found;
        auto const result = sub::expression::parse(text, error, &found);
        BOOST_TEST_CONTEXT(text) {
            BOOST_TEST((error == nr::error::bad_expression));
            BOOST_TEST(found.position == position);
            BOOST_TEST(found.message.find(part) != std::string::npos, found.message);
            BOOST_TEST(result.is_everything());
        }
    }
    BOOST_CHECK_EXCEPTION(sub::expression{"tcp.prot"}, nr::system_error, [](auto const& e) {
        return std::string{e.what()}.find("character 1: there is no field") != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(every_field_has_a_name_that_reads) {
    for (auto const& f : sub::all_fields()) {
        nr::error_code error;
        sub::expression::parse(f.name, error);
        BOOST_TEST(error.failed() == (f.stage == sub::stage::connection), f.name);
    }
}

BOOST_AUTO_TEST_CASE(expressions_of_the_compiler_are_those_of_texts) {
    using namespace std::chrono_literals;
    auto const same = [](sub::expression const& typed, std::string_view text) {
        BOOST_TEST(to_string(typed) == read(text));
    };
    same(fields::tcp_port.in({80, 443}) && fields::tls_sni.matches("example"),
         "tcp.port in {80, 443} and tls.sni ~ 'example'");
    same(!fields::tcp || fields::ipv4_addr == "10.0.0.0/8", "not tcp or ipv4.addr = 10.0.0.0/8");
    same(fields::tcp_syn && !fields::tcp_ack, "tcp.syn and not tcp.ack");
    same(fields::ipv4_time_to_live < 64, "ipv4.time_to_live < 64");
    same(fields::conn_duration > 1500ms, "conn.duration > 1500ms");
    same(fields::conn_duration >= 2s && fields::conn_duration <= 1min, "conn.duration >= 2s and conn.duration <= 1min");
    same(fields::http_host != "a", "http.host != 'a'");
    same(fields::tcp_payload.contains("GET"), "tcp.payload contains 'GET'");
    BOOST_CHECK_THROW(static_cast<void>(fields::ipv4_addr == "nowhere"), nr::system_error);
    BOOST_CHECK_THROW(fields::tls_sni.matches("("), nr::system_error);
}
