"""RSS a key: 2 M keys of 16 bytes with values of 32, in RAM and dry."""

import time

from harness import Server, at_most, fill, say, scaled

KEYS, KEY_SIZE, VALUE_SIZE = 2000000, 16, 32


# By then the allocators have given back what they were going to.
SETTLE_SECONDS = 3


def rss_a_key(server, keys):
    time.sleep(SETTLE_SECONDS)
    return server.memory("VmRSS") / keys


def run():
    keys = scaled(KEYS)
    with Server("redis") as redis:
        fill(redis, keys, VALUE_SIZE)
        theirs = rss_a_key(redis, keys)
    with Server("larder") as larder:
        fill(larder, keys, VALUE_SIZE)
        ours = rss_a_key(larder, keys)
        say("  RSS a key, the server included: larder %.1f, redis %.1f" % (ours, theirs))
        at_most("memory RAM bytes a key", 85, ours)
        at_most("memory RAM larder/redis", 0.60, ours / theirs)
        # A start loads headers only: every key is dry.
        larder.stop(save=True)
        larder.start(wait=False)
        larder.wait(size=keys)
        # Pages of the store's file are the kernel's cache, not the server's.
        dry, cached = larder.memory() / keys, larder.memory("RssFile") / keys
        say("  dry: RssAnon %.1f, RssFile %.1f a key" % (dry, cached))
        at_most("memory dry bytes a key", 32 + KEY_SIZE, dry)
