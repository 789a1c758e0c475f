"""Current ioredis, node-redis and BullMQ from npm, as they come (the fixture
`modules`)."""

import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
LARDER_CONFIG = ["requirepass secret"]


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
