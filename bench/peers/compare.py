#!/usr/bin/env python3
"""Tracks the same frames with bench.flow, flowscope, gopacket and libtins, in turn, and prints a table.

compare.py [--check] DIRECTORY BENCH_FLOW [PEER...]: DIRECTORY has room for 1 GiB, PEERs are built from the folders here.
With --check the exit status is 1 if flowscope is not at least four times slower."""
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 3
FACTOR = 4  # by which flowscope is to be slower
NAMES = {
    "flowscope-peer": ["flowscope: tracking"],
    "gopacket-peer": ["gopacket: decoding and hash", "gopacket: reassembly"],
    "peer.libtins": ["libtins: decoding", "libtins: following streams"],
}


def run(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def measure(directory, ours, peers, flows):
    frames, figures, found = Path(directory) / "frames.pcap", Path(directory) / "figures.json", {}
    try:
        for _ in range(ROUNDS):
            run(ours, "--json", figures, "--flows", flows, "--frames", frames)
            found.setdefault("netring_asio: tracking", []).append(json.loads(figures.read_text())["value"])
            for peer in peers:
                arguments = [frames, flows * 3] + ([flows] if "flowscope" in peer.name else [])
                for name, value in zip(NAMES[peer.name], run("taskset", "-c", 1, peer, *arguments).split()):
                    found.setdefault(name, []).append(float(value))
    finally:
        frames.unlink(missing_ok=True)
        figures.unlink(missing_ok=True)
    return {name: statistics.median(values) for name, values in found.items()}


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    directory, ours, *peers = (a for a in arguments if a != "--check")
    missed = False
    for flows in 10_000, 100_000, 1_000_000:
        found = measure(directory, ours, [Path(p) for p in peers], flows)
        base = found["netring_asio: tracking"]
        for name, value in found.items():
            print(f"{flows:>9,}  {name:<32}{value:>9.1f} ns{value / base:>7.1f}".replace(",", " "), flush=True)
        slower = found.get("flowscope: tracking", FACTOR * base) / base
        if slower < FACTOR:
            missed = True
            print(f"missed: flowscope takes {slower:.1f} times as long at {flows} flows, the aim is {FACTOR}")
    sys.exit(1 if check and missed else 0)


if __name__ == "__main__":
    main()
