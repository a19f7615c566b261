// Prints the first packets of an interface with libpcap, to be compared with short/packet_loop.cpp.
#include <cstdio>

#include <pcap/pcap.h>

int main(int argc, char** argv) {
    char const* const interface = argc > 1 ? argv[1] : "lo";
    char message[PCAP_ERRBUF_SIZE] = "";
    pcap_t* const capture = pcap_open_live(interface, 262144, 0, 3000, message);
    if (!capture) {
        std::fprintf(stderr, "%s\n", message);
        return 1;
    }
    int count = 0;
    while (count != 5) {
        pcap_pkthdr* header;
        unsigned char const* bytes;
        int const result = pcap_next_ex(capture, &header, &bytes);
        if (result == 0) // nothing came for 3 s, or not: that depends on the platform
            break;
        if (result < 0) {
            std::fprintf(stderr, "%s\n", pcap_geterr(capture));
            pcap_close(capture);
            return 1;
        }
        std::printf("packet %d: %u bytes\n", ++count, header->len);
    }
    std::printf("%d packets\n", count);
    pcap_close(capture);
}
