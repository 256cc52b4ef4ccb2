"""``perfcore config``: a configuration can be checked before a deploy."""

import json

import pytest


@pytest.fixture
def perfcore(monkeypatch, capsys):
    from perfcore.cli.root import app

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            app([*map(str, arguments)], prog_name="perfcore")
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return call


def test_show_prints_what_decided_each_setting(perfcore, tmp_path, monkeypatch):
    (tmp_path / "service.toml").write_text('optimization_level = "conservative"\n')
    monkeypatch.setenv("PERFCORE_CACHING__MAX_MEMORY", "1MB")
    code, out, _ = perfcore("config", "show", tmp_path / "service.toml")
    assert code == 0
    assert (
        "caching.layers.memory.max_size = 1048576  (PERFCORE_CACHING__MAX_MEMORY)\n" in out
        and "parsing.max_concurrency = 1  (level conservative)\n" in out
    )
    assert "default" not in out


def test_show_as_json_has_every_setting_when_all_are_asked_for(perfcore):
    code, out, _ = perfcore("config", "show", "--all", "--json")
    settings = json.loads(out)["settings"]
    assert code == 0 and settings["workers.pool.max"] == {"value": 8, "origin": "default", "overridden": []}


def test_show_refuses_what_a_manager_would_refuse(perfcore, tmp_path):
    (tmp_path / "service.json").write_text('{"caching": {"strategy": "fifo"}}')
    code, out, err = perfcore("config", "show", tmp_path / "service.json")
    assert (code, out) == (1, "") and "$.caching.strategy" in err


def test_schema_prints_one_document(perfcore):
    code, out, _ = perfcore("config", "schema")
    assert code == 0 and json.loads(out)["title"] == "perfcore configuration"


def test_reference_prints_both_tables_where_there_is_no_page_to_write(perfcore):
    code, out, _ = perfcore("config", "reference")
    assert code == 0 and "`caching.layers.memory.max_size`" in out and "conservative" in out


def test_reference_writes_the_tables_between_their_marks(perfcore, tmp_path):
    page = tmp_path / "configuration.md"
    page.write_text(
        "a\n<!-- levels -->\noutdated\n<!-- end of levels -->\n"
        "b\n<!-- settings -->\n<!-- end of settings -->\nc\n"
    )
    assert perfcore("config", "reference", "--write", tmp_path)[0] == 0
    first = page.read_text()
    assert "outdated" not in first and first.startswith("a\n") and first.endswith("c\n")
    assert perfcore("config", "reference", "--write", tmp_path)[0] == 0
    assert page.read_text() == first
