"""Who may include whom, and every header stands alone."""

import json
import re
import shlex
import subprocess

import pytest

from support import sources

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
FOLDERS = ("protocol", "tiers", "server")
CODE = sources.with_suffix(".c", ".h", ".def", under=FOLDERS)


def allowed(path, included):
    """The include rule of the architecture, for our own headers."""
    folder = path.parts[0]
    target = included.split("/")[0]
    if target == folder:
        return True
    if folder == "tiers":
        return included == "protocol/bytes.h"
    return folder == "server" and target in ("protocol", "tiers")


def includes(path):
    for number, line in enumerate(sources.lines(path), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def test_folders_include_only_what_they_may():
    wrong = [
        "%s:%d includes %s" % (path, number, name)
        for path in CODE
        for number, quote, name in includes(path)
        if quote == '"' and not allowed(path, name)
    ]
    assert not wrong, "\n".join(wrong)


def test_own_headers_are_named_from_the_root():
    wrong = [
        "%s:%d includes %s" % (path, number, name)
        for path in CODE
        for number, quote, name in includes(path)
        if quote == '"' and name.split("/")[0] not in FOLDERS
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "header,permitted",
    [
        ("curses.h", lambda path: str(path) == "server/top/top_screen.c"),
        ("hiredis/hiredis.h",
         lambda path: str(path) == "server/top/top_link.c"),
        ("liburing.h", lambda path: str(path) == "tiers/dry/ring.c"),
        ("lmdb.h", lambda path: str(path) == "tiers/dry/lmdb_store.h"),
        ("uv.h", lambda path: path.parts[0] == "server"),
        ("lua.h", lambda path: str(path.parent) == "server/scripting"),
        ("lz4.h", lambda path: path.parts[0] == "tiers"),
    ],
)
def test_library_headers_stay_in_their_place(header, permitted):
    users = [
        path
        for path in sources.with_suffix(".c", ".h")
        if path.parts[0] not in ("tests", "bench")
        and any(name == header for _, _, name in includes(path))
    ]
    assert users, "nobody includes %s: is this test up to date?" % header
    assert [str(path) for path in users if not permitted(path)] == []


def library_folders(commands):
    """Where headers of libraries lie that are not in /usr/include itself."""
    return sorted({
        word
        for command in commands
        for word in shlex.split(command["command"])
        if word.startswith("-I/usr/include/")
    })


def project_flags():
    """The flags meson compiles our sources with."""
    commands = json.loads((sources.BUILD / "compile_commands.json").read_text())
    for command in commands:
        if "protocol/" in command["file"]:
            words = shlex.split(command["command"])
            return [
                word
                for word in words[1:]
                if word.startswith(("-W", "-std=", "-D", "-f"))
            ] + library_folders(commands)
    raise AssertionError("no compile command of ours")


@pytest.mark.parametrize(
    "header", sources.with_suffix(".h", under=FOLDERS), ids=str
)
def test_header_compiles_alone(header, tmp_path):
    unit = tmp_path / "alone.c"
    # Twice: the include guard works.
    unit.write_text('#include "%s"\n#include "%s"\n' % (header, header))
    done = subprocess.run(
        ["gcc", *project_flags(), "-Werror", "-fsyntax-only",
         "-I", str(sources.ROOT), str(unit)],
        stdin=subprocess.DEVNULL, capture_output=True, cwd=sources.ROOT,
    )
    assert done.returncode == 0, done.stderr.decode()
