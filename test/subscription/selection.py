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

columns = ["frame.number", "frame.time_epoch", "frame.len", "tcp.stream", "udp.stream", "icmp.type", "icmpv6.type",
           "ip.src", "ipv6.src", "tcp.srcport", "udp.srcport", "tcp.dstport", "udp.dstport", "tcp.flags"]
here = pathlib.Path(__file__).parent
traces = pathlib.Path(sys.argv[1])


def tshark(file, *arguments):
    run = subprocess.run(["tshark", "-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-r", file, *arguments], capture_output=True, text=True, check=True)
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
    streams, frames_of, rows_of = {}, {}, {}
    rows = tshark(file, "-T", "fields", "-E", "separator=,", "-E", "occurrence=f",
                  *(option for field in columns for option in ("-e", field)))
    for row in (dict(zip(columns, row.split(","))) for row in rows):
        number, tcp, udp = int(row["frame.number"]), row["tcp.stream"], row["udp.stream"]
        is_error = row["icmp.type"] or row["icmpv6.type"]
        stream = None if is_error else f"t{tcp}" if tcp else f"u{udp}" if udp else None
        streams[number] = stream
        frames_of.setdefault(stream, []).append(number)
        rows_of.setdefault(stream, []).append(row)
    tcp_streams = {s for s in frames_of if s and s[0] == "t"}

    def matching(filter):
        return {int(n) for n in tshark(file, "-Y", filter, "-T", "fields", "-e", "frame.number")}

    def connections(filter):
        return {streams[n] for n in matching(filter)} - {None}

    def of_tcp(holds):
        return {s for s in tcp_streams if holds(rows_of[s])}

    def source(row):
        return row["ip.src"] or row["ipv6.src"], row["tcp.srcport"] or row["udp.srcport"]

    def flags(row):
        return int(row["tcp.flags"], 16)

    def initiator(rows):
        """Who sent the first SYN, or else what was seen first."""
        syn = next((row for row in rows if row["tcp.flags"] and flags(row) & 0x12 == 2), rows[0])
        return source(syn)

    def sent(rows, by_initiator):
        return [row for row in rows if (source(row) == initiator(rows)) == by_initiator]

    def until_reset(rows):
        """What counts for a connection: behind a reset come stragglers."""
        end = next((i for i, row in enumerate(rows) if row["tcp.flags"] and flags(row) & 4), len(rows))
        return rows[:end + 1]

    def length(rows):
        return sum(int(row["frame.len"]) for row in rows)

    def begins(rows):
        return flags(rows[0]) & 0x12 == 2

    def has(rows, bits):
        return any(flags(row) & bits == bits for row in rows)

    composed = {
        "conn.service = 'dns' and conn.orig_addr = 192.168.0.0/16":
            lambda: {s for s in connections("udp.port == 53 && !icmp")
                     if initiator(rows_of[s])[0].startswith("192.168.")},
        "conn.resp_port in {80, 443} and tcp": lambda: of_tcp(
            lambda rows: next(row["tcp.dstport"] if source(row) == initiator(rows) else row["tcp.srcport"]
                              for row in rows) in ("80", "443")),
        "conn.bytes > 100000 and tcp": lambda: of_tcp(lambda rows: length(rows) > 100000),
        "conn.orig_packets >= 10 and tcp": lambda: of_tcp(lambda rows: len(sent(until_reset(rows), True)) >= 10),
        "conn.resp_bytes = 0 and tcp": lambda: of_tcp(lambda rows: not sent(rows, False)),
        "conn.duration > 10s and tcp": lambda: of_tcp(
            lambda rows: float(rows[-1]["frame.time_epoch"]) - float(rows[0]["frame.time_epoch"]) > 10),
        "conn.state = 'S0' and tcp": lambda: of_tcp(
            lambda rows: begins(rows) and all(flags(row) & 0x17 == 2 for row in rows) and not sent(rows, False)),
        "conn.state = 'SF' and tcp": lambda: of_tcp(
            lambda rows: begins(rows) and has(sent(rows, False), 0x12) and has(sent(until_reset(rows), True), 1) and
            has(sent(until_reset(rows), False), 1)),
        "conn.history ~ '^S' and tcp": lambda: of_tcp(begins),
        "conn.history contains 'R'": lambda: of_tcp(lambda rows: has(sent(rows, True), 4)),
        "tcp.port = 443 and not tls.sni contains 'google'":
            lambda: connections("tcp.port == 443") -
            connections('tcp && tls.handshake.extensions_server_name contains "google"'),
        "not tls and tcp": lambda: tcp_streams - connections("tls.handshake.type == 1 && tcp"),
        "conn.packets > 20 and tcp": lambda: of_tcp(lambda rows: len(until_reset(rows)) > 20),
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
