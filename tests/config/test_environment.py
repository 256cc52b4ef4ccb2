"""The environment may state any setting, in any spelling, and wins over files and keywords."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcore.config import load
from perfcore.config.environment import read_environment
from perfcore.config.fields import SETTINGS
from perfcore.config.spellings import KNOWN
from perfcore.errors import ConfigError


def loaded(monkeypatch, config=None, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load(config)


@pytest.mark.parametrize(
    ("name", "text", "setting", "value"),
    [
        ("PERFCORE_CACHING__MAX_MEMORY", "64MB", "caching.layers.memory.max_size", 64 << 20),
        ("PERFCORE_CACHING__MAX_MEMORY", "4096", "caching.layers.memory.max_size", 4096),
        ("PERFCORE_CACHING__LAYERS__L1__SIZE", "1GB", "caching.layers.memory.max_size", 1 << 30),
        ("PERFCORE_CACHING__LAYERS__L2__COMPRESSION", "off", "caching.layers.disk.compression", "off"),
        ("PERFCORE_CACHING__LAYERS__L2__COMPRESSION", "true", "caching.layers.disk.compression", "on"),
        ("PERFCORE_CACHING__LAYERS__DISK__DIRECTORY", "2026", "caching.layers.disk.directory", "2026"),
        (
            "PERFCORE_CACHING__LAYERS__DISTRIBUTED__NODES",
            "a:1, b:2",
            "caching.layers.distributed.nodes",
            ("a:1", "b:2"),
        ),
        ("PERFCORE_CACHING__LAYERS__MEMORY__TTL", "2.5", "caching.layers.memory.ttl", 2.5),
        ("PERFCORE_CACHING__LAYERS__MEMORY__TTL", "null", "caching.layers.memory.ttl", None),
        ("PERFCORE_OPTIMIZATION_LEVEL", "conservative", "optimization.level", "conservative"),
        ("PERFCORE_ENABLE_PROFILING", "1", "monitoring.enable_profiling", True),
        ("PERFCORE_ENABLE_CACHING", "off", "caching.enabled", False),
        ("PERFCORE_WORKERS__POOL__MAX", "16", "workers.pool.max", 16),
        ("PERFCORE_SCALING__BACKEND", "dask", "scaling.backend", "dask"),
    ],
)
def test_a_variable_states_a_setting_and_is_named_as_its_origin(monkeypatch, name, text, setting, value):
    found = loaded(monkeypatch, **{name: text}).settings[setting]
    assert (found.value, found.origin) == (value, name)


def test_the_environment_wins_over_the_configuration_and_says_so(monkeypatch):
    config = {"caching": {"layers": {"memory": {"max_size": "1MB"}}}}
    found = loaded(monkeypatch, config, PERFCORE_CACHING__MAX_MEMORY="2MB")
    setting = found.settings["caching.layers.memory.max_size"]
    assert setting.value == 2 << 20
    assert setting.overridden == ("caching.layers.memory.max_size",)


def test_the_kill_switches_win_over_the_environment(monkeypatch):
    found = loaded(monkeypatch, PERFCORE_ENABLE_CACHING="1", PERFCORE_DISABLE="cache")
    assert found.config.caching.enabled is False


def test_a_tier_that_only_the_environment_mentions_is_switched_on(monkeypatch, tmp_path):
    found = loaded(monkeypatch, PERFCORE_CACHING__LAYERS__DISK__DIRECTORY=str(tmp_path))
    assert found.config.caching.layers.disk.enabled


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("PERFCORE_CACHNG__MAX_MEMORY", "1MB", "unknown field `cachng`, did you mean `caching`"),
        ("PERFCORE_CACHING__MAX_MEMRY", "1MB", "unknown field `max_memry`"),
        ("PERFCORE_CACHING__LAYERS", "1", "`caching.layers` is a section"),
        ("PERFCORE_WORKERS__POOL__MIN", "zero", "Expected `int`, got `str` - at `$.workers.pool.min`"),
        ("PERFCORE_WORKERS__POOL__MIN", "0", "Expected `int` >= 1 - at `$.workers.pool.min`"),
        ("PERFCORE_OPTIMIZATION_LEVEL", "extreme", "Expected `conservative | balanced | aggressive`"),
        ("PERFCORE_MONITORING__SAMPLING_RATE", "[0.1]", "Expected `float`, got `str`"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_variables_name(monkeypatch, name, text, message):
    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, **{name: text})
    assert str(caught.value).startswith(f"{name}: ")
    assert message in str(caught.value)


def test_variables_of_other_purposes_are_none_of_its_business():
    assert not [*read_environment({"PERFCORE_BUILD": "asan", "PERFCORE_EFFORT": "20", "PATH": "/bin"})]


def values_of(path):
    """Return a strategy of texts that the setting at ``path`` may be given."""
    setting = SETTINGS[path]
    if setting.choices:
        return st.sampled_from(setting.choices)
    if isinstance(setting.default, bool):
        return st.sampled_from(["true", "false"])
    if isinstance(setting.default, int) or "factor" in path or path.endswith("max_concurrency"):
        return st.integers(1, 50).map(str)
    if path == "scaling.address":
        return st.just("tcp://h:1")
    if "nodes" in path:
        return st.just("h:1,i:2")
    return st.floats(0.01, 0.99).map(json.dumps)


@given(data=st.data())
def test_every_spelling_of_every_setting_can_be_a_variable(data):
    spelling = data.draw(st.sampled_from(sorted(KNOWN)))
    path = KNOWN[spelling][0]
    text = data.draw(values_of(path))
    ((said, _),) = read_environment({f"PERFCORE_{spelling.replace('.', '__').upper()}": text})
    assert [*said.settings] == [path]
