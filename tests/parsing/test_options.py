"""Options: the guide's, checked by name, each doing what it says."""

import gc
import logging
from pathlib import Path

import pytest

from perfcore.cgroups import memory_limits
from perfcore.memory.pressure import MemoryWatch, memory_limit
from perfcore.parsing import ParserOptions, optimize_for_performance

GUIDE = {
    "enable_parse_cache": True,
    "cache_size": "256MB",
    "cache_ttl": 3600,
    "enable_batching": True,
    "batch_size": 50,
    "max_concurrency": 4,
    "enable_memory_optimization": True,
    "gc_threshold": 0.8,
    "enable_stream_processing": True,
    "buffer_size": 64 * 1024,
}


def test_the_guides_options_are_taken_as_keywords_or_as_one_mapping():
    with optimize_for_performance(**GUIDE) as by_keyword, optimize_for_performance(GUIDE) as by_mapping:
        assert by_keyword.options == by_mapping.options
        assert by_keyword.options.cache_size == 256 << 20
    assert optimize_for_performance({"batch_size": 2}, batch_size=3).options.batch_size == 3


def test_an_unknown_option_is_a_type_error_that_names_it():
    with pytest.raises(TypeError, match="unknown option 'cache_sise', 'chunks'"):
        optimize_for_performance(cache_sise="1MB", chunks=3)
    with pytest.raises(TypeError, match="expected a mapping of options, got list"):
        optimize_for_performance([])


@pytest.mark.parametrize(
    ("error", "option", "values"),
    [
        (ValueError, "cache_size", [-1, "lots", "1XB"]),
        (ValueError, "cache_ttl", [0, -1, float("nan"), float("inf")]),
        (ValueError, "batch_size", [0, -5]),
        (ValueError, "max_concurrency", [0]),
        (ValueError, "gc_threshold", [-0.1, 1.1, float("nan")]),
        (ValueError, "buffer_size", [0]),
        (ValueError, "max_file_size", ["0"]),
        (ValueError, "max_parse_time", [0]),
        (TypeError, "enable_parse_cache", [1, "yes", None]),
        (TypeError, "batch_size", ["50", 1.5, True, None]),
        (TypeError, "gc_threshold", ["80%", True]),
        (TypeError, "cache_directory", [True, 3, b"x"]),
    ],
)
def test_a_bad_value_names_its_option(error, option, values):
    for value in values:
        with pytest.raises(error, match=f"^{option}: "):
            optimize_for_performance(**{option: value})


def test_options_cannot_be_changed_behind_the_parser():
    with pytest.raises(AttributeError):
        ParserOptions().batch_size = 3


@pytest.mark.parametrize(
    "options", [{"enable_stream_processing": False}, {"buffer_size": 1}, {"buffer_size": "1MB"}]
)
def test_a_file_is_the_same_in_pieces_of_any_size(tmp_path, options):
    path = tmp_path / "a.py"
    path.write_text("def f(): pass\n" * 3000)
    with (
        optimize_for_performance(enable_parse_cache=False) as usual,
        optimize_for_performance(enable_parse_cache=False, **options) as other,
    ):
        first, second = usual.parse_file(path), other.parse_file(path)
    assert (first.content_hash, first.symbols) == (second.content_hash, second.symbols)
    assert len(first.symbols) == 3000


def test_above_the_threshold_garbage_is_collected_and_then_results_are_given_up(tmp_path, caplog):
    collections = []
    paths = [tmp_path / f"{n}.py" for n in range(3)]
    for path in paths:
        path.write_text("def f(): pass\n")

    def note(phase, info):
        collections.append((phase, info["generation"]))

    with (
        optimize_for_performance(cache_directory=False, gc_threshold=0.0) as pressed,
        optimize_for_performance(
            cache_directory=False, gc_threshold=0.0, enable_memory_optimization=False
        ) as left_alone,
    ):
        gc.callbacks.append(note)
        try:
            assert [r.source for r in left_alone.parse_many(paths * 2, jobs=1)][3:] == ["memory"] * 3
            assert ("start", 2) not in collections
            with caplog.at_level(logging.WARNING, "perfcore"):
                pressed.parse_file(paths[0])
            assert ("start", 2) in collections
            assert pressed.parse_file(paths[0]).source == "parsed"
        finally:
            gc.callbacks.remove(note)
    assert [record.name for record in caplog.records] == ["perfcore.memory"]


def test_memory_is_looked_at_once_a_second_at_most():
    relieved = []
    watch = MemoryWatch(0.0, lambda: relieved.append(1))
    for _ in range(1000):
        watch.look()
    assert len(relieved) == 1


def test_the_memory_limit_is_the_least_of_the_groups_around(tmp_path):
    group = Path(tmp_path, "a", "b")
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (tmp_path / "a" / "memory.max").write_text("1000\n")
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("700\n")
    membership = tmp_path / "cgroup"
    membership.write_text("3:cpu,cpuacct:/x\n2:memory:/y\n0::/a/b\n")
    assert sorted(memory_limits(membership, tmp_path)) == [700, 1000, 5000]
    assert memory_limits(tmp_path / "none", tmp_path) == []
    assert memory_limit() > 1 << 20
