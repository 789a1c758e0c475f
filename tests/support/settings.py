"""Helpers of the tests of configuration."""

import subprocess

# Where larder and redis-server differ by how they were started, or by what
# they mean.
DIFFERENT = {"dir", "port", "save"}


def settings(server):
    """All of CONFIG GET."""
    client = server.client(decode_responses=True)
    try:
        return client.config_get("*")
    finally:
        client.close()


def ask(port, *arguments):
    """What redis-cli prints."""
    return subprocess.run(
        ["redis-cli", "-p", str(port), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
    ).stdout.decode().strip()
