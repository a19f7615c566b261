#!/usr/bin/env bash
# scripts/bare_debian.sh [demo] [conan] [cmake] [tests] | -- command
# Runs what a newcomer runs on a bare Debian 12, with timings, each from nothing in a root folder of its own: the README's
# two commands, the Conan consumer, the CMake consumer; or those named; or the given shell command. The roots are made
# from this machine's package sources with a copy of the last commit in them, and removed at the end. Needs root.
source "$(dirname "$0")/common.sh"
[ "$(id -u)" = 0 ] || fail "This needs root: it makes a root folder and enters it."
install_packages mmdebstrap git

work=$(mktemp -d /var/tmp/bare_debian.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
bare=$work/bare
mapfile -t sources < <(grep -lrE 'bookworm( |$)' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null)
[ ${#sources[@]} -gt 0 ] || fail "No package sources of Debian 12 on this machine."
mmdebstrap --quiet --variant=apt bookworm "$bare" "${sources[@]}" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2 && fail "mmdebstrap could not make a root."; }
mkdir "$bare/netring_asio"
git archive HEAD | tar -x -C "$bare/netring_asio"
# The network as it is here, with the authorities that this machine trusts.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/*; do
    [ ! -e "$file" ] || { mkdir -p "$bare${file%/*}" && cp -L "$file" "$bare$file"; }
done

# Run inside, in the folder of the sources.
cat >"$bare/inside.sh" <<'END'
set -u
cd /netring_asio
export HOME=/tmp TERM=dumb

# A user's program and the eight lines of CMake in README.md.
cmake_consumer() {
    . scripts/common.sh
    install_packages "${BUILD_PACKAGES[@]}"
    cmake --preset package
    cmake --build --preset package
    cmake --install build/package
    cmake -S test_package -B /tmp/consumer -G Ninja -DCOMPONENTS=core,flow,export,session,subscription,xdp
    cmake --build /tmp/consumer
    for program in /tmp/consumer/consumer_*; do "$program"; done
    readme_program /tmp/watch
    cmake -S /tmp/watch -B /tmp/watch/build -G Ninja
    cmake --build /tmp/watch/build
    status=0
    timeout 2 /tmp/watch/build/watch lo || status=$?
    [ "$status" = 124 ] # it watches until it is told to stop
}

# timed NAME command...
timed() {
    local name=$1 status=0
    local TIMEFORMAT="$name: %R s, %U s and %S s of processor time"
    shift
    time "$@" </dev/null >/tmp/log 2>&1 || status=$?
    grep -hE '^[0-9]+% tests passed' /tmp/log
    [ "$status" = 0 ] || { tail -n 100 /tmp/log && echo "$name: FAILED" && exit 1; }
}

case $1 in
demo)
    timed "scripts/demo.sh, from nothing" scripts/demo.sh
    grep -q 'ended (fin) tcp 10.78.0.1' /tmp/log || { echo "scripts/demo.sh: FAILED: it showed no flow" && exit 1; }
    timed "scripts/demo.sh, again" scripts/demo.sh
    ;;
conan) timed "the Conan packages, static and shared, and their consumers, from nothing" scripts/conan.sh ;;
cmake) timed "the CMake package and its consumers, from nothing" bash -c "$(declare -f cmake_consumer); set -e; cmake_consumer" ;;
tests) timed "scripts/test.sh, from nothing" scripts/test.sh ;;
*) timed "$1" sh -c "$1" ;;
esac 2>&1
END

# inside WHAT: in a fresh copy of the root.
inside() {
    local root=$work/root
    cp -a "$bare" "$root"
    in_root "$root" /bin/bash /inside.sh "$1"
    rm -rf --one-file-system "$root"
}

if [ "${1-}" = -- ]; then
    inside "$2"
else
    [ $# -gt 0 ] || set -- demo conan cmake tests
    for what; do
        case $what in
        demo | conan | cmake | tests) inside "$what" ;;
        *) fail "usage: scripts/bare_debian.sh [demo] [conan] [cmake] [tests] | -- command" ;;
        esac
    done
fi
