#!/usr/bin/env python3
"""Compares flows and streams of every shared capture.   usage: streams.py FLOW_REPORT TRACES_DIR

Exit 0 if all agree but those known to differ, 1 if not, 77 (skipped) where there are no traces."""
import ast, collections, csv, os, re, subprocess, sys, tempfile

KNOWN = {
    'gopacket_le_test102.pcapng': 'interfaces of several link types, which libpcap does not read',
    'ndpi_vnc.pcap': 'the other tool splits the connection behind its handshake',
    'ndpi_reasm_crash_anon.pcapng': 'conflicting and cut segments, which are a matter of policy',
}

report, traces = sys.argv[1], os.environ.get('NETRING_ASIO_TRACES', sys.argv[2])
if not os.path.exists(traces + '/index.csv'):
    print('skipped: no traces at', traces, '; set NETRING_ASIO_TRACES')
    sys.exit(77)

failed, agree, total, kinds = [], 0, 0, collections.Counter()
with tempfile.NamedTemporaryFile('w+') as out:
    for row in csv.DictReader(open(traces + '/index.csv')):
        capture = f"{traces}/{row['cat']}/{row['name']}"
        expected = re.sub(r'\.pcap(ng)?(\.gz)?$', '.expect', capture)
        out.seek(0)
        out.truncate()
        crashed = subprocess.run([report, capture, '--jsonl'], stdout=out, stderr=subprocess.DEVNULL,
                                 timeout=60).returncode < 0
        judged = subprocess.run([sys.executable, traces + '/tools/compare.py', expected, out.name],
                                capture_output=True, text=True).stdout
        equal = not crashed and 'DIFF' not in judged and ' 0 differ' in judged
        for kind, count in ast.literal_eval((re.search('^streams: (.*)$', judged, re.M) or ['', '{}'])[1]).items():
            kinds[('mut ' if row['cat'] == 'mut' else '') + kind] += count
        total += 1
        agree += equal
        if crashed or equal == (row['name'] in KNOWN):
            failed.append(row['name'])
            print('agrees now:' if equal else 'differs:', capture, judged, sep='\n')
for kind in sorted({k.split('/')[0] for k in kinds}):
    print(f"streams, {kind}: {kinds[kind + '/ok']} equal, {kinds[kind + '/DIFF']} differ")
print(f'{agree} of {total} captures agree in flows and streams')
sys.exit(1 if failed else 0)
