"""``PredictiveCaching``: what is foreseen is there in time, and what goes wrong is in nobody's way."""

import asyncio
import os
import random
import struct
import threading
import time
from collections import deque
from datetime import datetime

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from perfcore.cache import AccessContext, Cache, CacheManager, Prediction, PredictiveCaching
from perfcore.cache.predictive import Limits
from perfcore.cache.predictive.contextual import ContextModel
from perfcore.cache.predictive.gate import Gate
from perfcore.workers import WorkerPool

QUICK = Limits(rate=1e6, concurrency=1000)


class Later:
    """A pool whose tasks run when the test says so."""

    def __init__(self):
        self.waiting = deque()

    def submit(self, call, /, *, priority):
        assert priority == "low"
        self.waiting.append(call)

    def run(self):
        while self.waiting:
            self.waiting.popleft()()


def trained(cache=None, rounds=12, **options):
    """A predictor that knows a loop over 1000 keys and is at its beginning."""
    cache = Cache(100, policy="lru") if cache is None else cache
    options = {"limits": QUICK, "pool": Later(), "size": 100} | options
    predictive = PredictiveCaching(cache, **options)
    for key in list(range(1000)) * rounds:
        predictive.record(key, hit=False)
    return predictive


def go_on(predictive, requests=300):
    """Go on with the loop and yield after each request."""
    for key in range(requests):
        predictive.record(key, hit=False)
        yield key


# --- what is predicted --------------------------------------------------------------------------------------


def test_predictions_are_at_most_ten_sure_and_not_in_memory():
    predictive = trained()
    seen = 0
    for _ in go_on(predictive):
        found = predictive.predict_future_access()
        seen += len(found)
        assert len(found) <= 10
        assert all(type(one) is Prediction and one.confidence > 0.7 for one in found)
        assert {one.source for one in found} <= {"association"}
        if found:
            predictive._cache[found[0].key] = "here"
            assert found[0].key not in [one.key for one in predictive.predict_future_access()]
    assert seen


def test_what_was_predicted_is_loaded_with_a_ttl_and_a_tag():
    cache, pool = Cache(100, policy="lru"), Later()
    predictive = trained(cache, pool=pool, loader=lambda key: f"row {key}")
    for asked in range(300):
        predictive.get(asked)
        before = len(cache)
        predictive.preload_predicted_data()
        assert len(cache) == before  # nobody waits
        pool.run()
        assert sum(key > asked for key in cache) <= 25  # at most a quarter waits for its first use
    assert max(cache) > 299
    key = next(iter(cache))
    assert cache[key] == f"row {key}"
    assert 1700 < cache.expires_in(key) <= 1800
    cache.invalidate_tags("prediction")
    assert key not in cache


def test_a_loop_larger_than_the_cache_hits():
    cache, pool = Cache(100, policy="lru"), Later()
    predictive = PredictiveCaching(cache, pool=pool, limits=QUICK, loader=str)
    for key in list(range(1000)) * 20:
        if predictive.get(key) is None:
            cache[key] = str(key)
        predictive.preload_predicted_data()
        pool.run()
    stats = predictive.stats()
    assert cache.stats().hit_ratio > 0.7
    assert stats.sources["association"].precision > 0.9
    assert stats.requests == 20_000


def test_chance_loads_next_to_nothing():
    cache, pool, chance = Cache(100, policy="lru"), Later(), random.Random(1)
    predictive = PredictiveCaching(cache, pool=pool, limits=QUICK, loader=str)
    for _ in range(20_000):
        key = chance.randrange(1000)
        if predictive.get(key) is None:
            cache[key] = str(key)
        predictive.preload_predicted_data()
        pool.run()
    assert predictive.stats().sources["association"].issued < 100


def test_circumstances_tell_what_comes_before_the_first_request():
    model, admin = ContextModel(horizon=50), AccessContext(user_type="admin", recent_files=("a.py",))
    for day in range(200):
        model.candidates(admin)
        for key in ("users", "audit"):
            model.record(key, admin)
        for other in range(60):
            model.record((day, other), AccessContext(user_type="guest"))
    known = {key for key, confidence in model.candidates(admin) if confidence > 0.7}
    assert known == {"users", "audit"}
    strange = AccessContext(user_type="nobody", time=datetime(2001, 1, 1, 3))
    assert [key for key, confidence in model.candidates(strange) if confidence > 0.7] == []


def test_the_model_of_circumstances_is_bounded():
    model, chance = ContextModel(horizon=20), random.Random(2)
    for i in range(5000):
        context = AccessContext(user_type=str(i), recent_files=tuple(map(str, range(i, i + 20))))
        model.record(("key", i), context)
        if i % 100 == 0:
            assert len(model.candidates(context)) <= 32
    assert len(model._known) == len(model._places) == 2048
    assert len(model._slots) == 256
    assert sorted(model._places.values()) == list(range(2048))
    assert all(model._known[place] == key for key, place in model._places.items())
    assert chance


# --- what goes wrong with loaders ---------------------------------------------------------------------------


def failing_after(calls):
    def loader(key):
        calls.append(key)
        raise OSError("no such row")

    return loader


def test_a_loader_that_fails_leaves_the_key_alone_and_then_gets_a_rest():
    calls, pool = [], Later()
    predictive = trained(pool=pool, loader=failing_after(calls))
    for _ in go_on(predictive, 999):
        predictive.preload_predicted_data()
        pool.run()
    assert 5 <= len(calls) < 20
    stats = predictive.stats()
    assert stats.sources["association"].failed == len(calls) == len(set(calls))
    assert stats.unloadable == len(calls)
    assert stats.loading == 0
    assert stats.dropped > 100


@pytest.mark.parametrize("rubbish", ["coroutine", "refused", "too large", "not to be weighed"])
def test_rubbish_is_not_stored(rubbish):
    async def coroutine(key):
        raise AssertionError

    class Strange:
        def __sizeof__(self):
            raise ZeroDivisionError

    loaders = {
        "coroutine": coroutine,
        "refused": lambda key: "bad",
        "too large": lambda key: bytes(5_000_000),
        "not to be weighed": lambda key: Strange(),
    }
    cache, pool = Cache(100, policy="lru"), Later()
    predictive = trained(
        cache, pool=pool, validate=lambda key, value: value != "bad", loader=loaders[rubbish]
    )
    for _ in go_on(predictive):
        predictive.preload_predicted_data()
        pool.run()
    stats = predictive.stats()
    if rubbish != "not to be weighed":
        assert len(cache) == 0
        assert stats.sources["association"].failed > 0
    assert stats.loading == 0


def test_loaders_that_hang_stop_preloading_and_nobody_else():
    release, started = threading.Event(), []

    def loader(key):
        started.append(key)
        release.wait(30)
        return key

    cache = Cache(100, policy="lru")
    limits = Limits(rate=1e6, concurrency=2, timeout=0.02)
    predictive = trained(cache, pool=None, limits=limits, loader=loader)
    for _ in go_on(predictive, 900):
        predictive.preload_predicted_data()
        if predictive.stats().hanging < 2:
            time.sleep(0.002)
    assert len(started) == 2
    time.sleep(0.05)
    assert predictive.preload_predicted_data() == 0
    assert predictive.stats().hanging == 2
    release.set()
    deadline = time.monotonic() + 10
    while predictive.stats().hanging and time.monotonic() < deadline:
        time.sleep(0.01)
    assert predictive.stats().hanging == 0
    assert len(cache) == 0  # what comes after its time is not wanted


def test_what_was_written_meanwhile_is_not_replaced():
    cache, pool = Cache(100, policy="lru"), Later()
    predictive = trained(cache, pool=pool, loader=lambda key: "old")
    begun = []
    for _ in go_on(predictive):
        begun += [one.key for one in predictive.predict_future_access()]
        predictive.preload_predicted_data()
    for key in begun[:90]:
        cache[key] = "new"
    pool.run()
    assert [cache.peek(key) for key in begun[:50] if key in cache].count("old") == 0


@pytest.mark.parametrize("full", [RuntimeError("shut down"), OSError("full")])
def test_a_pool_that_has_no_room_costs_only_the_preload(full):
    class Full:
        def submit(self, call, /, *, priority):
            raise full

    predictive = trained(pool=Full(), loader=str)
    assert sum(predictive.preload_predicted_data() for _ in go_on(predictive)) == 0
    stats = predictive.stats()
    assert stats.loading == 0
    assert stats.dropped > 0


def test_a_pool_of_workers_loads_with_low_priority():
    cache = Cache(100, policy="lru")
    with WorkerPool(min=1, max=2) as pool:
        predictive = trained(cache, pool=pool, loader=str)
        for _ in go_on(predictive):
            predictive.preload_predicted_data()
        assert predictive.drain()
    assert len(cache) > 0


def test_threads_of_its_own_load_without_a_pool():
    cache = Cache(100, policy="lru")
    predictive = trained(cache, pool=None, loader=str)
    for _ in go_on(predictive):
        predictive.preload_predicted_data()
    assert predictive.drain()
    assert len(cache) > 0


def test_asynchronous_loaders_are_awaited_within_their_time():
    async def loader(key):
        if key % 3 == 0:
            await asyncio.sleep(60)
        if key % 3 == 1:
            raise LookupError(key)
        await asyncio.sleep(0)
        return key

    async def scene():
        predictive = trained(limits=Limits(rate=1e6, timeout=0.01))
        stored = 0
        for _ in go_on(predictive):
            stored += await predictive.apreload_predicted_data(loader)
        return stored, predictive.stats()

    stored, stats = asyncio.run(scene())
    assert 0 < stored < stats.sources["association"].issued
    assert stats.loading == stats.hanging == 0


# --- limits, against a model --------------------------------------------------------------------------------


@settings(max_examples=effort(60), deadline=None)
@given(data=st.data())
def test_a_gate_admits_what_its_limits_allow(data):
    now = [0.0]
    limits = Limits(rate=5, concurrency=3, max_bytes=100, timeout=2, retry_after=10)
    gate = Gate(limits, clock=lambda: now[0])
    under_way, hanging, waiting, admitted = {}, set(), {}, []
    for _ in range(data.draw(st.integers(1, 60))):
        now[0] += data.draw(st.sampled_from([0, 0.01, 0.1, 0.5, 3]))
        for one in [one for one, (_, since) in under_way.items() if now[0] >= since + 2]:
            hanging.add(one)
            del under_way[one]
        step = data.draw(st.sampled_from(["admit", "admit", "admit", "stored", "failed", "used"]))
        key = data.draw(st.integers(0, 30))
        if step == "admit":
            one = gate.admit(key)
            if one is not None:
                under_way[one] = key, now[0]
                admitted.append(now[0])
                assert len(under_way) + len(hanging) <= 3
                assert sum(waiting.values()) < 100
        elif step == "used":
            gate.release(key)
            waiting.pop(key, None)
        elif under_way or hanging:
            one = data.draw(st.sampled_from([*under_way, *hanging]))
            assert gate.is_wanted(one) == (one in under_way)
            key, _ = under_way.pop(one, (None, 0))
            hanging.discard(one)
            gate.finish(one, size=20 if step == "stored" else None)
            if step == "stored":
                waiting[key] = 20
        assert gate.hanging <= len(hanging) <= 3
        assert gate.held == sum(waiting.values())
    for start in admitted:
        assert sum(start <= moment < start + 10 for moment in admitted) <= 5 * 10 + 5 + 1


@pytest.mark.parametrize(
    "options", [{"rate": 0}, {"concurrency": -1}, {"timeout": float("inf")}, {"max_bytes": 0}]
)
def test_limits_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"positive|size"):
        Limits(**options)


def test_only_caches_can_be_predicted_for():
    with pytest.raises(TypeError, match="CacheManager"):
        PredictiveCaching({})
    with pytest.raises(ValueError, match="ttl"):
        PredictiveCaching(Cache(10), ttl=0)


# --- switched off, forked, hostile --------------------------------------------------------------------------


def test_it_can_be_switched_off_without_a_deploy(monkeypatch):
    monkeypatch.setenv("PERFCORE_DISABLE", "disk, Prefetch")
    predictive = trained(loader=str)
    assert not predictive.enabled
    assert predictive.stats().requests == 0
    assert predictive.predict_future_access() == []
    assert predictive.preload_predicted_data() == 0
    predictive.enabled = True
    predictive.record("key")
    assert predictive.stats().requests == 1


def test_keys_that_call_back_do_no_harm():
    class Key:
        def __init__(self, number):
            self.number = number

        def __hash__(self):
            return hash(self.number)

        def __eq__(self, other):
            predictive.record("nested", hit=False)
            return self.number == getattr(other, "number", None)

    predictive = PredictiveCaching(Cache(50, policy="lru"), limits=QUICK, pool=(pool := Later()), loader=id)
    context = AccessContext(user_type="x")
    for i in range(3200):
        key = Key(i % 400)
        predictive.get(key, context=context)
        predictive.preload_predicted_data(context=context)
        pool.run()
    predictive._predictor._check()
    assert predictive.stats().requests > 3200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_begins_with_nothing_under_way():
    predictive = trained(loader=str)
    for _ in go_on(predictive):
        predictive.preload_predicted_data()
    assert predictive.stats().loading > 0
    pid = os.fork()
    if pid == 0:
        os._exit(0 if predictive.stats().loading == 0 and predictive.record("key") is None else 1)
    assert os.waitpid(pid, 0)[1] == 0


# --- over tiers ---------------------------------------------------------------------------------------------


def test_keys_come_up_from_the_tiers_below_before_a_loader_is_asked(tmp_path):
    asked = []
    with CacheManager(memory={"maxsize": 100, "policy": "lru"}, disk={"directory": tmp_path}) as manager:
        manager.set_many({key: f"row {key}" for key in range(0, 1000, 2)})
        pool = Later()
        predictive = trained(manager, pool=pool, loader=lambda key: asked.append(key) or f"row {key}")
        manager._memory.clear()
        for _ in go_on(predictive):
            predictive.preload_predicted_data()
            pool.run()
        assert asked
        assert all(key % 2 == 1 for key in asked)
        held = [key for key in range(1000) if predictive._target.holds(key)]
        assert {key % 2 for key in held} == {0, 1}
        odd = next(key for key in held if key % 2)
        assert manager.explain(odd).source == "prediction"
        assert manager.explain(odd).below == {}
        assert all(manager.get(key) == f"row {key}" for key in held)


def test_what_was_deleted_while_it_was_loaded_does_not_come_back(tmp_path):
    with CacheManager(memory={"maxsize": 100}, disk={"directory": tmp_path}) as manager:
        loaded = []

        def loader(key):
            manager.delete(key)
            loaded.append(key)
            return "old"

        pool = Later()
        predictive = trained(manager, pool=pool, loader=loader)
        for _ in go_on(predictive, 50):
            predictive.preload_predicted_data()
            pool.run()
        assert loaded
        assert all(manager.get(key) is None for key in loaded)


# --- the model file -----------------------------------------------------------------------------------------


def test_what_was_learnt_comes_back(tmp_path):
    path = tmp_path / "sub" / "model"
    with trained(model=path):
        pass
    assert path.exists()
    cache = Cache(100, policy="lru")
    predictive = PredictiveCaching(cache, model=path, limits=QUICK, pool=Later(), loader=str)
    found = 0
    for _ in go_on(predictive):
        found += len(predictive.predict_future_access())
    assert found  # in the first round
    assert predictive.warm() == len(cache) == 50
    assert predictive.warm() == 0


def test_a_missing_model_is_an_empty_one(tmp_path):
    predictive = PredictiveCaching(Cache(10), model=tmp_path / "none")
    assert predictive.warm(str) == 0
    assert list(tmp_path.iterdir()) == []


def test_keys_that_cannot_be_written_are_left_out(tmp_path):
    predictive = PredictiveCaching(Cache(10), model=tmp_path / "model")
    for key in ("a", b"b", 3, None, ("t", 1), 1.5, frozenset("x"), "long" * 1000):
        predictive.record(key)
    assert predictive.save() == 5
    again = PredictiveCaching(Cache(10), model=tmp_path / "model")
    assert set(again._likely) == {"a", b"b", 3, None, ("t", 1)}


def test_warming_up_survives_its_loader(tmp_path):
    path = tmp_path / "model"
    trained(model=path).close()

    def loader(key):
        if key % 2:
            raise LookupError(key)
        return key

    cache = Cache(100, policy="lru")
    predictive = PredictiveCaching(cache, model=path)
    assert 0 < predictive.warm(loader) < 50
    assert all(key % 2 == 0 for key in cache)


def sealed(body, magic=b"pcpredict", version=1):
    return struct.pack("<9sBQQ", magic, version, len(body), xxh3_64_intdigest(body)) + body


@pytest.fixture(scope="module")
def model_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    trained(model=path).close()
    return path.read_bytes()


def poisons(model):
    import msgspec

    judge, keys, visits = msgspec.msgpack.decode(model[26:])
    yield b""
    yield model[:20]
    yield model[:-1]
    yield sealed(model[26:], version=2)
    yield sealed(model[26:], magic=b"something")
    yield sealed(b"\x80\x04N.")  # a pickle
    yield sealed(msgspec.msgpack.encode([judge, keys]))
    yield sealed(msgspec.msgpack.encode([judge, keys, [*visits[:-1], len(keys)]]))
    yield sealed(msgspec.msgpack.encode([judge, keys, [*visits[:-1], -1]]))
    yield sealed(msgspec.msgpack.encode([judge, keys, visits * 20]))
    yield sealed(msgspec.msgpack.encode([judge, [b"x??"] * len(keys), visits]))
    yield sealed(msgspec.msgpack.encode([judge, [b"t" + b"\xff" * 9] * len(keys), visits]))
    yield sealed(msgspec.msgpack.encode([judge[:-4], keys, visits]))
    yield sealed(msgspec.msgpack.encode([struct.pack("<f", float("nan")) + judge[4:], keys, visits]))
    yield sealed(msgspec.msgpack.encode([struct.pack("<f", 1e30) + judge[4:], keys, visits]))


def test_a_poisoned_model_is_refused_and_set_aside(tmp_path, model_bytes):
    for number, poison in enumerate(poisons(model_bytes)):
        path = tmp_path / f"model {number}"
        path.write_bytes(poison)
        predictive = PredictiveCaching(Cache(100), model=path)
        assert predictive._likely == []
        assert predictive.stats().requests == 0
        if poison:
            assert not path.exists()
            assert path.with_name(path.name + ".refused").read_bytes() == poison


@settings(max_examples=effort(60), deadline=None)
@given(data=st.data())
def test_a_damaged_model_is_never_believed(model_bytes, tmp_path_factory, data):
    damaged = bytearray(model_bytes)
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "model"
    body = bytes(damaged[26:])
    path.write_bytes(sealed(body) if data.draw(st.booleans()) else bytes(damaged))
    predictive = PredictiveCaching(Cache(100), model=path)
    predictive._predictor._check()  # refused, or sound: its checksum was made anew
    predictive.record("key")


# --- loaded by somebody else --------------------------------------------------------------------------------


def test_who_loads_predictions_by_hand_need_not_say_so():
    cache, flying, misses = Cache(400, policy="lru"), deque(), 0
    predictive = PredictiveCaching(cache)
    for now, key in enumerate(list(range(4000)) * 8):
        while flying and flying[0][0] <= now:
            cache.setdefault(flying.popleft()[1], 0)
        predictive.record(key)
        if cache.get(key) is None:
            misses += 1
            cache[key] = key
        under_way = {wanted for _, wanted in flying}
        for found in predictive.predict_future_access():
            if found.key not in under_way:
                flying.append((now + 50, found.key))
    assert misses < 32_000 * 0.5  # LRU alone misses always; the first two rounds teach
