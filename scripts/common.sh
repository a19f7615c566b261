# Sourced by the other scripts: bash, errors stop, the working directory is the project's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BUILD_PACKAGES=(g++ cmake ninja-build pkg-config libboost1.81-dev libboost-test1.81-dev
    libboost-program-options1.81-dev libboost-json1.81-dev libpcap-dev libre2-dev libssl-dev libxdp-dev libbpf-dev)
TEST_PACKAGES=(iproute2 ethtool iperf3 curl iputils-ping tcpdump tshark tcpreplay netsniff-ng nfdump python3 chromium
    openssl dnsmasq-base bind9-dnsutils)
DEMO_PACKAGES=(iproute2 iputils-ping util-linux python3 curl dnsmasq-base dnsutils)
CLANG_PACKAGES=(clang-19 libclang-rt-19-dev clang-tidy-19 clang-format-19)
BENCH_PACKAGES=(iproute2 libbpf-dev netsniff-ng python3 tcpreplay valgrind)
DOC_PACKAGES=(asciidoctor doxygen pandoc python3 ruby-rouge)
CONAN_PACKAGES=(python3-venv)

say() { printf '%s\n' "$@"; }
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# install_packages NAME...: installs with apt what is missing, or says what to install.
install_packages() {
    command -v dpkg-query >/dev/null || fail "This script installs Debian packages; elsewhere install: $*"
    local name missing=()
    for name; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || fail "Missing packages. Install them as root and start this script again:
    apt-get install ${missing[*]}"
    say "Installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local try log
    log=$(mktemp)
    for try in 1 2 3; do
        if { apt-get -qq update && apt-get -qq install -y --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
            rm -f "$log"
            return 0
        fi
        sleep $((5 * try))
    done
    cat "$log" >&2
    rm -f "$log"
    fail "apt-get could not install: ${missing[*]}"
}

# configure PRESET [option...]: with the compiler cache where there is one. Where nobody debugs, line numbers are enough,
# and take a sixth less time.
configure() {
    local options=()
    ! command -v ccache >/dev/null || options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    [ "${CI-}" != true ] || options+=(-DCMAKE_CXX_FLAGS_DEBUG=-g1)
    cmake --preset "$1" "${options[@]}" "${@:2}" >/dev/null
}

# readme_program FOLDER: the first program of README.md, and its CMakeLists.txt.
readme_program() {
    mkdir -p "$1"
    awk '/^```cpp/ { on = 1; next } /^```/ { on = 0 } on' README.md >"$1/watch.cpp"
    awk '/^```cmake/ { on = 1; next } /^```/ { on = 0 } on' README.md >"$1/CMakeLists.txt"
}

build() { cmake --build --preset "$1" --parallel "$(nproc)" "${@:2}"; }

# in_root FOLDER command...: as in a system of its own, with what programs expect of a running one mounted.
in_root() {
    unshare --mount --pid --fork --kill-child bash -ec '
        mount --make-rprivate /
        mount --bind "$0" "$0" # a root is a mount point
        mount --rbind /dev "$0/dev"
        mount --rbind /sys "$0/sys"
        mount -t proc proc "$0/proc"
        mount -t tmpfs run "$0/run"
        exec chroot "$0" "$@"' "$@"
}
