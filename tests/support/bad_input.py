"""Inputs a server must survive: malformed RESP, overflows, other protocols.

INPUTS is a list of (name, bytes). Replies and whether the connection is
closed are compared with redis-server's, so nothing here may depend on what
was sent before: an input that needs a key makes it itself.
"""

from support.resp import encode

# Larger than what a line may have in both servers, whatever the chunks.
LONG_LINE = 100 * 1024


def malformed():
    """Inputs that break RESP itself."""
    lengths = [
        b"3000000000", b"-10", b"-1", b"0", b"-0", b"+1", b"01", b" 1", b"1 ",
        b"", b"x", b"1x", b"0x1", b"1.0", b"1e1", b"2147483647",
        b"2147483648", b"4294967296", b"9223372036854775807",
        b"9223372036854775808", b"-9223372036854775808",
        b"-9223372036854775809", b"18446744073709551616", b"9" * 30,
        b"-", b"\xff\xfe", b"1048576", b"1048577", b"536870912",
    ]
    for text in lengths:
        yield "multibulk %r" % text, b"*" + text + b"\r\nPING\r\n"
        yield "bulk %r" % text, b"*1\r\n$" + text + b"\r\nPING\r\n"
        yield ("second bulk %r" % text,
               b"*2\r\n$4\r\nECHO\r\n$" + text + b"\r\nx\r\n")
    yield "declared 2 GB", b"*1\r\n$2000000000\r\nxxxx"
    yield "declared 512 MB + 1", b"*1\r\n$536870913\r\nxxxx"
    for kind in (b"+", b"-", b":", b"%", b"~", b"_", b"#", b",", b"(", b"=",
                 b"!", b">", b"|", b"PING\r\n", b"\r\n", b" ", b"\n",
                 b"*1\r\n$4\r\nPING\r\n"):
        yield "argument as %r" % kind, b"*1\r\n" + kind + b"4\r\nPING\r\n"
        yield ("second argument as %r" % kind,
               b"*2\r\n$4\r\nECHO\r\n" + kind + b"4\r\nPING\r\n")
    yield "LF only multibulk", b"*1\n$4\nPING\n"
    yield "LF after CRLF bulk", b"*1\r\n$4\nPING\r\n"
    yield "CR only", b"*1\r$4\rPING\r"
    yield "CR CR LF", b"*1\r\r\n$4\r\nPING\r\n"
    yield "no CRLF behind bulk", b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n"
    yield "bulk too short", b"*1\r\n$2\r\nPING\r\n"
    yield "bulk too long", b"*1\r\n$6\r\nPING\r\n*1\r\n$4\r\nPING\r\n"
    yield "nested array", b"*1\r\n*1\r\n$4\r\nPING\r\n"
    yield "empty multibulk then command", b"*0\r\nPING\r\n"
    yield "null multibulk then command", b"*-1\r\n*1\r\n$4\r\nPING\r\n"
    yield "many empty multibulks", b"*0\r\n" * 100 + b"PING\r\n"
    yield "empty bulk as name", b"*1\r\n$0\r\n\r\n"
    yield "long count line", b"*" + b"1" * LONG_LINE
    yield "long bulk line", b"*1\r\n$" + b"1" * LONG_LINE
    yield "half a command", b"*2\r\n$4\r\nECHO\r\n$5\r\nab"
    yield "only a star", b"*"
    yield "star and number", b"*3"
    yield "good, bad, good", (
        encode("ECHO", "1") + b"*1\r\n+bad\r\n" + encode("ECHO", "2"))
    yield "good, bad count, good", (
        encode("ECHO", "1") + b"*x\r\n" + encode("ECHO", "2"))


def inline():
    """Lines that are not RESP arrays."""
    yield "inline", b"ECHO hello\r\n"
    yield "inline LF", b"ECHO hello\n"
    yield "inline spaces", b"   ECHO \t  hello  \r\n"
    yield "empty lines", b"\r\n\r\n\n\nPING\r\n"
    yield "blank line", b"     \r\nPING\r\n"
    yield "double quotes", b'ECHO "a \\x41\\n\\"b\\""\r\n'
    yield "single quotes", b"ECHO 'a \\'b\\' \\n'\r\n"
    yield "empty quotes", b"ECHO \"\"\r\nECHO ''\r\n"
    yield "open double quote", b'ECHO "abc\r\nPING\r\n'
    yield "open single quote", b"ECHO 'abc\r\nPING\r\n"
    yield "text behind quote", b'ECHO "abc"def\r\nPING\r\n'
    yield "quote inside word", b'ECHO ab"cd"\r\nPING\r\n'
    yield "bad hex escape", b'ECHO "\\xZZ\\x4"\r\n'
    yield "escape at end", b'ECHO "abc\\\r\n'
    yield "high bytes", b"ECHO \xff\xfe\x80\r\n"
    yield "long line without end", b"x" * LONG_LINE
    yield "get and a megabyte of spaces", b"get" + b" " * (1 << 20) + b"\r\n"
    yield "many words", b"ECHO" + b" a" * 20000 + b"\r\n"
    yield "CR inside", b"ECHO a\rb\r\n"
    yield "unknown", b"nosuchcommand a b c\r\n"
    yield "unknown with long arguments", (
        b"nosuch " + b"y" * 200 + b" " + b"z" * 200 + b"\r\n")
    yield "escape sequence as name", encode(b"\x1b[31m", b"\x00\r\n+OK\r\n")
    yield "reply injection", encode(b"x\r\n-ERR injected\r\n+OK", b"a\r\nb")
    yield "reply injection in subcommand", encode("CONFIG", b"x\r\n+OK\r\n")


def other_protocols():
    yield "HTTP POST", b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n"
    yield "Host header", b"Host: localhost\r\nPING\r\n"
    yield "post in lower case", b"post / HTTP/1.1\r\n\r\n"
    yield "host in RESP", encode("HOST:", "x")
    yield "SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n"
    yield "memcached", b"set a 0 0 1\r\nx\r\nget a\r\n"
    yield "proxy", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nPING\r\n"


INT64 = ["9223372036854775807", "-9223372036854775808",
         "9223372036854775808", "-9223372036854775809",
         "18446744073709551616", "99999999999999999999999"]
NOT_INTEGERS = ["", " ", "1 ", " 1", "+1", "01", "-0", "0x10", "1.0", "1e3",
                "abc", "1\x00", "nan", "inf"]


def values():
    """Whole commands whose arguments overflow or are no numbers."""
    setup = encode("SET", "k", "value") + encode("SET", "n", "10")
    for word in INT64 + NOT_INTEGERS:
        for name, command in {
            "SETRANGE": ("SETRANGE", "k", word, "x"),
            "GETRANGE start": ("GETRANGE", "k", word, "3"),
            "GETRANGE end": ("GETRANGE", "k", "0", word),
            "SUBSTR": ("SUBSTR", "k", word, word),
            "SCAN COUNT": ("SCAN", "0", "COUNT", word),
            "EXPIRE": ("EXPIRE", "none", word),
            "PEXPIRE": ("PEXPIRE", "k", word),
            "EXPIRE k": ("EXPIRE", "k", word),
            "EXPIREAT": ("EXPIREAT", "k", word),
            "PEXPIREAT": ("PEXPIREAT", "k", word),
            "SET EX": ("SET", "k", "v", "EX", word),
            "SET PX": ("SET", "k", "v", "PX", word),
            "SET EXAT": ("SET", "k", "v", "EXAT", word),
            "SET PXAT": ("SET", "k", "v", "PXAT", word),
            "SETEX": ("SETEX", "k", word, "v"),
            "PSETEX": ("PSETEX", "k", word, "v"),
            "GETEX EX": ("GETEX", "k", "EX", word),
            "GETEX PXAT": ("GETEX", "k", "PXAT", word),
            "INCRBY": ("INCRBY", "n", word),
            "DECRBY": ("DECRBY", "n", word),
            "SELECT": ("SELECT", word),
            "SWAPDB": ("SWAPDB", word, "0"),
            "MOVE": ("MOVE", "none", word),
            "COPY DB": ("COPY", "k", "k2", "DB", word),
            "HELLO": ("HELLO", word),
            "SLOWLOG GET": ("SLOWLOG", "GET", word),
            "CLIENT KILL ID": ("CLIENT", "KILL", "ID", word),
            "GETKEYS": ("COMMAND", "GETKEYS", "GET", word),
            "LCS": ("LCS", "k", "n", "IDX", "MINMATCHLEN", word),
        }.items():
            if name == "SCAN COUNT" and word in INT64[:1]:
                continue  # the oracle walks its table as often as asked
            yield "%s %r" % (name, word), (
                setup + encode(*command) + encode("DEL", "k", "n", "k2"))
        # Of an empty database: what a cursor means is each server's own.
        yield "SCAN %r" % word, encode("SCAN", word)
    for word in ["nan", "inf", "-inf", "1e400", "-1e400", "1e308", "1e-400",
                 "", " ", "1 ", " 1", "0x10", "1.5e3", "9" * 60, "+1", ".5",
                 "5.", "1e5000", "infinity", "1.0.0", "1\x00", "0x1p3"]:
        yield "INCRBYFLOAT %r" % word, (
            encode("SET", "n", "10.5") + encode("INCRBYFLOAT", "n", word)
            + encode("DEL", "n"))
    for held in ["nan", "inf", "abc", "1e400", "", " 1", "9" * 60,
                 "1.7976931348623157e308"]:
        yield "INCRBYFLOAT on %r" % held, (
            encode("SET", "n", held) + encode("INCRBYFLOAT", "n", "1")
            + encode("DEL", "n"))
        yield "INCR on %r" % held, (
            encode("SET", "n", held) + encode("INCR", "n")
            + encode("DEL", "n"))
    for held in INT64:
        for command in ("INCR", "DECR"):
            yield "%s at %s" % (command, held), (
                encode("SET", "n", held) + encode(command, "n")
                + encode("GET", "n") + encode("DEL", "n"))


def commands():
    """Commands with odd shapes."""
    yield "MSETNX twice the same", (
        encode("MSETNX", "a", "1", "a", "2") + encode("GET", "a")
        + encode("DEL", "a"))
    yield "MSET odd", encode("MSET", "a", "1", "b")
    yield "MSETNX odd", encode("MSETNX", "a", "1", "b")
    yield "DEL twice the same", (
        encode("SET", "a", "1") + encode("DEL", "a", "a", "a"))
    yield "SETRANGE beyond 512 MB", encode("SETRANGE", "k", "536870912", "x")
    yield "SETRANGE far, empty", encode("SETRANGE", "k", "536870912", "")
    yield "SETRANGE -1", encode("SETRANGE", "k", "-1", "x")
    yield "GETRANGE all", (
        encode("SET", "k", "v") + encode(
            "GETRANGE", "k", "-9223372036854775808", "9223372036854775807")
        + encode("DEL", "k"))
    yield "GETKEYS of nothing", encode("COMMAND", "GETKEYS")
    yield "GETKEYS unknown", encode("COMMAND", "GETKEYS", "nosuch", "a")
    yield "GETKEYS PING", encode("COMMAND", "GETKEYS", "PING")
    yield "GETKEYS MSET odd", encode("COMMAND", "GETKEYS", "MSET", "a", "b", "c")
    yield "GETKEYS MSET 10000", encode(
        "COMMAND", "GETKEYS", "MSET", *["k"] * 20000)
    yield "HELLO 2 3", encode("HELLO", "2", "3")
    yield "HELLO 3 AUTH short", encode("HELLO", "3", "AUTH", "a")
    yield "HELLO SETNAME spaces", encode("HELLO", "2", "SETNAME", "a b")
    yield "AUTH without password", encode("AUTH", "x") + encode("PING")
    yield "AUTH user", encode("AUTH", "nobody", "x") + encode("PING")
    yield "AUTH three", encode("AUTH", "a", "b", "c")
    yield "CLIENT SETNAME newline", encode("CLIENT", "SETNAME", "a\nb")
    yield "CLIENT KILL nobody", encode("CLIENT", "KILL", "1.2.3.4:5")
    yield "CLIENT KILL odd", encode("CLIENT", "KILL", "ID")
    yield "CLIENT REPLY nonsense", encode("CLIENT", "REPLY", "MAYBE")
    yield "CLIENT REPLY OFF then ON", (
        encode("CLIENT", "REPLY", "OFF") + encode("ECHO", "a")
        + encode("CLIENT", "REPLY", "ON") + encode("ECHO", "b"))
    yield "CLIENT REPLY SKIP", (
        encode("CLIENT", "REPLY", "SKIP") + encode("ECHO", "a")
        + encode("ECHO", "b"))
    yield "QUIT with more behind", encode("QUIT") + encode("PING")
    yield "QUIT with argument", encode("QUIT", "now") + encode("PING")
    yield "RESET", encode("SELECT", "3") + encode("RESET") + encode("PING")
    yield "CONFIG GET unknown", encode("CONFIG", "GET", "nosuchthing")
    yield "CONFIG SET unknown", encode("CONFIG", "SET", "nosuchthing", "1")
    yield "CONFIG SET odd", encode("CONFIG", "SET", "maxclients")
    yield "CONFIG SET twice", encode(
        "CONFIG", "SET", "timeout", "0", "timeout", "0")
    yield "DEBUG nonsense", encode("OBJECT", "NOSUCH", "a")
    yield "OBJECT missing", encode("OBJECT", "ENCODING", "nosuchkey")
    yield "SET conflicting", encode("SET", "a", "1", "NX", "XX")
    yield "SET EX twice", encode("SET", "a", "1", "EX", "1", "PX", "1")
    yield "SET KEEPTTL EX", encode("SET", "a", "1", "KEEPTTL", "EX", "1")
    yield "SET nonsense", encode("SET", "a", "1", "MAYBE")
    yield "EXPIRE NX XX", encode("EXPIRE", "a", "1", "NX", "XX")
    yield "EXPIRE GT LT", encode("EXPIRE", "a", "1", "GT", "LT")
    yield "SCAN syntax", encode("SCAN", "0", "MATCH")
    yield "SCAN COUNT 0", encode("SCAN", "0", "COUNT", "0")
    yield "SCAN TYPE nonsense", encode("SCAN", "0", "TYPE", "nosuch")
    yield "RENAME missing", encode("RENAME", "nosuchkey", "b")
    yield "COPY onto itself", (
        encode("SET", "a", "1") + encode("COPY", "a", "a") + encode("DEL", "a"))
    yield "MOVE to itself", (
        encode("SET", "a", "1") + encode("MOVE", "a", "0") + encode("DEL", "a"))
    yield "key of zero bytes", (
        encode("SET", "", "empty") + encode("GET", "") + encode("DEL", ""))
    yield "key of all bytes", (
        encode("SET", bytes(range(256)), bytes(range(256)))
        + encode("GET", bytes(range(256))) + encode("DEL", bytes(range(256))))
    for size in (1, 15, 16, 44, 45, 254, 255, 256, 510, 511, 512, 513, 16383,
                 16384, 32767, 32768, 65536):
        key = b"K" * size
        yield "key of %d bytes" % size, (
            encode("SET", key, "v") + encode("STRLEN", key)
            + encode("OBJECT", "ENCODING", key) + encode("DEL", key))
        yield "value of %d bytes" % size, (
            encode("SET", "k", key) + encode("GET", "k")
            + encode("OBJECT", "ENCODING", "k") + encode("DEL", "k"))


# A zero byte in a line: Redis does not see the line's end behind it and waits
# for ever; larder refuses the line at once.
ZERO_BYTES = [
    b"*\x00\r\nPING\r\n",
    b"*1\r\n$\x00\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$\x00\r\nx\r\n",
    b"*1\r\n\x004\r\nPING\r\n",
    b"ECHO a\x00b\r\nPING\r\n",
    bytes.fromhex("16030100c8010000c40303") + bytes(range(64)) + b"\r\n",
]

INPUTS = [
    item
    for source in (malformed, inline, other_protocols, values, commands)
    for item in source()
]
