"""The short form of run.py: the same commands to larder and to Debian's
redis-server, every reply compared."""

import pytest

from differential import play, run
from support import seed

# Two millions, parts of which are played side by side.
PARTS, PART_COMMANDS = 4, 500000
LARDER_CONFIG, ORACLE_CONFIG = run.LARDER_CONFIG, run.CONFIG


@pytest.mark.parametrize("part", range(PARTS))
def test_replies_are_those_of_redis(larder, oracle, seconds, part):
    player = play.Player(larder, oracle)
    chosen = "%s.%d" % (seed.take("commands"), part)
    try:
        rounds = run.rounds(player, chosen, PART_COMMANDS, seconds,
                            larder.directory / "difference.ops")
    except run.Failure as failure:
        pytest.fail(str(failure), pytrace=False)
    finally:
        player.close()
    assert player.commands >= PART_COMMANDS
    # A test that moves nothing proves nothing about tiers.
    assert player.moved > rounds * 20
