#!/usr/bin/env bash
# scripts/test.sh [--preset dev|release|asan|tsan] [ctest option...]
# Installs what is missing (as root), builds, runs every test. Tests make their traffic in network namespaces of their
# own, which vanish with them; what was built stays in build/PRESET.
source "$(dirname "$0")/common.sh"

preset=dev
if [ "${1-}" = --preset ]; then
    preset=${2?"--preset needs a name"}
    shift 2
fi
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
case $preset in
asan | tsan) install_packages "${CLANG_PACKAGES[@]}" ;;
release) install_packages "${BENCH_PACKAGES[@]}" ;;
esac
configure "$preset"
build "$preset"

# The thread sanitizer's memory map wants less randomisation than some kernels use.
runner=()
if [ "$preset" = tsan ] && [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ]; then
    runner=(setarch -R)
fi
status=0
"${runner[@]}" ctest --preset "$preset" --output-on-failure "$@" || status=$?

# A test that could not run is no test: what is skipped must be expected where everything is there, as in CI.
skips=$(grep -h '^skipped: ' "build/$preset/Testing/Temporary/LastTest.log" | sort -u || true)
unexpected=$(grep -vxFf test/expected_skips.txt <<<"$skips" | grep . || true)
if [ -n "$unexpected" ]; then
    say "Tests that could not run:" "$unexpected"
    [ "${CI-}" != true ] || status=1
fi
exit "$status"
