#!/usr/bin/env bash
# scripts/fuzz.sh [SECONDS]: each parser's fuzzer for so long (10), from the corpus in fuzz/corpus.
# What it finds is added to build/fuzz/corpus, what fails lies in build/fuzz.
source "$(dirname "$0")/common.sh"
install_packages "${BUILD_PACKAGES[@]}" "${CLANG_PACKAGES[@]}" libclang-rt-19-dev
configure fuzz
build fuzz >/dev/null

status=0
for program in build/fuzz/fuzz/fuzz.*; do
    [ -x "$program" ] && [ -f "$program" ] || continue
    name=${program##*/fuzz.}
    mkdir -p "build/fuzz/corpus/$name"
    if "$program" -max_total_time="${1-10}" -timeout=5 -rss_limit_mb=1024 -max_len=20000 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "fuzz/corpus/$name" >"build/fuzz/$name.log" 2>&1; then
        say "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log") inputs"
    else
        status=1
        say "$name: FAILED"
        tail -n 40 "build/fuzz/$name.log"
    fi
done
exit "$status"
