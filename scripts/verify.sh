#!/usr/bin/env bash
# scripts/verify.sh GROUP
# Shows what the project claims: runs what shows each claim of a group, and prints the claim with its observer and its
# figures. Fails where one falls short. Run it on a machine that has nothing else to do.
source "$(dirname "$0")/common.sh"

held=0 short=0

# claim WHAT OBSERVER TEST [test option...]: the figures are what the test program says of itself.
claim() {
    local what=$1 observer=$2 program=build/dev/test/test.$3 output
    shift 3
    if output=$("$program" --color_output=no --log_level=message "$@" </dev/null 2>&1); then
        held=$((held + 1))
        say "holds: $what"
    else
        short=$((short + 1))
        say "FALLS SHORT: $what" "$output"
    fi
    say "    observer: $observer"
    sed -n 's/^.*figure: /    figure: /p' <<<"$output"
}

# claim_script WHAT OBSERVER command...: the figures are the command's last lines.
claim_script() {
    local what=$1 observer=$2 output
    shift 2
    if output=$("$@" </dev/null 2>&1); then
        held=$((held + 1))
        say "holds: $what"
    else
        short=$((short + 1))
        say "FALLS SHORT: $what"
    fi
    say "    observer: $observer"
    tail -n "${NETRING_ASIO_LINES-12}" <<<"$output" | sed 's/^/    /'
}

foundation() {
    claim "1 000 000 numbered frames at 200 000 a second arrive exactly once, in order, none dropped" \
        "another process sends; the peer's device counts" \
        capture.million --run_test='*/at_200_000*'
    claim "unpaced against a consumer that sleeps, each frame is received or counted as dropped" \
        "another process sends; the peer's device counts" \
        capture.million --run_test='*/unpaced*'
    claim "nothing of another interface is captured, while that floods" "interface index of each packet" \
        capture.million --run_test='*/nothing_of*'
    claim "nothing foreign or unfiltered is captured while opening" "two floods that begin before" \
        afpacket.ring --run_test='*/nothing_foreign*'
    claim "held blocks neither spin nor lose what fits; releases in any order and on any thread wake" \
        "an epoll of the test counts wake-ups; the peer's device counts packets" \
        afpacket.ring --run_test='*/held_blocks*,a_newer_block*,releasing*'
    claim "the process is idle while nothing comes, whatever is held and when the link is down" "getrusage" \
        capture.receiving --run_test='*/nothing_runs*'
    claim "batches and frames outlive the object and its context, released on another thread" \
        "the address sanitizer in CI" capture.receiving --run_test='*/batches_and*'
    claim "every completion token; cancellation and destruction at each step" "tracked executor, counting allocator" \
        capture.conformance
    claim "1 000 cancelled receives and races with a timer lose no packet" "sequence numbers" \
        capture.receiving --run_test='*/a_thousand*/*:*/a_race*'
    claim "packets() | take(5) returns with five, and the next receive gets the sixth" "sequence numbers" \
        capture.receiving --run_test='*/taking_five*'
    claim "packets through channels, on one context and to another thread: each is received or counted" \
        "sequence numbers" capture.pipe
    claim "flow events through channels: each is received or counted" "events of the same packets without a channel" \
        stream.flow_stream --run_test='*/*pipe*'
    claim "a member of a fanout group that is closed while a frame of it is held takes no more packets" \
        "/proc/net/packet; sequence numbers" afpacket.options --run_test='*/members_of*'
    claim "an expression gives the same verdicts live and on the file written" "tcpdump on the same file" capture.verdicts
    claim "interface down, up and removed while a receive is pending" "ip link" \
        capture.receiving --run_test='*/a_pending*/*'
    claim "every trace is read without a crash" "packet counts of other tools" pcap.reader --run_test='*trace*'
    claim "flows of the traces" "tshark's flows, compared by tools/compare.py's rules" flow.traces
    claim "a file written is read by tshark with the same packets, bytes, times and tags" "tshark" pcap.writer
    claim "no heap allocation per packet and per batch over a million packets" "malloc and its family, counted" \
        capture.allocations
    claim_script "capture costs what the hand-written minimum costs, and less than libpcap" \
        "getrusage of each receiver, interleaved" scripts/bench.sh receive --check
}

transmit() {
    claim "1 000 000 numbered frames of 60 to 1514 bytes arrive exactly once, in order, bytes equal" \
        "a plain socket at the peer, which dropped none" afpacket.tx_million --run_test='*/arrive'
    claim "the same with reservations dropped and oversize frames attempted in between" "a plain socket at the peer" \
        afpacket.tx_million --run_test='*/arrive_with_reservations*'
    claim "the same behind tbf at 1 Gbit/s, with the send buffer sized and at its default" "a plain socket at the peer" \
        afpacket.tx_million --run_test='*/arrive_through*'
    claim "behind a slow queueing discipline that refuses frames none is lost and nobody spins" \
        "a plain socket at the peer; kicks counted" afpacket.tx_ring --run_test='*/a_queueing*'
    claim "interface down and up, MTU lowered: no frame twice, none damaged, order kept, what was taken and lost is bounded" \
        "a plain socket at the peer; ip link" injector.sending --run_test='*/interface_and*'
    claim "frames not taken yet are sent once the interface is up" "a plain socket at the peer; ip link" \
        afpacket.tx_ring --run_test='*/frames_wait*,a_drain*'
    claim "a refused frame is told and stalls nothing" "a plain socket at the peer" \
        afpacket.tx_ring --run_test='*/frames_behind*,a_ring_that*'
    claim "cancelled sends and drains: no frame twice, none half-written, the ring usable afterwards" \
        "a plain socket at the peer" injector.sending --run_test='*/cancelled*'
    claim "every completion token; cancellation and destruction at each step" "tracked executor, counting allocator" \
        injector.conformance
    claim "tags, checksums, segments and timestamps" "tcpdump and plain sockets at the peer" afpacket.tx_details
    claim "pacing: in simulated time every window of a second keeps the rate, from 10 to 200 000 a second" \
        "arithmetic on a clock of the test" pacer.schedule
    claim "pacing: on a wire the same at 1000 and 200 000 a second" "the kernel's timestamps at the peer" pacer.pacing
    claim "replay: a file arrives byte by byte, at recorded and scaled speed and at a rate; Ctrl-C loses nothing" \
        "a plain socket at the peer" example.replay
    claim "ping, untagged and tagged, crosses the bridge" "ping and tcpdump" bridge.forwarding --run_test='*/ping,tagged_ping'
    claim "a gigabyte of TCP and a download cross the bridge with the offloads of veth, tags and different MTUs" \
        "iperf3; curl and the checksum of what it loaded" bridge.forwarding --run_test='*/a_gigabyte*'
    claim "TCP in tunnels crosses the bridge cut into segments; what cannot be cut is refused and told" \
        "iperf3" bridge.forwarding --run_test='*/tcp_in_tunnels,what_cannot*'
    claim "no own frame comes back; filters; frames beyond the MTU; a slow side; down and up; cancellation" \
        "plain sockets at both ends" bridge.running
    claim "the bridge's operation keeps the contract" "tracked executor, counting allocator" bridge.conformance
    claim "no heap allocation per frame in a steady state" "malloc and its family, counted" \
        injector.sending --run_test='*/waiting_and*'
    claim_script "the injector costs what the hand-written minimum and trafgen cost, and less than sendmmsg and tcpreplay" \
        "getrusage of each sender, interleaved; the sink counts" scripts/bench.sh transmit --check
}

xdp() {
    NETRING_ASIO_MILLION=1 claim "1 000 000 numbered frames each way, native and generic, one queue and four: each once, none dropped" \
        "another process sends; a plain packet socket at the other end counts and compares" \
        afxdp.socket --run_test='*/frames_come_once*,frames_are_sent*'
    NETRING_ASIO_MILLION=1 claim "overloaded, what is received, dropped and passed is what was sent" "the sender's count" \
        afxdp.socket --run_test='*/overloaded*'
    claim "held frames slow reception and show; every chunk is back at the end, released on any thread" "the ledger" \
        afxdp.socket --run_test='*/held_frames*,the_pin*'
    claim "frames forwarded in place between two interfaces arrive once, in order, and no chunk is lost" \
        "a plain packet socket behind; the ledger" afxdp.socket --run_test='*/frames_go*'
    claim "ping, a gigabyte of TCP and a download cross the XDP bridge: native and generic, one queue and four, with tx off at the ends; native with checksums finished" \
        "ping; iperf3; curl and the checksum of what it loaded" afxdp.bridge --run_test='*/a_gigabyte*'
    claim "the XDP bridge forwards each frame once, in order, in place; filters, changes, tags; link down and up; explain() names checksums and segmentation" \
        "plain packet sockets at both ends; the ledger; the peer's device" \
        afxdp.bridge --run_test='*/frames_go*,a_filter*,a_side*,with_the*,tags*'
    claim "jumbo frames in several chunks, both ways" "a plain packet socket; each byte" \
        afxdp.socket --run_test='*/jumbo*'
    claim "interface down, up and removed; a queue opened a hundred times; nothing left of a killed process; busy is told" \
        "ip link" afxdp.socket --run_test='*/pending*,a_hundred*,nothing_remains*,what_cannot*'
    NETRING_ASIO_MILLION=1 claim "no chunk is lost whatever is cancelled, held, forwarded and dropped, on any thread" \
        "the ledger; sequence numbers; the sender's count" afxdp.load --run_test='*/no_chunk*'
    claim "two sockets of different queues share a memory; neither direction starves the other; frames that the driver refuses (EBUSY) are counted" \
        "the peer's device" afxdp.load --run_test='*/two_sockets*,neither*,frames_that*'
    claim "a kick that takes 32 frames is repeated; EAGAIN, ENOBUFS and ENOMEM lose no frame" \
        "the peer's device; system calls that fail by a seccomp filter" afxdp.load --run_test='*/a_kick*,what_a_kick*'
    claim "frames sent have times, and checksums are left to the device" "the capture at the other end; the clock" \
        afxdp.load --run_test='*/frames_are_stamped*'
    claim "no heap allocation per packet, batch and frame sent" "malloc and its family, counted" \
        afxdp.load --run_test='*/nothing_is*'
    claim "addresses from the rings that are garbage, or of chunks that are not out there, reach no pool and are counted" \
        "rings forged; the ledger" afxdp.load --run_test='*/garbage*'
    NETRING_ASIO_ALL_VERDICTS=1 claim "the program of an expression gives libpcap's verdict" \
        "libpcap's interpreter; the kernel runs the program on the traces' frames" \
        afxdp.program --run_test='*/expressions_give*,what_a*'
    claim "expressions over tags, in the bytes and beside them, give one verdict; in generic mode they are refused" \
        "AF_PACKET on the same wire; libpcap on the file that it wrote" afxdp.program --run_test='*/expressions_over*'
    claim "an object file, a map of another program's and a pinned one" "ip link; frames that arrive" \
        afxdp.program --run_test='*/a_program*'
    claim "connections that are passed over go to the stack" "the kernel runs the program on frames made by hand" \
        afxdp.program --run_test='*/a_bypass*'
    claim "chunk sizes, unaligned chunks, headroom, pages, node, wake-up, busy polling: each is effective, or refused" \
        "each byte; where a frame lies in its chunk; ip link" afxdp.socket --run_test='*/options_of*'
    claim "tags, hashes and times come from the driver where it has them; elsewhere opening is refused" \
        "tags put into metadata at the sender" afxdp.socket --run_test='*/metadata*'
    claim "a latency budget saves wake-ups" "wake-ups counted" afxdp.socket --run_test='*/a_latency*'
    claim "flow_stream takes the socket; explain() names queues and filters" "its words" \
        afxdp.socket --run_test='*/a_flow*,a_queue*,the_rest*'
    claim "receiving, sending and the bridge's run keep the contract" "tracked executor, counting allocator" \
        afxdp.conformance
    claim_script "receiving, sending and forwarding cost what a bare libxdp loop costs, and a latency budget saves wake-ups and CPU time" \
        "clock of the thread, and of the receiver's process, interleaved; the sink counts" scripts/bench.sh xdp --check
}

flow() {
    claim "flows, Community IDs and wrong checksums of the 375 traces, connection states and histories of Zeek's" \
        "tshark's flows and checksums, compared by tools/compare.py's rules; Zeek's own logs" flow.traces
    claim_script "streams of the 375 traces, run by run" "tcpflow, tcptrace and tshark, judged by tools/compare.py" \
        python3 test/flow/streams.py build/dev/example/flow_report "${NETRING_ASIO_TRACES:-../shared/traces}"
    claim "captures replayed across a veth pair give the same flows and streams, times excepted" \
        "the kernel counts what arrives" flow.replay
    claim "any chain of extension headers, every tunnel, nesting, cut and damaged packets within bounds" \
        "the address sanitizer in CI" decode.headers
    claim "TCP options, ARP and the flow that an ICMP error quotes" "bytes made by hand" decode.contents
    claim "fragments in any order, RFC 815 and RFC 5722, budgets" "bytes made by hand" decode.defragmenter
    claim "streams however cut, shuffled, repeated and lost; gaps, budgets, no copy in order, no allocation" \
        "the stream that was cut; malloc and its family, counted" flow.reassembler
    claim "overlaps by the policy as_linux are what Linux makes of them" "a socket of this kernel" flow.linux_overlap
    claim "copies on lo and behind mirrors are dropped, no retransmission is" "the kernel counts what lo sent" flow.dedup
    claim "connections go as Zeek's names and histories say; facts of handshakes; what was lost, late or repeated" \
        "events expected one by one" \
        flow.tracker --run_test='how_connections_go*,a_reset*,what_comes*,facts_of*,a_history*,counters_are*'
    claim "keys of hosts, stations, networks, tunnels and of the user's own; state and timeouts of these" \
        "events expected one by one" flow.tracker --run_test='keys_of*,state_of*,an_extractor*'
    claim "a full table gives up what is worth least" "events expected one by one" \
        flow.tracker --run_test='a_full_table*'
    claim "neither cuts into batches nor growth, one wild stamp or a stepping clock change a result; a flood evicts no connection" \
        "the same packets one by one, undisturbed" flow.properties --run_test='*_changes_nothing,a_flood*'
    claim "connections that mostly carry on are told as they went; a wrong checksum is a letter of Zeek's and no more" \
        "what each generated connection knows of itself" flow.properties --run_test='conversations*,a_wrong*'
    claim "every packet is counted once; time never goes back" "sums of what was tracked" \
        flow.tracker --run_test='one_wild*,time_never*,every_packet*'
    claim_script "tracking at 64 to 10 000 000 flows within the bounds to the hand-written minimum; 50 000 000 attempts evict no connection" \
        "thread CPU time; the events" scripts/bench.sh flow --check
    claim "snapshots of the table while packets are tracked" "the packets that were tracked" flow.snapshot
    claim "conn.log, tab-separated and JSON" "Python reads both" export.conn_log
    claim "IPFIX over UDP and TCP" "nfcapd with nfdump; tshark" export.ipfix
}

sessions() {
    claim "messages of the traces, with each capture that differs and why" "tshark, on the same captures" session.traces
    claim "however bytes are cut, the messages are the same; heads, bodies and names are bounded" \
        "the messages of uncut bytes" session.parsers
    claim "parsers are chosen by port and content; gaps, failures and ends are told; memory keeps to its budget" \
        "events expected one by one" session.stream
    claim "curl over HTTP and HTTPS, dig over UDP and TCP, seen message by message" \
        "curl, dig, Python's server, openssl s_server, dnsmasq" session.live
    NETRING_ASIO_TIMING=1 claim "64 KiB heads, a million fields, the smallest pieces, DNS pointers in chains: work grows with the bytes alone" \
        "processor time of four times the input" session.limits
    claim "beside 999 fast consumers a stopped one pauses the source, or is detached with a told gap; Beast reads captured directions" \
        "bytes that were sent, counted" session.conversations
    claim "taps, dedup and several consumers: files rotate and are never overwritten, triggers, lag; kept in conversions" \
        "libpcap reads the files" session.taps
    NETRING_ASIO_LINES=30 claim_script "what a message costs, parser by parser and from packets, and how often it allocates" \
        "CPU time of the thread; malloc and its family, counted" scripts/bench.sh session
    if command -v cargo >/dev/null; then
        NETRING_ASIO_LINES=30 claim_script "the same beside flowscope's parsers" "CPU time of the thread, in turn" \
            scripts/bench.sh session --peers
    fi
    claim_script "what a fuzzer makes of a corpus breaks no parser, nor makes cuts matter" "libFuzzer, with sanitizers" \
        scripts/fuzz.sh 30
}

subscriptions() {
    claim "frames, connections and messages delivered for 112 expressions, with each that differs and why; not delivers the rest" \
        "tshark's display filters, on the same captures" subscription.traces
    claim_script "what tshark selects is what the test compares with" "tshark" \
        python3 test/subscription/selection.py "${NETRING_ASIO_TRACES:-../shared/traces}" --check
    claim "expressions of every kind, and where a text is wrong" "texts expected one by one" subscription.expression
    claim "frames from the SYN on, in order, each once; not is the complement; batches and company change nothing" \
        "the packets that were made" subscription.engine --run_test='*/frames*,not_*,fields*,cuts*,fragments*,a_predicate*'
    NETRING_ASIO_MILLION=1 claim "nothing is kept of connections that can no longer match, over a million of them" \
        "counters of the engine; resident pages, as the kernel counts them" \
        subscription.engine --run_test='*/nothing*,what_is*,what_does*'
    claim "receives, functions, channels to other threads, a source held up; live, pushed down, cut and alone the deliveries are the same" \
        "the same packets from memory" subscription.stream
    claim "the same from a file and over AF_XDP, with a program pushed down and connections bypassed; a connection that was bypassed says so" \
        "the same packets from memory; counters of the program" afxdp.subscriptions --run_test='*/wherever*,a_connection*'
    claim "a bypass passes its connections but not their ends, nor fragments, tags or ICMP errors" \
        "the kernel's test run of the program" afxdp.program --run_test='*/a_bypass*'
    claim "a decided connection is bypassed until it ends, begins again, or somebody subscribes" \
        "a bypass made of the test" subscription.engine --run_test='*/a_connection*,what_was*,with_a*'
    claim "frames held for ever stop nothing beyond the pin budget; all come back when socket and context are gone, on another thread" \
        "the ledger of the memory" afxdp.subscriptions --run_test='*/frames_held*'
    claim "the same over a ring of blocks, which is not held up either" "numbers in the frames; the ledger of the ring" \
        subscription.stream --run_test='*/frames_held*'
    claim "what frames pin moves out of the kernel's way while another thread releases it" \
        "numbers in the frames; the thread sanitizer in CI" afpacket.ring --run_test='*/what_frames*,frames_pin*'
    claim_script "an example writes each TLS connection to some names, from its SYN on, and logs the handshake" "tshark" \
        python3 test/example/tls_frames.py build/dev/example/tls_frames "${NETRING_ASIO_TRACES:-../shared/traces}"
    claim "frames held for ever; all come back, released on another thread" "the ledger of the test" \
        subscription.engine --run_test='*/held*'
    claim_script "ten subscriptions of which none matches cost less than 25 ns a packet over tracking" \
        "thread CPU time, interleaved, medians" scripts/bench.sh subscription --check
}

packages() {
    claim_script "consumers: installed, with pkg-config, in their own tree, by FetchContent with shared libraries; each component loads what it needs, another Asio does not link" \
        "CMake, ldd, readelf and the linker" ctest --preset dev -C whole -R '^consumer\.'
    claim_script "the recipe for ConanCenter makes a package" "Conan without a remote" scripts/conan.sh center
    if [ -n "${VCPKG_ROOT-}" ]; then
        claim_script "the overlay port, static and shared" "vcpkg without downloads" scripts/vcpkg.sh
    else
        say "not shown: the overlay port (set VCPKG_ROOT to a tree of vcpkg with its tool)"
    fi
    claim_script "what a browser shows of the live view is what was sent; 10 000 new flows a second lose nothing" \
        "headless Chromium; the kernel's counters and tcpdump" \
        python3 test/example/live_view.py build/dev/example/live_view/live_view --load 10
    claim_script "each example program does what it says, ends in time, and says what stands against it" \
        "the other end of a veth pair, tcpdump" \
        python3 test/example/short.py build/dev/example/short example/short
    scripts/docs.sh >/dev/null && cmake --install build/dev --prefix build/installed >/dev/null
    claim_script "the programs of the tutorials, copied out of the guide, build with the installed library and run" \
        "the same" \
        python3 test/example/tutorial.py build/doc/index.html build/installed example/short
    if command -v cargo >/dev/null; then
        claim_script "the program of the guide that uses netring is one" "cargo" \
            cargo check --quiet --locked --manifest-path example/migration/netring/Cargo.toml --target-dir build/netring
    fi
    local what
    for what in demo conan cmake tests; do # README's two commands are the first and the last
        claim_script "from nothing: $what" "a bare Debian 12, made for it" scripts/bare_debian.sh "$what"
    done
}

async() {
    claim "senders: results, errors, stops, siblings, coroutines, schedulers, what is abandoned; stop requests race with packets and lose none" \
        "sequence numbers; the thread sanitizer in CI" sender.programs
    claim "shards: both directions and all fragments of a flow reach one shard, IPv4 and IPv6, in tunnels and behind tags" \
        "numbers in the frames" shards.running --run_test='*/both*,also_in*,by_ports*,by_flow*,fragments*'
    claim "four shards find the flows that one finds; their events merge in order" "a single capture beside them" \
        shards.running --run_test='*/four*'
    claim "stopped in a flood every packet of the rings is delivered; limits, failures, processors" "the kernel's counters" \
        shards.running --run_test='*/stopped*,who*,a_failure*,what_cannot*,each*'
    claim "shards over the queues of an AF_XDP interface, each packet once; what the device's hashing gives" \
        "the kernel's queue number in each packet" afxdp.load --run_test='*/shards*'
    claim "memory of the shard's node on request" "the kernel's word on each thread's policy" \
        shards.running --run_test='*/memory*'
    claim "several sources as one, in the order of time; a silent one holds nothing up beyond the bound" \
        "the times of the packets" stream.flow_stream --run_test='*/merged*,a_silent*'
    claim "who spins leaves time to others, hears of cancellation and the link; spinning in vain becomes rare" \
        "sequence numbers; a timer beside it" capture.receiving --run_test='*/who_spins*,spinning*'
    claim "cancel and close posted to the strand while batches are released and statistics read on other threads" \
        "sequence numbers; the thread sanitizer in CI" capture.receiving --run_test='*/cancel_and*'
    claim "nothing is allocated from capture to flow events and subscriptions" "malloc and its family, counted" \
        stream.allocations
    NETRING_ASIO_LINES=30 claim_script "two shards beside one and beside two independent processes, with the same flows; what operations and events cost" \
        "wall time and thread CPU time" scripts/bench.sh async --check
    NETRING_ASIO_LINES=30 claim_script "from a sender's stamp to a handler, beside a bare loop, libpcap and netring" \
        "the monotonic clock; an A/A pair" scripts/bench.sh latency --check
    claim "the low-latency ring: each packet at once, once and in order; held, released, filtered, cut; a budget saves wake-ups" \
        "sequence numbers; wake-ups counted" afpacket.slots
    claim_script "every operation keeps the contract with every token: doc/conformance.md" \
        "tracked executor, counting allocator, malloc and its family" scripts/conformance.sh
}

groups="foundation, transmit, xdp, flow, sessions, subscriptions, async, packages"
[ $# = 1 ] || fail "Usage: scripts/verify.sh GROUP, one of: $groups"
[[ ", $groups, " = *", $1, "* ]] || fail "There is no group $1, only: $groups"
declare -F "$1" >/dev/null || fail "The group $1 has nothing to show yet."
[ "$(id -u)" = 0 ] || fail "The benchmark among the claims needs root."
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
configure dev
build dev >/dev/null
"$1"
say "$held passed, $short failed"
[ "$short" = 0 ]
