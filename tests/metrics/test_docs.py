"""What docs/metrics.md shows is true."""

import doctest
import re
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs" / "metrics.md"


def test_the_examples_of_the_manual_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    session = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "metrics.md", str(DOCS), 0)
    result = doctest.DocTestRunner().run(session)
    assert result.attempted >= 30
    assert not result.failed
