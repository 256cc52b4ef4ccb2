"""The servers that these tests run on do what the tests take for granted."""

from redis_servers import wait_until


def test_a_server_answers(server):
    assert server.command("set", "a", "1") == "OK"
    assert server.command("get", "a") == "1"


def test_a_cluster_has_three_primaries_with_a_replica_each(cluster):
    assert len(cluster.primaries()) == 3
    assert all(len(cluster.replicas_of(primary)) == 1 for primary in cluster.primaries())


def test_a_paused_primary_is_replaced_and_comes_back_as_a_replica(cluster):
    primary = cluster.owner("key")
    (replica,) = cluster.replicas_of(primary)
    primary.pause()
    wait_until(lambda: cluster.is_primary(replica), "the failover")
    primary.resume()
    wait_until(lambda: not cluster.is_primary(primary), "the return")
    cluster.wait_until_whole()
