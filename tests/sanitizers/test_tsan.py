"""What uses threads, on a build with ThreadSanitizer (build-tsan/): unit tests,
and some of the integration tests. Races are errors.

Not those that count on how much memory the server takes: here it is more.
"""

import os
import subprocess

import pytest

from support.server import ROOT, SANITIZER_ENV

BUILD = ROOT / "build-tsan"
UNITS = ["workers", "tree_threads", "store_contract", "store_full",
         "engine_states", "engine_faults", "engine_memory", "engine_warm"]
FILES = ["test_00_smoke.py", "test_39_warm_restart.py"]


def must(*command, env=None):
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
        env=dict(os.environ, **SANITIZER_ENV, **(env or {})), check=False)
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.fixture(scope="module", autouse=True)
def built():
    if not (BUILD / "build.ninja").exists():
        must("meson", "setup", str(BUILD), "-Dtests=enabled",
             "-Db_lundef=false", "-Db_sanitize=thread")
    must("ninja", "-C", str(BUILD))


@pytest.mark.timeout(1800)
def test_units():
    must("meson", "test", "-C", str(BUILD), "--print-errorlogs",
         "--num-processes", "2", *UNITS)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FILES)
def test_integration(name):
    must("/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "--timeout=600", "--rootdir=tests", "tests/integration/" + name,
         env={"LARDER_BINARY": str(BUILD / "server/larder-server")})
