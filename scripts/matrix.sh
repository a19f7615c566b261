#!/usr/bin/env bash
# scripts/matrix.sh [NAME...]
# Builds the library and the tests of what depends on compiler and Asio, and runs these, with each combination:
#   gcc12     g++ 12 and Boost 1.81, as CI has them
#   clang19   clang 19 and Boost 1.81
#   io_uring  g++ 12 and Boost 1.81, with Asio over io_uring
#   debian13  g++ 14 and Boost 1.88
#   debian13_clang19, debian13_io_uring
# The last three in a Debian 13 that it makes in a folder, from this machine's package sources, and removes at the end;
# or in the one whose folder NETRING_ASIO_DEBIAN13 names, which it makes where there is none and leaves there. The last
# commit is built. Needs root. NETRING_ASIO_MATRIX_TESTS is a regular expression of the tests, as FOLDER/NAME.
source "$(dirname "$0")/common.sh"
[ "$(id -u)" = 0 ] || fail "This needs root: the tests capture packets, and Debian 13 is entered."

all=(gcc12 clang19 io_uring debian13 debian13_clang19 debian13_io_uring)
tests=${NETRING_ASIO_MATRIX_TESTS-"(capture|injector|pcap|stream)/conformance|capture/receiving|sender/programs|shards/running"}
uring="-DBOOST_ASIO_HAS_IO_URING -DBOOST_ASIO_DISABLE_EPOLL"

# The flags of a combination; the rest is common.
flags() {
    case $1 in
    *io_uring) say "-DCMAKE_CXX_FLAGS=$uring" "-DCMAKE_CXX_STANDARD_LIBRARIES=-luring" ;;
    *clang19) say "-DCMAKE_CXX_COMPILER=clang++-19" ;;
    *) say "-DCMAKE_CXX_COMPILER=g++" ;;
    esac
}

# build_and_run FOLDER FLAG...: in the source tree that is the working directory.
build_and_run() {
    local launcher=()
    ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    cmake -S . -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DNETRING_ASIO_BUILD_EXAMPLES=OFF -DNETRING_ASIO_INSTALL=OFF \
        -DNETRING_ASIO_TESTS="$tests" "${launcher[@]}" "${@:2}" &&
        cmake --build "$1" && ctest --test-dir "$1" --output-on-failure -E '^misuse\.'
}

in_debian13() {
    rm -rf --one-file-system "$root/netring_asio"
    mkdir "$root/netring_asio"
    git archive HEAD | tar -x -C "$root/netring_asio"
    # The function runs inside as it is here.
    in_root "$root" /bin/bash -c "cd /netring_asio && export HOME=/tmp tests=\$1; $(declare -f build_and_run); build_and_run \"\${@:2}\"" \
        inside "$tests" "$@"
}

make_debian13() {
    [ -z "$root" ] || return 0
    if [ -n "${NETRING_ASIO_DEBIAN13-}" ]; then
        root=$NETRING_ASIO_DEBIAN13
    else
        root=$(mktemp -d /var/tmp/debian13.XXXXXX)
        trap 'rm -rf --one-file-system "$root"' EXIT
    fi
    [ ! -x "$root/usr/bin/g++" ] || return 0
    install_packages mmdebstrap
    local mirror packages
    mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
        sed -n 's|^URIs: *\(.*/debian\)/*$|\1|p; s|^deb \(http[^ ]*/debian\)/* .*|\1|p' | sed q) || true
    packages="${BUILD_PACKAGES[*]} iproute2 ethtool liburing-dev clang-19"
    packages=${packages//boost1.81/boost1.88} packages=${packages//boost-test1.81/boost-test1.88}
    packages=${packages//boost-program-options1.81/boost-program-options1.88} packages=${packages//boost-json1.81/boost-json1.88}
    mmdebstrap --quiet --variant=apt --include="${packages// /,}" trixie "$root" \
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >/dev/null ||
        fail "mmdebstrap could not make a Debian 13."
}

root= passed=0 failed=0
mkdir -p build/matrix
for name in "${@:-${all[@]}}"; do
    [[ " ${all[*]} " = *" $name "* ]] || fail "There is no combination $name, only: ${all[*]}"
    mapfile -t options < <(flags "$name")
    begin=$SECONDS
    log=$PWD/build/matrix/$name.log
    if [[ $name = debian13* ]]; then
        make_debian13
        run=(in_debian13 "/tmp/$name")
    else
        install_packages "${BUILD_PACKAGES[@]}" clang-19 liburing-dev
        run=(build_and_run "build/matrix/$name")
    fi
    if "${run[@]}" "${options[@]}" </dev/null >"$log" 2>&1; then
        passed=$((passed + 1))
        say "$name: $(grep -E 'tests passed|100% ' "$log" | tail -n 1), $((SECONDS - begin)) s"
    else
        failed=$((failed + 1))
        say "$name: FAILED, see $log"
        grep -E 'error:|\*\*\*Failed|FAILED' "$log" | head -n 20
    fi
done
say "$passed passed, $failed failed"
[ "$failed" = 0 ]
