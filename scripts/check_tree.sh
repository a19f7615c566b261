#!/usr/bin/env bash
# What no compiler checks: formatting, which part may include which, and what must not lie in the tree.
source "$(dirname "$0")/common.sh"
install_packages clang-format-19 git
status=0

# expect_none WHAT LINES
expect_none() {
    [ -n "$2" ] || return 0
    say "$1:" "$2"
    status=1
}
include=include/netring_asio
io='netring_asio/(afpacket|afxdp|pcap|capture|injector|xdp_socket|bridge|pcap_source|flow_stream|subscription)|boost/asio'
analysis='netring_asio/(decode|flow|session|subscription)/'

mapfile -t sources < <(git ls-files '*.hpp' '*.cpp')
clang-format-19 --dry-run -Werror "${sources[@]}" || status=1
expect_none "The analysis wing includes Asio or the I/O wing" \
    "$(git grep -nE "#include +[<\"]($io)" -- $include/{decode,flow,session} src/{decode,flow,session} || true)"
expect_none "The I/O wing or the ground floor includes the analysis wing" \
    "$(git grep -nE "#include +[<\"]$analysis" -- $include/{packet,afpacket,afxdp,pcap} src/{packet,afpacket,afxdp,pcap} || true)"
expect_none "Asio's own details or all of Asio are included" \
    "$(git grep -nE '#include +<boost/asio(\.hpp|/detail/)|(^|[^_a-z])(boost::asio|asio|net)::detail' -- include src || true)"
expect_none "Left open" "$(git grep -nEI '\bTO''DO|\bFIX''ME|\bX''XX\b' -- include src example bench test scripts || true)"
expect_none "Conflicts left over" "$(git grep -nE '^(<<<<<<<|>>>>>>>) ' || true)"
expect_none "Paths of a machine" \
    "$(git grep -nEI '(^|[^A-Za-z0-9_./-])/(work|farm|root|home)/' -- . ':!scripts/check_tree.sh' ':!*.csv' || true)"
expect_none "Assertions that cannot fail" "$(git grep -nE 'BOOST_(TEST|CHECK|REQUIRE)\((true|1)\)' -- test || true)"
exit "$status"
