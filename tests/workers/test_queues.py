"""The order of tasks, against a model that says it in one sentence each."""

from collections import deque

import pytest
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from perfcore.workers.queues import PATIENCE, Queues

WORKERS = st.sampled_from([None, 0, 1, 2])
LEVEL = st.integers(0, 2)


class Stub:
    """What the queues know of a task."""

    def __init__(self, level):
        self._level, self._home = level, None


task = Stub


class Orders(RuleBasedStateMachine):
    """Every task is somewhere exactly once; bounds hold; nobody is passed over for ever."""

    def __init__(self):
        super().__init__()
        self.bounds = (4, 6, 8)
        self.queues = Queues(self.bounds)
        for worker in range(3):
            self.queues.join(worker)
        self.waiting = ([], [], [])
        self.passed = [0, 0, 0]

    @rule(level=LEVEL, worker=WORKERS)
    def offer(self, level, worker):
        new = task(level)
        accepted = self.queues.offer(new, worker)
        assert accepted == (len(self.waiting[level]) < self.bounds[level])
        if accepted:
            self.waiting[level].append(new)

    @rule(worker=WORKERS)
    def take(self, worker):
        before = [bool(tasks) for tasks in self.waiting]
        taken = self.queues.take(worker)
        if taken is None:
            assert not any(before)
            return
        level = taken._level
        self.waiting[level].remove(taken)
        for other in range(3):
            passed_over = before[other] and other > level
            self.passed[other] = self.passed[other] + 1 if passed_over else 0
            assert self.passed[other] <= PATIENCE[other] + (other == 1)
        # a class goes before a more urgent one only when its patience has ended
        if any(before[:level]):
            assert self.was[level] >= PATIENCE[level]

    @rule(level=LEVEL, data=st.data())
    def take_out(self, level, data):
        if self.waiting[level]:
            chosen = data.draw(st.sampled_from(self.waiting[level]))
            assert self.queues.take_out(chosen)
            assert not self.queues.take_out(chosen)
            self.waiting[level].remove(chosen)

    @rule(level=LEVEL, to=LEVEL, data=st.data())
    def promote(self, level, to, data):
        if self.waiting[level]:
            chosen = data.draw(st.sampled_from(self.waiting[level]))
            assert self.queues.promote(chosen, to) == (to < level)
            if to < level:
                self.waiting[level].remove(chosen)
                self.waiting[to].append(chosen)

    @rule(worker=st.integers(0, 2))
    def come_and_go(self, worker):
        self.queues.leave(worker)
        self.queues.join(worker)

    @rule()
    def rebalance(self):
        before = self.queues.loads()
        limit = 1.5 * sum(before.values()) / len(before)
        moved = self.queues.rebalance()
        assert bool(moved) <= any(load > limit for load in before.values())

    @invariant()
    def nothing_is_lost(self):
        self.queues._check()
        assert sorted(map(id, self.queues)) == sorted(id(t) for tasks in self.waiting for t in tasks)
        self.was = list(self.passed)

    @precondition(lambda self: any(self.waiting))
    @rule()
    def every_task_is_reached(self):
        longest = sum(map(len, self.waiting))
        for _ in range(longest):
            self.waiting[(taken := self.queues.take(0))._level].remove(taken)
        assert self.queues.take(0) is None
        self.passed = [0, 0, 0]


Orders.TestCase.settings = settings(max_examples=effort(60), stateful_step_count=80, deadline=None)
TestOrders = Orders.TestCase


def test_one_of_64_is_low_and_one_of_17_normal_under_a_flood_of_high():
    queues = Queues((200, 200, 200))
    for level in (1, 2):
        for _ in range(200):
            queues.offer(task(level))
    taken = []
    for _ in range(64 * 20):
        queues.offer(task(0))
        taken.append(queues.take()._level)
        for level in (1, 2):
            queues.offer(task(level))
    for start in range(len(taken) - 64):
        assert 2 in taken[start : start + 64]
    for start in range(len(taken) - 17):
        assert 1 in taken[start : start + 17]
    assert taken.count(0) > 64 * 20 * 0.9, "and nearly all others are high"


def test_one_class_is_first_come_first_served():
    queues = Queues((10, 10, 10))
    tasks = [task(1) for _ in range(10)]
    assert all(map(queues.offer, tasks))
    assert [queues.take() for _ in range(10)] == tasks


def test_a_worker_takes_its_own_then_shared_then_half_of_the_longest_of_the_others():
    queues = Queues((100, 100, 100))
    for worker in range(3):
        queues.join(worker)
    own, shared = task(1), task(1)
    others = [task(1) for _ in range(9)]
    for one in others:
        queues.offer(one, 1)
    queues.offer(task(1), 2)
    queues.offer(shared)
    queues.offer(own, 0)
    assert queues.take(0) is own and queues.take(0) is shared
    assert queues.take(0) is others[0]
    assert queues.loads() == {0: 4, 1: 4, 2: 1} and queues.stolen == 5
    assert queues.take(0) is others[5], "half was moved, in order"


def test_a_high_task_of_another_worker_goes_before_a_low_one_of_ones_own():
    queues = Queues((100, 100, 100))
    queues.join(0)
    queues.join(1)
    near, far = task(2), task(0)
    queues.offer(near, 0)
    queues.offer(far, 1)
    assert [queues.take(0), queues.take(0)] == [far, near]


@pytest.mark.parametrize(
    ("loads", "after"), [([8, 0], [4, 4]), ([3, 2], [3, 2]), ([16, 2, 0], [8, 2, 8]), ([5, 5, 5], [5, 5, 5])]
)
def test_above_one_and_a_half_times_the_average_half_moves_to_who_has_least(loads, after):
    queues = Queues((100, 100, 100))
    for worker, load in enumerate(loads):
        queues.join(worker)
        for _ in range(load):
            queues.offer(task(1), worker)
    queues.rebalance()
    assert list(queues.loads().values()) == after
    assert queues.rebalanced == sum(abs(a - b) for a, b in zip(loads, after, strict=True)) // 2


def test_what_waits_at_a_worker_that_goes_keeps_its_order_before_what_is_shared():
    queues = Queues((100, 100, 100))
    queues.join(0)
    first, second, shared = task(1), task(1), task(1)
    queues.offer(shared)
    queues.offer(first, 0)
    queues.offer(second, 0)
    queues.leave(0)
    assert deque(queues) == deque([first, second, shared])
