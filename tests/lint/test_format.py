"""clang-format and clang-tidy agree with every file."""

import concurrent.futures
import hashlib
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


def tidy(path, mark):
    """What clang-tidy says of one file; remembers that it was clean."""
    done = subprocess.run(
        ["clang-tidy", "--quiet", "-p", str(sources.BUILD),
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
