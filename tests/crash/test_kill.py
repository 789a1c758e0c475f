"""kill -9 at random moments under load, then the ledger is compared.

--seconds=N      how long each of the three settings is tried (at least a few
                 kills, whatever N)
LARDER_SEED=N    the same choices again (the moments depend on the machine)
"""

import random
import time

import pytest

from crash import ledger
from support import seed
from support.server import PATIENCE

WRITERS = 4


class Crashes:
    """Rounds of writing, killing, starting and comparing."""

    def __init__(self, start_larder, name, memory, *config):
        self.seed = seed.take(name)
        self.random = random.Random("%s %s" % (self.seed, name))
        self.server = start_larder("maxmemory " + memory, *config)
        self.states = [{} for _ in range(WRITERS)]
        self.next_seqs = [0] * WRITERS
        self.save_first = False  # a checkpoint early, then few writes
        self.kills = 0
        self.operations = 0
        self.survived = 0

    def round(self, shortest, longest):
        """Writes for a random time and kills; the writers, and the moment."""
        writers = [
            ledger.Writer(self.server.port, number, self.states[number],
                          self.random.getrandbits(32), self.next_seqs[number])
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        if self.save_first:
            time.sleep(0.5)
            assert self.server.client().save()
            for writer in writers:
                writer.pause = 0.2
        time.sleep(self.random.uniform(shortest, longest))
        killed = time.monotonic()
        self.server.kill()
        for writer in writers:
            writer.join()
            assert writer.problem is None, writer.problem
            self.next_seqs[writer.number] = writer.next_seq
        self.kills += 1
        return writers, killed

    def start(self):
        """Starts again, now and then killed while it does."""
        self.server.expect_crash = False
        while self.random.random() < 0.2:
            self.server.spawn()
            time.sleep(self.random.uniform(0, 0.2))
            self.server.kill()
            self.kills += 1
        self.server.expect_crash = False
        self.server.start()

    def read(self):
        with self.server.connect(timeout=60 * PATIENCE) as connection:
            while connection.command("DBSIZE").startswith(b"-LOADING"):
                time.sleep(0.01)
            states = [ledger.read_state(connection, number)
                      for number in range(WRITERS)]
            count = int(connection.command("DBSIZE")[1:])
        assert count == sum(len(state) for state in states)
        return states

    def run(self, until, least_kills, shortest, longest, compare):
        while time.monotonic() < until or self.kills < least_kills:
            writers, killed = self.round(shortest, longest)
            self.start()
            states = self.read()
            try:
                compare(writers, states, killed)
            except AssertionError as error:
                raise AssertionError("LARDER_SEED=%s, kill %d:\n%s" % (
                    self.seed, self.kills, error)) from None
            self.operations += sum(len(w.operations) for w in writers)
            self.survived += sum(len(state) for state in states)
            self.states = states
        print("%d kills, %d operations, %d keys survived"
              % (self.kills, self.operations, self.survived))
        assert self.operations > 20 * self.kills
        assert self.survived > 20 * self.kills


# Less memory than data: values sink to disk and rise all the time.
LITTLE = "24mb"
PLENTY = "100mb"


def test_always_loses_nothing_acknowledged(start_larder, seconds):
    crashes = Crashes(start_larder, "always", LITTLE, 'save ""',
                      "appendonly yes", "appendfsync always")
    crashes.run(time.monotonic() + seconds, 12, 0.05, 1.5,
                lambda writers, states, killed:
                ledger.check_prefix(writers, states, killed))


def test_everysec_keeps_all_but_the_last_second(start_larder, seconds):
    crashes = Crashes(start_larder, "everysec", LITTLE, 'save ""',
                      "appendonly yes", "appendfsync everysec")
    crashes.run(time.monotonic() + seconds, 5, 0.5, 4,
                lambda writers, states, killed:
                ledger.check_prefix(writers, states, killed - 2 * PATIENCE))


@pytest.mark.parametrize("memory,save,save_first", [
    # What is on disk stays there while all the writing is in memory.
    (PLENTY, 'save ""', True),
    (LITTLE, 'save ""', False),
    (LITTLE, "save 1 1", False),
])
def test_without_appendonly_nothing_old_comes_back(
        start_larder, seconds, memory, save, save_first):
    crashes = Crashes(start_larder, "checkpoints", memory, save)
    crashes.save_first = save_first
    crashes.run(time.monotonic() + seconds / 2, 3, 2, 5,
                lambda writers, states, killed:
                ledger.check_keys(writers, states, killed - 1.5 * PATIENCE))
