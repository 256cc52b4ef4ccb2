"""However a setting is spelled, the more specific place wins, and equal places must agree."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.config import PerformanceConfig, load
from perfcore.config.spellings import SPELLINGS
from perfcore.errors import ConfigError

#: from the design, in its words: setting -> ranks of spellings, the most specific first
FAMILIES = {
    "optimization.level": [["optimization.level", "optimization_level"]],
    "caching.enabled": [["caching.enabled"], ["enable_caching"]],
    "caching.layers.memory.max_size": [
        [f"caching.layers.{layer}.{name}" for layer in ("memory", "l1") for name in ("max_size", "size")],
        ["caching.max_memory"],
    ],
    "caching.layers.memory.strategy": [
        ["caching.layers.memory.strategy", "caching.layers.l1.strategy"],
        ["caching.policies.eviction", "caching.policies.eviction_policy"],
        ["caching.strategy"],
    ],
    "caching.layers.disk.enabled": [
        ["caching.layers.disk.enabled", "caching.layers.l2.enabled"],
        ["caching.persist_to_disk"],
    ],
    "caching.layers.disk.max_size": [
        [f"caching.layers.{layer}.{name}" for layer in ("disk", "l2") for name in ("max_size", "size")]
    ],
    "caching.layers.disk.compression": [
        ["caching.layers.disk.compression", "caching.layers.l2.compression"],
        ["caching.policies.compression"],
    ],
    "caching.policies.invalidation": [
        ["caching.policies.invalidation", "caching.policies.invalidation_strategy"]
    ],
    "caching.policies.warmup": [
        ["caching.policies.warmup", "caching.policies.warmup_strategy", "caching.policies.preloading"]
    ],
    "memory_optimization.enabled": [
        ["memory_optimization.enabled", "optimization.enable_memory_optimization"],
        ["enable_memory_optimization"],
    ],
    "memory_optimization.gc_threshold": [
        ["memory_optimization.gc_threshold", "optimization.gc_threshold"],
        ["gc_threshold"],
    ],
    "monitoring.enabled": [["monitoring.enabled"], ["enable_monitoring"]],
    "monitoring.enable_profiling": [["monitoring.enable_profiling"], ["enable_profiling"]],
    "monitoring.alerts.cpu.threshold": [["monitoring.alerts.cpu.threshold"], ["monitoring.thresholds.cpu"]],
    "monitoring.alerts.memory.threshold": [
        ["monitoring.alerts.memory.threshold"],
        ["monitoring.thresholds.memory"],
    ],
    "monitoring.alerts.latency.threshold": [
        ["monitoring.alerts.latency.threshold"],
        ["monitoring.thresholds.response_time"],
    ],
}

#: setting -> what may be written, and what it means
SIZES = {"1KB": 1024, 1024: 1024, "2MB": 2 << 20, "2 MiB": 2 << 20}
STRATEGIES = {name: name for name in ("lru", "lfu", "random", "adaptive")}
VALUES = {
    "optimization.level": {name: name for name in ("conservative", "balanced", "aggressive")},
    "caching.layers.memory.max_size": SIZES,
    "caching.layers.memory.strategy": STRATEGIES,
    "caching.layers.disk.max_size": SIZES,
    "caching.layers.disk.compression": {
        True: "on",
        "on": "on",
        False: "off",
        "off": "off",
        "adaptive": "adaptive",
    },
    "caching.policies.invalidation": {
        "ttl": "ttl",
        "manual": "manual",
        "dependency": "dependency",
        "dependency-based": "dependency",
    },
    "caching.policies.warmup": {name: name for name in ("eager", "lazy", "predictive")},
    "memory_optimization.gc_threshold": {1: 1.0, 0.8: 0.8},
    "monitoring.alerts.cpu.threshold": {1: 1.0, 80.5: 80.5},
    "monitoring.alerts.memory.threshold": {1: 1.0, 80.5: 80.5},
    "monitoring.alerts.latency.threshold": {1: 1.0, 0.25: 0.25},
}
BOOLEANS = {True: True, False: False}


def nest(flat):
    """Return dotted paths as nested dicts."""
    tree = {}
    for path, value in flat.items():
        *sections, name = path.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = value
    return tree


def at(config, path):
    for name in path.split("."):
        config = getattr(config, name)
    return config


@st.composite
def writings(draw, setting=None):
    """Return a setting, some of its spellings with a value written at each, and what each value means."""
    setting = setting or draw(st.sampled_from(sorted(FAMILIES)))
    meanings = VALUES.get(setting, BOOLEANS)
    spellings = [spelling for rank in FAMILIES[setting] for spelling in rank]
    written = draw(st.dictionaries(st.sampled_from(spellings), st.sampled_from(list(meanings)), min_size=1))
    return setting, written, {spelling: meanings[value] for spelling, value in written.items()}


def expected(setting, means):
    """Return the value that wins, or the spellings of one rank that contradict each other."""
    ranks = [
        {spelling: means[spelling] for spelling in rank if spelling in means} for rank in FAMILIES[setting]
    ]
    contradiction = [rank for rank in ranks if len(set(rank.values())) > 1]
    if contradiction:
        return None, contradiction
    return next(value for rank in ranks for value in rank.values()), []


@settings(deadline=None, max_examples=400)
@given(writings())
def test_the_most_specific_spelling_wins_and_equals_must_agree(writing):
    setting, written, means = writing
    value, contradiction = expected(setting, means)
    try:
        config, origins = load(nest(written))
    except ConfigError as error:
        named = [spelling for spelling in means if f"`$.{spelling}`" in str(error)]
        assert len(named) == 2
        assert any(set(named) <= rank.keys() for rank in contradiction)
        assert means[named[0]] != means[named[1]]
    else:
        assert not contradiction
        assert at(config, setting) == origins[setting].value == value
        assert {origins[setting].origin, *origins[setting].overridden} >= written.keys()
        assert means[origins[setting].origin] == value


@settings(deadline=None)
@given(st.data())
def test_settings_do_not_disturb_each_other(data):
    chosen = data.draw(st.sets(st.sampled_from(sorted(FAMILIES)), min_size=2))
    one_each = {}
    for setting in chosen:
        _, written, means = data.draw(writings(setting))
        spelling = min(written)
        one_each[spelling] = (setting, written[spelling], means[spelling])
    config = load(nest({spelling: written for spelling, (_, written, _) in one_each.items()})).config
    for setting, _, meaning in one_each.values():
        assert at(config, setting) == meaning


def test_every_spelling_that_exists_is_tested_here():
    for setting, ranks in SPELLINGS.items():
        tested = {spelling for rank in FAMILIES[setting] for spelling in rank}
        assert tested >= {spelling for rank in ranks for spelling in rank}


def test_a_layer_that_is_mentioned_is_on_unless_something_says_off():
    def disk(**caching):
        return load(caching=caching).config.caching.layers.disk.enabled

    assert not disk()
    assert disk(layers={"disk": {}})
    assert disk(layers={"l2": {"size": "1MB"}})
    assert not disk(layers={"l2": {"size": "1MB"}}, persist_to_disk=False)
    assert not disk(layers={"disk": {"enabled": False, "max_size": "1MB"}})
    assert disk(layers={"disk": {"enabled": True}}, persist_to_disk=False)


def test_a_level_may_be_any_tier_as_long_as_they_go_outwards():
    layers = load(
        caching={
            "layers": {"l1": {"type": "disk", "size": "1MB"}, "l2": {"type": "distributed", "nodes": ["a"]}}
        }
    ).config.caching.layers
    assert layers.disk.max_size == 1 << 20
    assert layers.distributed.nodes == ("a",)


def test_the_result_is_canonical_frozen_and_reads_back_as_itself():
    config = load(enable_caching=False, caching={"layers": {"l1": {"size": "1MB"}}}).config
    assert isinstance(config, PerformanceConfig)
    assert load(config).config == config
    assert hash(load(config).config) == hash(config)


def test_a_section_may_be_given_as_its_struct():
    from perfcore.config import CacheConfig

    assert load(caching=CacheConfig(enabled=False)).config.caching == CacheConfig(enabled=False)


def test_a_directory_may_be_a_path_and_begin_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for directory in ("~/cache", Path("~/cache"), tmp_path / "cache"):
        layers = load(caching={"layers": {"disk": {"directory": directory}}}).config.caching.layers
        assert layers.disk.directory == str(tmp_path / "cache")
