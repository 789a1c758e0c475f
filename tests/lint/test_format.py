"""clang-format and clang-tidy agree with every file."""

import concurrent.futures
import hashlib
import json
import os
import subprocess

import pytest

from support import sources

CODE = sources.with_suffix(".c", ".h")


def test_clang_format():
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *map(str, CODE)],
        cwd=sources.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()[:4000]


def fingerprint(path, shared):
    digest = hashlib.sha256(shared)
    digest.update((sources.ROOT / path).read_bytes())
    return digest.hexdigest()


# The analyzer's default of 225,000 nodes a function takes five times as long
# and found nothing more.
ANALYZER = ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=30000"]


# What a trained build is compiled with and clang does not know.
ONLY_GCC = ("-fprofile-", "-mmemcpy-strategy=")


def commands_for_clang(directory):
    """Writes compile_commands.json there."""
    commands = json.loads((sources.BUILD / "compile_commands.json").read_text())
    for entry in commands:
        entry["command"] = " ".join(
            word for word in entry["command"].split(" ")
            if not word.startswith(ONLY_GCC))
    (directory / "compile_commands.json").write_text(json.dumps(commands))


def tidy(path, mark):
    """What clang-tidy says of one file; remembers that it was clean."""
    done = subprocess.run(
        ["clang-tidy", "--quiet", "-p", str(mark.parent),
         "--extra-arg=-Wno-unknown-warning-option",
         "--extra-arg=-Wno-ignored-optimization-argument",
         *("--extra-arg=" + word for word in ANALYZER), str(path)],
        cwd=sources.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
    )
    if done.returncode == 0:
        mark.touch()
        return ""
    return "\n".join(
        line for line in done.stdout.decode().splitlines() if "error:" in line)


# All files at first, each some seconds.
@pytest.mark.timeout(2400)
def test_clang_tidy():
    """Files found clean before are skipped while neither they nor any header
    nor the rules changed; so only a first run takes minutes."""
    marks = sources.BUILD / "tidy-clean"
    marks.mkdir(exist_ok=True)
    commands_for_clang(marks)
    shared = b"".join(
        (sources.ROOT / path).read_bytes()
        for path in [".clang-tidy", "meson.build",
                     *sources.with_suffix(".h", ".def")])
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in sources.with_suffix(
                ".c", under=("protocol", "tiers", "server")):
            mark = marks / fingerprint(path, shared)
            if not mark.exists():
                jobs.append(pool.submit(tidy, path, mark))
        findings = [job.result() for job in jobs]
    found = sorted({line for text in findings for line in text.splitlines()})
    assert not found, "%d findings\n%s" % (len(found), "\n".join(found))
