"""Power cuts: a server writes under load while recorder.c takes notes; images
of what a cut at any moment may leave are opened by a server and compared with
the ledger of what was acknowledged.

--seconds=N      how long each setting is tried (500 images in all, whatever N)
LARDER_SEED=N    the same choices again (what is written when depends on the
                 machine)
"""

import os
import pathlib
import random
import shutil
import tempfile
import threading
import time

import pytest

from crash import ledger
from powercut.images import Record
from support import seed
from support.resp import Closed
from support.server import PATIENCE, ROOT, larder, new_directory

RECORDER = pathlib.Path(
    os.environ.get("LARDER_RECORDER", ROOT / "build/tests/recorder.so"))
WRITERS = 4
SHAPE = ledger.SMALL
SHORT_SECONDS = 20  # what --seconds is when nobody says otherwise
IMAGES_A_ROUND = 65


def memory_directory():
    path = "/dev/shm"
    return path if os.access(path, os.W_OK) else None


class Mover(threading.Thread):
    """Sends keys down to the other tiers until the server goes away."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port = port
        self.random = random.Random(seed)
        self.stopped = False

    def run(self):
        try:
            with ledger.Connection(self.port, timeout=60) as connection:
                while not self.stopped:
                    connection.command(
                        "TIER", "DEMOTE", *self.keys(), "TO",
                        self.random.choice(("COLD", "DRY")))
                    time.sleep(0.02)
        except (OSError, Closed):
            pass

    def keys(self):
        return [ledger.key_of(self.random.randrange(WRITERS),
                              self.random.randrange(SHAPE.keys))
                for _ in range(20)]


class Cuts:
    """Rounds of writing, each begun from what a cut in the last one left, and
    images of it."""

    def __init__(self, name, compare, *config, preload=""):
        self.seed = seed.take(name)
        self.random = random.Random("%s %s" % (self.seed, name))
        self.compare = compare
        self.config = config
        self.preload = preload
        self.place = new_directory("powercut-" + name)
        # Where opening them waits for no disk; not where it is written.
        self.image = pathlib.Path(tempfile.mkdtemp(
            prefix="larder-powercut-", dir=memory_directory()))
        self.before = self.place / "before"
        self.before.mkdir()
        self.states = [{} for _ in range(WRITERS)]
        self.next_seqs = [0] * WRITERS
        self.images = 0
        self.operations = 0
        self.survived = 0

    def server_on(self, directory, **env):
        """A server whose data is in `directory`, not started."""
        # The list for a warm restart may be lost, and is written by the C
        # library, whose writes the recorder does not see.
        return larder(['dir "%s"' % directory, "maxmemory 24mb", 'save ""',
                       "warm-restart no",
                       *self.config], env=env)

    def run(self, seconds, least_images):
        """Until both are reached."""
        until = time.monotonic() + seconds
        try:
            while self.images < least_images or time.monotonic() < until:
                record, writers, killed = self.write()
                left = max(least_images - self.images, 10)
                self.check(record, writers, killed, min(IMAGES_A_ROUND, left))
        except AssertionError as error:
            raise AssertionError("LARDER_SEED=%s, image %d in %s:\n%s" % (
                self.seed, self.images, self.image, error)) from None
        shutil.rmtree(self.place)
        shutil.rmtree(self.image)
        print("%d images, %d operations, %d keys survived"
              % (self.images, self.operations, self.survived))
        assert self.operations > 10 * self.images
        assert self.survived > 10 * self.images

    # ---- one round ----

    def write(self):
        """Writes for a while; (the record, the writers, when they ended)."""
        data, log = self.place / "data", self.place / "record"
        shutil.rmtree(data, ignore_errors=True)
        log.unlink(missing_ok=True)
        shutil.copytree(self.before, data)
        record = Record(data)
        preload = [self.preload, str(RECORDER)]
        server = self.server_on(
            data, LARDER_RECORD_DIR=str(data), LARDER_RECORD_LOG=str(log),
            LD_PRELOAD=" ".join(filter(None, preload)))
        server.start()
        writers = [
            ledger.Writer(server.port, number, self.states[number],
                          self.random.getrandbits(32), self.next_seqs[number],
                          SHAPE)
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.pause = 0.01
        mover = Mover(server.port, self.random.getrandbits(32))
        for thread in (*writers, mover):
            thread.start()
        time.sleep(self.random.uniform(2.5, 4.5))
        if self.random.random() < 0.5:
            # What was done last has long been done.
            for thread in (*writers, mover):
                thread.stopped = True
            time.sleep(2.5)
        killed = time.monotonic()
        server.kill()
        for thread in (*writers, mover):
            thread.join()
        for writer in writers:
            assert writer.problem is None, writer.problem
            self.next_seqs[writer.number] = writer.next_seq
        server.finish()
        record.read(log)
        record.check_whole(data)
        self.operations += sum(len(writer.operations) for writer in writers)
        return record, writers, killed

    def check(self, record, writers, killed, images):
        """Opens images of cuts at random moments, compared with the ledger.
        One of them is what the next round begins from."""
        count = len(record.times)
        # At the end, while the store is made, and at any other moment.
        cuts = sorted(self.random.choices(
            (count, self.random.randint(0, 30), self.random.randint(0, count)),
            (1, 1, 8))[0] for _ in range(images))
        chosen = self.random.randrange(images // 2, images)
        for number, cut in enumerate(cuts):
            shutil.rmtree(self.image, ignore_errors=True)
            record.image(cut, self.random, self.image)
            if number == chosen:
                shutil.rmtree(self.before)
                shutil.copytree(self.image, self.before)
            moment = record.times[cut] if cut < count else killed
            states = self.open()
            self.images += 1
            self.survived += sum(len(state) for state in states)
            self.compare(writers, states, moment, record.stall)
            if number == chosen:
                next_states = states
        self.states = next_states

    def open(self):
        """What a server finds in the image."""
        server = self.server_on(self.image)
        server.start()
        try:
            with server.connect(timeout=60 * PATIENCE) as connection:
                states = [ledger.read_state(connection, number, SHAPE)
                          for number in range(WRITERS)]
                count = int(connection.command("DBSIZE")[1:])
        finally:
            server.kill()
        server.finish()
        assert count == sum(len(state) for state in states)
        return states


def nothing_lost(writers, states, cut, _):
    ledger.check_prefix(writers, states, cut)


def all_but_the_last_second(writers, states, cut, stall):
    ledger.check_prefix(writers, states, cut - 2 * PATIENCE - stall)


def nothing_old(writers, states, cut, stall):
    ledger.check_keys(writers, states, cut - 1.5 * PATIENCE - stall)


@pytest.mark.parametrize("name,compare,config", [
    ("always", nothing_lost, ("appendonly yes", "appendfsync always")),
    ("through", nothing_lost, ("namespace w write-policy through",)),
    ("everysec", all_but_the_last_second, ("appendonly yes",)),
    ("checkpoints", nothing_old, ()),
])
def test_after_a_power_cut(name, compare, config, seconds):
    Cuts(name, compare, *config).run(
        0 if seconds <= SHORT_SECONDS else seconds, 130)


def test_what_is_not_synced_is_missed():
    """The same must fail when syncs do nothing: keys are lost or damaged, or
    the file is one that cannot be opened."""
    cuts = Cuts("unsynced", nothing_lost, "appendonly yes",
                "appendfsync always", preload="libeatmydata.so")
    with pytest.raises(
            AssertionError,
            match="at least [1-9]|Cannot open the data|damaged data on disk"):
        cuts.run(0, 130)
    shutil.rmtree(cuts.place)
    shutil.rmtree(cuts.image)
