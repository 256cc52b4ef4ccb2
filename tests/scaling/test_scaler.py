"""The scaler over the local pool, and the balancer: no cluster is needed for these."""

import threading
import time
from concurrent.futures import wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcore.scaling import (
    Backend,
    CapacityError,
    ClusterNode,
    DrainError,
    HorizontalScaler,
    LoadBalancer,
    LocalBackend,
)
from perfcore.workers import WorkerPool

PATIENCE = 60


@pytest.fixture
def backend():
    with LocalBackend(3) as backend:
        yield backend


def test_the_local_pool_is_a_backend(backend):
    assert isinstance(backend, Backend)
    assert backend.submit(pow, 2, 3, priority="high").result(PATIENCE) == 8
    assert backend.slots == len(backend.nodes()) == 3
    assert backend.stats().completed == 1


def test_its_size_follows_the_target(backend):
    scaler = HorizontalScaler(backend)
    meeting = threading.Barrier(6)
    report = scaler.scale_out(6)
    assert (report.before, report.after, report.added) == (3, 6, ("worker-3", "worker-4", "worker-5"))
    wait([backend.submit(meeting.wait) for _ in range(6)], PATIENCE)
    assert backend.pool.stats().workers == 6
    assert scaler.scale_in(2).removed == ("worker-2", "worker-3", "worker-4", "worker-5")
    assert backend.pool.stats().workers <= 2
    assert scaler.scale_to(4).after == 4 and scaler.scale_to(1).after == 1


def test_a_target_that_is_met_changes_nothing(backend):
    scaler = HorizontalScaler(backend)
    assert scaler.scale_out(2).after == scaler.scale_in(5).after == 3


def test_workers_that_leave_under_load_lose_nothing_and_repeat_nothing(backend):
    scaler, done = HorizontalScaler(backend), []
    for target in (1, 3, 2, 1):
        tasks = [backend.submit(lambda n=n: time.sleep(0.002) or done.append(n)) for n in range(100)]
        scaler.scale_to(target)
        wait(tasks, PATIENCE)
        assert sorted(done) == list(range(100))
        done.clear()


def test_a_worker_that_does_not_end_stays(backend):
    gate = threading.Event()
    tasks = [backend.submit(gate.wait, PATIENCE) for _ in range(3)]
    while backend.stats().active < 3:
        time.sleep(0.01)
    with pytest.raises(DrainError, match=r"after 0\.1 s"):
        HorizontalScaler(backend, drain_timeout=0.1).scale_in(1)
    assert len(backend.nodes()) == 3
    assert HorizontalScaler(backend, drain_timeout=0.1).scale_in(1, force=True).after == 1
    gate.set()
    assert all(task.result(PATIENCE) for task in tasks)


def test_a_pool_that_is_lent_keeps_its_owner_and_its_minimum():
    with WorkerPool(2, 4) as pool:
        backend = LocalBackend(pool=pool)
        HorizontalScaler(backend).scale_out(6)
        assert (pool.min, pool.max) == (2, 6)
        HorizontalScaler(backend).scale_in(1)
        assert (pool.min, pool.max) == (1, 1)
        backend.close()
        assert pool.submit(int).result(PATIENCE) == 0


async def test_from_a_coroutine(backend):
    scaler = HorizontalScaler(backend)
    assert (await scaler.ascale_out(5)).after == 5
    assert (await scaler.ascale_in(2)).after == 2


def test_processes_are_nodes_too():
    with LocalBackend(1, kind="process") as backend:
        assert HorizontalScaler(backend).scale_out(2).after == 2
        assert backend.submit(pow, 2, 6).result(PATIENCE) == 64


# --- bounds and bad input -----------------------------------------------------------------------------------


def test_bounds_are_kept(backend):
    scaler = HorizontalScaler(backend, min_nodes=2, max_nodes=4)
    with pytest.raises(CapacityError, match="5 nodes were asked for, there may be 4"):
        scaler.scale_out(5)
    with pytest.raises(ValueError, match="Expected at least 2 nodes, got 1"):
        scaler.scale_in(1)
    with LocalBackend(1, max_nodes=2) as small, pytest.raises(CapacityError, match="there may be 2"):
        HorizontalScaler(small).scale_out(3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_nodes": 0}, ValueError, "min_nodes"),
        ({"min_nodes": 3, "max_nodes": 2}, ValueError, "Expected `min_nodes` <= `max_nodes`, got 3 and 2"),
        ({"max_nodes": True}, TypeError, "max_nodes"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"drain_timeout": None}, TypeError, "drain_timeout"),
    ],
)
def test_options_that_make_no_sense_are_refused(backend, options, error, message):
    with pytest.raises(error, match=message):
        HorizontalScaler(backend, **options)


def test_a_pool_is_no_backend():
    with pytest.raises(TypeError, match="Expected a backend, got `WorkerPool`"):
        HorizontalScaler(WorkerPool())


# --- which node ---------------------------------------------------------------------------------------------

nodes = st.lists(
    st.builds(
        ClusterNode,
        name=st.text("abcdef", min_size=1, max_size=3),
        slots=st.integers(1, 4),
        running=st.integers(0, 4),
        waiting=st.integers(0, 50),
    ),
    unique_by=lambda node: node.name,
    max_size=8,
)


@given(nodes, st.integers(1, 8))
def test_those_with_least_to_do_leave(nodes, target):
    leaving = HorizontalScaler.leaving(nodes, target)
    staying = [node for node in nodes if node not in leaving]
    assert len(staying) == min(target, len(nodes))
    assert all(one.load <= other.load for one in leaving for other in staying)


@given(nodes.filter(bool), st.integers(1, 60))
def test_requests_follow_the_slots(nodes, count):
    balancer = LoadBalancer(nodes)
    routes = [balancer.route() for _ in range(count)]
    for route in routes:
        route.__enter__()
    shares = [balancer.requests(node) / node.slots for node in nodes]
    assert sum(balancer.requests(node) for node in nodes) == count
    assert max(shares) - min(shares) <= 1
    for route in routes:
        route.__exit__(None, None, None)
    assert not any(balancer.requests(node) for node in nodes)


@given(nodes.filter(lambda nodes: len(nodes) > 1))
def test_keys_stay_where_they_are_when_another_node_leaves(nodes):
    balancer = LoadBalancer(nodes)
    before = {key: balancer.node_for(key).name for key in range(50)}
    gone = nodes[0].name
    balancer.remove_nodes([gone])
    assert all(name == gone or balancer.node_for(key).name == name for key, name in before.items())


def test_a_removed_node_ends_its_requests_and_gets_no_more():
    balancer = LoadBalancer([ClusterNode("a")])
    with balancer.route() as node:
        balancer.remove_nodes([node])
        assert balancer.requests("a") == 1
        with pytest.raises(CapacityError, match="no node"), balancer.route():
            pass
    assert balancer.requests("a") == 0
    with pytest.raises(CapacityError, match="no node"):
        balancer.node_for("key")
