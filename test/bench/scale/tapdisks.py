#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""tapdisks.py PROGRAMS IMAGES NUMBER...

Starts so many tapdisks, each with an image in folder IMAGES, by the tap-ctl in folder
PROGRAMS, as a hotplug script does where systemd does not run; and looks at what they
need while nobody does anything. As root, in a world of their own. Prints lines
"RESULT KEY=VALUE ...".
"""

import os
import re
import statistics
import subprocess
import sys
import time

from processes import cpu_ns, descriptors, memory_kb, note, result, switches

IDLE_S = 10
IMAGE_BYTES = 64 << 20
LISTINGS = 5


def aio_in_use():
    with open("/proc/sys/fs/aio-nr") as file:
        return int(file.read())


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}")
    return done.stdout


def timed_ms(*command):
    begin = time.monotonic_ns()
    run(*command)
    return (time.monotonic_ns() - begin) / 1e6


class Fleet:
    def __init__(self, programs, images):
        self.tap_ctl = f"{programs}/tap-ctl"
        self.images = images
        self.aio_before = aio_in_use()
        self.disks = []             # pid, minor

    def _create(self, number):
        image = f"{self.images}/{number}.img"
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        return timed_ms(self.tap_ctl, "create", "-a", f"aio:{image}")

    def grow(self, number):
        times = [self._create(i) for i in range(len(self.disks), number)]
        found = re.findall(r"^pid=(\d+) minor=(\d+) ", run(self.tap_ctl, "list"), re.M)
        self.disks = [(int(pid), int(minor)) for pid, minor in found]
        if len(self.disks) != number:
            sys.exit(f"{len(self.disks)} tapdisks where {number} were started")
        first, last = times[:len(times) // 4], times[-(len(times) // 4):]
        result(what="tapdisk-start", tapdisks=number, started=len(times),
               ms=statistics.median(times), worst_ms=max(times),
               first_ms=statistics.median(first), last_ms=statistics.median(last))

    def look(self):
        number = len(self.disks)
        memory = [memory_kb(pid) for pid, _ in self.disks]
        result(what="tapdisk-memory", tapdisks=number,
               **{f"{name}_kb": statistics.median(each[i] for each in memory)
                  for i, name in enumerate(("rss", "pss", "private"))},
               pss_sum_kb=sum(each[1] for each in memory),
               fds=statistics.median(descriptors(pid) for pid, _ in self.disks),
               aio=(aio_in_use() - self.aio_before) / number)

    def idle(self):
        before = {pid: (switches(pid), cpu_ns(pid)) for pid, _ in self.disks}
        time.sleep(IDLE_S)
        after = {pid: (switches(pid), cpu_ns(pid)) for pid in before}
        each = [after[pid][0] - before[pid][0] for pid in before]
        result(what="tapdisk-idle", tapdisks=len(each), seconds=IDLE_S, switches=sum(each),
               worst=max(each), cpu_ns=sum(after[pid][1] - before[pid][1] for pid in before))

    def list(self):
        for what in ("list", "metrics"):
            times = [timed_ms(self.tap_ctl, what) for _ in range(LISTINGS)]
            result(what="tap-ctl", command=what, tapdisks=len(self.disks),
                   ms=statistics.median(times))

    def end(self):
        times = [timed_ms(self.tap_ctl, "destroy", "-p", str(pid), "-m", str(minor))
                 for pid, minor in self.disks]
        result(what="tapdisk-end", tapdisks=len(times), ms=statistics.median(times),
               worst_ms=max(times))
        if run(self.tap_ctl, "list"):
            sys.exit("something is left of tapdisks that ended")


def main():
    fleet = Fleet(*sys.argv[1:3])
    for number in map(int, sys.argv[3:]):
        note(f"{number} tapdisks")
        fleet.grow(number)
        fleet.look()
        fleet.idle()
        fleet.list()
    fleet.end()


main()
