#!/usr/bin/env bash
# scripts/tidy.sh [clang-tidy option...]
# clang-tidy over the libraries, a folder of src/ at a time: what all its files include is looked at once. The files are
# joined rather than included, since the analyzer leaves included code out.
source "$(dirname "$0")/common.sh"
install_packages "${BUILD_PACKAGES[@]}" "${CLANG_PACKAGES[@]}"
mkdir -p build/tidy

# tidy option... FOLDER: its files as one.
tidy() {
    local folder=${*: -1} joined file
    joined=build/tidy/$(basename "$folder").cpp
    for file in "$folder"/*.cpp; do
        printf '#line 1 "%s"\n' "$file"
        cat "$file"
    done >"$joined"
    clang-tidy-19 --quiet "${@:1:$#-1}" "$joined" -- -std=c++20 -Iinclude -iquote "$folder"
}
export -f tidy
find src -name '*.cpp' -printf '%h\0' | sort -zu | xargs -0 -P "$(nproc)" -n 1 bash -c 'tidy "$@"' - "$@"
