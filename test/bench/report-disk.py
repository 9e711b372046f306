#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""report-disk.py < LINES

Makes tables of the lines "RESULT KEY=VALUE ..." of the benchmark of disks, and
says whether the aims are met. All ratios are within one run.
"""

import sys

from results import Verdict, read, select, table

FORCED = ("map", "copy", "persistent")
AIM_SMALL = 4096        # bytes; dom0's share there
AIM_SMALL_QDISK = 0.45  # of QEMU's, at most
AIM_SMALL_BLKBACK = 1.1
AIM_LARGE = 65536       # from so many bytes up
AIM_LARGE_QDISK = 1 / 3
AIM_LARGE_BLKBACK = 1.0
AIM_HOST_BLKBACK = 1.0  # dom0 and guest together, at every size
AIM_AUTO = 1.05         # of the best way that can be forced


def costs(results):
    """(part, rw, bytes) -> peer -> (dom0, guest) in us for each I/O.

    What a measurement costs by itself, found with one I/O in it, is taken off.
    """
    bare, found = {}, {}
    for r in select(results, what="disk"):
        ns = (int(r["dom0_ns"]), int(r["guest_ns"]))
        if r["ios"] == r["jobs"]:
            bare[r["part"], r["rw"], r["peer"]] = ns
            continue
        less = bare[r["part"], r["rw"], r["peer"]]
        cell = found.setdefault((r["part"], r["rw"], int(r["bytes"])), {})
        cell[r["peer"]] = tuple((n - b) / 1000 / int(r["ios"]) for n, b in zip(ns, less))
    return found


def size(number):
    return f"{number >> 20}M" if number >= 1 << 20 else f"{number >> 10}k"


def cost_tables(found):
    for part, rw in dict.fromkeys(key[:2] for key in found):
        cells = {key[2]: cell for key, cell in found.items() if key[:2] == (part, rw)}
        peers = list(dict.fromkeys(peer for cell in cells.values() for peer in cell))
        for name, share in (("dom0", lambda c: c[0]), ("guest", lambda c: c[1]),
                            ("both", sum)):
            table(f"{part}, {rw}: {name}, us for an I/O", ["size"] + peers,
                  [[size(n)] + [share(cell[p]) if p in cell else "-" for p in peers]
                   for n, cell in cells.items()])


def aim(verdict, where, what, mine, other, most):
    verdict.add(mine <= most * other, f"{where}: {what}: {mine / other:.2f} (aim {most:.2f})")


def aims(found, verdict):
    for (part, rw, number), cell in found.items():
        where = f"{part}, {rw}, {size(number)}"
        if not {"auto", "blkback", "qdisk"} <= set(cell):
            continue
        dom0 = {peer: c[0] for peer, c in cell.items()}
        host = {peer: sum(c) for peer, c in cell.items()}
        if number == AIM_SMALL or number >= AIM_LARGE:
            small = number == AIM_SMALL
            aim(verdict, where, "dom0, automatic / qdisk", dom0["auto"], dom0["qdisk"],
                AIM_SMALL_QDISK if small else AIM_LARGE_QDISK)
            aim(verdict, where, "dom0, automatic / blkback", dom0["auto"], dom0["blkback"],
                AIM_SMALL_BLKBACK if small else AIM_LARGE_BLKBACK)
        aim(verdict, where, "host, automatic / blkback", host["auto"], host["blkback"],
            AIM_HOST_BLKBACK)
        ways = [host[way] for way in FORCED if way in host]
        if ways:
            aim(verdict, where, "host, automatic / best forced way", host["auto"], min(ways),
                AIM_AUTO)


def call_tables(results):
    found = select(results, what="calls")
    if not found:
        return
    fixed = ("what", "peer", "depth", "rw", "bytes", "ios")
    names = list(dict.fromkeys(key for r in found for key in r if key not in fixed))
    table("Calls, for an I/O", ["peer", "depth", "rw", "size"] + names,
          [[r["peer"], r["depth"], r["rw"], size(int(r["bytes"]))] +
           [int(r.get(name, 0)) / int(r["ios"]) for name in names] for r in found])


def attach_table(results):
    found = select(results, what="attach")
    if not found:
        return
    peers = list(dict.fromkeys(r["peer"] for r in found))
    times = {p: sorted(int(r["us"]) / 1000 for r in found if r["peer"] == p) for p in peers}
    table("From xl block-attach to the guest's first read, ms",
          ["peer", "median", "least", "most"],
          [[p, t[len(t) // 2], t[0], t[-1]] for p, t in times.items()])


def main():
    results = read(sys.stdin)
    if not results:
        sys.exit("report-disk.py: there are no results")
    verdict = Verdict()
    found = costs(results)
    cost_tables(found)
    call_tables(results)
    attach_table(results)
    aims(found, verdict)
    verdict.show()


main()
