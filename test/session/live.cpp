// What real programs say to each other, seen message by message while they do.

#include <netring_asio/capture.hpp>
#include <netring_asio/session/dns.hpp>
#include <netring_asio/session/http1.hpp>
#include <netring_asio/session/tls.hpp>
#include <netring_asio/session_stream.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <lab/lab.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <stdlib.h>

namespace fs = std::filesystem;
namespace net = boost::asio;
namespace nr = netring_asio;
namespace session = netring_asio::session;
using namespace std::chrono_literals;

namespace {

/// Two hosts, and the sessions that the interface of the one that serves carries.
struct hosts {
    using stream_type = nr::session_stream<nr::capture, nr::flow::five_tuple, session::http1_parser,
                                           session::tls_handshake, session::dns_over_udp, session::dns_over_tcp>;

    hosts() {
        char name[] = "/tmp/netring_asio.XXXXXX";
        BOOST_REQUIRE(::mkdtemp(name) != nullptr);
        folder = name;
    }
    ~hosts() { fs::remove_all(folder); }

    stream_type open() {
        auto capture = wire.right.enter([&] { return nr::capture{context, nr::capture_options{"right"}}; });
        return stream_type{nr::flow_stream{std::move(capture)}, session::use{session::http1_parser{}},
                           session::use{session::tls_handshake{}}, session::use{session::dns_over_udp{}}.ports({53}),
                           session::use{session::dns_over_tcp{}}.ports({53})};
    }

    /// What it carries until `count` sessions have ended; nothing is expected to take ten seconds.
    void receive(std::size_t count) {
        auto const end = std::chrono::steady_clock::now() + 10s;
        typename stream_type::event_batch batch;
        for (std::size_t ended = 0; ended < count;) {
            nr::error_code result = net::error::would_block;
            sessions.async_receive(batch, [&](nr::error_code error, std::size_t) { result = error; });
            context.restart();
            while (result == net::error::would_block && context.run_one_until(end) != 0) {
            }
            BOOST_REQUIRE(!result);
            for (auto const& e : batch) {
                BOOST_TEST(!e.failure());
                BOOST_TEST(!e.gap());
                ended += e.ended() != nullptr ? 1 : 0;
                if (auto const* message = e.message())
                    messages.emplace_back(e.from, *message);
            }
        }
    }
    template <class Message>
    Message const& next(session::side from) {
        BOOST_REQUIRE(at < messages.size());
        auto const& [side, message] = messages[at++];
        BOOST_TEST((side == from));
        BOOST_REQUIRE(std::holds_alternative<Message>(message));
        return std::get<Message>(message);
    }

    net::io_context context{1};
    fs::path folder;
    lab::pair const wire{lab::pair_options{}.ipv4()};
    stream_type sessions{open()};
    std::vector<std::pair<session::side, stream_type::message_type>> messages;
    std::size_t at = 0;
};

constexpr auto client = session::side::initiator;
constexpr auto server = session::side::responder;

} // namespace

BOOST_AUTO_TEST_CASE(curl_over_http, *lab::available() * lab::has_program("curl") * lab::has_program("python3")) {
    hosts h;
    std::string page(300'000, '\0');
    for (std::size_t i = 0; i != page.size(); ++i)
        page[i] = static_cast<char>(i * i % 251);
    std::ofstream{h.folder / "page", std::ios::binary} << page;
    auto const web = h.wire.right.start({"python3", "-u", "-m", "http.server", "8080", "--bind", "10.77.0.2",
                                         "--protocol", "HTTP/1.1", "--directory", h.folder.string()});
    BOOST_REQUIRE(web.wait_for_output("Serving HTTP", 10s));
    // Two requests on one connection, and one that sends a body.
    h.wire.left.run({"curl", "-s", "-S", "-o", "/dev/null", "-o", "/dev/null", "http://10.77.0.2:8080/page",
                     "http://10.77.0.2:8080/nothing"});
    h.wire.left.run({"curl", "-s", "-o", "/dev/null", "-H", "Expect:", "--data", "field=value", "-A", "a test",
                     "http://10.77.0.2:8080/form"});
    h.receive(2);
    namespace http1 = session::http1;
    auto const& get = h.next<http1::request>(client);
    BOOST_TEST(get.method == "GET");
    BOOST_TEST(get.target == "/page");
    BOOST_TEST(get.fields["host"] == "10.77.0.2:8080");
    auto const& found = h.next<http1::response>(server);
    BOOST_TEST(found.status == 200u);
    BOOST_TEST(found.body_size == page.size());
    BOOST_TEST(found.body == page.substr(0, found.body.size()));
    BOOST_TEST(found.body.size() == 65'536u); // as the options say
    BOOST_TEST(found.complete);
    BOOST_TEST(found.latency.has_value());
    BOOST_TEST(h.next<http1::request>(client).target == "/nothing");
    BOOST_TEST(h.next<http1::response>(server).status == 404u);
    auto const& post = h.next<http1::request>(client);
    BOOST_TEST(post.method == "POST");
    BOOST_TEST(post.fields["user-agent"] == "a test");
    BOOST_TEST(post.body == "field=value");
    BOOST_TEST(h.next<http1::response>(server).status == 501u);
    BOOST_TEST(h.at == h.messages.size());
    BOOST_TEST_MESSAGE("figure: " << h.messages.size() << " HTTP messages of two connections, a body of "
                                  << found.body_size << " bytes");
}

BOOST_AUTO_TEST_CASE(curl_over_https, *lab::available() * lab::has_program("curl") * lab::has_program("openssl")) {
    hosts h;
    auto const key = (h.folder / "key").string(), certificate = (h.folder / "certificate").string();
    h.wire.right.run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-subj", "/CN=secret.example", "-keyout", key, "-out", certificate});
    auto const web = h.wire.right.start({"openssl", "s_server", "-accept", "10.77.0.2:4433", "-key", key, "-cert",
                                         certificate, "-www", "-alpn", "http/1.1"});
    BOOST_REQUIRE(web.wait_for_output("ACCEPT", 10s));
    for (auto const* version : {"1.2", "1.3"})
        h.wire.left.run({"curl", "-s", "-S", "-k", "--http1.1", "--tlsv" + std::string{version}, "--tls-max", version,
                         "-o", "/dev/null", "--resolve", "secret.example:4433:10.77.0.2",
                         "https://secret.example:4433/"});
    h.receive(2);
    namespace tls = session::tls;
    for (auto const version : {0x0303, 0x0304}) {
        auto const& hello = h.next<tls::client_hello>(client);
        BOOST_TEST(hello.server_name == "secret.example");
        BOOST_TEST(hello.application_protocols == std::vector<std::string>{"http/1.1"});
        BOOST_TEST(hello.ja4().substr(0, 4) == (version == 0x0303 ? "t12d" : "t13d"));
        auto const& answer = h.next<tls::server_hello>(server);
        BOOST_TEST(answer.version == version);
        if (version == 0x0303) { // later ones are encrypted
            BOOST_TEST(answer.application_protocol == "http/1.1");
            auto const& sent = h.next<tls::certificates>(server);
            BOOST_REQUIRE(sent.chain.size() == 1u);
            std::string const der{reinterpret_cast<char const*>(sent.chain[0].data()), sent.chain[0].size()};
            BOOST_TEST(h.wire.right.run({"openssl", "x509", "-in", certificate, "-outform", "DER"}) == der);
        }
        auto const& all = h.next<tls::handshake>(client);
        BOOST_TEST(all.complete);
        BOOST_TEST(all.client->server_name == "secret.example");
        BOOST_TEST(all.server->cipher_suite == answer.cipher_suite);
    }
    BOOST_TEST(h.at == h.messages.size());
    BOOST_TEST_MESSAGE("figure: " << h.messages.size() << " TLS messages, of versions 1.2 and 1.3");
}

BOOST_AUTO_TEST_CASE(dig, *lab::available() * lab::has_program("dig") * lab::has_program("dnsmasq")) {
    hosts h;
    auto const names = h.wire.right.start(
        {"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
         "--pid-file=" + (h.folder / "pid").string(), "--listen-address=10.77.0.2", "--bind-interfaces",
         "--address=/www.example/192.0.2.7", "--address=/www.example/2001:db8::7", "--txt-record=text.example,a text",
         "--srv-host=_http._tcp.example,www.example,80,1,2", "--caa-record=example,0,issue,ca.example",
         "--cname=alias.example,www.example", "--host-record=www.example,192.0.2.7"});
    BOOST_REQUIRE(names.wait_for_output("started", 10s));
    auto const ask = [&](std::vector<std::string> what) {
        std::vector<std::string> command{"dig", "@10.77.0.2", "+tries=1", "+time=5", "+short"};
        command.insert(command.end(), what.begin(), what.end());
        return h.wire.left.run(command);
    };
    BOOST_TEST(ask({"www.example", "A"}) == "192.0.2.7\n");
    ask({"www.example", "AAAA", "+tcp"});
    ask({"text.example", "TXT"});
    ask({"_http._tcp.example", "SRV"});
    ask({"example", "CAA", "+noedns"});
    namespace dns = session::dns;
    // Flows of UDP end by time alone: what dig asked and was told comes before.
    auto const end = std::chrono::steady_clock::now() + 10s;
    typename hosts::stream_type::event_batch batch;
    while (h.messages.size() < 10 && std::chrono::steady_clock::now() < end)
        if (h.sessions.try_receive(batch))
            for (auto const& e : batch)
                if (auto const* message = e.message())
                    h.messages.emplace_back(e.from, *message);
    struct exchange {
        std::string name;
        dns::record_type type;
    };
    for (auto const& [name, type] : {exchange{"www.example", dns::record_type::a},
                                     {"www.example", dns::record_type::aaaa},
                                     {"text.example", dns::record_type::txt},
                                     {"_http._tcp.example", dns::record_type::srv},
                                     {"example", dns::record_type::caa}}) {
        auto const& query = h.next<dns::message>(client);
        BOOST_TEST(query.questions.at(0).name == name);
        BOOST_TEST((query.questions.at(0).type == type));
        bool const edns = type != dns::record_type::caa;
        BOOST_TEST(query.additionals.size() == (edns ? 1u : 0u));
        auto const& response = h.next<dns::message>(server);
        BOOST_TEST(response.id == query.id);
        BOOST_TEST(response.latency.has_value());
        BOOST_REQUIRE(response.answers.size() == 1u);
        auto const& data = response.answers[0].data;
        switch (type) {
        case dns::record_type::a:
            BOOST_TEST(std::get<nr::decode::ip_address>(data).to_string() == "192.0.2.7");
            break;
        case dns::record_type::aaaa:
            BOOST_TEST(std::get<nr::decode::ip_address>(data).to_string() == "2001:db8::7");
            break;
        case dns::record_type::txt:
            BOOST_TEST(std::get<std::vector<std::string>>(data).at(0) == "a text");
            break;
        case dns::record_type::srv:
            BOOST_TEST(std::get<dns::service>(data).port == 80u);
            BOOST_TEST(std::get<dns::service>(data).target == "www.example");
            break;
        default:
            BOOST_TEST(std::get<dns::certification_authority>(data).value == "ca.example");
        }
    }
    BOOST_TEST(h.at == h.messages.size());
    BOOST_TEST_MESSAGE("figure: " << h.messages.size() << " DNS messages over UDP and TCP, each response matched");
}
