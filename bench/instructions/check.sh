#!/usr/bin/env bash
# check.sh BENCH_RECEIVE BOUNDS BUILD_TYPE: instructions that each candidate executes for one packet more, counted by
# callgrind between the start and the end of reading a full ring. The counts depend on the compiler and not on the
# machine or its load. Skipped (77) where there is nothing to count with or on.
set -euo pipefail
program=$1 bounds=$2 build_type=$3

skip() {
    echo "skipped: $*" >&2
    exit 77
}
[ "$build_type" = Release ] || skip "instructions are counted in a release build"
command -v valgrind >/dev/null || skip "valgrind is not installed"
# Where only a user namespace may have networks, the program starts itself again, and valgrind does not follow.
unshare --net true 2>/dev/null || skip "needs root for a private network"

# count CANDIDATE PACKETS
count() {
    local log
    log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*::drain(unsigned long)' \
        "$program" --drain-once "$1" --drain-packets "$2" 2>&1) || {
        echo "$log" >&2
        exit 1
    }
    # Programs that it started are counted too, but not reached by the option.
    sed -n 's/.*Collected : //p' <<<"$log" | sort -n | tail -n 1
}

packets=50000 status=0
while read -r candidate bound; do
    few=$(count "$candidate" $packets)
    many=$(count "$candidate" $((2 * packets)))
    hundredths=$(((many - few) * 100 / packets))
    figure=$(printf '%d.%02d' $((hundredths / 100)) $((hundredths % 100)))
    if [ "$hundredths" -gt 0 ] && [ "$hundredths" -le $((bound * 100)) ]; then
        echo "$candidate: $figure instructions a packet, at most $bound"
    else
        echo "$candidate: $figure instructions a packet, MORE than $bound or none at all"
        status=1
    fi
done < <(grep -v '^#' "$bounds")
exit $status
