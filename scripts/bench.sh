#!/usr/bin/env bash
# scripts/bench.sh [receive|transmit|xdp|flow] [--check] [--rounds N] [--peers] [bench.SUBJECT option...]
# Builds the release, measures capture, injector, xdp_socket or the flow engine beside the hand-written minimum and other
# programs, prints a table and writes build/bench/SUBJECT.json. --check makes missed aims an error; --rounds sets the
# rounds of each setting (5 and 10; 20 for a figure to be published), but not of flow; --peers measures, after flow,
# flowscope, gopacket and libtins on the same packets, where cargo and go can fetch them. Wants root, two processors, and
# a machine that has nothing else to do.
# scripts/bench.sh session [--json | --peers]: what messages cost, each parser by itself and the whole way from packets;
# with --peers beside flowscope's parsers on the same conversations, where cargo can fetch them.
# scripts/bench.sh async [operations | shards] [--check]: what an operation costs by token, events through batches and channels,
# and what a second shard is worth.
# scripts/bench.sh latency [option...]: from a sender's stamp to a handler; --help tells the options. With netring on Tokio
# where cargo can fetch it.
# scripts/bench.sh subscription [--check]: what subscriptions that match nothing cost, in memory and behind a filter in the kernel.
source "$(dirname "$0")/common.sh"

case ${1-} in
session | async | latency)
    install_packages "${BUILD_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
    configure release
    build release --target "bench.$1" >/dev/null
    if [ "$1" = latency ] && command -v cargo >/dev/null &&
        cargo build --quiet --release --locked --manifest-path bench/peers/netring/Cargo.toml --target-dir build/peers/netring; then
        set -- "$@" --netring "$PWD/build/peers/netring/release/netring-peer"
    fi
    if [ "$*" = "session --peers" ]; then
        peers=$PWD/build/peers/flowscope
        cargo build --quiet --release --locked --manifest-path bench/peers/flowscope/Cargo.toml --target-dir "$peers"
        exec python3 bench/peers/messages.py build/release/bench/bench.session "$peers/release/flowscope-messages"
    fi
    exec "build/release/bench/bench.$1" "${@:2}"
    ;;
esac
if [ "${1-}" = subscription ]; then
    install_packages "${BUILD_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
    configure release
    build release --target bench.subscription >/dev/null
    build/release/bench/bench.subscription 20 "${@:2}"
    exec build/release/bench/bench.subscription 10 pushed-down
fi
subject=receive check=() options=() peers=
case ${1-} in
receive | transmit | xdp | flow)
    subject=$1
    shift
    ;;
-* | "") ;;
*) fail "There is no benchmark of \"$1\", only of: receive, transmit, xdp, flow, session, async, latency, subscription" ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
    --check) check=(--check) ;;
    --peers) peers=yes ;;
    --rounds)
        [ "$subject" = receive ] && name=--paced-rounds || name=--rounds
        options+=("$name" "${2?"--rounds needs a number"}")
        shift
        ;;
    *) options+=("$1") ;;
    esac
    shift
done

[ "$(id -u)" = 0 ] || [ "$subject" = transmit ] || say "Not root: the generator will not send from within the kernel, and share the machine with what is measured."
install_packages "${BUILD_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
configure release
build release --target "bench.$subject"
mkdir -p build/bench

measure_peers() {
    local built=() to=$PWD/build/peers
    mkdir -p "$to"
    if command -v cargo >/dev/null; then
        cargo build --quiet --release --locked --manifest-path bench/peers/flowscope/Cargo.toml --target-dir "$to/flowscope"
        built+=("$to/flowscope/release/flowscope-peer")
    else
        say "There is no cargo, so flowscope is left out."
    fi
    if command -v go >/dev/null; then
        (cd bench/peers/gopacket && go build -o "$to/gopacket-peer" .)
        built+=("$to/gopacket-peer")
    else
        say "There is no go, so gopacket is left out."
    fi
    install_packages libtins-dev
    c++ -std=c++20 -O3 bench/peers/libtins/main.cpp -ltins -o "$to/peer.libtins"
    python3 bench/peers/compare.py "${check[@]}" "$to" build/release/bench/bench.flow "${built[@]}" "$to/peer.libtins"
}

say "Measuring; this takes some minutes."
if [ "$subject" = flow ]; then
    status=0
    build/release/bench/bench.flow --json build/bench/flow.json "${check[@]}" "${options[@]}" || status=$?
    [ -z "$peers" ] || measure_peers || status=$?
    exit "$status"
fi
"build/release/bench/bench.$subject" "${options[@]}" |
    python3 bench/report.py --json "build/bench/$subject.json" "${check[@]}"
