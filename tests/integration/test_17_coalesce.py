"""Naps of the loop: taken when many clients are at work, never otherwise."""

import subprocess

from support.server import wait_until


def load(server, clients):
    subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-t", "get", "-n", "20000",
         "-c", str(clients), "-q"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120, check=True)


def naps(server):
    return server.info("stats")["loop_naps"]


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
