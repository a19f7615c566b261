#!/usr/bin/env bash
# scripts/verify.sh [GROUP...]
# Shows what the project claims: runs the programs of test/verify/GROUP (by default of all groups), one after the other
# on an otherwise idle machine, and prints each claim with its figure and its observer. Fails where one falls short.
source "$(dirname "$0")/common.sh"

groups=("$@")
[ $# -gt 0 ] || mapfile -t groups < <(find test/verify -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort)
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
configure release -B build/verify -DNETRING_ASIO_BUILD_BENCHMARKS=OFF
cmake --build build/verify --parallel "$(nproc)" --target verify >build/verify/build.log ||
    { cat build/verify/build.log >&2 && fail "The build failed."; }

held=0 short=0
for group in "${groups[@]}"; do
    [ -d "test/verify/$group" ] || fail "There is no group $group in test/verify."
    say "== $group"
    for program in build/verify/test/verify."$group".*; do
        if "$program"; then held=$((held + 1)); else short=$((short + 1)); fi
    done
done
say "$held passed, $short failed"
[ "$short" = 0 ]
