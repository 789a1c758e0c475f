"""Every bug of tests/planted can still be planted, and names what finds it."""

import re
import subprocess

import pytest

from support import sources

PATCHES = [path for path in sources.tracked()
           if path.parts[:2] == ("tests", "planted") and path.suffix == ".patch"]


def test_are_enough():
    assert len(PATCHES) >= 25


@pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)
def test_applies(path):
    assert re.search(r"^(Tests|Units): \S", sources.text(path), re.M)
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "apply", "--check", str(path)],
        cwd=sources.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
        check=False)
    assert done.returncode == 0, done.stderr.decode()
