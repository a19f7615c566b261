#!/usr/bin/env bash
# scripts/bare_debian.sh [command]
# Makes a bare Debian 12 in a folder, from this machine's package sources, with a copy of the last commit in it, and runs
# there, from nothing, what a newcomer runs, with timings: the README's two commands, the Conan consumer, the CMake
# consumer; or the given shell command. The folder is removed at the end. Needs root.
source "$(dirname "$0")/common.sh"
[ "$(id -u)" = 0 ] || fail "This needs root: it makes a root folder and enters it."
install_packages mmdebstrap git

root=$(mktemp -d /var/tmp/bare_debian.XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT
mapfile -t sources < <(grep -lrE 'bookworm( |$)' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null)
[ ${#sources[@]} -gt 0 ] || fail "No package sources of Debian 12 on this machine."
mmdebstrap --quiet --variant=apt bookworm "$root" "${sources[@]}" >/dev/null 2>&1 || fail "mmdebstrap could not make a root."
mkdir "$root/netring_asio"
git archive HEAD | tar -x -C "$root/netring_asio"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do # the network as it is here
    [ ! -e "$file" ] || { mkdir -p "$root${file%/*}" && cp -L "$file" "$root$file"; }
done

cat >"$root/inside.sh" <<'END'
set -u
cd /netring_asio
export HOME=/tmp TERM=dumb
timed() {
    local name=$1 start=$SECONDS
    shift
    if "$@" </dev/null >/tmp/log 2>&1; then
        echo "$name: $((SECONDS - start)) s"
    else
        tail -n 60 /tmp/log
        echo "$name: FAILED after $((SECONDS - start)) s"
        exit 1
    fi
}
cmake_consumer() {
    cmake -S . -B /tmp/library -G Ninja -DCMAKE_BUILD_TYPE=Release -DNETRING_ASIO_BUILD_TESTS=OFF -DNETRING_ASIO_BUILD_EXAMPLES=OFF &&
        cmake --build /tmp/library && cmake --install /tmp/library --prefix /tmp/prefix &&
        cmake -S test_package -B /tmp/consumer -G Ninja -DCMAKE_PREFIX_PATH=/tmp/prefix && cmake --build /tmp/consumer &&
        /tmp/consumer/consumer_core && /tmp/consumer/consumer_flow
}
if [ $# -gt 0 ]; then
    timed "$1" sh -c "$1"
else
    timed "scripts/demo.sh, from nothing" scripts/demo.sh
    timed "scripts/demo.sh, again" scripts/demo.sh
    timed "the Conan package and its consumer" scripts/conan.sh
    timed "the CMake package and its consumer" cmake_consumer
    timed "scripts/test.sh" scripts/test.sh
fi
END
unshare --mount --pid --fork --kill-child bash -ec '
    mount --make-rprivate /
    mount --rbind /dev "$0/dev"
    mount --rbind /sys "$0/sys"
    mount -t proc proc "$0/proc"
    mount -t tmpfs run "$0/run"
    exec chroot "$0" /bin/bash /inside.sh "$@"' "$root" "$@"
