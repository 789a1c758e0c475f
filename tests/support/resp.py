"""A raw RESP connection: bytes out, exactly one raw reply in.

Nothing is decoded, so that tests can compare what two servers sent byte by
byte. Knows RESP2 and RESP3.
"""

import socket

AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
ATTRIBUTE = ord("|")
BULKS = b"$=!"
SIZED = frozenset(BULKS) | AGGREGATES.keys()
LINES = b"+-:_,#("


class Closed(Exception):
    """The server closed the connection inside or before a reply."""


def encode(*args):
    """A command as a RESP array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, bytes):
            arg = arg.encode() if isinstance(arg, str) else repr(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


def encode_all(commands):
    """Several commands, one behind the other."""
    return b"".join(encode(*command) for command in commands)


def decode(reply):
    """A whole raw reply as a Python value."""
    value, rest = decode_one(reply)
    assert rest == b"", rest
    return value


def decode_one(reply):
    line, rest = reply.split(b"\r\n", 1)
    kind, text = line[:1], line[1:]
    if kind == b"-":
        raise ValueError(text.decode())
    if kind == b":":
        return int(text), rest
    if kind in (b"+", b"#", b",", b"_"):
        return text or None, rest
    size = int(text)
    if size < 0:
        return None, rest
    if kind in (b"$", b"="):
        return rest[:size], rest[size + 2:]
    items = []
    for _ in range(size * AGGREGATES[ord(kind)]):
        item, rest = decode_one(rest)
        items.append(item)
    if kind == b"%":
        return dict(zip(items[::2], items[1::2])), rest
    return items, rest


class Connection:
    """A socket to a server, TCP (port) or Unix (path)."""

    def __init__(self, port=None, path=None, timeout=10, host="127.0.0.1"):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(str(path))
        else:
            self.sock = socket.create_connection((host, port), timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def send(self, data):
        self.sock.sendall(data)

    def command(self, *args):
        """Sends one command; its raw reply."""
        self.send(encode(*args))
        return self.read_reply()

    def value(self, *args):
        """Sends one command; its reply as a Python value. A map is a dict, an
        error an exception."""
        return decode(self.command(*args))

    def inline(self, line):
        """Sends one inline command; its raw reply."""
        self.send(line if isinstance(line, bytes) else line.encode())
        self.send(b"\r\n")
        return self.read_reply()

    def pipeline(self, commands):
        """Sends all commands at once; their raw replies."""
        self.send(encode_all(commands))
        return [self.read_reply() for _ in commands]

    def read_reply(self):
        """The bytes of exactly one reply. Raises Closed at end of stream."""
        end = self._reply_end()
        reply = bytes(self.buffer[:end])
        del self.buffer[:end]
        return reply

    def read_replies(self, count):
        return [self.read_reply() for _ in range(count)]

    def read_until_closed(self):
        """Everything until the server closes (a reset counts as closing)."""
        try:
            while self._fill():
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass
        rest = bytes(self.buffer)
        self.buffer.clear()
        return rest

    def quiet(self, seconds=0.1):
        """True when nothing arrives for so long."""
        if self.buffer:
            return False
        previous = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self._fill()
            return False
        except socket.timeout:
            return True
        finally:
            self.sock.settimeout(previous)

    def _fill(self):
        chunk = self.sock.recv(1 << 18)
        self.buffer += chunk
        return len(chunk) > 0

    def _more(self):
        if not self._fill():
            raise Closed(bytes(self.buffer))

    def _reply_end(self):
        """Where the first reply in the buffer ends. A loop over its parts, as
        tests read millions of replies."""
        buffer, at, left = self.buffer, 0, 1
        while left > 0:
            line_end = buffer.find(b"\r\n", at)
            if line_end < 0:
                self._more()
                continue
            kind = buffer[at]
            left -= 1
            if kind in LINES:
                at = line_end + 2
                continue
            if kind not in SIZED:
                raise AssertionError(
                    "not a reply: %r" % bytes(buffer[at : at + 80]))
            size = int(buffer[at + 1 : line_end])
            at = line_end + 2
            if kind not in BULKS:
                # What follows an attribute belongs to its reply.
                left += max(size, 0) * AGGREGATES[kind] + (kind == ATTRIBUTE)
            elif size >= 0:
                at += size + 2
                while len(buffer) < at:
                    self._more()
        return at
