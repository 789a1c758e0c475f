#!/usr/bin/python3
"""The differential test by hand: the same commands to larder and to Debian's
redis-server, every reply compared.

    tests/differential/run.py                    20 seconds
    tests/differential/run.py --seconds 3600     an hour
    tests/differential/run.py --commands 50000   so many commands
    tests/differential/run.py --seed 17          other commands
    tests/differential/run.py --seed 17 --round 4    only that round
    tests/differential/run.py --replay FILE      a sequence saved before
    tests/differential/run.py --config 'appendonly yes'  larder's, repeatable

Needs the built binary (server/run --version builds it). A difference is
shrunk to a short sequence, printed, and saved for --replay.
"""

import argparse
import ast
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from differential import generate, play, shrink  # noqa: E402
from support import server as servers  # noqa: E402

# Small enough that limits on the length of strings are met.
CONFIG = ["proto-max-bulk-len 1mb"]
# Each command is looked at once more after it ran. No save by itself, which
# would begin the count of changes anew; but one at its end.
LARDER_CONFIG = CONFIG + ["slowlog-log-slower-than 0",
                          "save 3600 2000000000"]
COMMANDS_PER_ROUND = 2000
MOVES = [0, 0.05, 0.2]  # moves a command, by round


class Failure(Exception):
    """A difference, as text for people."""


def resp_of(number):
    return 2 + number % 2


def program_of(seed, number):
    moves = MOVES[number % len(MOVES)]
    generator = generate.Generator("%s/%d" % (seed, number), moves)
    return generator.program(COMMANDS_PER_ROUND)


def shown(word, limit=120):
    text = repr(word)[1:]
    if len(text) <= limit:
        return text
    return "%s... (%d bytes)" % (text[:limit], len(word))


def line(operation):
    kind, what = operation
    if kind == "sync":
        return "-- end of pipeline"
    if kind == "expire":
        return "\n".join(line(("both", words)) for words in what) + (
            "\n-- end of pipeline, wait until they expired")
    words = " ".join(shown(word) for word in what)
    return {"both": "   ", "larder": "   (larder only) ",
            "walk": "   (all of) SCAN ", "random": "   RANDOMKEY",
            "size": "   DBSIZE, all keys looked up before",
            "counters": "-- INFO, growth of counters",
            "restart": "-- larder stops and starts, SELECT 0"}[kind] + words


def describe(program, resp, difference, where):
    return "\n".join([
        "", "DIFFERENCE in %s, RESP%d, at %s" % (
            where, resp, " ".join(map(shown, difference.words))),
        *map(line, program),
        "larder: " + shown(difference.ours, 400),
        "oracle: " + shown(difference.theirs, 400),
    ])


def investigate(player, program, resp, difference, where, save):
    """Shrinks the program and raises Failure with what is left."""
    print("difference at %s, looking for a short way to it" % " ".join(
        map(shown, difference.words)), flush=True)
    last = [difference]

    silences = (play.GONE, play.SILENT)

    def fails(shorter):
        """A hang or a crash stays one; it must not turn into a reply."""
        found = player.play(shorter, resp)
        if found is None or (
                difference.ours in silences and found.ours != difference.ours):
            return False
        last[0] = found
        return True

    # Up to the end of the pipeline: what follows was sent as well.
    end = difference.index + 1
    while end < len(program) and program[end][0] in ("both", "larder"):
        end += 1
    program = program[:end]
    if not fails(program):
        raise Failure(describe([], resp, difference, where) +
                      "\n(not seen again when played again)")
    program = shrink.shrink(program, fails)
    fails(program)
    pathlib.Path(save).write_text(repr((resp, program)))
    raise Failure(describe(program, resp, last[0], where) +
                  "\nsaved: --replay %s" % save)


def shortest(player_plays, told, program, difference, where):
    """A report: the shortest program found that differs, or all of it when
    it does not differ again."""
    seen = [difference]

    def fails(shorter):
        found = player_plays(shorter)
        seen[0] = found or seen[0]
        return found is not None

    if fails(program):
        program = shrink.shrink_operations(program, fails)
        fails(program)
    return "\n".join([
        "DIFFERENCE, " + where, *map(told, program),
        "at " + " ".join(map(shown, seen[0].words)),
        "larder: " + shown(seen[0].ours, 400),
        "expected: " + shown(seen[0].theirs, 400)])


def rounds(player, seed, count, seconds, save):
    """Plays rounds until both are reached; their number."""
    begin, number = time.monotonic(), 0
    while player.commands < count or time.monotonic() - begin < seconds:
        program, resp = program_of(seed, number), resp_of(number)
        difference = player.play(program, resp)
        if difference is not None:
            investigate(player, program, resp, difference,
                        "--seed %s --round %d" % (seed, number), save)
        number += 1
    return number


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", default=str(random.randrange(10**9)))
    parser.add_argument("--round", type=int)
    parser.add_argument("--commands", type=int, default=1)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--replay")
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--save", default="build/difference.ops")
    options = parser.parse_args()
    if options.seconds is None:
        options.seconds = 20 if options.commands == 1 else 0
    larder = servers.larder(LARDER_CONFIG + options.config)
    oracle = servers.oracle(CONFIG)
    player = play.Player(larder, oracle)
    begin = time.monotonic()
    try:
        print("seed %s" % options.seed, flush=True)
        if options.replay:
            resp, program = ast.literal_eval(
                pathlib.Path(options.replay).read_text())
            played(player, program, resp, options.replay, options.save)
        elif options.round is not None:
            number = options.round
            played(player, program_of(options.seed, number), resp_of(number),
                   "--seed %s --round %d" % (options.seed, number),
                   options.save)
        else:
            rounds(player, options.seed, options.commands, options.seconds,
                   options.save)
    except Failure as failure:
        print(failure)
        if not larder.alive():
            print("larder ended:\n" + larder.log_tail())
        sys.exit(1)
    finally:
        player.close()
        larder.expect_crash = True
        for server in (larder, oracle):
            server.finish()
    print("%d commands, %d moves between tiers, %.1f s: no difference" % (
        player.commands, player.moved, time.monotonic() - begin))


def played(player, program, resp, where, save):
    difference = player.play(program, resp)
    if difference is not None:
        investigate(player, program, resp, difference, where, save)


if __name__ == "__main__":
    main()
