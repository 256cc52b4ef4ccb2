"""Buffer pools: what a handle may do while it holds its buffer, and that it can do nothing afterwards."""

import gc
import io
import os
import socket
import subprocess
import sys
import threading

import pytest
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perfcore._native.buffers import BufferPool, PooledBuffer

KB = 1024


@pytest.fixture(params=[False, True], ids=["one magazine", "a magazine per thread"])
def per_thread(request):
    return request.param


@pytest.fixture
def pool(per_thread):
    pool = BufferPool(_per_thread=per_thread)
    yield pool
    pool._check()


@pytest.mark.parametrize(
    ("size", "capacity"),
    [
        (1, KB),
        (1025, 4 * KB),
        (5000, 16 * KB),
        (64 * KB, 64 * KB),
        (64 * KB + 1, 80 * KB),
        (200_000, 224 * KB),
    ],
)
def test_the_smallest_class_that_fits_is_lent(pool, size, capacity):
    with pool.acquire(size) as buffer:
        assert len(buffer) == size == len(memoryview(buffer))
        assert buffer.capacity == capacity


def test_at_most_a_quarter_is_wasted_above_64_kb(pool):
    for size in range(64 * KB + 1, 2**22, 33_333):
        with pool.acquire(size) as buffer:
            assert (buffer.capacity - size) * 4 < buffer.capacity


@pytest.mark.parametrize("alignment", [16, 64, 4096])
@pytest.mark.parametrize("size", [10, 5000, 300_000])
def test_memory_is_aligned(alignment, size):
    numpy = pytest.importorskip("numpy")
    assert BufferPool(alignment=alignment).acquire(size).array().ctypes.data % alignment == 0
    assert numpy


def test_what_comes_back_is_lent_again_and_is_zero(pool):
    buffer = pool.acquire(5000)
    memoryview(buffer)[:] = b"x" * 5000
    buffer.release()
    again = pool.acquire(6000)
    assert bytes(again.view()) == bytes(6000)
    assert pool.stats().reused == 2
    again.release()


def test_only_what_views_could_write_is_cleared(pool):
    def cleared(use):
        before = pool.stats().cleared_bytes
        with pool.acquire(60_000) as buffer:
            use(buffer)
        return pool.stats().cleared_bytes - before

    assert cleared(lambda buffer: None) == 0
    assert cleared(lambda buffer: memoryview(buffer)[0]) == 60_000
    assert cleared(lambda buffer: buffer.view(100)[0]) == 100
    assert cleared(lambda buffer: b"".join([buffer])) == 0  # asks for bytes to read


@pytest.mark.parametrize(
    ("clear", "seen"), [("on_return", bytes(3)), ("on_acquire", bytes(3)), ("never", b"abc")]
)
def test_when_to_clear_is_a_choice(clear, seen):
    pool = BufferPool(clear=clear)
    with pool.acquire(100) as buffer:
        buffer.view(3)[:] = b"abc"
    assert bytes(pool.acquire(100).view(3)) == seen


def test_a_released_buffer_is_of_no_use(pool):
    buffer = pool.acquire(10)
    buffer.release()
    other = pool.acquire(10)  # has the memory now
    for use in (memoryview, bytes, PooledBuffer.release, PooledBuffer.view, lambda b: b.capacity):
        with pytest.raises(BufferError, match="was released"):
            use(buffer)
    with pytest.raises(BufferError), buffer:
        pass
    assert buffer.released and not other.released
    other.release()


def test_a_buffer_with_views_is_not_released(pool):
    buffer = pool.acquire(10)
    first, second = memoryview(buffer), buffer.view(5)
    with pytest.raises(BufferError, match="in use: 2"):
        buffer.release()
    assert not buffer.released
    first.release()
    del second
    buffer.release()
    assert pool.stats().in_use == 0


def test_a_deferred_release_waits_for_the_last_view(pool):
    buffer = pool.acquire(10)
    view, slice_ = memoryview(buffer), memoryview(buffer)[2:4]
    buffer.release(defer=True)
    assert buffer.released and pool.stats().in_use == 1
    view[2:4] = b"ab"  # still ours
    assert bytes(slice_) == b"ab"
    with pytest.raises(BufferError):
        buffer.release(defer=True)
    view.release()
    assert pool.stats().in_use == 1
    slice_.release()
    assert pool.stats().in_use == 0 and pool.stats().deferred == 1 and pool.stats().leaked == 0


def test_a_view_kept_past_the_with_block_keeps_the_memory(pool):
    with pool.acquire(10) as buffer:
        kept = memoryview(buffer)
    assert pool.acquire(10).view().obj is not kept.obj
    kept[:] = b"0123456789"
    del kept
    del buffer
    assert pool.stats().in_use == 0


def test_an_exception_in_the_block_is_not_hidden_by_views_of_its_frames(pool):
    with pytest.raises(ZeroDivisionError), pool.acquire(10) as buffer:
        view = memoryview(buffer)
        assert view[0] / 0
    assert buffer.released


def test_released_by_another_thread(pool):
    buffer = pool.acquire(10)
    threads = [threading.Thread(target=buffer.release)]
    threads[0].start()
    threads[0].join()
    assert buffer.released and pool.stats().in_use == 0
    with pytest.raises(BufferError):
        buffer.release()


def test_the_dead_threads_magazine_comes_back():
    pool = BufferPool(_per_thread=True, initial=0)

    def work():
        for buffer in [pool.acquire(100) for _ in range(5)]:
            buffer.release()
        found.append(pool.idle())

    found = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [{}]  # they were in the thread's magazine
    assert pool.idle() == {KB: 5}
    stats = pool.stats()
    assert (stats.made, stats.released, stats.in_use) == (5, 5, 0)


def test_a_pool_that_dies_before_its_threads_leaves_nothing_behind():
    pools = [BufferPool(_per_thread=True) for _ in range(20)]  # more than a thread remembers at once
    ready, go = threading.Barrier(2), threading.Event()

    def work():
        for pool in pools:
            pool.acquire(100).release()
        del pool
        ready.wait()
        go.wait()
        BufferPool(_per_thread=True).acquire(1).release()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    pools.clear()
    go.set()
    thread.join()


def test_threads_share_a_pool(per_thread):
    pool = BufferPool(_per_thread=per_thread, initial=0, per_class=4)
    lock, shelf, errors = threading.Lock(), [], []

    def work(mark):
        try:
            for i in range(effort(400)):
                buffer = pool.acquire(1 + i * 37 % 90_000)
                assert buffer.view(1)[0] == 0
                buffer.view(1)[0] = mark
                with lock:
                    shelf.append(buffer)
                    other = shelf.pop(0) if len(shelf) > 5 else None
                if other is not None:
                    other.release()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n + 1,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    while shelf:
        shelf.pop().release()
    stats = pool.stats()
    assert stats.acquired == stats.released == effort(1600) and stats.in_use == stats.leaked == 0
    pool._check()


def test_a_buffer_that_dies_unreleased_comes_back_and_is_told(caplog):
    pool = BufferPool(leak_sampling=1)
    for _ in range(2):
        buffer = pool.acquire(10)
        buffer.view(3)[:] = b"abc"
        del buffer
    assert pool.stats().leaked == 2 and pool.stats().in_use == 0
    ((site, count),) = pool.leaks().items()
    assert count == 2 and "test_buffers.py" in site
    assert sum("never released" in record.message for record in caplog.records) == 1
    assert bytes(pool.acquire(10).view()) == bytes(10)


def test_one_in_so_many_is_traced():
    pool = BufferPool(leak_sampling=10)
    for _ in range(1000):
        pool.acquire(1)
    assert 80 <= sum(pool.leaks().values()) <= 120
    silent = BufferPool(leak_sampling=0)
    silent.acquire(1)
    assert silent.leaks() == {} and silent.stats().leaked == 1


def test_no_more_is_kept_than_allowed():
    pool = BufferPool(initial=0, per_class=3, max_bytes="100KB", trim_after=None, _per_thread=False)
    held = [pool.acquire(4000) for _ in range(10)] + [pool.acquire(90_000) for _ in range(3)]
    for buffer in held:
        buffer.release()
    assert pool.idle() == {4 * KB: 3}  # 96 KB do not fit beside 12
    assert pool.stats().discarded == 10
    pool._check()


def test_the_largest_class_and_what_is_larger():
    pool = BufferPool(largest="1MB")
    pool.acquire("1MB").release()
    pool.acquire(2**20 + 1).release()
    assert pool.stats().oversize == 1 and pool.idle()[2**20] == 1


def test_trimming(pool):
    pool.acquire("3MB").release()
    idle = pool.stats().idle_bytes
    assert pool.trim("100KB") == idle - pool.stats().idle_bytes
    assert pool.stats().idle_bytes <= 100 * KB
    pool.trim()
    assert pool.stats().idle_bytes == 0


def test_what_is_not_needed_for_a_while_is_given_back():
    pool = BufferPool(initial=10, trim_after=1e-9, _per_thread=False)
    for _ in range(1024):
        pool.acquire(10).release()
    assert pool.idle() == {KB: 1}


def test_what_no_thread_needs_for_a_while_is_given_back_by_who_uses_the_pool():
    pool = BufferPool(initial=10, trim_after=1e-9, _per_thread=True)
    before = pool.stats().idle_bytes
    for _ in range(4096):
        pool.acquire(10).release()  # never beyond this thread's magazine
    assert before > 800 * KB
    assert pool.stats().idle_bytes <= 16 * KB  # a magazine of the class in use
    assert set(pool.idle()) <= {KB}
    pool._check()
    patient = BufferPool(initial=10, trim_after=None, _per_thread=True)
    for _ in range(4096):
        patient.acquire(10).release()
    assert patient.stats().idle_bytes == before


def test_magazines_of_other_threads_are_emptied_when_they_come_by():
    pool = BufferPool(initial=0, per_class=100, trim_after=1e-9, _per_thread=True)
    filled, go = threading.Barrier(2), threading.Barrier(2)

    def work():
        held = [pool.acquire("64KB") for _ in range(16)]
        for buffer in held:
            buffer.release()
        filled.wait()
        go.wait()
        pool.acquire(10).release()

    thread = threading.Thread(target=work)
    thread.start()
    filled.wait()
    for _ in range(512):
        pool.acquire(10).release()
    assert pool.stats().idle_bytes >= 16 * 64 * KB  # it has not come by
    go.wait()
    thread.join()
    for _ in range(1024):
        pool.acquire(10).release()
    assert pool.stats().idle_bytes <= 32 * KB
    pool._check()


def test_what_magazines_hold_is_part_of_what_the_pool_may():
    count = 4
    pool = BufferPool(initial=0, per_class=3, max_bytes="100KB", trim_after=None, _per_thread=True)
    done, go = threading.Barrier(count + 1), threading.Barrier(count + 1)

    def work():
        held = [pool.acquire(4000) for _ in range(60)]
        for buffer in held:
            buffer.release()
        done.wait()
        go.wait()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    done.wait()
    assert 50 * KB < pool.stats().idle_bytes <= 100 * KB
    go.wait()
    for thread in threads:
        thread.join()
    assert pool.stats().idle_bytes == 12 * KB  # theirs came back, and there was no room
    pool._check()


@pytest.mark.parametrize("size", [0, -1, -(2**70), 0.5, None, "", "5 bananas", True, b"1", 2**63])
def test_a_size_that_is_none_is_refused(pool, size):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        pool.acquire(size)
    assert pool.stats().acquired == 0


def test_memory_that_is_not_there_is_a_memory_error(pool):
    with pytest.raises(MemoryError):
        pool.acquire(2**62)
    assert pool.stats().in_use == 0


@pytest.mark.parametrize(
    "options",
    [
        {"initial": -1},
        {"initial": 30},
        {"per_class": 1.5},
        {"max_bytes": -1},
        {"largest": 0},
        {"largest": "3GB"},
        {"alignment": 24},
        {"alignment": 8192},
        {"clear": "sometimes"},
        {"trim_after": 0},
        {"leak_sampling": -1},
        {"unknown": 1},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(options):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        BufferPool(**options)


def test_guide_names(pool):
    buffer = pool.get_optimal_buffer(5000)
    pool.return_buffer(buffer)
    with pytest.raises(BufferError):
        pool.return_buffer(buffer)
    with pytest.raises(ValueError, match="another pool"):
        pool.return_buffer(BufferPool().acquire(1))
    with pytest.raises(TypeError):
        pool.return_buffer(bytearray(10))


def test_files_and_sockets_read_into_it(pool):
    left, right = socket.socketpair()
    with left, right, pool.acquire(100) as buffer:
        left.sendall(b"hello")
        assert right.recv_into(buffer) == 5
        assert bytes(buffer.view(5)) == b"hello"
        assert io.BytesIO(b"abc").readinto(buffer.view(10)) == 3
        assert left.send(buffer) == 100


def test_numpy_sees_it_and_holds_it(pool):
    numpy = pytest.importorskip("numpy")
    buffer = pool.acquire(103)
    array = buffer.array("f8")
    assert array.shape == (12,) and array.sum() == 0
    with pytest.raises(BufferError):
        buffer.release()
    del array
    grid = buffer.array(numpy.int16, (5, 10))
    grid[:] = 7
    with pytest.raises((ValueError, TypeError)):
        buffer.array("f8", 14)
    del grid
    buffer.release()


def test_handles_come_from_pools_only_and_do_not_travel():
    import copy

    with pytest.raises(TypeError):
        PooledBuffer()
    with pytest.raises(TypeError):
        copy.copy(BufferPool().acquire(1))


def test_none_is_not_counted_up_by_exports():
    buffer = BufferPool().acquire(10)
    before = sys.getrefcount(None)
    for _ in range(1000):
        memoryview(buffer), buffer.view(3)
    assert abs(sys.getrefcount(None) - before) < 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("per_thread", [False, True])
def test_a_forked_child_uses_its_copy(per_thread):
    code = f"""
import os, threading
from perfcore._native.buffers import BufferPool
pool = BufferPool(_per_thread={per_thread})
held = pool.acquire(100)
held.view(3)[:] = b"abc"
stop, ready = threading.Event(), threading.Event()
def work():
    pool.acquire(10).release(); ready.set(); stop.wait()
thread = threading.Thread(target=work); thread.start(); ready.wait()
child = os.fork()
if child == 0:
    pool._check()
    held.view(3)[:] = b"xyz"
    held.release()
    for _ in range(50):
        pool.acquire(5000).release()
    pool._check()
    os._exit(pool.stats().in_use)
status = os.waitpid(child, 0)[1]
stop.set(); thread.join()
assert bytes(held.view(3)) == b"abc"
held.release(); pool._check()
raise SystemExit(status)
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("per_thread", [False, True])
def test_an_interpreter_may_end_with_buffers_out(per_thread):
    code = f"""
import sys, threading
from perfcore._native.buffers import BufferPool
pool = BufferPool(_per_thread={per_thread}, leak_sampling=1)
sys.held = [pool.acquire(100), memoryview(pool.acquire(100))]
threading.Thread(target=lambda: (pool.acquire(5), threading.Event().wait()), daemon=True).start()
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
    assert done.stderr == b""


def test_a_collection_may_happen_at_any_moment(pool):
    class Loop:
        def __init__(self):
            self.me, self.buffer = self, pool.acquire(10)

        def __del__(self):
            pool.acquire(20).release()

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(300):
            Loop()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert pool.stats().in_use == 0 and pool.stats().leaked == 300


class PoolMachine(RuleBasedStateMachine):
    """A pool beside a dict of what should be in each buffer."""

    @initialize(
        per_thread=st.booleans(),
        clear=st.sampled_from(["on_return", "on_acquire"]),
        per_class=st.integers(0, 3),
    )
    def build(self, per_thread, clear, per_class):
        self.pool = BufferPool(
            initial=0,
            per_class=per_class,
            max_bytes="200KB",
            largest="1MB",
            clear=clear,
            leak_sampling=0,
            _per_thread=per_thread,
        )
        self.held, self.views, self.stale, self.leaked = [], [], [], 0

    @rule(size=st.one_of(st.integers(1, 3000), st.integers(60_000, 200_000), st.just(2**20 + 5)))
    def acquire(self, size):
        buffer = self.pool.acquire(size)
        assert bytes(buffer.view()) == bytes(size)
        self.held.append(buffer)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), size=st.integers(1, 200_000))
    def view(self, data, size):
        buffer = self.held[data.draw(st.integers(0, len(self.held) - 1))]
        view = buffer.view(min(size, len(buffer)))
        view[0] = view[-1] = 255
        self.views.append(view)

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def drop_view(self, data):
        self.views.pop(data.draw(st.integers(0, len(self.views) - 1))).release()

    @precondition(lambda self: self.held)
    @rule(data=st.data(), defer=st.booleans())
    def release(self, data, defer):
        buffer = self.held[data.draw(st.integers(0, len(self.held) - 1))]
        try:
            buffer.release(defer=defer)
        except BufferError:
            assert not defer and self.views
        else:
            self.held.remove(buffer)
            self.stale.append(buffer)

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def release_again(self, data):
        with pytest.raises(BufferError):
            self.stale[data.draw(st.integers(0, len(self.stale) - 1))].release(defer=True)

    @precondition(lambda self: self.held and not self.views)
    @rule()
    def forget(self):
        self.held.pop()
        self.leaked += 1

    @rule(bound=st.sampled_from([0, 5000, 100_000]))
    def trim(self, bound):
        self.pool.trim(bound)
        assert self.pool.stats().idle_bytes <= bound

    @invariant()
    def agree(self):
        if hasattr(self, "pool"):
            self.pool._check()
            stats = self.pool.stats()
            assert len(self.held) <= stats.in_use <= len(self.held) + len(self.views)
            assert stats.leaked == self.leaked
            assert all(view[0] == 255 == view[-1] for view in self.views)


def test_a_pool_behaves_as_the_model():
    PoolMachine.TestCase.settings = settings(max_examples=effort(40), stateful_step_count=40, deadline=None)
    PoolMachine.TestCase("runTest").runTest()
