"""What is kept open and pooled is measured, and given up when it does not pay."""

import itertools

import pytest

from perfcore.io import IOOptimizer, StreamCache

pytestmark = pytest.mark.timeout(60)


def measured(before, after):
    """Return a timer that says what is without, and what with, in turns, and does the work."""
    values = itertools.cycle([before, after])

    def timer(work):
        work()
        return next(values)

    return timer


def hot(tmp_path, streams, count=3):
    for number in range(count):
        path = tmp_path / str(number)
        path.write_bytes(bytes(4096))
        for _ in range(5):
            streams.read(path)


@pytest.mark.parametrize(("after", "outcome"), [(0.5, "kept"), (0.95, "undone"), (2.0, "undone")])
def test_files_stay_open_only_where_that_saves_a_tenth(tmp_path, after, outcome):
    with StreamCache(threshold=1) as streams, IOOptimizer(streams, timer=measured(1.0, after)) as optimizer:
        hot(tmp_path, streams)
        (step,) = optimizer.optimize_disk()
        assert (step.outcome, step.before, step.after) == (outcome, 1.0, pytest.approx(after))
        assert streams.stats().files == (3 if outcome == "kept" else 0)
        assert optimizer.read(str(tmp_path / "0")) == bytes(4096)
        assert streams.stats().files == (3 if outcome == "kept" else 0)


def test_on_a_real_disk_it_pays_and_a_report_says_so(tmp_path):
    with StreamCache(threshold=1) as streams, IOOptimizer(streams) as optimizer:
        hot(tmp_path, streams)
        report = optimizer.optimize_io()
        assert report.steps[0].outcome == "kept" and report.steps[0].after < report.steps[0].before
        assert report.streams.files == 3 and report.closed == 0
        (tmp_path / "0").unlink()
        assert optimizer.optimize_disk()[0].outcome == "kept", "a file that has gone is left out"


@pytest.mark.parametrize(("after", "outcome"), [(0.5, "kept"), (1.5, "undone")])
def test_idle_buffers_are_given_back_where_new_ones_cost_no_more(after, outcome):
    times = iter([1.0] * 9 + [after] * 9)

    def timer(work):
        work()
        return next(times)

    with IOOptimizer(timer=timer) as optimizer:
        buffer = optimizer.get_optimal_buffer(70_000)
        assert (len(buffer), buffer.capacity) == (70_000, 81_920)
        optimizer.return_buffer(buffer)
        (step,) = optimizer.optimize_buffers()
        assert step.outcome == outcome and "81920" in step.name
        assert bool(optimizer.pool.stats().idle_bytes) == (outcome == "kept")
        with pytest.raises(BufferError):
            optimizer.return_buffer(buffer)


async def test_a_coroutine_gets_the_same_report(tmp_path):
    with IOOptimizer() as optimizer:
        report = await optimizer.aoptimize_io()
        assert [step.outcome for step in report.steps] == ["nothing", "nothing"]
