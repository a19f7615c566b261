#!/usr/bin/env bash
# scripts/bench.sh [receive] [--check] [--rounds N] [bench.receive option...]
# Builds the release, measures capture beside the hand-written minimum and libpcap, prints a table and writes
# build/bench/receive.json. --check makes missed aims an error; --rounds sets the rounds at each rate (5; 20 for a
# figure to be published). Wants root, two processors, and a machine that has nothing else to do.
source "$(dirname "$0")/common.sh"

subject=receive check=() options=()
case ${1-} in
receive) shift ;;
-* | "") ;;
*) fail "There is no benchmark of \"$1\", only of: receive" ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
    --check) check=(--check) ;;
    --rounds)
        options+=(--paced-rounds "${2?"--rounds needs a number"}")
        shift
        ;;
    *) options+=("$1") ;;
    esac
    shift
done

[ "$(id -u)" = 0 ] || say "Not root: the generator will not send from within the kernel, and share the machine with what is measured."
install_packages "${BUILD_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
configure release
build release --target "bench.$subject"
mkdir -p build/bench
say "Measuring; this takes some minutes."
"build/release/bench/bench.$subject" "${options[@]}" |
    python3 bench/report.py --json "build/bench/$subject.json" "${check[@]}"
