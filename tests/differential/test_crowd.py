"""Several connections at once (crowd.py) to larder and to redis-server, and
one program in every tier (everywhere.py). LARDER_SEED=n plays the same
programs again."""

import pytest

from differential import crowd, everywhere, run
from support import seed
from support.server import larder as make_larder

LARDER_CONFIG, ORACLE_CONFIG = run.LARDER_CONFIG, run.CONFIG
OPERATIONS = 1000
# Of half a million in each tier, which are played side by side.
PARTS, PART_COMMANDS = 2, 250000


def told(operation):
    who, words = operation
    if who == "pause":
        return "-- %r, then a pause" % (words,)
    return "%s: %s" % (who, " ".join(map(run.shown, words)))


def test_several_connections(larder, oracle, seconds):
    chosen = seed.take("crowd")
    player = crowd.Player(larder, oracle)
    for number in crowd.rounds(player, 15000, seconds):
        program = crowd.program_of(chosen, number, OPERATIONS)
        difference = player.play(program)
        if difference is not None:
            pytest.fail(run.shortest(
                player.play, told, program[:difference.index + 1], difference,
                "LARDER_SEED=%s, round %d" % (chosen, number)),
                pytrace=False)
    # There was something to see.
    assert player.moved > 300 and player.slept > 50 and player.executed > 200


@pytest.fixture
def places():
    # One of them reads past the page cache.
    more = {"dry": ["dry-page-cache 1"]}
    servers = {name: make_larder(run.CONFIG + more.get(name, []))
               for name in everywhere.KEEPERS}
    try:
        yield {name: server.start() for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.finish()


@pytest.mark.parametrize("part", range(PARTS))
def test_the_same_in_every_tier(places, seconds, part):
    chosen = "%s.%d" % (seed.take("everywhere"), part)
    player = everywhere.Player(places)
    for number in crowd.rounds(player, PART_COMMANDS, seconds):
        program = everywhere.program_of(chosen, number, OPERATIONS)
        difference = player.play(program, number)
        if difference is not None:
            pytest.fail(run.shortest(
                lambda shorter: player.play(shorter, number), run.line,
                program, difference,
                "seed %s, round %d" % (chosen, number)),
                pytrace=False)
    player.close()
    for place in player.places:
        assert place.moved > player.commands / 10, place.name
