#!/usr/bin/env python3
"""Has bench.session and flowscope parse the same conversations, in turn, and prints what one costs.

messages.py BENCH_SESSION FLOWSCOPE_MESSAGES"""
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 5


def run(*command):
    output = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
    return {row["measure"]: row for row in map(json.loads, output.splitlines())}


def main():
    ours, theirs = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        conversations = Path(directory) / "conversations"
        subprocess.run([ours, "--conversations", conversations], check=True)
        rounds = [(run(ours, "--json"), run("taskset", "-c", 1, theirs, conversations)) for _ in range(ROUNDS)]
    print(f"{'netring_asio / flowscope':<42}{'ns a conversation':>20}{'ratio':>7}{'ns a message':>17}{'ns a byte':>17}"
          f"{'allocations':>15}{'messages':>10}")
    for name in rounds[0][0]:
        sides = [[r[i][name] for r in rounds] for i in (0, 1)]
        ratio = statistics.median(theirs["ns"] / mine["ns"] for mine, theirs in zip(*sides))
        size = sides[0][0]["bytes"]

        def both(value, digits):
            return " / ".join(f"{value(side[0], statistics.median(r['ns'] for r in side)):.{digits}f}" for side in sides)

        print(f"{name:<42}{both(lambda _, ns: ns, 0):>20}{ratio:>7.2f}"
              f"{both(lambda row, ns: ns / row['messages'], 0):>17}{both(lambda _, ns: ns / size, 3):>17}"
              f"{both(lambda row, _: row['allocations'], 1):>15}{both(lambda row, _: row['messages'], 0):>10}")


if __name__ == "__main__":
    main()
