"""The short form of run.py: the same commands to larder and to Debian's
redis-server, every reply compared."""

import pytest

from differential import play, run
from support import seed

COMMANDS = 200000
LARDER_CONFIG, ORACLE_CONFIG = run.LARDER_CONFIG, run.CONFIG


def test_replies_are_those_of_redis(larder, oracle, seconds):
    player = play.Player(larder, oracle)
    try:
        rounds = run.rounds(player, seed.take("commands"), COMMANDS, seconds,
                            larder.directory / "difference.ops")
    except run.Failure as failure:
        pytest.fail(str(failure), pytrace=False)
    finally:
        player.close()
    assert player.commands >= COMMANDS
    # A test that moves nothing proves nothing about tiers.
    assert player.moved > rounds * 20
