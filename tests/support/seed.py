"""The seeds of random tests. LARDER_SEED makes the same choices again;
tests/run sets it to a number of the commit, so that a run of one commit
elsewhere makes the choices of the run here, and the next commit makes others.
"""

import os
import random


def take(name):
    """The seed (a text of digits) for the test `name`; printed."""
    seed = os.environ.get("LARDER_SEED") or str(
        random.SystemRandom().getrandbits(32))
    print("LARDER_SEED=%s (%s)" % (seed, name))
    return seed


def chance(name):
    """random.Random for the test `name`: tests of one seed choose apart."""
    return random.Random("%s %s" % (take(name), name))
