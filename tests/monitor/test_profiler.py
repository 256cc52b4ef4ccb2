"""PerformanceProfiler: a share of the calls, what each took, and nothing of that mixed up."""

import asyncio
import inspect
import json
import os
import random
import threading
import time

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.metrics.instrument import note
from perfcore.monitor import PerformanceProfiler, Phase, Profile, ProfileFilter, chrome_trace, speedscope
from perfcore.monitor.sampling import Gate


@pytest.fixture
def profiler():
    return PerformanceProfiler(1.0)


def busy(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


# --- calls --------------------------------------------------------------------------------------------------


def test_a_call_returns_and_raises_what_it_would_without(profiler):
    def add(a, b=2, *, c=3):
        return a + b + c

    assert profiler.profile("add", add, 1, c=10) == 13
    error = ValueError("no")

    def fail():
        raise error

    with pytest.raises(ValueError) as caught:
        profiler.profile("fail", fail)
    assert caught.value is error
    latest, first = profiler.get_profiles()
    assert (first.status, first.error) == ("success", None)
    assert (latest.status, latest.error) == ("error", "ValueError: no")


def test_an_error_of_any_length_is_kept_short(profiler):
    with pytest.raises(KeyError):
        profiler.profile("fail", {}.__getitem__, "k" * 100_000)
    assert len(profiler.get_profiles()[0].error) <= 200


def test_time_memory_and_io_are_those_of_the_call(profiler, tmp_path):
    path = tmp_path / "file"

    def work():
        busy(0.05)
        path.write_bytes(b"x" * 100_000)
        held = bytearray(path.read_bytes() * 300)
        time.sleep(0.05)
        return held

    kept = profiler.profile("work", work)
    (profile,) = profiler.get_profiles()
    assert len(kept) == 30_000_000
    assert profile.duration >= 0.1 and 0.05 <= profile.cpu_time < profile.duration
    assert profile.memory_delta > 20_000_000
    assert profile.written_bytes == 100_000 and profile.read_bytes == 100_000


def test_what_measuring_reads_is_not_the_calls(profiler):
    def outer():
        return [profiler.profile("inner", int) for _ in range(20)]

    profiler.profile("outer", outer)
    assert {profile.read_bytes for profile in profiler.get_profiles()} == {0}


def test_phases_and_operations_belong_to_the_call_they_happen_in(profiler):
    def inner():
        note("cache.hit")
        with profiler.phase("deep"):
            pass

    def outer():
        with profiler.phase("first"):
            note("cache.miss", 2)
        profiler.profile("inner", inner)
        with profiler.phase("second"):
            pass

    profiler.profile("outer", outer)
    note("cache.hit")
    with profiler.phase("outside"):
        pass
    found = {profile.name: profile for profile in profiler.get_profiles()}
    assert [phase.name for phase in found["outer"].phases] == ["first", "second"]
    assert [phase.name for phase in found["inner"].phases] == ["deep"]
    assert found["inner"].parent == found["outer"].id and found["outer"].parent is None
    assert found["inner"].operations == {"cache.hit": 1}
    assert found["outer"].operations == {"cache.miss": 2, "cache.hit": 1}, "with what it called"


def test_the_number_of_phases_is_bounded(profiler):
    def many():
        for _ in range(5000):
            with profiler.phase("one"):
                pass

    profiler.profile("many", many)
    assert len(profiler.get_profiles()[0].phases) == 1000


# --- functions of every kind --------------------------------------------------------------------------------


def shapes():
    def plain(a, b=2):
        return a, b

    def positional(a, b=2, /, c=3):
        return a, b, c

    def keyword(a, *, b, c=3):
        return a, b, c

    def everything(a, b=2, /, c=3, *rest, d, e=5, **named):
        return a, b, c, rest, d, e, named

    def nothing():
        return ()

    def underscore(_, __x=1):
        return _, __x

    return [plain, positional, keyword, everything, nothing, underscore, dict, "abc".join]


@pytest.mark.parametrize("rate", [0.0, 1.0])
@pytest.mark.parametrize("fn", shapes(), ids=lambda fn: fn.__name__)
@given(
    args=st.lists(st.integers(), max_size=5),
    kwargs=st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e", "z", "_"]), st.integers(), max_size=4),
)
def test_a_decorated_function_takes_what_the_function_takes(fn, rate, args, kwargs):
    wrapped = PerformanceProfiler(rate, capacity=1).profiled(fn)
    try:
        expected = fn(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError) as caught:
            wrapped(*args, **kwargs)
        assert str(caught.value).split("(")[-1] == str(error).split("(")[-1]
    else:
        assert wrapped(*args, **kwargs) == expected


def test_a_decorated_function_passes_for_the_function(profiler):
    def load(key: str, *, limit: int = 5) -> str:
        "Loads."
        return key

    wrapped = profiler.profiled(load)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__) == ("load", "Loads.", load)
    assert inspect.signature(wrapped) == inspect.signature(load)

    class Service:
        @profiler.profiled
        def run(self, n):
            return self, n

        async def arun(self):
            return self

    service = Service()
    assert service.run(1) == (service, 1)
    assert profiler.get_profiles()[0].name.endswith("Service.run")
    assert asyncio.iscoroutinefunction(profiler.profiled(Service.arun))


def test_generators_are_refused(profiler):
    def numbers():
        yield 1

    async def anumbers():
        yield 1

    for fn in (numbers, anumbers):
        with pytest.raises(TypeError, match="generators"):
            profiler.profiled(fn)


# --- awaiting -----------------------------------------------------------------------------------------------


async def test_of_what_is_awaited_only_its_own_steps_count(profiler):
    async def waits():
        await asyncio.sleep(0.1)
        return "done"

    async def works():
        for _ in range(5):
            busy(0.02)
            await asyncio.sleep(0)

    answer, _ = await asyncio.gather(profiler.profile("waits", waits), profiler.profile("works", works))
    found = {profile.name: profile for profile in profiler.get_profiles()}
    assert answer == "done"
    assert found["waits"].duration >= 0.1 and found["waits"].cpu_time < 0.05
    assert found["works"].cpu_time >= 0.1
    assert found["waits"].awaited and found["waits"].parent is None and found["works"].parent is None


async def test_errors_and_cancellation_of_what_is_awaited(profiler):
    @profiler.profiled
    async def fails():
        await asyncio.sleep(0)
        raise KeyError("k")

    @profiler.profiled
    async def waits():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            note("cleaned")
            raise

    with pytest.raises(KeyError):
        await fails()
    task = asyncio.create_task(waits())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    cancelled, failed = profiler.get_profiles()
    assert (failed.status, cancelled.status) == ("error", "cancelled")
    assert cancelled.operations == {"cleaned": 1}


async def test_many_tasks_do_not_mix(profiler):
    @profiler.profiled
    async def inner(n):
        note(f"op{n}")
        await asyncio.sleep(0)
        with profiler.phase(f"phase{n}"):
            await asyncio.sleep(0)
        return n

    @profiler.profiled
    async def outer(n):
        await asyncio.sleep(0)
        return await inner(n)

    assert await asyncio.gather(*map(outer, range(100))) == [*range(100)]
    profiles = {profile.id: profile for profile in profiler.get_profiles()}
    inners = [profile for profile in profiles.values() if profile.phases]
    assert len(inners) == 100
    for profile in inners:
        (operation,) = profile.operations
        assert profile.phases[0].name == operation.replace("op", "phase")
        assert profiles[profile.parent].operations == profile.operations


async def test_a_block_on_an_event_loop_does_not_claim_the_threads_work(profiler):
    with profiler.span("plain"):
        await asyncio.sleep(0)
    async with profiler.span("async"):
        await asyncio.sleep(0)
    assert [profile.cpu_time for profile in profiler.get_profiles()] == [None, None]
    assert all(profile.duration > 0 for profile in profiler.get_profiles())


async def test_a_coroutine_that_is_dropped_half_way_is_cancelled(profiler):
    async def waits():
        await asyncio.sleep(60)

    coroutine = profiler.profile("waits", waits)
    coroutine.send(None)
    coroutine.close()
    assert profiler.get_profiles()[0].status == "cancelled"
    with profiler.span("after"):
        pass
    assert profiler.get_profiles()[0].parent is None


def test_threads_do_not_mix(profiler):
    barrier = threading.Barrier(8)

    @profiler.profiled
    def work(n):
        barrier.wait()
        for _ in range(50):
            note(f"op{n}")
            with profiler.phase(f"phase{n}"):
                pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    profiles = profiler.get_profiles()
    assert len({profile.thread for profile in profiles}) == len(profiles) == 8
    for profile in profiles:
        ((operation, times),) = profile.operations.items()
        assert times == 50 and {phase.name for phase in profile.phases} == {operation.replace("op", "phase")}


# --- sampling -----------------------------------------------------------------------------------------------


@settings(max_examples=effort(20))
@given(st.sampled_from([0.01, 0.1, 0.5, 0.9]), st.integers(0, 2**32))
def test_weights_add_up_to_the_calls_whatever_the_rate(rate, seed):
    gate, calls, sampled = Gate(rate, random.Random(seed).random), 20_000, 0
    for _ in range(calls):
        for _ in gate.skips:
            break
        else:
            sampled += gate.sampled()
    deviation = (calls * rate * (1 - rate)) ** 0.5 / rate
    assert abs(sampled * gate.weight - calls) < 5 * deviation + 1


def test_periodic_calls_are_not_locked_onto():
    gate = Gate(0.1, random.Random(7).random)
    seen = [0] * 10
    for call in range(20_000):
        for _ in gate.skips:
            break
        else:
            seen[call % 10] += gate.sampled()
    assert all(120 < count < 280 for count in seen), "each of ten alternating calls gets its tenth"


def test_threads_take_each_ticket_once():
    gate, sampled = Gate(0.05), []

    def calls():
        mine = 0
        for _ in range(20_000):
            for _ in gate.skips:
                break
            else:
                mine += gate.sampled()
        sampled.append(mine)

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 3600 < sum(sampled) < 4400


def test_at_zero_nothing_is_sampled_and_one_tells_of_all():
    never, always = PerformanceProfiler(0.0), PerformanceProfiler(1.0)
    for _ in range(100):
        never.profile("x", int)
        always.profile("x", int)
        with never.span("y") as block:
            assert block is None
    assert never.get_profiles() == [] and len(always.get_profiles()) == 100
    for rate in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            PerformanceProfiler(rate)


def test_a_forked_child_samples_others():
    profiler = PerformanceProfiler(0.5)
    numbers = []
    for _ in range(2):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            for n in range(64):
                profiler.profile(str(n), int)
            os.write(writing, ",".join(p.name for p in profiler.get_profiles()).encode())
            os._exit(0)
        os.close(writing)
        numbers.append(os.read(reading, 1 << 16))
        os.close(reading)
        os.waitpid(child, 0)
    assert numbers[0] != numbers[1]


# --- what is kept -------------------------------------------------------------------------------------------


def test_the_last_and_the_slowest_are_kept_and_no_more():
    profiler = PerformanceProfiler(1.0, capacity=10)
    profiler.profile("slow", time.sleep, 0.02)
    for _ in range(500):
        profiler.profile("fast", int)
    profiles = profiler.get_profiles()
    assert len(profiles) <= 10 + 32 and profiles[-1].name == "slow"
    assert [p.start_ns for p in profiles] == sorted((p.start_ns for p in profiles), reverse=True)
    stats = profiler.stats()
    assert (stats.samples, stats.calls, stats.kept) == (501, 501.0, len(profiles))
    assert 0 < stats.cost < 5
    profiler.clear()
    assert profiler.get_profiles() == []


def test_profiles_are_found_by_name_status_duration_and_time(profiler):
    profiler.profile("a", time.sleep, 0.01)
    with pytest.raises(ZeroDivisionError):
        profiler.profile("b", lambda: 1 / 0)
    assert [p.name for p in profiler.get_profiles(status="error")] == ["b"]
    assert [p.name for p in profiler.get_profiles(ProfileFilter(min_duration=0.01))] == ["a"]
    assert profiler.get_profiles(since=time.time() + 60) == []
    assert profiler.get_profiles(name="c") == []


# --- exports ------------------------------------------------------------------------------------------------


def made(id, name, start_ms, ms, parent=None, phases=(), operations=None):
    return Profile(
        id=id, name=name, parent=parent, start_ns=start_ms * 10**6, duration=ms / 1e3, phases=phases,
        weight=10.0, thread=1, awaited=False, started=0.0, cpu_time=ms / 1e3, read_bytes=0, written_bytes=0,
        memory_delta=0, allocations=None, status="success", error=None, operations=operations or {},
    )  # fmt: skip


REQUEST = made("1", "request", 100, 50, phases=(Phase("parse", 0.0, 0.01), Phase("render", 0.03, 0.02)))
QUERY = made("2", "query", 115, 10, parent="1", operations={"cache.miss": 1})
BESIDE = made("3", "beside", 120, 60, parent="1")


def test_the_file_for_speedscope():
    found = json.loads(speedscope([BESIDE, QUERY, REQUEST], name="shop"))
    found.pop("exporter")
    request = [
        ["O", 0, 100], ["O", 1, 100], ["C", 1, 110], ["O", 2, 115], ["C", 2, 125],
        ["O", 3, 130], ["C", 3, 150], ["C", 0, 150],
    ]  # fmt: skip

    def chart(name, start, end, events):
        opened = [{"type": kind, "frame": frame, "at": ms * 10**6} for kind, frame, ms in events]
        where = {"startValue": start * 10**6, "endValue": end * 10**6}
        return {"type": "evented", "name": name, "unit": "nanoseconds", **where, "events": opened}

    assert found == {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": n} for n in ("request", "parse", "query", "render", "beside")]},
        "profiles": [
            chart("request", 100, 150, request),
            chart("beside", 120, 180, [["O", 4, 120], ["C", 4, 180]]),
        ],
        "name": "shop",
        "activeProfileIndex": 0,
    }


def test_the_trace_for_chrome():
    found = json.loads(chrome_trace([REQUEST, QUERY]))
    events = found["traceEvents"]
    assert [(e["name"], e["cat"], e["ph"], e["ts"], e["dur"], e["tid"]) for e in events] == [
        ("request", "call", "X", 100_000.0, 50_000.0, 0),
        ("parse", "phase", "X", 100_000.0, 10_000.0, 0),
        ("query", "call", "X", 115_000.0, 10_000.0, 0),
        ("render", "phase", "X", 130_000.0, 20_000.0, 0),
    ]
    assert events[2]["args"] == {
        "id": "2", "weight": 10.0, "cpu_time": 0.01, "memory_delta": 0, "read_bytes": 0, "written_bytes": 0,
        "status": "success", "error": None, "cache.miss": 1,
    }  # fmt: skip
    assert {e["pid"] for e in events} == {os.getpid()}


@given(st.data())
def test_whatever_ran_beside_what_openings_and_closings_nest(data):
    number = data.draw(st.integers(1, 8))
    times = st.tuples(st.integers(0, 20), st.integers(0, 20))
    profiles = []
    for n in range(number):
        start, ms = data.draw(times)
        phases = tuple(Phase("p", a / 1e3, b / 1e3) for a, b in data.draw(st.lists(times, max_size=3)))
        parent = data.draw(st.none() | st.sampled_from([str(m) for m in range(number)]))
        profiles.append(made(str(n), f"call{n}", start, ms, parent=parent, phases=phases))
    charts = json.loads(speedscope(profiles))["profiles"]
    assert sum(e["type"] == "O" for chart in charts for e in chart["events"]) >= number
    for chart in charts:
        opened, last = [], chart["startValue"]
        for event in chart["events"]:
            assert last <= event["at"] <= chart["endValue"]
            last = event["at"]
            if event["type"] == "O":
                opened.append(event["frame"])
            else:
                assert opened.pop() == event["frame"]
        assert opened == []
