"""No writable globals: none of our objects lies in .data or .bss."""

import re
import subprocess

from support import sources

# 0000000000000000 l     O .bss  0000000000000008 name
SYMBOL = re.compile(
    r"^[0-9a-f]+ (.{7}) (\S+)\s+([0-9a-f]+)\s+(?:\.hidden )?(.+)$")
WRITABLE = re.compile(r"^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)")


def objects():
    """(archive, object file, section, symbol) of all our static libraries."""
    archives = sorted(
        path
        for folder in ("protocol", "tiers", "server")
        for path in (sources.BUILD / folder).glob("lib*.a")
    )
    assert len(archives) >= 3, "no static libraries in %s" % sources.BUILD
    for archive in archives:
        out = subprocess.run(
            ["objdump", "-t", str(archive)],
            stdin=subprocess.DEVNULL, capture_output=True, check=True,
        ).stdout.decode()
        unit = None
        for line in out.splitlines():
            if ": " in line and "file format" in line:
                unit = line.split(":")[0]
            match = SYMBOL.match(line)
            if match and "O" in match.group(1):
                yield archive.name, unit, match.group(2), match.group(4)


def test_no_object_is_writable():
    found, seen = [], 0
    for archive, unit, section, name in objects():
        seen += 1
        if section.startswith(".data.rel.ro"):
            continue
        if WRITABLE.match(section):
            found.append("%s(%s): %s in %s" % (archive, unit, name, section))
    assert seen > 10, "objdump's output was not understood"
    assert not found, "\n".join(found)
