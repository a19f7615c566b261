#!/usr/bin/env bash
# scripts/bench.sh [receive|transmit|xdp] [--check] [--rounds N] [bench.SUBJECT option...]
# Builds the release, measures capture, injector, or xdp_socket, beside the hand-written minimum and other programs, prints a table
# and writes build/bench/SUBJECT.json. --check makes missed aims an error; --rounds sets the rounds of each setting (5
# and 10; 20 for a figure to be published). Wants root, two processors, and a machine that has nothing else to do.
# scripts/bench.sh session [--json]: what messages cost, each parser by itself and the whole way from packets.
source "$(dirname "$0")/common.sh"

if [ "${1-}" = session ]; then
    install_packages "${BUILD_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
    configure release
    build release --target bench.session >/dev/null
    exec build/release/bench/bench.session "${@:2}"
fi
subject=receive check=() options=()
case ${1-} in
receive | transmit | xdp)
    subject=$1
    shift
    ;;
-* | "") ;;
*) fail "There is no benchmark of \"$1\", only of: receive, transmit, xdp, session" ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
    --check) check=(--check) ;;
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
say "Measuring; this takes some minutes."
"build/release/bench/bench.$subject" "${options[@]}" |
    python3 bench/report.py --json "build/bench/$subject.json" "${check[@]}"
