"""Plants a bug and looks whether the tests find it: each patch is applied to a
copy of the last commit (build-planted/), built, and the tests named in its head
run. Takes up to two minutes a patch.

    tests/run planted                                   all patches
    python3 -m pytest tests/planted -k watch-deaf       one of them
    LARDER_PLANTED_ALL=1 ...                            with the whole of
                                                        tests/run for each

A patch begins with what is wrong, then has "Units: " and names of unit tests,
"Tests: " and arguments for pytest, or both.
"""

import os
import pathlib
import re
import shlex
import subprocess

import pytest

from support.server import ROOT

HERE = pathlib.Path(__file__).parent
PATCHES = sorted((HERE / "patches").glob("*.patch"))
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p",
          "no:cacheprovider", "--timeout=300", "--rootdir=tests"]
TARGETS = ["server/larder-server", "tests/recorder.so"]
EVERYTHING = "LARDER_PLANTED_ALL" in os.environ


def run(*command, cwd):
    # The copy has its own binaries.
    env = {name: value for name, value in os.environ.items()
           if name not in ("LARDER_BINARY", "LARDER_RECORDER")}
    return subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", env=env, check=False)


def must(*command, cwd):
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, "%s:\n%s%s" % (
        " ".join(command), done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout.strip()


@pytest.fixture(scope="module")
def copy():
    """The last commit and its build directory, kept from run to run."""
    there = ROOT / "build-planted"
    if not (there / ".git").exists():
        must("git", "clone", "-q", "--shared", str(ROOT), str(there), cwd=ROOT)
    head = must("git", "rev-parse", "HEAD", cwd=ROOT)
    must("git", "fetch", "-q", str(ROOT), head, cwd=there)
    must("git", "checkout", "-q", "-f", head, cwd=there)
    if not (there / "build/build.ninja").exists():
        must("meson", "setup", "build", "--buildtype=debugoptimized",
             "-Db_lto=false", "-Dtests=enabled", cwd=there)
    yield there
    must("git", "checkout", "-q", "-f", ".", cwd=there)


def words_of(patch, name):
    found = re.search(r"^%s: (.*)$" % name, patch.read_text(), re.M)
    return shlex.split(found[1]) if found else []


def units_fail(copy, units):
    done = run("meson", "test", "-C", "build", "--no-rebuild", *units, cwd=copy)
    print(done.stdout[-2000:])
    return done.returncode != 0


def pytest_fails(copy, words):
    done = run(*PYTEST, *words, cwd=copy)
    print(done.stdout[-2000:], done.stderr[-500:])
    assert done.returncode in (0, 1), "the tests did not run"
    return done.returncode == 1


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_is_caught(copy, patch):
    units, tests = words_of(patch, "Units"), words_of(patch, "Tests")
    must("git", "checkout", "-q", "-f", ".", cwd=copy)
    must("git", "apply", str(patch), cwd=copy)
    must("ninja", "-C", "build", *TARGETS,
         *("tests/test_" + name for name in units), cwd=copy)
    if EVERYTHING:
        assert run("tests/run", cwd=copy).returncode != 0, "not caught"
    else:
        assert ((units and units_fail(copy, units))
                or (tests and pytest_fails(copy, tests))), "not caught"
