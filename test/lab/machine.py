#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Speaks to a machine of the lab.

machine.py AGENT_SOCKET run SECONDS [COPY]
                                        runs the shell text on stdin in dom0;
                                        file COPY gets the output as well
machine.py QMP_SOCKET resume            waits for the saved state, lets it run
machine.py QMP_SOCKET save FILE         stops the machine, saves its state
"""

import base64
import json
import os
import socket
import sys
import time

TIMED_OUT = 124
HOST_DIED = 125
# Reading a state of 1-2 GB from a cold disk is the slowest thing asked of QMP.
QMP_SECONDS = 180


def connect(path, seconds=10):
    """QEMU needs a moment to make its sockets after it was started."""
    deadline = time.monotonic() + seconds
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return sock
        except OSError:
            sock.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def run(path, seconds, copy=os.devnull):
    """Passes stdin to dom0 and its output on, until the agent's end mark."""
    with open(copy, "wb") as file:
        return exchange(path, float(seconds), [sys.stdout.buffer, file])


def exchange(path, seconds, outputs):
    token = os.urandom(6).hex()
    mark = b"\x1e" + token.encode() + b" "
    deadline = time.monotonic() + seconds
    sock = connect(path)
    text = base64.b64encode(sys.stdin.buffer.read())
    sock.sendall(token.encode() + b" " + text + b"\n")
    held = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return TIMED_OUT
        sock.settimeout(left)
        try:
            data = sock.recv(65536)
        except TimeoutError:
            return TIMED_OUT
        except OSError:
            data = b""
        if not data:
            return HOST_DIED
        held += data
        if mark in held and held.endswith(b"\n"):
            output, status = held.split(mark)
            emit(output, outputs)
            return int(status)
        # What may be the beginning of the mark waits for its rest.
        output, sep, rest = held.partition(b"\x1e")
        emit(output, outputs)
        held = sep + rest


def emit(data, outputs):
    for output in outputs:
        output.write(data)
        output.flush()


class Monitor:
    def __init__(self, path):
        sock = connect(path)
        sock.settimeout(QMP_SECONDS)
        self.stream = sock.makefile("rw")
        json.loads(self.stream.readline())
        self.call("qmp_capabilities")

    def call(self, command, **arguments):
        json.dump({"execute": command, "arguments": arguments}, self.stream)
        self.stream.write("\n")
        self.stream.flush()
        while True:
            answer = json.loads(self.stream.readline())
            if "error" in answer:
                raise RuntimeError(command + ": " + answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    def wait(self, command, done):
        deadline = time.monotonic() + QMP_SECONDS
        while time.monotonic() < deadline:
            answer = self.call(command)
            if done(answer.get("status")):
                return answer
            time.sleep(0.05)
        raise RuntimeError(f"{command}: not done after {QMP_SECONDS} s: {answer}")


def resume(path):
    monitor = Monitor(path)
    monitor.wait("query-status", lambda status: status != "inmigrate")
    monitor.call("cont")


def save(path, target):
    monitor = Monitor(path)
    monitor.call("stop")
    monitor.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    monitor.call("migrate", uri=f"exec:cat > '{target}'")
    answer = monitor.wait("query-migrate",
                          lambda status: status in ("completed", "failed"))
    if answer["status"] != "completed":
        raise RuntimeError(f"saving the machine failed: {answer}")


def main():
    path, command, *rest = sys.argv[1:]
    if command == "run":
        return run(path, *rest)
    try:
        {"resume": resume, "save": save}[command](path, *rest)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"lab: the emulator's monitor: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
