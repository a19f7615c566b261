#!/usr/bin/env python3
"""Selects with tshark what the expressions of expressions.tsv are to select from the captures of captures.txt.

selection.py TRACES          writes selection.tsv
selection.py TRACES --check  compares with it instead

Each expression has a line: the level (F frames, C connections and all their frames, S messages), the expression, and
tshark's display filter for it, or - where it takes more than one. A frame is its number in all captures, read one
behind the other.
"""
import pathlib
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent
traces = pathlib.Path(sys.argv[1])


def tshark(file, *arguments):
    run = subprocess.run(["tshark", "-n", "-r", file, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def ranges(numbers):
    parts = []
    for n in sorted(numbers):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts) or "none"


def select(file):
    streams, frames_of = {}, {}
    rows = tshark(file, "-T", "fields", "-E", "separator=,", "-E", "occurrence=f", "-e", "frame.number",
                  "-e", "tcp.stream", "-e", "udp.stream", "-e", "icmp.type", "-e", "icmpv6.type")
    for row in rows:
        number, tcp, udp, icmp, icmpv6 = row.split(",")
        stream = None if icmp or icmpv6 else f"t{tcp}" if tcp else f"u{udp}" if udp else None
        streams[int(number)] = stream
        frames_of.setdefault(stream, []).append(int(number))
    tcp_streams = {s for s in frames_of if s and s[0] == "t"}

    def matching(filter):
        return {int(n) for n in tshark(file, "-Y", filter, "-T", "fields", "-e", "frame.number")}

    def connections(filter):
        return {streams[n] for n in matching(filter)} - {None}

    composed = {
        "tcp.port = 443 and not tls.sni contains 'google'":
            lambda: connections("tcp.port == 443") -
            connections('tcp && tls.handshake.extensions_server_name contains "google"'),
        "not tls and tcp": lambda: tcp_streams - connections("tls.handshake.type == 1 && tcp"),
        "conn.packets > 20 and tcp": lambda: {s for s in tcp_streams if len(frames_of[s]) > 20},
    }
    for line in (here / "expressions.tsv").read_text().splitlines():
        level, expression, filter = line.split("\t")
        if level == "F":
            yield f"{level}\t{expression}\t{ranges(matching(filter))}"
        elif level == "S":
            yield f"{level}\t{expression}\t{len(matching(filter))}"
        else:
            found = composed[expression]() if filter == "-" else connections(filter)
            yield f"{level}\t{expression}\t{ranges(n for s in found for n in frames_of[s])}\t{len(found)}"


with tempfile.NamedTemporaryFile(suffix=".pcapng") as merged:
    names = (here / "captures.txt").read_text().split()
    subprocess.run(["mergecap", "-a", "-w", merged.name, *(traces / name for name in names)], check=True)
    result = "\n".join(select(merged.name)) + "\n"
stored = here / "selection.tsv"
if "--check" in sys.argv:
    if stored.read_text() != result:
        sys.exit("tshark selects something else than selection.tsv has")
    print(f"figure: tshark selects what selection.tsv has, {len(result.splitlines())} lines")
else:
    stored.write_text(result)
