"""EXPIRE's conditions, at the times where they turn, beside redis-server."""

import time

import pytest


@pytest.mark.parametrize("condition", ["NX", "XX", "GT", "LT"])
def test_conditions_at_the_same_time(both, condition):
    at = int(time.time()) + 1000
    both.same("SET", "key", "value")
    both.same("EXPIREAT", "key", at, condition)
    both.same("EXPIRETIME", "key")
    both.same("EXPIREAT", "key", at)
    for other in (at, at - 1, at + 1, at + 1, at):
        both.same("EXPIREAT", "key", other, condition)
        both.same("EXPIRETIME", "key")
