"""One server and one cluster for all tests of the remote tier; a test that breaks one makes its own."""

import pytest
from redis_servers import Cluster, Server, need_redis


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
    yield cluster
    cluster.close()
