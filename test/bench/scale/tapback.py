#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""tapback.py PROGRAM NUMBER...

Runs tapback with so many disks, and plays everybody else: xenstored, toolstack, hotplug
script, guests and tapdisks. In a mount namespace, with an empty run directory. Prints
lines "RESULT KEY=VALUE ...".
"""

import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time

import xenstored
from processes import cpu_ns, descriptors, memory_kb, note, result, switches

RUN_DIR = "/run/blktap-control"
DEVID = 51712
LIMIT_S = 150           # for one part
QUIET_S = 0.05
ARENAS, ARENA_BASE, ARENA_SLOTS = 2, 0x7f0012345000, 352    # of one queue
IDLE_S = 3


class Tapdisk:
    """The control socket of one disk's tapdisk."""

    INFO = {"sectors": 2048, "sector_size": 512, "physical_sector_size": 4096,
            "readonly": False, "flush": True, "barrier": True, "persistent": False,
            "max_indirect_segments": 256, "discard": True, "discard_granularity": 4096,
            "discard_alignment": 0, "discard_secure": False, "journal": True}

    def __init__(self, disk):
        self.disk = disk
        self.path = f"{RUN_DIR}/ctl{disk.pid}"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.connection = None
        self.journal = -1

    def close(self):
        for sock in (self.listener, self.connection):
            if sock:
                sock.close()
        if self.journal >= 0:
            os.close(self.journal)
        os.unlink(self.path)

    def answer(self):
        """One question; False at the end of the connection."""
        text, fds, _, _ = socket.recv_fds(self.connection, 65536, 28)
        if not text:
            return False
        cmd = json.loads(text)["cmd"]
        reply, give = {"v": 1, "errno": 0}, []
        if cmd == "info":
            reply.update(self.INFO)
        elif cmd == "connect":
            self.journal = fds.pop()
        elif cmd == "journal":
            null = self.disk.host.null
            reply["arenas"] = [{"base": ARENA_BASE, "slots": ARENA_SLOTS}] * ARENAS
            give = [self.journal] + [null] * ARENAS
        elif cmd == "arena":
            self.disk.host.asked += 1
            reply["frontends"] = [{"domid": self.disk.domid, "devid": DEVID}]
        elif cmd == "disconnect" and self.journal >= 0:
            os.close(self.journal)
            self.journal = -1
        for fd in fds:
            os.close(fd)
        socket.send_fds(self.connection, [json.dumps(reply).encode()], give)
        return True


class Disk:
    """One guest with one disk: what toolstack, hotplug script and guest write."""

    def __init__(self, host, number):
        self.host = host
        self.domid = number + 1
        self.pid = 1000000 + number
        self.backend = f"/local/domain/0/backend/vbd3/{self.domid}/{DEVID}"
        self.frontend = f"/local/domain/{self.domid}/device/vbd/{DEVID}"
        self.tapdisk = None
        self.state = None       # of the backend, as we last saw it
        self.ending = False

    def _write(self, directory, nodes):
        for name, value in nodes.items():
            self.host.store.nodes.write(f"{directory}/{name}", str(value))
        self.host.store.flush()

    def kept(self):
        """Names and descriptors, as tapback gives them to systemd."""
        if not self.tapdisk or self.tapdisk.journal < 0:
            return []
        disk = f"{self.domid:x}-{DEVID:x}"
        arena = f"a{disk}-{ARENA_BASE // 4096:x}-{ARENA_SLOTS:x}"
        return [(f"j{disk}", self.tapdisk.journal)] + \
               [(arena, self.host.null)] * ARENAS

    def attach(self):
        self.host.store.introduced.add(self.domid)
        self._write(self.frontend, {
            "backend": self.backend, "backend-id": 0, "virtual-device": DEVID,
            "device-type": "disk", "event-channel-min": 0, "state": 1})
        self._write(self.backend, {
            "frontend": self.frontend, "frontend-id": self.domid, "online": 1,
            "removable": 0, "bootable": 1, "dev": "xvda", "type": "tap", "mode": "w",
            "device-type": "disk", "discard-enable": 1, "params": "aio:/x.img", "state": 1})

    def backend_is(self, state):
        """tapback, or the toolstack, wrote the state of the backend."""
        self.state = state
        if state == "2":
            self._start()
        elif state == "4":
            self._write(self.frontend, {"state": 4})
            self.host.connected += 1
        elif state == "5":
            self._write(self.frontend, {"state": 6})
        elif state == "6":
            self._closed()

    def _start(self):
        self.tapdisk = Tapdisk(self)
        self.host.listen(self.tapdisk)
        self._write(self.backend, {
            "pid": self.pid, "minor": 0,
            "physical-device-path": f"{RUN_DIR}/nbd{self.pid}.0",
            "hotplug-status": "connected"})
        self._write(self.frontend, {
            "ring-ref": 8, "event-channel": 15, "protocol": "x86_64-abi",
            "feature-persistent": 1, "state": 3})

    def unplug(self):
        """xl block-detach, or what is left to do when a guest has shut down."""
        self.ending = True
        state = self.state
        self._write(self.backend, {"online": 0, "state": 5})
        if state != "6":
            self.backend_is("5")

    def shut_down(self):
        """The guest closes its disk; the rest follows when that is done."""
        self._write(self.frontend, {"state": 5})

    def _closed(self):
        store = self.host.store
        if not self.ending:
            store.nodes.special("@releaseDomain")
            self.unplug()
            return
        self.host.forget(self.tapdisk)
        store.nodes.clean_up(self.backend)
        store.nodes.clean_up(self.frontend)
        store.introduced.discard(self.domid)
        if self.host.guests_end:
            store.nodes.special("@releaseDomain")
        store.flush()
        del self.host.disks[self.backend]
        self.host.removed += 1


class Host:
    """All of them, in one loop, and tapback."""

    def __init__(self, program, folder):
        self.program = program
        self.counts_path = f"{folder}/counts"
        self.store = xenstored.Server(f"{folder}/xenstored", self._written)
        self.store.nodes.write("/local/domain/0/domid", "0")
        self.socket_path = f"{folder}/xenstored"
        self.selector = selectors.EpollSelector()
        self.disks = {}
        self.null = os.open("/dev/null", os.O_RDWR)
        self.connected = self.removed = self.asked = 0
        self.guests_end = False
        self.pid = -1

    def start(self):
        """With all that systemd would have kept of the disks that are there."""
        with open(self.counts_path, "wb") as file:
            file.write(bytes(16))
        kept = [pair for disk in self.disks.values() for pair in disk.kept()]
        self.pid = os.fork()
        if not self.pid:
            self._exec(kept)
        self.store.accept()
        self.selector.register(self.store.connection, selectors.EVENT_READ, self._serve_store)

    def _exec(self, kept):
        env = {"XENSTORED_PATH": self.socket_path, "SCALE_COUNTS": self.counts_path,
               "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(kept)),
               "LISTEN_FDNAMES": ":".join(name for name, _ in kept)}
        os.dup2(self.null, 2)
        # Out of the way of where they are to be.
        sources = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, len(kept) + 3) for _, fd in kept]
        for i, fd in enumerate(sources):
            os.dup2(fd, 3 + i)
        os.execve(self.program, [self.program, "--max-queues=2"], env)

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        self.until(lambda: self.store.connection is None)
        _, status = os.waitpid(self.pid, 0)
        if status:
            sys.exit(f"tapback ended with status {status}")

    def _serve_store(self, sock):
        if not self.store.serve():
            self.selector.unregister(sock)

    def _written(self, path, value):
        directory, _, name = path.rpartition("/")
        disk = self.disks.get(directory) if name == "state" else None
        if disk:
            disk.backend_is(value)

    def listen(self, tapdisk):
        def answer(sock):
            if not tapdisk.answer():
                self.selector.unregister(sock)
                sock.close()
                tapdisk.connection = None

        def accept(sock):
            tapdisk.connection, _ = sock.accept()
            self.selector.register(tapdisk.connection, selectors.EVENT_READ, answer)
        self.selector.register(tapdisk.listener, selectors.EVENT_READ, accept)

    def forget(self, tapdisk):
        for sock in (tapdisk.listener, tapdisk.connection):
            if sock:
                self.selector.unregister(sock)
        tapdisk.close()

    def turn(self, timeout):
        ready = self.selector.select(timeout)
        for key, _ in ready:
            if key.fileobj.fileno() >= 0:
                key.data(key.fileobj)
        return bool(ready)

    def until(self, condition):
        end = time.monotonic() + LIMIT_S
        while not condition():
            self.turn(1)
            if time.monotonic() > end:
                sys.exit(f"not within {LIMIT_S} s: {self.connected} connected, "
                         f"{self.removed} removed, {self.asked} asked")

    def quiet(self):
        """Until tapback has done all that it wants to do."""
        while self.turn(QUIET_S):
            pass

    def add(self, number):
        disk = Disk(self, number)
        self.disks[disk.backend] = disk
        disk.attach()

    def counts(self):
        with open(self.counts_path, "rb") as file:
            passes, looks = struct.unpack("=QQ", file.read(16))
        requests = self.store.requests
        return {"wall_ns": time.monotonic_ns(), "cpu_ns": cpu_ns(self.pid),
                "requests": sum(requests.values()), "domains": requests["domains"],
                "events": self.store.events, "passes": passes, "looks": looks}


def measure(host, number, phase, work):
    """What @work costs tapback. The wait for quiet is not in the time it takes."""
    before = host.counts()
    work()
    end = time.monotonic_ns()
    host.quiet()
    after = host.counts()
    after["wall_ns"] = end
    result(what="tapback", devices=number, phase=phase,
           **{key: after[key] - before[key] for key in after})


def measure_memory(host, number, when):
    rss, pss, private = memory_kb(host.pid)
    result(what="tapback-memory", devices=number, when=when, rss_kb=rss, pss_kb=pss,
           private_kb=private, fds=descriptors(host.pid))


def idle(host, number):
    before = switches(host.pid), cpu_ns(host.pid)
    end = time.monotonic() + IDLE_S
    while time.monotonic() < end:
        host.turn(end - time.monotonic())
    result(what="tapback-idle", devices=number, seconds=IDLE_S,
           switches=switches(host.pid) - before[0],
           cpu_ns=cpu_ns(host.pid) - before[1])


def all_at_once(host, number, first):
    def connect():
        host.connected = 0
        for i in range(number):
            host.add(i)
        host.until(lambda: host.connected == number)

    def restart():
        host.asked = 0
        host.start()
        host.until(lambda: host.asked == number)

    def detach():
        host.removed = 0
        for disk in list(host.disks.values()):
            disk.unplug()
        host.until(lambda: host.removed == number)

    host.start()
    host.quiet()
    measure_memory(host, number, "before")
    measure(host, number, "connect", connect)
    measure_memory(host, number, "connected")
    if first:
        idle(host, number)
    measure(host, number, "detach", detach)
    measure_memory(host, number, "after")
    connect()
    host.quiet()
    measure_memory(host, number, "connected-again")
    host.stop()
    begin = time.monotonic_ns()
    restart()
    end = time.monotonic_ns()
    host.quiet()
    counts = host.counts()
    result(what="tapback", devices=number, phase="restart", wall_ns=end - begin,
           **{key: counts[key] for key in ("cpu_ns", "passes", "looks")})
    detach()
    host.quiet()
    host.stop()


def one_by_one(host, number):
    def connect():
        host.connected = 0
        for i in range(number):
            host.add(i)
            host.until(lambda: host.connected == i + 1)

    def end():
        host.removed = 0
        for i, disk in enumerate(list(host.disks.values())):
            disk.shut_down()
            host.until(lambda: host.removed == i + 1)

    host.start()
    host.quiet()
    measure(host, number, "connect-each", connect)
    host.guests_end = True
    measure(host, number, "guests-end", end)
    host.guests_end = False
    host.stop()


def main():
    folder = "/run/scale"
    os.makedirs(folder)
    os.makedirs(RUN_DIR)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host = Host(sys.argv[1], folder)
    for number in map(int, sys.argv[2:]):
        note(f"tapback with {number} devices")
        # What few cost is lost in noise, unless it is done several times.
        for i in range(9 if number < 10 else 3):
            all_at_once(host, number, i == 0)
            one_by_one(host, number)


main()
