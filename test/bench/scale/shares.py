#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""shares.py PROGRAM OBJECTS ARGUMENT...

Runs PROGRAM under perf, by the clock, and says which share of the samples is in what
part of the source, as a line "RESULT KEY=VALUE ...". OBJECTS is the folder with its objects, in
folders named like those of their sources: a symbol's object says whose it is.
"""

import os
import re
import subprocess
import sys
import tempfile

from processes import result

STAGES = (("daemon/xen", "ring"), ("daemon/vbd", "vbd"), ("daemon/store", "store"),
          ("daemon/image", "store"), ("daemon/loop", "loop"), ("test", "guest"))
COPIES = re.compile("copy_to_iter|copy_from_iter|copy_folio|copy_page|rep_movs")


def symbols(folder):
    """Symbol -> stage, for those whose name tells it."""
    found = {}
    for place, _, files in os.walk(folder):
        within = os.path.relpath(place, folder)
        stage = next((name for start, name in STAGES if within.startswith(start)), "other")
        for name in (f for f in files if f.endswith(".o")):
            text = subprocess.run(["nm", "--defined-only", f"{place}/{name}"], check=True,
                                  capture_output=True, text=True).stdout
            for line in text.splitlines():
                symbol = line.split()[-1].split(".")[0]
                if found.setdefault(symbol, stage) != stage:
                    found[symbol] = "other"
    return found


def stage_of(dso, kind, symbol, known):
    if kind == "k":
        return "kernel_copy" if COPIES.search(symbol) else "kernel"
    if dso.endswith(".so") or ".so." in dso:
        return "libc"
    return known.get(symbol.split(".")[0], "other")


def main():
    program, objects, *arguments = sys.argv[1:]
    known = symbols(objects)
    with tempfile.NamedTemporaryFile() as data:
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", data.name,
                        program, *arguments], check=True, stdout=subprocess.DEVNULL)
        report = subprocess.run(
            ["perf", "report", "-q", "-i", data.name, "--stdio", "--no-children", "-F",
             "overhead,dso,symbol", "-t", ";"], check=True, capture_output=True, text=True).stdout
    shares = {}
    for line in report.splitlines():
        match = re.match(r"\s*([\d.]+)%\s*;(\S+)\s*;\[(.)\] (\S+)", line)
        if match:
            share, dso, kind, symbol = match.groups()
            stage = stage_of(os.path.basename(dso), kind, symbol, known)
            shares[stage] = shares.get(stage, 0) + float(share)
    result(what="ring-shares", queues=arguments[0], bytes=arguments[1], rw=arguments[2],
           **{stage: f"{share:.1f}" for stage, share in sorted(shares.items())})


main()
