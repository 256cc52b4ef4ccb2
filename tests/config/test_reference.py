"""The JSON Schema accepts what loading accepts, refuses what it refuses; the documents are up to date."""

import json
from pathlib import Path

import pytest
from guide_examples import ADVANCED, BASIC, CACHE_CONFIG, PARSER
from jsonschema import Draft202012Validator

from perfcore.config import load
from perfcore.config.reference import json_schema, markdown_levels, markdown_settings
from perfcore.errors import ConfigError

DOCS = Path(__file__).parent.parent.parent / "docs"
UPDATE = "run `perfcore config reference --write docs`"


@pytest.fixture(scope="module")
def validator():
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


@pytest.mark.parametrize("example", [BASIC, ADVANCED, {"caching": CACHE_CONFIG}, {"parsing": PARSER}, {}])
def test_the_schema_accepts_the_guides_examples(validator, example):
    load(example)
    assert [error.message for error in validator.iter_errors(example)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"cachng": {}},
        {"caching": {"layers": {"l1": {"sise": 1}}}},
        {"caching": {"layers": {"l1": {"type": "tape"}}}},
        {"caching": {"strategy": "fifo"}},
        {"caching": {"max_memory": 0}},
        {"workers": {"pool": {"min": 0}}},
        {"monitoring": {"sampling_rate": 1.5}},
        {"monitoring": {"thresholds": {"cpu": 101}}},
        {"parsing": {"batch_size": "50"}},
    ],
)
def test_the_schema_refuses_what_loading_refuses(validator, wrong):
    with pytest.raises(ConfigError):
        load(wrong)
    assert not validator.is_valid(wrong)


def test_the_schema_in_the_documents_is_that_of_the_code():
    assert json.loads((DOCS / "perfcore.schema.json").read_text()) == json_schema(), UPDATE


@pytest.mark.parametrize("table", [markdown_settings, markdown_levels])
def test_the_tables_in_the_documents_are_those_of_the_code(table):
    assert table() in (DOCS / "configuration.md").read_text(), UPDATE
