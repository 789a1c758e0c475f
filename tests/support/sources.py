"""The files of the project, for the lint tests."""

import functools
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LARDER_BUILD", ROOT / "build"))


@functools.lru_cache(maxsize=None)
def tracked():
    """Files git knows or would add, as paths relative to the root."""
    out = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached",
         "--others", "--exclude-standard"],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=True,
    ).stdout.decode()
    return sorted(
        pathlib.PurePath(name)
        for name in set(out.split("\0"))
        if name and (ROOT / name).is_file()
    )


def with_suffix(*suffixes, under=None):
    return [
        path
        for path in tracked()
        if path.suffix in suffixes
        and (under is None or path.parts[0] in under)
    ]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def lines(path):
    return text(path).splitlines()
