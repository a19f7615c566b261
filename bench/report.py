#!/usr/bin/env python3
"""Sums up what a benchmark measured: reads its JSON lines, prints a table, writes one JSON document.

Candidates are compared round by round, and the median of the ratios counts; "floor-again" is the floor once more and
shows how far apart equal programs lie. With --check the exit status is 1 if an aim is missed, and 2 if the machine was
too busy, or equal programs too far apart, to tell."""
import argparse
import json
import statistics
import sys
from collections import defaultdict

BUSY = 0.3  # seconds of CPU time of others, within one run, from which on its round does not count
FLOOR, AGAIN = "floor", "floor-again"


class Receive:
    """bench.receive: settings are a mode and a rate."""

    OURS = ("capture-callback", "capture-coroutine")
    ORDER = (FLOOR, AGAIN, "libpcap", *OURS)
    BASES = (FLOOR, "libpcap")
    WAKEUPS = True

    @staticmethod
    def aims():
        """(setting, measure, compared with, largest ratio, of which candidates where not of OURS)"""
        yield ("drain", None), "cpu_ns_per_packet", FLOOR, 1.05
        yield ("paced", 500_000), "cpu_ns_per_packet", FLOOR, 1.10
        yield ("paced", 500_000), "wakeups", FLOOR, 1.05
        yield ("paced", 500_000), "cpu_ns_per_packet", "libpcap", 0.75
        yield ("paced", 0), "cpu_ns_per_packet", "libpcap", 0.70

    @staticmethod
    def setting(run):
        return run["mode"], run.get("rate")

    @staticmethod
    def title(setting):
        mode, rate = setting
        if mode == "drain":
            return "full ring"
        return f"{rate:,}/s".replace(",", " ") if rate else "full rate"

    @staticmethod
    def heading(begin):
        return f"60-byte frames from {begin.get('generator', 'none')}"


class Xdp:
    """bench.xdp: settings are full rings to receive and to forward, sending, and a rate."""

    ORDER = (FLOOR, AGAIN, "sleeping-floor", "xdp_socket", "xdp_socket-budget", "capture", "injector")
    BASES = (FLOOR, "capture")
    WAKEUPS = True

    @staticmethod
    def aims():
        for mode in "drain", "transmit", "forward":
            yield (mode, None), "cpu_ns_per_packet", FLOOR, 1.05, ("xdp_socket",)
        yield ("paced", 500_000), "wakeups", FLOOR, 0.20, ("xdp_socket-budget",)
        yield ("paced", 500_000), "cpu_ns_per_packet", FLOOR, 0.60, ("xdp_socket-budget",)

    @staticmethod
    def setting(run):
        return run["mode"], run.get("rate")

    @staticmethod
    def title(setting):
        mode, rate = setting
        words = {"drain": "full ring", "transmit": "sent to ifb", "forward": "forwarded"}
        return words.get(mode) or f"{rate:,}/s".replace(",", " ")

    @staticmethod
    def heading(begin):
        return f"60-byte frames from {begin.get('generator', 'none')} through veth, and to an ifb device that drops them"


class Transmit:
    """bench.transmit: settings are a device, a frame length, and whether queueing disciplines are passed by."""

    OURS = ("injector",)  # a reservation for each frame is one call more, and shown beside it
    ORDER = (FLOOR, AGAIN, *OURS, "injector-reserve", "sendmmsg", "trafgen", "tcpreplay")
    BASES = (FLOOR, "sendmmsg", "trafgen", "tcpreplay")
    WAKEUPS = False

    @staticmethod
    def aims():
        for length in 60, 1514:
            setting = "sink", length, True
            yield setting, "cpu_ns_per_packet", FLOOR, 1.05
            yield setting, "cpu_ns_per_packet", "trafgen", 1.10
            yield setting, "cpu_ns_per_packet", "sendmmsg", 0.85
            yield setting, "cpu_ns_per_packet", "tcpreplay", 0.70

    @staticmethod
    def setting(run):
        return run["device"], run["length"], run["bypass"]

    @staticmethod
    def title(setting):
        device, length, bypass = setting
        return f"{'ifb' if device == 'sink' else 'veth'} {length} B{'' if bypass else ' queued'}"

    @staticmethod
    def heading(begin):
        return "Frames to a device that drops them (ifb) or to a peer (veth); queued: through the queueing discipline"


SUBJECTS = {"receive": Receive, "transmit": Transmit, "xdp": Xdp}


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


def rows(subject, series):
    for setting, one in series.items():
        for name in sorted(one.candidates(), key=subject.ORDER.index):
            middle = lambda measure: statistics.median(one.values(name, measure) or [0])
            yield {
                "setting": subject.title(setting),
                "candidate": name,
                "rounds": len(one.rounds),
                "cpu_ns_per_packet": middle("cpu_ns_per_packet"),
                "wakeups": middle("wakeups"),
                "sent_per_second": middle("sent_per_second"),
                "dropped": middle("dropped"),
                "foreign_seconds": middle("foreign_seconds"),
                **{f"to_{base}": one.spread(name, base) for base in subject.BASES if base in one.candidates()},
                "wakeups_to_floor": one.spread(name, FLOOR, "wakeups"),
            }


def print_table(subject, table):
    def ratio(spread):
        return f"{spread['median']:.2f} [{spread['min']:.2f}..{spread['max']:.2f}]" if spread else "-"

    wide, columns = max(len(row["setting"]) for row in table) + 2, ["ns/packet", "wake-ups", "Mpackets/s"]
    if not subject.WAKEUPS:
        columns.remove("wake-ups")
    head = [f"{'setting':<{wide}}{'candidate':<19}", *(f"{column:>11}" for column in columns), "  "]
    print("".join([*head, *(f"{'to ' + base:<19}" for base in subject.BASES), f"{'foreign s':>9}"]))
    last = None
    for row in table:
        if last not in (None, row["setting"]):
            print()
        last = row["setting"]
        paced = row["sent_per_second"] != 0
        cells = {
            "ns/packet": f"{row['cpu_ns_per_packet']:.1f}",
            "wake-ups": f"{row['wakeups']:.0f}" if paced else "-",
            "Mpackets/s": f"{row['sent_per_second'] / 1e6:.2f}" if paced else "-",
        }
        line = [f"{row['setting']:<{wide}}{row['candidate']:<19}", *(f"{cells[column]:>11}" for column in columns), "  "]
        line += [f"{ratio(row.get('to_' + base)):<19}" for base in subject.BASES]
        print("".join([*line, f"{row['foreign_seconds']:>9.2f}"]))


def judge(subject, series):
    for setting, measure, base, limit, *names in subject.aims():
        one = series.get(setting)
        if one is None:
            continue
        for name in names[0] if names else subject.OURS:
            # What equal programs differ by is no difference, but must not hide one either.
            noise = one.spread(AGAIN, FLOOR, measure)
            found = one.spread(name, base, measure)
            # On a quiet machine equal programs lie within half of what the aim allows.
            blurred = base == FLOOR and abs(noise["median"] - 1) > (limit - 1) / 2
            yield {
                "aim": f"{subject.title(setting)}: {measure.replace('_', ' ')} of {name} to {base}",
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

    found, runs, begin = defaultdict(lambda: defaultdict(dict)), [], {}
    for line in sys.stdin:
        run = json.loads(line)
        if run["mode"] == "setting":
            begin, subject = run, SUBJECTS[run["subject"]]
            continue
        runs.append(run)
        setting = subject.setting(run)
        found[setting][run["round"]][run["candidate"]] = run
        if sys.stderr.isatty():
            print(f"\r\033[K{subject.title(setting)} round {run['round'] + 1}: {run['candidate']}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if not runs:
        sys.exit("Nothing was measured.")

    series = {setting: Series(rounds) for setting, rounds in found.items()}
    table, aims_met = list(rows(subject, series)), list(judge(subject, series))
    print(f"{subject.heading(begin)}; medians of the rounds\n")
    print_table(subject, table)
    print()
    for setting, one in series.items():
        if one.quiet != one.total:
            kept = "are left out" if one.quiet else "count all the same, there being no others"
            print(f"{subject.title(setting)}: {one.total - one.quiet} of {one.total} rounds were disturbed and {kept}")
    for aim in aims_met:
        verdict = "met" if aim["met"] else "MISSED"
        doubt = "" if aim["conclusive"] else " (the machine was too busy to tell)"
        print(f"{verdict}: {aim['aim']}: {aim['value']:.2f}, at most {aim['limit']:.2f}{doubt}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({**begin, "results": table, "aims": aims_met, "runs": runs}, file, indent=1)
    if arguments.check:
        missed = [aim for aim in aims_met if not aim["met"]]
        sys.exit(1 if any(a["conclusive"] for a in missed) else 2 if missed else 0)


if __name__ == "__main__":
    main()
