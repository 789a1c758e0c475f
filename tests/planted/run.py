#!/usr/bin/python3
"""Plants a bug and looks whether the tests find it: each patch is applied to a
copy of the last commit, built, and the tests named in its head run.

    tests/planted/run.py                     all patches
    tests/planted/run.py watch-deaf ...      these
    tests/planted/run.py --all ...           with the whole of tests/run for each
    tests/planted/run.py --copy DIRECTORY    where the copy and its build lie

A patch begins with what is wrong, then has "Units: " and names of unit tests,
"Tests: " and arguments for pytest, or both. Exit status 1: a bug was not caught,
or a patch does not apply. Takes up to two minutes a patch.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p",
          "no:cacheprovider", "--timeout=300", "--rootdir=tests"]
TARGETS = ["server/larder-server", "tests/recorder.so"]


def run(*command, cwd):
    return subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", check=False)


def must(*command, cwd):
    done = run(*command, cwd=cwd)
    if done.returncode != 0:
        sys.exit("%s:\n%s%s" % (
            " ".join(command), done.stdout[-3000:], done.stderr[-3000:]))


def clean(copy):
    must("git", "checkout", "-q", "-f", ".", cwd=copy)


def prepare(copy):
    """A clean copy of the last commit, and its build directory."""
    if not (copy / ".git").exists():
        must("git", "clone", "-q", "--shared", str(ROOT), str(copy), cwd=ROOT)
    head = run("git", "rev-parse", "HEAD", cwd=ROOT).stdout.strip()
    must("git", "fetch", "-q", str(ROOT), head, cwd=copy)
    must("git", "checkout", "-q", "-f", head, cwd=copy)
    if not (copy / "build/build.ninja").exists():
        must("meson", "setup", "build", "--buildtype=debugoptimized",
             "-Db_lto=false", "-Dtests=enabled", cwd=copy)


def head_line(patch, name):
    found = re.search(r"^%s: (.*)$" % name, patch.read_text(), re.M)
    return shlex.split(found[1]) if found else []


def all_tests(copy):
    done = run("tests/run", cwd=copy)
    failed = re.search(r"FAILED (.*)", done.stdout)
    return ("caught" if done.returncode else "MISSED",
            failed[1][:100] if failed else "")


def named_tests(copy, units, tests):
    if units:
        done = run("meson", "test", "-C", "build", "--no-rebuild", *units,
                   cwd=copy)
        if done.returncode != 0:
            failed = re.findall(r"^\s*\d+/\d+ (\S+) +(?:FAIL|ERROR|TIMEOUT)",
                                done.stdout, re.M)
            return "caught", "unit " + " ".join(failed)
    if tests:
        done = run(*PYTEST, *tests, cwd=copy)
        if done.returncode == 1:
            failed = re.search(r"^(FAILED|ERROR) (.*)$", done.stdout, re.M)
            return "caught", failed[2][:100] if failed else ""
        if done.returncode != 0:
            return "TESTS DID NOT RUN", done.stdout[-500:] + done.stderr[-500:]
    return "MISSED", ""


def try_patch(copy, patch, everything):
    """caught, MISSED or what went wrong, and by which test."""
    units, tests = head_line(patch, "Units"), head_line(patch, "Tests")
    clean(copy)
    if run("git", "apply", str(patch), cwd=copy).returncode != 0:
        return "DOES NOT APPLY", ""
    built = run("ninja", "-C", "build", *TARGETS,
                *("tests/test_" + name for name in units), cwd=copy)
    if built.returncode != 0:
        return "DOES NOT BUILD", built.stdout[-1000:]
    return all_tests(copy) if everything else named_tests(copy, units, tests)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--copy", type=pathlib.Path,
                        default=ROOT / "build-planted")
    options = parser.parse_args()
    copy = options.copy.resolve()
    patches = sorted((HERE / "patches").glob("*.patch"))
    if options.names:
        patches = [p for p in patches if p.stem in options.names]
    prepare(copy)
    caught = 0
    for patch in patches:
        begin = time.monotonic()
        result, detail = try_patch(copy, patch, options.all)
        caught += result == "caught"
        print("%-26s %s, %.0f s  %s" % (
            patch.stem, result, time.monotonic() - begin, detail), flush=True)
    clean(copy)
    print("%d of %d caught" % (caught, len(patches)))
    sys.exit(caught != len(patches))


if __name__ == "__main__":
    main()
