"""What the tests of clients share."""

import pytest


@pytest.fixture
def client(larder):
    """redis-py's, of an emptied server."""
    client = larder.client()
    client.flushall()
    yield client
    client.close()
