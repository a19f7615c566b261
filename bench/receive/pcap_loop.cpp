#include "receiver.hpp"

#include <csignal>
#include <stdexcept>

#include <pcap/pcap.h>

namespace bench {
namespace {

pcap_t* interruptible = nullptr;

class pcap_loop final : public receiver {
public:
    explicit pcap_loop(std::string const& interface, block_timeout timeout) {
        char message[PCAP_ERRBUF_SIZE]{};
        pcap_.reset(::pcap_create(interface.c_str(), message));
        if (!pcap_)
            throw std::runtime_error{message};
        ::pcap_set_snaplen(pcap_.get(), 262144);
        ::pcap_set_promisc(pcap_.get(), 0);
        ::pcap_set_timeout(pcap_.get(), timeout.count());
        ::pcap_set_buffer_size(pcap_.get(), ring_size);
        if (::pcap_activate(pcap_.get()) < 0)
            throw std::runtime_error{::pcap_geterr(pcap_.get())};
    }

    void run() override {
        interruptible = pcap_.get();
        ::signal(SIGINT, [](int) { ::pcap_breakloop(interruptible); });
        while (dispatch() >= 0) {
        }
    }

    void drain(std::uint64_t packets) override {
        char message[PCAP_ERRBUF_SIZE]{};
        ::pcap_setnonblock(pcap_.get(), 1, message);
        for (auto const end = counted.packets + packets; counted.packets < end && dispatch() > 0;) {
        }
    }

    std::uint64_t dropped() override {
        pcap_stat statistics{};
        ::pcap_stats(pcap_.get(), &statistics);
        return statistics.ps_drop;
    }

private:
    int dispatch() {
        return ::pcap_dispatch(
            pcap_.get(), -1,
            [](u_char* self, pcap_pkthdr const* header, u_char const* data) {
                reinterpret_cast<tally*>(self)->add(reinterpret_cast<std::byte const*>(data), header->caplen);
            },
            reinterpret_cast<u_char*>(&counted));
    }

    struct closer {
        void operator()(pcap_t* pcap) const noexcept { ::pcap_close(pcap); }
    };
    std::unique_ptr<pcap_t, closer> pcap_;
};

} // namespace

std::unique_ptr<receiver> make_pcap_loop(std::string const& interface, block_timeout timeout) {
    return std::make_unique<pcap_loop>(interface, timeout);
}

} // namespace bench
