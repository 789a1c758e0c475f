"""How long after a push a blocked BLPOP has its element: p50 and p99, alone
and while 50 clients write."""

import time

from harness import Client, Server, at_most, say, scaled, start_load

ROUNDS = 2000


def wakes(server):
    """Milliseconds from before the push is sent to the element's arrival."""
    waiter, pusher = Client(server.port), Client(server.port)
    found = []
    for _ in range(scaled(ROUNDS)):
        waiter.socket.sendall(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\n")
        while b"blocked_clients:1" not in pusher("INFO", "clients"):
            pass
        begin = time.perf_counter()
        pusher.socket.sendall(b"*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$1\r\nx\r\n")
        if waiter.read() != [b"q", b"x"]:
            raise RuntimeError("not the element that was pushed")
        found.append((time.perf_counter() - begin) * 1000)
        pusher.read()
    waiter.close()
    pusher.close()
    return sorted(found)


def run():
    for side in ("larder", "redis"):
        with Server(side) as server:
            alone = wakes(server)
            process = start_load(server, clients=50, pipeline=1, gets=0,
                                 seconds=600, keys=100000, value_size=64)
            try:
                beside = wakes(server)
            finally:
                process.terminate()
                process.wait()
        for name, found in (("alone", alone), ("beside writers", beside)):
            median, p99 = found[len(found) // 2], found[len(found) * 99 // 100]
            say("  %s, %s: p50 %.3f ms, p99 %.3f ms" % (side, name, median, p99))
            if side == "larder" and name == "alone":
                at_most("block wake p99", 1.0, p99, " ms")
