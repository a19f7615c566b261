#!/usr/bin/env python3
"""Sums up what bench.receive measured: reads its JSON lines, prints a table, writes one JSON document.

Candidates are compared round by round, and the median of the ratios counts; "floor-again" is the floor once more and
shows how far apart equal programs lie. With --check the exit status is 1 if an aim is missed, and 2 if the machine was
too busy, or equal programs too far apart, to tell."""
import argparse
import json
import statistics
import sys
from collections import defaultdict

BUSY = 0.3  # seconds of CPU time of others, within one run, from which on its round does not count
FLOOR, AGAIN, PCAP = "floor", "floor-again", "libpcap"
OURS = ("capture-callback", "capture-coroutine")


def aims():
    """(setting, measure, compared with, largest ratio)"""
    yield ("drain", None), "cpu_ns_per_packet", FLOOR, 1.05
    yield ("paced", 500_000), "cpu_ns_per_packet", FLOOR, 1.10
    yield ("paced", 500_000), "wakeups", FLOOR, 1.05
    yield ("paced", 500_000), "cpu_ns_per_packet", PCAP, 0.75
    yield ("paced", 0), "cpu_ns_per_packet", PCAP, 0.70


def title(setting):
    mode, rate = setting
    if mode == "drain":
        return "full ring"
    return f"{rate:,}/s".replace(",", " ") if rate else "full rate"


class Series:
    """The rounds of one setting: {round: {candidate: run}}."""

    def __init__(self, rounds):
        whole = [r for r in rounds.values() if FLOOR in r and len(r) == max(map(len, rounds.values()))]
        quiet = [r for r in whole if all(run["foreign_seconds"] <= BUSY for run in r.values())]
        self.total, self.quiet = len(whole), len(quiet)
        self.rounds = quiet or whole

    def candidates(self):
        return list(max(self.rounds, key=len))

    def values(self, candidate, measure):
        return [r[candidate][measure] for r in self.rounds if measure in r[candidate]]

    def ratios(self, candidate, base, measure="cpu_ns_per_packet"):
        pairs = ((r[candidate].get(measure), r[base].get(measure)) for r in self.rounds)
        return [a / b for a, b in pairs if a is not None and b]

    def spread(self, candidate, base, measure="cpu_ns_per_packet"):
        found = self.ratios(candidate, base, measure)
        return {"median": statistics.median(found), "min": min(found), "max": max(found)} if found else None


def rows(series):
    order = [FLOOR, AGAIN, PCAP, *OURS]
    for setting, one in series.items():
        for name in sorted(one.candidates(), key=order.index):
            middle = lambda measure: statistics.median(one.values(name, measure) or [0])
            yield {
                "setting": title(setting),
                "candidate": name,
                "rounds": len(one.rounds),
                "cpu_ns_per_packet": middle("cpu_ns_per_packet"),
                "wakeups": middle("wakeups"),
                "sent_per_second": middle("sent_per_second"),
                "dropped": middle("dropped"),
                "foreign_seconds": middle("foreign_seconds"),
                "to_floor": one.spread(name, FLOOR),
                "to_libpcap": one.spread(name, PCAP),
                "wakeups_to_floor": one.spread(name, FLOOR, "wakeups"),
            }


def print_table(table):
    def ratio(spread):
        return f"{spread['median']:.2f} [{spread['min']:.2f}..{spread['max']:.2f}]" if spread else "-"

    head = ("setting", "candidate", "ns/packet", "wake-ups", "Mpackets/s", "to floor", "to libpcap", "foreign s")
    form = "{:<12}{:<19}{:>10}{:>10}{:>12}  {:<19}{:<19}{:>9}"
    print(form.format(*head))
    last = None
    for row in table:
        if last not in (None, row["setting"]):
            print()
        last = row["setting"]
        paced = row["sent_per_second"] != 0
        print(
            form.format(
                row["setting"],
                row["candidate"],
                f"{row['cpu_ns_per_packet']:.1f}",
                f"{row['wakeups']:.0f}" if paced else "-",
                f"{row['sent_per_second'] / 1e6:.2f}" if paced else "-",
                ratio(row["to_floor"]),
                ratio(row["to_libpcap"]),
                f"{row['foreign_seconds']:.2f}",
            )
        )


def judge(series):
    for setting, measure, base, limit in aims():
        one = series.get(setting)
        if one is None:
            continue
        for name in OURS:
            # What equal programs differ by is no difference, but must not hide one either.
            noise = one.spread(AGAIN, FLOOR, measure)
            found = one.spread(name, base, measure)
            # On a quiet machine equal programs lie within half of what the aim allows.
            blurred = base == FLOOR and abs(noise["median"] - 1) > (limit - 1) / 2
            yield {
                "aim": f"{title(setting)}: {measure.replace('_', ' ')} of {name} to {base}",
                "value": found["median"],
                "limit": limit,
                "met": found["median"] <= limit,
                "conclusive": not blurred and one.quiet * 2 > one.total,
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="writes everything here")
    parser.add_argument("--check", action="store_true", help="the exit status says whether the aims are met")
    arguments = parser.parse_args()

    found, runs, generator = defaultdict(lambda: defaultdict(dict)), [], "none"
    for line in sys.stdin:
        run = json.loads(line)
        if run["mode"] == "setting":
            generator = run["generator"]
            continue
        runs.append(run)
        found[(run["mode"], run.get("rate"))][run["round"]][run["candidate"]] = run
        if sys.stderr.isatty():
            print(f"\r\033[K{run['mode']} round {run['round'] + 1}: {run['candidate']}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if not runs:
        sys.exit("Nothing was measured.")

    series = {setting: Series(rounds) for setting, rounds in found.items()}
    table, aims_met = list(rows(series)), list(judge(series))
    print(f"60-byte frames from {generator}; medians of the rounds\n")
    print_table(table)
    print()
    for setting, one in series.items():
        if one.quiet != one.total:
            kept = "are left out" if one.quiet else "count all the same, there being no others"
            print(f"{title(setting)}: {one.total - one.quiet} of {one.total} rounds were disturbed and {kept}")
    for aim in aims_met:
        verdict = "met" if aim["met"] else "MISSED"
        doubt = "" if aim["conclusive"] else " (the machine was too busy to tell)"
        print(f"{verdict}: {aim['aim']}: {aim['value']:.2f}, at most {aim['limit']:.2f}{doubt}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"generator": generator, "results": table, "aims": aims_met, "runs": runs}, file, indent=1)
    if arguments.check:
        missed = [aim for aim in aims_met if not aim["met"]]
        sys.exit(1 if any(a["conclusive"] for a in missed) else 2 if missed else 0)


if __name__ == "__main__":
    main()
