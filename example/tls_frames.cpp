// Writes the TLS connections to some names into a capture file, from their first packet on, and logs the handshakes.

#include <netring_asio/capture.hpp>
#include <netring_asio/pcap/writer.hpp>
#include <netring_asio/pcap_source.hpp>
#include <netring_asio/subscription/fields.hpp>
#include <netring_asio/subscriptions.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <variant>

namespace net = boost::asio;
namespace nr = netring_asio;
namespace subscription = netring_asio::subscription;

namespace {

template <class Source>
void run(net::io_context& context, Source source, std::string_view names, char const* output, unsigned seconds) {
    auto const wanted = subscription::fields::tls_sni.matches(names);
    nr::pcap::writer file{nr::pcap::writer_options{output}};
    nr::subscriptions interest{std::move(source)};
    auto const frames =
        interest.subscribe(subscription::packets{wanted}, [&](subscription::packet const& p) { file.write(*p.frame); });
    auto const handshakes = interest.subscribe(subscription::sessions{wanted}, [](subscription::session const& s) {
        print(std::cout, s.key, s.orientation);
        std::cout << ' ' << std::get<nr::session::tls::handshake>(s.message) << std::endl;
    });
    net::signal_set signals{context, SIGINT, SIGTERM};
    auto const stop = [&](nr::error_code error, int = 0) { error ? void() : interest.cancel(); };
    signals.async_wait(stop);
    net::steady_timer limit{context, std::chrono::seconds{seconds}};
    if (seconds != 0)
        limit.async_wait(stop);
    interest.async_run([&](nr::error_code error) {
        signals.cancel();
        limit.cancel();
        if (error && error != net::error::operation_aborted)
            throw nr::system_error{error};
    });
    context.run();
    file.close();
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 4 && argc != 5)
        return std::cerr << "tls_frames FILE|INTERFACE NAMES OUTPUT [SECONDS], where NAMES is a regular expression\n",
               2;
    auto const seconds = argc == 5 ? static_cast<unsigned>(std::stoul(argv[4])) : 0;
    net::io_context context{1};
    if (std::filesystem::exists(argv[1]))
        run(context, nr::pcap_source{context, nr::pcap_source_options{argv[1]}}, argv[2], argv[3], seconds);
    else
        run(context, nr::capture{context, nr::capture_options{argv[1]}}, argv[2], argv[3], seconds);
} catch (std::exception const& e) {
    std::cerr << "tls_frames: " << e.what() << '\n';
    return 1;
}
