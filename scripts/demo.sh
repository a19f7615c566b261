#!/usr/bin/env bash
# scripts/demo.sh [--keep] [--listen ADDRESS]
# Shows live flow events, and the same in a browser: builds two examples, joins two private network namespaces by a veth
# pair, has real programs talk over it, and watches. Stops by itself after 10 s, with --keep when it is interrupted;
# everything is gone with the namespaces. The page is served at ADDRESS, by default to this machine only.
source "$(dirname "$0")/common.sh"

server=10.78.0.2 server6=fd00:78::2
monitor=build/demo/example/flow_monitor view=build/demo/example/live_view/live_view

talk() { # what a host does in a few seconds
    curl -s -o /dev/null "http://$server:8080/"
    dig +short +tries=1 +time=1 "@$server" www.demo.example >/dev/null
    ping -q -c 3 -i 0.3 "$server" >/dev/null
    curl -s -o /dev/null -H 'Connection: close' "http://$server:8080/large.bin"
    curl -s -o /dev/null "http://$server:81/" || true # nobody listens there: a reset
    dig +short +tries=1 +time=1 +tcp "@$server" mail.demo.example >/dev/null
    curl -sk -o /dev/null --resolve "shop.demo.example:8080:$server" https://shop.demo.example:8080/ || true # no TLS there
    curl -s -g -o /dev/null "http://[$server6]:8080/"
    ping -q -c 2 -i 0.3 "$server6" >/dev/null
}

# In the namespace of the client; descriptor 9 is the namespace of the server, and 8 takes the path of this one.
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

    local this_process
    read -r this_process _ </proc/self/stat # by the numbers of who is outside
    say "/proc/$this_process/ns/net" >&8
    exec 8>&-
    sleep 0.5 # the page's address comes first

    say "" "What demo0 carries while curl, dig and ping talk to a web server and a name server behind it:" ""
    { sleep 1 && talk && sleep 1 && talk && while [ "$duration" = 0 ]; do sleep 2 && talk; done; } &
    "$monitor" --interface demo0 --duration "$duration"
    say "" "The same for an interface of yours: $monitor --interface NAME, $view --interface NAME"
}

# In the network namespace that this was called in, where a browser can reach the page.
host() {
    local network talking
    exec 8<> <(:)
    unshare --net bash scripts/demo.sh inside-server &
    talking=$!
    read -r -t 60 network <&8 || { wait "$talking" && fail "The demo's network did not come up."; }
    "$view" --interface demo0 --namespace "$network" --listen "$listen" --port 0 --duration "$duration" &
    wait "$talking"
}

case "${1-}" in
inside-host) host ;;
inside-server)
    exec 9</proc/self/ns/net
    exec unshare --net bash scripts/demo.sh inside-client
    ;;
inside-client) client ;;
*)
    export duration=10 listen=127.0.0.1
    while [ $# != 0 ]; do
        case $1 in
        --keep) duration=0 ;;
        --listen)
            listen=${2?"--listen needs an address"}
            shift
            ;;
        *) fail "usage: scripts/demo.sh [--keep] [--listen ADDRESS]" ;;
        esac
        shift
    done
    install_packages "${BUILD_PACKAGES[@]}" "${DEMO_PACKAGES[@]}"
    configure release -B build/demo -DNETRING_ASIO_BUILD_TESTS=OFF -DNETRING_ASIO_BUILD_BENCHMARKS=OFF \
        -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=10 # half the time, for what is built once
    say "Building flow_monitor and live_view"
    cmake --build build/demo --parallel "$(nproc)" --target flow_monitor --target live_view >build/demo/build.log ||
        { cat build/demo/build.log >&2 && fail "The build failed."; }
    as_root=()
    if ! unshare --net true 2>/dev/null; then
        unshare --user --map-root-user --net true 2>/dev/null ||
            fail "This needs root, or unprivileged user namespaces (sysctl user.max_user_namespaces)."
        as_root=(--user --map-root-user)
    fi
    # With the process that leads a PID namespace every program in it ends, however this script ends.
    unshare "${as_root[@]}" --pid --fork --kill-child bash scripts/demo.sh inside-host &
    trap 'kill -KILL $!; exit' INT TERM
    wait $!
    ;;
esac
