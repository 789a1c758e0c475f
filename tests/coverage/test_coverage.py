"""Runs the tests on a build that counts which lines and branches they reach
(build-coverage/), and prints it by module.

What cannot be reached is left out by gcovr's options: branches the compiler made
itself, and those of `check`, which ends the program when an invariant is broken.
A server that is killed leaves no counts, so the crash tests add only what runs
after their kills.
"""

import collections
import json
import os
import re
import subprocess

import pytest

from support.server import ROOT

BUILD = ROOT / "build-coverage"
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
          "--timeout=600", "--rootdir=tests"]
SUITES = {
    "integration": ["-n", "2", "--dist", "loadfile", "tests/integration"],
    "crash": ["-n", "2", "tests/crash", "--seconds=5"],
    "histories": ["-n", "2", "tests/histories", "--seconds=5"],
    "differential": ["-n", "2", "tests/differential", "--seconds=5"],
}
# A file is of the first module that its path fits.
MODULES = [
    ("parser", r"protocol/(resp|resp_partial|words)\.c"),
    ("protocol, the rest", r"protocol/"),
    ("codec", r"tiers/(codec\w*|pack)\.c"),
    ("commit", r"tiers/(log\w*|checkpoint|reclaim)\.c"
               r"|tiers/dry/(lmdb_write|lmdb_env|workers|place)\.c"),
    ("recovery", r"tiers/(load|record)\.c"
                 r"|tiers/dry/(lmdb|lmdb_\w+|store|ring)\.c"),
    ("values", r"tiers/values/"),
    ("tiers, the rest", r"tiers/"),
    ("commands", r"server/commands/"),
    ("scripting", r"server/scripting/"),
    ("server, the rest", r"server/"),
]
# Percent of branches: what these have reached, and must not fall below.
FLOORS = {"parser": 95, "codec": 95, "commit": 95, "recovery": 95}


def run(*command, env=None):
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
        env=dict(os.environ, **(env or {})), check=False)
    return done.returncode, done.stdout


def must(*command):
    status, output = run(*command)
    assert status == 0, output[-3000:]
    return output


@pytest.fixture(scope="module")
def counted():
    """The build, without counts of earlier runs."""
    if not (BUILD / "build.ninja").exists():
        must("meson", "setup", str(BUILD), "--buildtype=debug",
             "-Db_coverage=true", "-Db_lto=false", "-Dtests=enabled",
             "-Dc_args=-O1 -fprofile-update=atomic")
    must("ninja", "-C", str(BUILD))
    for counts in BUILD.rglob("*.gcda"):
        counts.unlink()
    return BUILD


def test_units(counted):
    status, output = run("meson", "test", "-C", str(counted),
                         "--timeout-multiplier=4")
    assert status == 0, output[-3000:]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SUITES)
def test_suite(counted, name):
    status, output = run(
        *PYTEST, *SUITES[name],
        env={"LARDER_BINARY": str(counted / "server/larder-server")})
    assert status == 0, output[-3000:]


def module_of(path):
    for name, pattern in MODULES:
        if re.match(pattern, path):
            return name
    return None


@pytest.mark.timeout(1200)
def test_report(counted, tmp_path):
    report = tmp_path / "report.json"
    must("gcovr", "--root", str(ROOT), "--object-directory", str(counted),
         "--gcov-ignore-parse-errors", "--exclude-unreachable-branches",
         "--exclude-branches-by-pattern", r"^\s*check\(",
         "--filter", "(protocol|tiers|server)/",
         "--json-summary", str(report), str(counted))
    files = json.loads(report.read_text())["files"]
    rows = collections.defaultdict(lambda: [0, 0, 0, 0])
    for file in files:
        row = rows[module_of(file["filename"])]
        for at, key in enumerate(("line_covered", "line_total",
                                  "branch_covered", "branch_total")):
            row[at] += file[key]
    print("\n%-20s %8s %8s" % ("module", "lines", "branches"))
    reached = {}
    for name, _ in MODULES:
        lines, all_lines, branches, all_branches = rows[name]
        reached[name] = 100 * branches / all_branches
        print("%-20s %6.1f %% %6.1f %%  of %d lines, %d branches" % (
            name, 100 * lines / all_lines, reached[name], all_lines,
            all_branches))
    for file in sorted(files, key=lambda file: file["filename"]):
        print("  %-36s %6.1f %% %6.1f %%" % (
            file["filename"], file["line_percent"] or 100,
            file["branch_percent"] or 100))
    fallen = {name: "%.1f %%" % reached[name]
              for name, floor in FLOORS.items() if reached[name] < floor}
    assert not fallen
