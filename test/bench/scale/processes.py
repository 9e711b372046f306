# SPDX-License-Identifier: GPL-2.0-or-later
"""What /proc tells of processes, and how results are printed."""

import os


def result(**values):
    print("RESULT " + " ".join(f"{key}={value}" for key, value in values.items()), flush=True)


def note(text):
    print("NOTE " + text, flush=True)


def cpu_ns(pid):
    """Processor time of all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


def switches(pid):
    """How often its threads were given a processor."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    return total


def memory_kb(pid):
    """Rss, Pss and Private (clean and dirty)."""
    found = {}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in list(file)[1:]:
            name, value = line.split()[:2]
            found[name.rstrip(":")] = int(value)
    return found["Rss"], found["Pss"], found["Private_Clean"] + found["Private_Dirty"]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
