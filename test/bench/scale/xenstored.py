# SPDX-License-Identifier: GPL-2.0-or-later
"""A xenstore in memory, for one client, behind libxenstore's own protocol.

In a process of its own, so that what it takes is not counted as tapback's. As the real
one it fires watches after the request, or the transaction, that changed something;
permissions and quotas it has none, and a transaction never fails.
"""

import errno
import socket
import struct
from collections import Counter

HEADER = struct.Struct("=IIII")     # type, request, transaction, length
PAYLOAD_MAX = 4096
(DIRECTORY, READ, WATCH, UNWATCH, TRANSACTION_START, TRANSACTION_END, WRITE, MKDIR, RM,
 WATCH_EVENT, ERROR, IS_INTRODUCED, DIRECTORY_PART) = (
     1, 2, 4, 5, 6, 7, 11, 12, 13, 15, 16, 17, 22)
NAMES = {DIRECTORY: "directory", READ: "read", WATCH: "watch", UNWATCH: "unwatch",
         TRANSACTION_START: "start", TRANSACTION_END: "end", WRITE: "write", MKDIR: "mkdir",
         RM: "rm", IS_INTRODUCED: "domains", DIRECTORY_PART: "directory"}


class Nodes:
    """Paths and values; watches, and what fires them."""

    def __init__(self):
        self.values = {}
        self.children = {}
        self.watches = {}
        self.fire = None            # fire(path, token)

    def _changed(self, path):
        at = path
        while at:
            for token in self.watches.get(at, ()):
                self.fire(path, token)
            at = at.rpartition("/")[0]

    def set(self, path, value):
        new = path not in self.values
        self.values[path] = value
        while new and path:
            parent, _, name = path.rpartition("/")
            siblings = self.children.setdefault(parent, {})
            new = parent not in self.values
            siblings[name] = None
            if new and parent:
                self.values[parent] = ""
            path = parent

    def write(self, path, value):
        self.set(path, value)
        self._changed(path)

    def _drop(self, path):
        for name in list(self.children.pop(path, ())):
            below = f"{path}/{name}"
            self._drop(below)
            for token in self.watches.get(below, ()):
                self.fire(below, token)
        self.values.pop(path, None)

    def remove(self, path):
        if path not in self.values:
            return False
        self._drop(path)
        parent, _, name = path.rpartition("/")
        del self.children[parent][name]
        self._changed(path)
        return True

    def clean_up(self, path):
        """As libxl does: parents that are empty go, too."""
        while path and self.remove(path):
            path = path.rpartition("/")[0]
            if self.children.get(path):
                break

    def special(self, name):
        for token in self.watches.get(name, ()):
            self.fire(name, token)


class Server:
    """Serves @nodes; calls @written(path, value) after a client's write is done."""

    def __init__(self, path, written):
        self.nodes = Nodes()
        self.nodes.fire = self._event
        self.introduced = set()
        self.written = written
        self.requests = Counter()
        self.events = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.connection = None
        self._forget()

    def _forget(self):
        self.buffer = b""
        self.out = []
        self.queue = []             # events, until the request is answered
        self.in_transaction = False
        self.done = []              # writes of a transaction
        self.nodes.watches.clear()

    def accept(self):
        self.connection, _ = self.listener.accept()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None
        self._forget()

    def _event(self, path, token):
        self.queue.append(f"{path}\0{token}\0".encode())

    def flush(self):
        """Send answers, then events, as far as they may be sent."""
        if not self.in_transaction:
            self.events += len(self.queue)
            self.out += [HEADER.pack(WATCH_EVENT, 0, 0, len(text)) + text for text in self.queue]
            self.queue.clear()
        if self.out and self.connection:
            self.connection.sendall(b"".join(self.out))
        self.out.clear()

    def serve(self):
        """What has come; False when the client has gone."""
        data = self.connection.recv(65536)
        if not data:
            self.close()
            return False
        self.buffer += data
        while len(self.buffer) >= HEADER.size:
            kind, request, transaction, length = HEADER.unpack_from(self.buffer)
            if len(self.buffer) < HEADER.size + length:
                break
            payload = self.buffer[HEADER.size:HEADER.size + length].decode()
            self.buffer = self.buffer[HEADER.size + length:]
            self.requests[NAMES.get(kind, "other")] += 1
            kind, answer = self._answer(kind, payload)
            answer = answer.encode()
            self.out.append(HEADER.pack(kind, request, transaction, len(answer)) + answer)
            self.flush()
            self._tell()
        self.flush()
        return True

    def _tell(self):
        while self.done and not self.in_transaction:
            done, self.done = self.done, []
            for path, value in done:
                self.written(path, value)

    def _answer(self, kind, payload):
        words = payload.split("\0")
        path = words[0]
        if path and path[0] not in "/@":
            path = "/local/domain/0/" + path
        if kind == TRANSACTION_START:
            self.in_transaction = True
            return kind, "1\0"
        if kind == TRANSACTION_END:
            self.in_transaction = False
        elif kind == READ:
            value = self.nodes.values.get(path)
            return (ERROR, "ENOENT\0") if value is None else (kind, value)
        elif kind == WRITE:
            self.nodes.write(path, payload[len(words[0]) + 1:])
            self.done.append((path, payload[len(words[0]) + 1:]))
        elif kind == RM:
            if not self.nodes.remove(path):
                return ERROR, "ENOENT\0"
        elif kind == WATCH:
            self.nodes.watches.setdefault(path, []).append(words[1])
            self._event(path, words[1])
        elif kind == UNWATCH:
            self.nodes.watches[path].remove(words[1])
        elif kind in (DIRECTORY, DIRECTORY_PART):
            return self._list(kind, path, words)
        elif kind == IS_INTRODUCED:
            return kind, "T\0" if int(words[0]) in self.introduced else "F\0"
        else:
            return ERROR, errno.errorcode[errno.ENOSYS] + "\0"
        return kind, "OK\0"

    def _list(self, kind, path, words):
        """Lists that do not fit are asked for in parts."""
        if path not in self.nodes.values:
            return ERROR, "ENOENT\0"
        text = "".join(name + "\0" for name in self.nodes.children.get(path, ()))
        if kind == DIRECTORY:
            return (kind, text) if len(text) <= PAYLOAD_MAX else (ERROR, "E2BIG\0")
        rest = text[int(words[1]):]
        if len(rest) > PAYLOAD_MAX - 64:
            return kind, "1\0" + rest[:rest.rindex("\0", 0, PAYLOAD_MAX - 64) + 1]
        return kind, "1\0" + rest + "\0"
