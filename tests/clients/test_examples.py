"""The examples of a rate limiter and a function cache, one a client language:
each says what it should, and what it wrote has the expiry it was given."""

import os
import pathlib
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).parent / "examples"


def output_of(larder, *command, env=None):
    keys = larder.client()
    keys.flushall()
    done = subprocess.run([*command, str(larder.port)], env=env, capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    for key in keys.scan_iter():
        assert 0 < keys.pttl(key) <= 60000, key
    assert keys.get("limit:ann") == b"5"
    assert keys.execute_command("NAMESPACE", "STATS", "cache:")
    return done.stdout


def test_python(larder):
    assert output_of(larder, sys.executable, EXAMPLES / "limit_and_cache.py") == (
        "allowed [True, True, True, False, False]\nsquares [49, 49, 64] calls [7, 8]\n")


def test_node(larder, modules):
    env = dict(os.environ, NODE_PATH=str(modules))
    assert output_of(larder, "node", EXAMPLES / "limit_and_cache.cjs", env=env) == (
        "allowed [true,true,true,false,false]\nsquares [49,49,64] calls [7,8]\n")


def test_c(larder, tmp_path):
    program = tmp_path / "limit_and_cache"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-o", program,
                    EXAMPLES / "limit_and_cache.c", "-lhiredis"], check=True)
    assert output_of(larder, program) == (
        "allowed yes yes yes no no\nsquares 49 49 64 calls 2\n")
