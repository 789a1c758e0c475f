"""What the tests of clients share."""

import pathlib
import shutil
import subprocess

import pytest

from support.server import ROOT

HERE = pathlib.Path(__file__).parent
INSTALLED = ROOT / "build" / "test-clients"
NODE_MAJOR = 20


@pytest.fixture
def client(larder):
    """redis-py's, of an emptied server."""
    client = larder.client()
    client.flushall()
    yield client
    client.close()


def node_major():
    try:
        version = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, timeout=20)
        return int(version.stdout.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


@pytest.fixture(scope="module")
def modules():
    """The node_modules directory of current clients from npm, installed once into
    build/test-clients by the lock file beside this. Without node 20 or npm, or
    without a network for the first install, tests that want it are skipped."""
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
