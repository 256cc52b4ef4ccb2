"""One server and one cluster for all tests of the remote tier; a test that breaks one makes its own."""

from itertools import count

import pytest
from redis_servers import Cluster, Server, need_redis, wait_until

from perfcore.cache import RemoteCache

_numbers = count()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    need_redis()
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    need_redis()
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    whole = RemoteCache(nodes=cluster.nodes, replication_factor=2)
    wait_until(lambda: whole.check() == [], "all nodes knowing of all others")
    whole.close()
    yield cluster
    cluster.close()


@pytest.fixture(params=["server", "cluster"])
def where(request):
    """What tells a cache where it is, for each kind of server."""
    found = request.getfixturevalue(request.param)
    return {"url": found.url} if request.param == "server" else {"nodes": found.nodes}


@pytest.fixture
def make(where):
    """Makes caches that share a prefix of their own."""
    prefix, caches = f"test{next(_numbers)}", []

    def make(**options):
        caches.append(RemoteCache(**{"prefix": prefix, "timeout": 5} | where | options))
        return caches[-1]

    yield make
    for cache in caches:
        cache.close()


@pytest.fixture
def cache(make):
    return make()
