#!/usr/bin/env bash
# Shows live flow events: builds the flow_monitor example, joins two private network namespaces by a veth pair, has real
# programs talk over it, and watches. Stops by itself; everything is gone with the namespaces.
source "$(dirname "$0")/common.sh"

server=10.78.0.2 server6=fd00:78::2
monitor=build/demo/example/flow_monitor

talk() { # what a host does in a few seconds
    curl -s -o /dev/null "http://$server:8080/"
    dig +short +tries=1 +time=1 "@$server" www.demo.example >/dev/null
    ping -q -c 3 -i 0.3 "$server" >/dev/null
    curl -s -o /dev/null -H 'Connection: close' "http://$server:8080/large.bin"
    curl -s -o /dev/null "http://$server:81/" || true # nobody listens there: a reset
    dig +short +tries=1 +time=1 +tcp "@$server" mail.demo.example >/dev/null
    curl -s -g -o /dev/null "http://[$server6]:8080/"
    ping -q -c 2 -i 0.3 "$server6" >/dev/null
}

# In the namespace of the client; descriptor 9 is the namespace of the server.
client() {
    at_server() { nsenter --net=/proc/self/fd/9 "$@"; }
    ip link add demo0 type veth peer name demo1 netns /proc/self/fd/9
    ip link set demo0 addrgenmode none
    at_server ip link set demo1 addrgenmode none
    ip link set lo up
    ip addr add 10.78.0.1/24 dev demo0
    ip -6 addr add fd00:78::1/64 dev demo0 nodad
    ip link set demo0 up
    at_server ip link set lo up
    at_server ip addr add $server/24 dev demo1
    at_server ip -6 addr add $server6/64 dev demo1 nodad
    at_server ip link set demo1 up

    files=$(mktemp -d)
    trap 'rm -rf "$files"' EXIT
    head -c 5000000 /dev/zero >"$files/large.bin"
    at_server python3 -m http.server --bind :: --directory "$files" 8080 >/dev/null 2>&1 &
    at_server dnsmasq --no-daemon --conf-file=/dev/null --pid-file= --no-resolv \
        --no-hosts --address=/demo.example/$server --listen-address=$server,127.0.0.1 --bind-interfaces \
        >/dev/null 2>&1 &
    local try
    for try in {1..50}; do
        curl -s -o /dev/null "http://$server:8080/" && dig +short +tries=1 +time=1 "@$server" demo.example >/dev/null && break
        [ "$try" != 50 ] || fail "The demo's servers did not start."
        sleep 0.1
    done

    say "What demo0 carries while curl, dig and ping talk to a web server and a name server behind it:" ""
    { sleep 1 && talk && sleep 1 && talk; } &
    "$monitor" --interface demo0 --duration 10
    say "" "The same for an interface of yours: $monitor --interface NAME"
}

case "${1-}" in
inside-server)
    exec 9</proc/self/ns/net
    exec unshare --net bash scripts/demo.sh inside-client
    ;;
inside-client) client ;;
"")
    install_packages "${BUILD_PACKAGES[@]}" "${DEMO_PACKAGES[@]}"
    configure release -B build/demo -DNETRING_ASIO_BUILD_TESTS=OFF -DNETRING_ASIO_BUILD_BENCHMARKS=OFF
    say "Building flow_monitor"
    cmake --build build/demo --parallel "$(nproc)" --target flow_monitor >build/demo/build.log ||
        { cat build/demo/build.log >&2 && fail "The build failed."; }
    as_root=()
    if ! unshare --net true 2>/dev/null; then
        unshare --user --map-root-user --net true 2>/dev/null ||
            fail "This needs root, or unprivileged user namespaces (sysctl user.max_user_namespaces)."
        as_root=(--user --map-root-user)
    fi
    # With the process that leads a PID namespace every program in it ends, however this script ends.
    unshare "${as_root[@]}" --net --pid --fork --kill-child bash scripts/demo.sh inside-server
    ;;
*) fail "usage: scripts/demo.sh" ;;
esac
