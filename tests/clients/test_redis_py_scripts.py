"""redis-py's scripts, transactions and locks, alone and against each other,
while values go to disk."""

import threading
import time

import pytest
import redis

from support.server import patience

TAKE = """
local left = tonumber(redis.call('GET', KEYS[1]) or ARGV[2])
if left < tonumber(ARGV[1]) then
    return {err = 'EMPTY only ' .. left .. ' left'}
end
redis.call('SET', KEYS[1], left - ARGV[1])
redis.call('RPUSH', KEYS[2], ARGV[1])
return {left - ARGV[1], redis.call('LLEN', KEYS[2])}
"""


def demote(client, *keys):
    client.execute_command("TIER", "DEMOTE", *keys, "TO", "DRY")


def together(count, work):
    """Runs work(number) in so many threads; fails with the first failure."""
    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as error:  # told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def test_registered_script(client):
    take = client.register_script(TAKE)
    assert take(keys=["stock", "log"], args=[3, 10]) == [7, 1]
    client.script_flush()  # NOSCRIPT: it is sent again
    demote(client, "stock", "log")
    assert take(keys=["stock", "log"], args=[3, 10]) == [4, 2]
    with pytest.raises(redis.ResponseError, match="EMPTY only 4 left"):
        take(keys=["stock", "log"], args=[5, 10])
    assert client.script_exists(take.sha, "0" * 40) == [True, False]
    client.script_flush()
    with client.pipeline() as pipe:  # loads what is missing beforehand
        pipe.set("a", 1)
        take(keys=["stock", "log"], args=[1, 10], client=pipe)
        pipe.get("a")
        assert pipe.execute() == [True, [3, 3], b"1"]


def test_scripts_of_many_take_no_more_than_there_is(client):
    take = client.register_script(TAKE)
    taken = []

    def work(number):
        for _ in range(40):
            try:
                take(keys=["stock", "log"], args=[number % 3 + 1, 150])
                taken.append(number % 3 + 1)
            except redis.ResponseError as error:
                assert "EMPTY" in str(error)
            demote(client, "log")

    together(6, work)
    assert 148 <= sum(taken) <= 150
    assert int(client.get("stock")) == 150 - sum(taken)
    assert sorted(map(int, client.lrange("log", 0, -1))) == sorted(taken)


def test_transaction_is_tried_again_until_it_holds(client):
    client.set("counter", 0)

    def increment(pipe):
        value = int(pipe.get("counter"))
        pipe.multi()
        pipe.set("counter", value + 1)

    def work(number):
        for _ in range(25):
            client.transaction(increment, "counter")
            if number == 0:
                demote(client, "counter")

    together(4, work)
    assert client.get("counter") == b"100"


def test_watch(client):
    client.rpush("list", 1)
    with client.pipeline() as pipe:
        pipe.watch("list", "other")
        demote(client, "list")  # is no change
        pipe.multi()
        pipe.rpush("list", 2)
        assert pipe.execute() == [2]
        pipe.watch("list")
        client.rpush("list", 3)
        pipe.multi()
        pipe.rpush("list", 4)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.lrange("list", 0, -1) == [b"1", b"2", b"3"]


def test_pipeline_with_an_error_in_the_middle(client):
    client.set("s", "text")
    with client.pipeline() as pipe:
        pipe.set("a", 1).incr("s").set("b", 2)
        with pytest.raises(redis.ResponseError, match="Command # 2"):
            pipe.execute()
        replies = pipe.set("a", 3).lpush("s", 1).get("a").execute(
            raise_on_error=False)
    assert replies[0] is True and replies[2] == b"3"
    assert isinstance(replies[1], redis.ResponseError)
    assert client.get("b") == b"2"


def test_lock_is_held_by_one(client):
    held, counter = [], [0]

    def work(_):
        for _ in range(10):
            with client.lock("lock", timeout=60, sleep=0.001):
                held.append(1)
                assert len(held) == 1
                seen = counter[0]
                demote(client, "lock")
                counter[0] = seen + 1
                held.pop()

    together(6, work)
    assert counter == [60] and not client.exists("lock")


def test_lock_that_ran_out(client):
    lock = client.lock("lock", timeout=0.05)
    assert lock.acquire()
    assert not client.lock("lock").acquire(blocking=False)
    begin = time.monotonic()
    other = client.lock("lock", timeout=60)
    assert other.acquire(blocking_timeout=10 * patience())
    assert time.monotonic() - begin < 10 * patience()
    with pytest.raises(redis.exceptions.LockError):
        lock.release()
    assert other.owned() and other.extend(60) and other.reacquire()
    other.release()
    assert not client.exists("lock")


# Redlock: the lock is held by who has it on more than half of the servers.
UNLOCK = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
end
return 0"""


def test_redlock(start_larder):
    servers = [start_larder() for _ in range(3)]
    entered, inside = [], []

    def work(number):
        clients = [redis.Redis(port=server.port) for server in servers]
        for turn in range(5):
            token = "%d:%d" % (number, turn)
            while True:
                got = [one.set("r", token, nx=True, px=60000)
                       for one in clients]
                if sum(map(bool, got)) >= 2:
                    break
                for one in clients:
                    one.eval(UNLOCK, 1, "r", token)
                time.sleep(0.002 * (number + 1))
            inside.append(token)
            assert inside == [token]
            demote(clients[turn % 3], "r")
            entered.append(inside.pop())
            for one in clients:
                one.eval(UNLOCK, 1, "r", token)
        for one in clients:
            one.close()

    together(4, work)
    assert len(set(entered)) == 20
