"""Current ioredis, node-redis and BullMQ from npm, as they come.

They are installed once into build/test-clients by the lock file beside this.
Without node 20 or npm, or without a network for the first install, these
tests are skipped and say so."""

import os
import pathlib
import shutil
import subprocess

import pytest

from support.server import ROOT

HERE = pathlib.Path(__file__).parent
INSTALLED = ROOT / "build" / "test-clients"
NODE_MAJOR = 20
LARDER_CONFIG = ["requirepass secret"]


def node_major():
    try:
        version = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, timeout=20)
        return int(version.stdout.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


@pytest.fixture(scope="module")
def modules():
    """The node_modules directory."""
    if node_major() < NODE_MAJOR:
        pytest.skip("no node of version %d or newer" % NODE_MAJOR)
    if shutil.which("npm") is None:
        pytest.skip("no npm")
    lock = (HERE / "package-lock.json").read_bytes()
    done = INSTALLED / "installed"
    if not done.exists() or done.read_bytes() != lock:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        INSTALLED.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, INSTALLED)
        result = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=INSTALLED, capture_output=True, text=True, timeout=300)
        if result.returncode != 0:
            pytest.skip("npm could not install the clients: "
                        + result.stderr.strip()[-300:])
        done.write_bytes(lock)
    return INSTALLED / "node_modules"


@pytest.mark.parametrize(
    "script", ["ioredis.cjs", "node-redis.cjs", "scripts.cjs", "bullmq.cjs"])
def test_client(larder, modules, script):
    result = subprocess.run(
        ["node", str(HERE / script), str(larder.port), "secret"],
        env=dict(os.environ, NODE_PATH=str(modules)),
        capture_output=True, text=True, timeout=300)
    report = result.stdout + result.stderr
    assert result.returncode == 0, report
    assert report.count("ok ") >= 10, report


def test_the_lock_file_names_no_host():
    text = (HERE / "package-lock.json").read_text()
    assert '"resolved"' not in text
