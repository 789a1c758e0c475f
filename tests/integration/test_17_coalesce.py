"""Naps of the loop: taken when many clients are at work, never otherwise."""

import itertools
import os
import subprocess

from support.resp import encode
from support.server import wait_until


def load(server, clients):
    subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-t", "get", "-n", "20000",
         "-c", str(clients), "-q"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120, check=True)


def naps(server):
    return server.info("stats")["loop_naps"]


def waiting(server):
    return server.info("clients")["clients_waiting_for_room"]


def test_many_clients_are_served_together(larder):
    def napped():
        load(larder, 50)
        return naps(larder) > 0

    wait_until(napped, 60)


def test_few_clients_never_wait(larder):
    load(larder, 4)  # whoever was at work before is forgotten
    before = naps(larder)
    load(larder, 4)
    assert naps(larder) == before


def test_naps_can_be_turned_off_and_on(larder):
    def configure(value):
        with larder.connect() as connection:
            assert connection.command("CONFIG", "SET", "wakeup-coalesce-us", value) == b"+OK\r\n"

    def napped():
        load(larder, 50)
        return naps(larder) > before

    configure("0")
    before = naps(larder)
    assert not napped()
    configure("100")
    wait_until(napped, 60)


def test_none_while_somebody_waits_for_the_disk(start_larder, disk):
    server = start_larder("save ''", "maxmemory 60mb", env=disk.env)
    numbers = itertools.count()
    with server.connect() as writer:
        disk.hang()

        def waits():
            return all(waiting(server) == 1 for _ in range(200))

        def fill():
            writer.send(encode("SET", "key", os.urandom(200_000)))
            writer.send(encode("COPY", "key", "copy:%d" % next(numbers)))
            return waits()

        wait_until(fill, 60, step=0, what="a client that waits")
        load(server, 50)
        before = naps(server)
        load(server, 50)
        assert naps(server) == before and waits()
        disk.heal()
        for number in range(next(numbers)):
            assert writer.read_reply() == b"+OK\r\n"
            assert writer.read_reply() == b":1\r\n"

    def napped():
        load(server, 50)
        return naps(server) > before

    wait_until(napped, 60)
