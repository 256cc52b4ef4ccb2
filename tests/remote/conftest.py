"""One server and one cluster for all tests of the remote tier; a test that breaks one makes its own."""

import subprocess
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


@pytest.fixture
def certificates(tmp_path):
    """Self-signed certificates: two for where servers are, one for elsewhere; and a file with the two."""
    for name, address in (("right", "127.0.0.1"), ("wrong", "127.0.0.1"), ("elsewhere", "10.1.2.3")):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}"),
                *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    both = [(tmp_path / f"{name}.pem").read_text() for name in ("right", "wrong")]
    (tmp_path / "both.pem").write_text("".join(both))
    return tmp_path
