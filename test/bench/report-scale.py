#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""report-scale.py < LINES

Makes tables of the lines "RESULT KEY=VALUE ..." of the benchmark of many disks, of
medians where something was measured several times. Says whether what one of many
costs stays what one of few costs; the status is 1 if not.
"""

import statistics
import sys

from results import Verdict, read, select, table

FEW, MANY = 100, 1000       # devices of tapback that are compared
GROWTH = 2.0                # of what one device costs, at most
GROWTH_CPU = 2.5
IDLE_SWITCHES = 1.0         # of one tapdisk in ten seconds
GROWTH_START = 3.0          # of a time that depends on what else runs
TAPDISK_GROWTH = 1.5        # of what one of many needs, to one of few
MEMORY_AGAIN = 1.2          # of a second round, to the first
AIO_DEFAULT = 65536         # the kernel's fs.aio-max-nr
DOMAINS_S = 0.1             # in which tapback asks once for each device's domain
COUNTED = ("requests", "domains", "events", "passes", "looks")


def medians(results, keys):
    """Those with the same @keys made one; all numbers by name."""
    groups = {}
    for r in results:
        groups.setdefault(tuple(r[key] for key in keys), []).append(r)
    return {names: {key: statistics.median(float(r[key]) for r in group)
                    for key in group[0] if key not in keys + ("what",)}
            for names, group in groups.items()}


def whole(number):
    return f"{number:.0f}"


def tapback_tables(results, verdict):
    found = medians(select(results, what="tapback"), ("devices", "phase"))
    for value in found.values():
        if "requests" in value:
            value["requests"] -= value["domains"]
    table("tapback: all devices, and for each of them",
          ["devices", "phase", "s", "cpu us", *COUNTED],
          [[n, phase, v["wall_ns"] / 1e9, whole(v["cpu_ns"] / 1000 / int(n))] +
           [v[key] / int(n) if key in v else "-" for key in COUNTED]
           for (n, phase), v in found.items()])
    for (n, phase), value in found.items():
        if phase == "guests-end":
            most = int(n) * (value["wall_ns"] / 1e9 / DOMAINS_S + 2)
            verdict.add(value["domains"] <= most, f"tapback, {phase}, {n} devices: questions about "
                        f"domains: {value['domains']:.0f} (at most {most:.0f})")
    for phase in dict.fromkeys(phase for _, phase in found):
        few, many = found.get((str(FEW), phase)), found.get((str(MANY), phase))
        if not few or not many:
            continue
        for key, most in [(key, GROWTH) for key in COUNTED] + [("cpu_ns", GROWTH_CPU)]:
            if few.get(key) and key != "domains":
                growth = many[key] / MANY / (few[key] / FEW)
                verdict.add(growth <= most, f"tapback, {phase}: {key} for each of {MANY} to "
                            f"each of {FEW}: {growth:.2f} (at most {most:.1f})")


def tapback_memory(results, verdict):
    found = medians(select(results, what="tapback-memory"), ("devices", "when"))
    table("tapback: memory, and descriptors",
          ["devices", "when", "RSS kB", "private kB", "fds"],
          [[n, when] + [whole(v[key]) for key in ("rss_kb", "private_kb", "fds")]
           for (n, when), v in found.items()])
    for n in dict.fromkeys(n for n, _ in found):
        state = {when: v for (number, when), v in found.items() if number == n}
        if int(n) < FEW:
            continue
        each = (state["connected"]["private_kb"] - state["before"]["private_kb"]) / int(n)
        print(f"{n} devices: {each:.1f} kB for each")
        growth = state["connected-again"]["private_kb"] / state["connected"]["private_kb"]
        verdict.add(growth <= MEMORY_AGAIN, f"tapback, {n} devices: memory of a second round to "
                    f"the first: {growth:.2f} (at most {MEMORY_AGAIN:.1f})")
        verdict.add(state["after"]["fds"] == state["before"]["fds"],
                    f"tapback, {n} devices: all descriptors are closed afterwards")
    idle = select(results, what="tapback-idle")
    if idle:
        table("tapback: idle", ["devices", "seconds", "switches", "cpu us"],
              [[r["devices"], r["seconds"], r["switches"], whole(int(r["cpu_ns"]) / 1000)]
               for r in idle])


def start_and_end(results, verdict):
    for what, keys in (("tapdisk-start", ("ms", "worst_ms", "first_ms", "last_ms")),
                       ("tapdisk-end", ("ms", "worst_ms"))):
        found = select(results, what=what)
        table(f"{what}: ms of one tap-ctl", ["tapdisks", *keys],
              [[r["tapdisks"]] + [float(r[key]) for key in keys] for r in found])
    found = select(results, what="tapdisk-start")
    if len(found) > 1:
        number = found[-1]["tapdisks"]
        growth = float(found[-1]["last_ms"]) / float(found[0]["first_ms"])
        verdict.add(growth <= GROWTH_START, f"start of the last of {number} tapdisks to the "
                    f"first ones: {growth:.2f} (at most {GROWTH_START:.1f})")


def tapdisk_tables(results, verdict):
    memory = select(results, what="tapdisk-memory")
    if not memory:
        return
    start_and_end(results, verdict)
    keys = ("rss_kb", "pss_kb", "private_kb", "fds", "aio")
    table("tapdisk: what one needs, idle", ["tapdisks", *keys, "all: PSS MB"],
          [[r["tapdisks"]] + [whole(float(r[key])) for key in keys] +
           [int(r["pss_sum_kb"]) / 1024] for r in memory])
    growth = float(memory[-1]["pss_kb"]) / float(memory[0]["pss_kb"])
    many, few = memory[-1]["tapdisks"], memory[0]["tapdisks"]
    verdict.add(growth <= TAPDISK_GROWTH, f"memory (PSS) of one of {many} tapdisks to one of "
                f"{few}: {growth:.2f} (at most {TAPDISK_GROWTH:.1f})")
    idle = select(results, what="tapdisk-idle")
    table("tapdisk: idle, all of them",
          ["tapdisks", "seconds", "switches", "most of one", "cpu us"],
          [[r["tapdisks"], r["seconds"], r["switches"], r["worst"],
            whole(int(r["cpu_ns"]) / 1000)] for r in idle])
    for r in idle:
        each = int(r["switches"]) / int(r["tapdisks"])
        verdict.add(each <= IDLE_SWITCHES, f"context switches of one of {r['tapdisks']} idle "
                    f"tapdisks in {r['seconds']} s: {each:.2f} (at most {IDLE_SWITCHES:.1f})")
    listings = select(results, what="tap-ctl")
    table("tap-ctl: ms", ["tapdisks", "command", "ms"],
          [[r["tapdisks"], r["command"], float(r["ms"])] for r in listings])
    each = float(memory[-1]["aio"])
    print(f"fs.aio-max-nr={AIO_DEFAULT} has room for {AIO_DEFAULT / each:.0f} such tapdisks")


def ring_tables(results):
    rates, costs = {}, {}
    for r in select(results, what="ring"):
        key = (r["rw"], int(r["bytes"]), int(r["queues"]))
        rates.setdefault(key, []).append(int(r["requests"]) / int(r["ns"]) * 1e6)
        costs.setdefault(key, []).append(int(r["cpu_ns"]) / int(r["requests"]) / 1e3)
    if rates:
        rows = []
        for (rw, size, queues), each in rates.items():
            rate, cost = statistics.median(each), statistics.median(costs[rw, size, queues])
            one = statistics.median(rates[rw, size, 1]), statistics.median(costs[rw, size, 1])
            rows.append([rw, f"{size >> 10}k", str(queues), rate, min(each), max(each),
                         rate / one[0], cost, cost / one[1]])
        table("ring: thousands of requests a second, 32 on each queue; processor time of one",
              ["", "size", "queues", "median", "least", "most", "to one queue", "cpu us",
               "to one queue"], rows)
    for r in select(results, what="ring-shares"):
        names = [key for key in r if key not in ("what", "queues", "bytes", "rw")]
        table(f"ring: share of each stage, %, one queue, {r['rw']} {int(r['bytes']) >> 10}k", names,
              [[r[name] for name in names]])


def main():
    results = read(sys.stdin)
    if not results:
        sys.exit("report-scale.py: there are no results")
    verdict = Verdict()
    if select(results, what="tapback"):
        tapback_tables(results, verdict)
        tapback_memory(results, verdict)
    tapdisk_tables(results, verdict)
    ring_tables(results)
    if verdict.lines:
        verdict.show()
    sys.exit(0 if verdict.all_met() else 1)


main()
