#!/usr/bin/env python3
"""tls_frames.py PROGRAM TRACES: what example/tls_frames writes are the frames that tshark has of the same connections."""
import pathlib
import subprocess
import sys
import tempfile

program, traces = sys.argv[1], pathlib.Path(sys.argv[2])
capture = traces / "tls/ndpi_reddit.pcap"
names = "reddit"
if not capture.exists():
    print(f"no traces at {traces}")
    sys.exit(77)


def tshark(file, filter, *fields):
    arguments = [part for field in fields for part in ("-e", field)]
    run = subprocess.run(["tshark", "-n", "-r", file, "-Y", filter, "-T", "fields", *arguments],
                         capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


hello = f'tls.handshake.type == 1 && tls.handshake.extensions_server_name matches "{names}" && tcp'
streams = tshark(capture, hello, "tcp.stream")
frame = ("frame.time_epoch", "frame.len", "tcp.srcport", "tcp.seq_raw")
expected = tshark(capture, f"tcp.stream in {{{','.join(sorted(set(streams)))}}}", *frame)
with tempfile.TemporaryDirectory() as folder:
    output = pathlib.Path(folder) / "wanted.pcap"
    log = subprocess.run([program, capture, names, output], capture_output=True, text=True, check=True, timeout=60)
    written = tshark(output, "frame", *frame)
lines = log.stdout.splitlines()
print(f"figure: {len(written)} frames written of {len(expected)}, {len(lines)} handshakes logged of {len(streams)}")
sys.exit(sorted(written) != sorted(expected) or len(lines) != len(streams) or not lines)
