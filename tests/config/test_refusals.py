"""What a configuration must not say is refused at once, with its path and what was expected there."""

import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perfcore.config import load
from perfcore.config.fields import SETTINGS
from perfcore.config.spellings import SPELLINGS
from perfcore.errors import ConfigError, PerfcoreError

SIZE = 'a size is an integer of bytes or a string such as "256MB", "64 KiB" or "1.5GB"'


def layers(**layers):
    return {"caching": {"layers": layers}}


TABLE = [
    # --- another type, in msgspec's words and Python's names for types
    (
        layers(memory={"max_size": [1]}),
        "Expected `int | str`, got `list` - at `$.caching.layers.memory.max_size`",
    ),
    (
        layers(memory={"max_size": {}}),
        "Expected `int | str`, got `dict` - at `$.caching.layers.memory.max_size`",
    ),
    (layers(memory={"max_size": None}), "Expected `int`, got `None` - at `$.caching.layers.memory.max_size`"),
    (layers(l1={"size": True}), "Expected `int | str`, got `bool` - at `$.caching.layers.l1.size`"),
    (layers(l1={"size": 1.5}), "Expected `int | str`, got `float` - at `$.caching.layers.l1.size`"),
    (layers(memory={"ttl": "1h"}), "Expected `float | None`, got `str` - at `$.caching.layers.memory.ttl`"),
    (layers(memory={"ttl": True}), "Expected `float | None`, got `bool` - at `$.caching.layers.memory.ttl`"),
    (
        layers(disk={"directory": b"x"}),
        "Expected `str | None`, got `bytes` - at `$.caching.layers.disk.directory`",
    ),
    (
        layers(disk={"directory": 3}),
        "Expected `str | None`, got `int` - at `$.caching.layers.disk.directory`",
    ),
    (layers(disk={"compression": 3}), "Expected `str`, got `int` - at `$.caching.layers.disk.compression`"),
    (layers(disk=True), "Expected `dict`, got `bool` - at `$.caching.layers.disk`"),
    (layers(l1=["memory"]), "Expected `dict`, got `list` - at `$.caching.layers.l1`"),
    (layers(l3={"nodes": "a"}), "Expected `list`, got `str` - at `$.caching.layers.l3.nodes`"),
    (layers(l3={"nodes": ["a", 3]}), "Expected `str`, got `int` - at `$.caching.layers.l3.nodes[1]`"),
    ({"enable_caching": 1}, "Expected `bool`, got `int` - at `$.enable_caching`"),
    ({"caching": 3}, "Expected `dict`, got `int` - at `$.caching`"),
    ({"caching": {"strategy": None}}, "Expected `str`, got `None` - at `$.caching.strategy`"),
    ({"parsing": {"batch_size": 50.0}}, "Expected `int`, got `float` - at `$.parsing.batch_size`"),
    ({3: 4}, "Expected keys of type `str`, got `int` - at `$`"),
    ({"caching": {None: 4}}, "Expected keys of type `str`, got `NoneType` - at `$.caching`"),
    # --- a value that makes no sense
    (
        layers(memory={"max_size": "12 parsecs"}),
        f"{SIZE}, not '12 parsecs' - at `$.caching.layers.memory.max_size`",
    ),
    (layers(memory={"max_size": -1}), "a size is not negative: -1 - at `$.caching.layers.memory.max_size`"),
    (layers(memory={"max_size": "0KB"}), "Expected `int` >= 1 - at `$.caching.layers.memory.max_size`"),
    (layers(memory={"ttl": 0}), "Expected `float` > 0.0 - at `$.caching.layers.memory.ttl`"),
    (layers(l2={"ttl": -1}), "a duration is finite and not negative: -1 - at `$.caching.layers.l2.ttl`"),
    (layers(disk={"directory": ""}), "Expected `str` of length >= 1 - at `$.caching.layers.disk.directory`"),
    (
        layers(disk={"directory": "a\0b"}),
        "Expected a path without NUL characters - at `$.caching.layers.disk.directory`",
    ),
    (
        layers(l1={"strategy": "lruu"}),
        "Expected `lru | lfu | random | adaptive`, got 'lruu' - at `$.caching.layers.l1.strategy`",
    ),
    (
        {"caching": {"policies": {"preloading": "x" * 99}}},
        f"Expected `eager | lazy | predictive`, got '{'x' * 39} - at `$.caching.policies.preloading`",
    ),
    (
        {"optimization_level": "extreme"},
        "Expected `conservative | balanced | aggressive`, got 'extreme' - at `$.optimization_level`",
    ),
    (
        {"monitoring": {"interval": math.inf}},
        "a duration is finite and not negative: inf - at `$.monitoring.interval`",
    ),
    (
        {"monitoring": {"interval": math.nan}},
        "a duration is finite and not negative: nan - at `$.monitoring.interval`",
    ),
    (
        {"monitoring": {"sampling_rate": math.nan}},
        "Expected `float` >= 0.0 - at `$.monitoring.sampling_rate`",
    ),
    ({"monitoring": {"sampling_rate": 10}}, "Expected `float` <= 1.0 - at `$.monitoring.sampling_rate`"),
    (
        {"monitoring": {"thresholds": {"cpu": 101}}},
        "Expected `float` <= 100.0 - at `$.monitoring.thresholds.cpu`",
    ),
    ({"workers": {"pool": {"min": 0}}}, "Expected `int` >= 1 - at `$.workers.pool.min`"),
    # --- several settings together
    (
        {"workers": {"pool": {"min": 4, "max": 2}}},
        "Expected `min` <= `max`, got 4 and 2 - at `$.workers.pool`",
    ),
    (
        {"workers": {"queues": {"low": {"priority": 7}}}},
        "Expected priorities that fall from `high` to `low`, got 10, 5, 7 - at `$.workers.queues`",
    ),
    (
        {"monitoring": {"alerts": {"cpu": {"action": "trigger_gc"}}}},
        "Expected a `threshold` for the `action` - at `$.monitoring.alerts.cpu`",
    ),
    (layers(l3={}), "Expected at least one of `nodes` - at `$.caching.layers.distributed`"),
    (
        layers(l3={"nodes": ["redis://:secret@h:1"]}),
        "Expected each node as `host` or `host:port`, without scheme or password"
        " - at `$.caching.layers.l3.nodes`",
    ),
    (
        layers(l1={"type": "disk"}, l2={"type": "memory"}),
        "Expected layers in the order memory, disk, distributed, each once - at `$.caching.layers.l2.type`",
    ),
    (
        layers(l1={}, l2={"type": "memory"}),
        "Expected layers in the order memory, disk, distributed, each once - at `$.caching.layers.l2.type`",
    ),
    (
        layers(l2={"type": "disc"}),
        "Expected `memory | disk | distributed`, got 'disc' - at `$.caching.layers.l2.type`",
    ),
    (
        layers(l2={"type": ["disk"]}),
        "Expected `memory | disk | distributed`, got ['disk'] - at `$.caching.layers.l2.type`",
    ),
    (
        {"caching": {"policies": {"eviction": "lru", "eviction_policy": "lfu"}}},
        "`$.caching.policies.eviction` and `$.caching.policies.eviction_policy`"
        " contradict each other: 'lru' and 'lfu'",
    ),
    (
        layers(l1={"size": "1MB"}, memory={"max_size": "2MB"}),
        "`$.caching.layers.l1.size` and `$.caching.layers.memory.max_size`"
        " contradict each other: 1048576 and 2097152",
    ),
    # --- a name that is not known
    (
        layers(memory={"max_sise": 1}),
        "Object contains unknown field `max_sise`, did you mean `max_size`? - at `$.caching.layers.memory`",
    ),
    (
        layers(l2={"maxSize": 1}),
        "Object contains unknown field `maxSize`, did you mean `max_size`? - at `$.caching.layers.l2`",
    ),
    (
        layers(memory={"type": "memory"}),
        "Object contains unknown field `type`, expected one of"
        " `enabled`, `max_size`, `size`, `strategy`, `ttl` - at `$.caching.layers.memory`",
    ),
    (
        layers(l4={}),
        "Object contains unknown field `l4`, expected one of"
        " `disk`, `distributed`, `l1`, `l2`, `l3`, `memory` - at `$.caching.layers`",
    ),
    (
        {"caching.strategy": "lru"},
        "Object contains unknown field `caching.strategy`, did you mean `caching`? - at `$`",
    ),
    (
        {"workers": {"queues": {"urgent": {}}}},
        "Object contains unknown field `urgent`, expected one of"
        " `high`, `low`, `normal` - at `$.workers.queues`",
    ),
]


@pytest.mark.parametrize(("config", "message"), TABLE, ids=[message[:60] for _, message in TABLE])
def test_a_bad_configuration_is_refused_in_exact_words(config, message):
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "Expected `PerformanceConfig | dict | path`, got `int` - at `$`"),
        ([], "Expected `PerformanceConfig | dict | path`, got `list` - at `$`"),
        (b"perfcore.toml", "Expected `PerformanceConfig | dict | path`, got `bytes` - at `$`"),
    ],
)
def test_a_source_of_another_type_is_refused(source, message):
    with pytest.raises(ConfigError) as caught:
        load(source)
    assert str(caught.value) == message


def test_a_value_is_checked_also_where_a_better_place_overrides_it():
    with pytest.raises(ConfigError, match=r"at `\$\.caching\.strategy`"):
        load(caching={"strategy": "lruu", "layers": {"memory": {"strategy": "lru"}}})


def test_a_password_in_a_node_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        load(layers(l3={"nodes": ["redis://:secret@h:1"]}))
    assert "secret" not in str(caught.value)


def test_a_configuration_error_is_a_value_error_of_perfcore():
    assert issubclass(ConfigError, PerfcoreError)
    assert issubclass(ConfigError, ValueError)


SPELLED = sorted({*SETTINGS, *(s for ranks in SPELLINGS.values() for rank in ranks for s in rank)})
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9)
    | st.sampled_from(["lru", "off", "eager", "1MB", Path("x"), object(), ...])
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


SECTIONS = tuple(
    f"at `$.{section}`"
    for section in (
        "caching.layers.distributed",
        "memory_optimization.buffers",
        "scaling",
        "workers.pool",
        "workers.queues",
    )
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(SPELLED), st.integers(0, 4), ANYTHING)
@example("workers.queues.low.priority", 3, 10**100)
@example("workers.pool.min", 2, 9)
@example("memory_optimization.buffers.initial", 2, 21)
def test_anything_anywhere_is_a_configuration_or_a_configuration_error(path, depth, value):
    names = path.split(".")[: depth + 1]
    config = value
    for name in reversed(names):
        config = {name: config}
    try:
        load(config)
    except ConfigError as error:
        told = str(error)  # what concerns several settings names their section
        assert f"`$.{'.'.join(names)}" in told or any(place in told for place in SECTIONS), told


def names_and_sections():
    """Return each section, with the names that may stand there."""
    sections = {}
    for path in SPELLED:
        *parents, name = path.split(".")
        sections.setdefault(tuple(parents), set()).add(name)
    return sections


@settings(deadline=None)
@given(st.sampled_from(sorted(names_and_sections().items(), key=str)), st.data())
def test_a_slip_of_the_pen_is_refused_with_the_right_name(section, data):
    parents, names = section
    name = data.draw(st.sampled_from(sorted(name for name in names if len(name) > 5) or ["enabled"]))
    at = data.draw(st.integers(0, len(name) - 1))
    slip = name[:at] + name[at + 1 :]
    config = {slip: 1}
    for parent in reversed(parents):
        config = {parent: config}
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert f"unknown field `{slip}`" in str(caught.value)
    assert f"`{name}`" in str(caught.value) or name == "enabled"
    assert str(caught.value).endswith(f" - at `{'.'.join(['$', *parents])}`")
