"""A configuration may be keywords, a dict, a TOML or a JSON file; the environment has the last word."""

import json
import logging
import os
import subprocess
import sys

import pytest
from guide_examples import ADVANCED, BASIC, CACHE_CONFIG
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore.config import PerformanceConfig, Setting, load
from perfcore.errors import ConfigError


def toml(value):
    """Return ``value`` as TOML; JSON's strings, numbers and booleans are TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")  # TOML takes no DEL as it is


def write(folder, config):
    """Return the paths of a TOML and a JSON file that say what ``config`` says."""
    paths = folder / "perfcore.toml", folder / "perfcore.json"
    paths[0].write_text("".join(f"{name} = {toml(value)}\n" for name, value in config.items()))
    paths[1].write_text(json.dumps(config))
    return paths


configs = st.fixed_dictionaries(
    {},
    optional={
        "optimization_level": st.sampled_from(["conservative", "balanced", "aggressive"]),
        "enable_caching": st.booleans(),
        "caching": st.fixed_dictionaries(
            {},
            optional={
                "max_memory": st.integers(1, 2**40) | st.sampled_from(["64 KiB", "1.5GB"]),
                "layers": st.fixed_dictionaries(
                    {},
                    optional={
                        "l1": st.fixed_dictionaries({"ttl": st.floats(0.001, 1e9)}),
                        "disk": st.fixed_dictionaries(
                            {
                                "directory": st.text(
                                    st.characters(min_codepoint=32, max_codepoint=0x3000), min_size=1
                                )
                            }
                        ),
                        "l3": st.fixed_dictionaries(
                            {"nodes": st.lists(st.just("h:1"), min_size=1, max_size=3)}
                        ),
                    },
                ),
            },
        ),
        "monitoring": st.fixed_dictionaries({"sampling_rate": st.floats(0, 1)}),
    },
)


@settings(deadline=None)
@given(config=configs)
def test_toml_json_dict_and_keywords_say_the_same(tmp_path_factory, config):
    for path in write(tmp_path_factory.mktemp("config"), config):
        assert load(path).config == load(str(path)).config == load(config).config == load(**config).config


@pytest.mark.parametrize("example", [BASIC, ADVANCED, {"caching": CACHE_CONFIG}])
def test_the_guides_examples_may_be_files(tmp_path, example):
    for path in write(tmp_path, example):
        assert load(path).config == load(example).config


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"caching = ", "not valid TOML: Invalid value (at end of document)"),
        (
            "a.toml",
            b"caching = 1\ncaching = 2",
            "not valid TOML: Cannot overwrite a value (at end of document)",
        ),
        ("a.toml", b"a = '\xff'", "not valid TOML: 'utf-8' codec can't decode byte 0xff in position 5"),
        ("a.json", b"{", "not valid JSON: Input data was truncated"),
        ("a.json", b"", "not valid JSON: Input data was truncated"),
        ("a.json", b'{"a": NaN}', "not valid JSON: JSON is malformed: invalid character (byte 6)"),
        ("a.json", b"[" * 100_000, "not valid JSON: maximum recursion depth exceeded"),
        ("a.json", b"[]", "Expected `dict`, got `list` - at `$`"),
        ("a.json", b'{"caching": {"strategy": 1}}', "Expected `str`, got `int` - at `$.caching.strategy`"),
        ("a.yaml", b"caching: 1", "Expected a file name that ends in .toml or .json"),
        ("config", b"{}", "Expected a file name that ends in .toml or .json"),
    ],
)
def test_a_bad_file_is_refused_by_its_name(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "broken.json").symlink_to("/proc/self/mem")  # opens, and fails to be read
    for name, message in (
        ("absent.toml", "No such file or directory"),
        ("folder.toml", "Is a directory"),
        ("broken.json", "Input/output error"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {message}"
        assert isinstance(caught.value.__cause__, OSError)


# --- who decided --------------------------------------------------------------------------------------------


def test_each_setting_tells_where_its_value_came_from(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(
        'optimization_level = "aggressive"\n'
        "[caching]\nstrategy = 'lfu'\n[caching.policies]\neviction = 'random'\n[caching.layers.l2]\n"
    )
    settings = load(path, caching={"layers": {"memory": {"ttl": 5}}}).settings
    assert settings["caching.layers.memory.strategy"] == Setting(
        "random", "caching.policies.eviction in site.toml", ("caching.strategy in site.toml",)
    )
    assert settings["caching.layers.disk.enabled"] == Setting(
        True, "implied by caching.layers.l2 in site.toml"
    )
    assert settings["caching.layers.memory.max_size"] == Setting(512 << 20, "level aggressive")
    assert settings["caching.layers.memory.ttl"] == Setting(5.0, "caching.layers.memory.ttl")
    assert settings["parsing.batch_size"] == Setting(50, "default")


def test_keywords_win_over_the_source_also_where_they_are_less_specific():
    loaded = load({"caching": {"layers": {"memory": {"strategy": "lfu"}}}}, caching={"strategy": "random"})
    assert loaded.settings["caching.layers.memory.strategy"] == Setting(
        "random", "caching.strategy", ("caching.layers.memory.strategy",)
    )


def test_a_keyword_that_mentions_a_layer_does_not_undo_what_the_source_says():
    source = {"caching": {"persist_to_disk": False}}
    assert not load(
        source, caching={"layers": {"disk": {"max_size": "1MB"}}}
    ).config.caching.layers.disk.enabled


def test_a_level_sets_only_what_nothing_else_sets():
    sizes = {
        level: load(optimization_level=level).config for level in ("conservative", "balanced", "aggressive")
    }
    assert sizes["balanced"] == PerformanceConfig() == load().config
    memory = [config.caching.layers.memory.max_size for config in sizes.values()]
    assert memory == sorted(set(memory))
    config = load(optimization_level="aggressive", caching={"max_memory": "1MB"}).config
    assert config.caching.layers.memory.max_size == 1 << 20


def test_the_settings_and_the_configuration_agree():
    loaded = load(ADVANCED)
    for path, setting in loaded.settings.items():
        value = loaded.config
        for name in path.split("."):
            value = getattr(value, name)
        assert value == setting.value


# --- PERFCORE_DISABLE ---------------------------------------------------------------------------------------


def test_the_environment_switches_off_what_the_configuration_switches_on(monkeypatch):
    monkeypatch.setenv("PERFCORE_DISABLE", " Disk, prefetch,,WORKERS ")
    config, origins = load(ADVANCED)
    assert not config.caching.layers.disk.enabled
    assert not config.workers.enabled
    assert config.caching.policies.warmup == "lazy"
    assert config.caching.enabled
    assert origins["caching.layers.disk.enabled"] == Setting(
        False, "PERFCORE_DISABLE", ("implied by caching.layers.l2",)
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("cache", "caching.enabled"),
        ("memory", "caching.layers.memory.enabled"),
        ("distributed", "caching.layers.distributed.enabled"),
        ("parse_cache", "parsing.enable_parse_cache"),
        ("monitoring", "monitoring.enabled"),
        ("alerts", "monitoring.enable_alerts"),
        ("profiling", "monitoring.enable_profiling"),
        ("tracing", "monitoring.enable_tracing"),
    ],
)
def test_each_part_has_a_name_to_switch_it_off_by(monkeypatch, name, path):
    assert load(ADVANCED).settings[path].value is True
    monkeypatch.setenv("PERFCORE_DISABLE", name)
    assert load(ADVANCED).settings[path].value is False


def test_an_unknown_name_is_said_once_and_changes_nothing(monkeypatch, caplog):
    monkeypatch.setenv("PERFCORE_DISABLE", "cahce")
    with caplog.at_level(logging.WARNING, "perfcore"):
        assert load().config == load().config == PerformanceConfig()
    assert [record.name for record in caplog.records] == ["perfcore.config"]
    assert "'cahce'" in caplog.text


def test_nothing_is_written_to_stderr_where_logging_is_not_configured():
    script = "from perfcore.config import load; load()"
    environment = {**os.environ, "PERFCORE_DISABLE": "cahce"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
