#!/usr/bin/env bash
# scripts/conformance.sh
# Examines every operation with every token and writes doc/conformance.md, the table of what holds. Fails where something
# does not.
source "$(dirname "$0")/common.sh"
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
configure dev
mapfile -t programs < <(git grep -l 'conformance::verify<' -- test | sed -n 's|^test/\(.*\)/\(.*\)\.cpp$|test.\1.\2|p' | grep -v '^test\.self\.')
build dev --target "${programs[@]}" >/dev/null
for program in "${programs[@]}"; do
    "build/dev/test/$program" --color_output=no --log_level=message </dev/null 2>&1 |
        sed -n "s/^conformance: /$(cut -d. -f2 <<<"$program")\t/p"
done | python3 scripts/conformance_table.py >build/conformance.md
mv build/conformance.md doc/conformance.md
grep -c '^| `' doc/conformance.md
! grep 'NO' doc/conformance.md
