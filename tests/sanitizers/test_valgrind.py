"""Unit tests under valgrind: what was never written is not read, and what was
taken is given back.

Not those that open a store: valgrind does not know io_uring, and takes all it
has read for unwritten. Nor `bytes`: long doubles have 64 bits there.
"""

import pathlib
import shutil
import subprocess

import pytest

from support.server import ROOT

HERE = pathlib.Path(__file__).parent
UNITS = ["acl_rules", "command_syntax", "config", "glob", "index", "rdb",
         "record", "reply", "resp", "ring", "stream", "tree", "tree_threads",
         "wheel"]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", UNITS)
def test_finds_nothing(name):
    assert shutil.which("valgrind")
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
         "--errors-for-leak-kinds=definite",
         "--suppressions=%s" % (HERE / "valgrind.supp"),
         str(ROOT / "build/tests" / ("test_" + name))],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-6000:]
