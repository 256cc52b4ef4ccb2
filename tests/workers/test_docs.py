"""The examples of docs/workers.md run."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "workers.md"


def test_the_page_does_what_it_shows():
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.attempted >= 12 and not result.failed
