"""What typer's completion lacks: an answer to the first key in a zsh, and ``perfcore cache --url``."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from pathlib import Path

__all__ = ["answer_the_first_key", "direct"]

#: A zsh loads the script at the first key, as the function ``_perfcore``: so the script has to answer it.
_ANSWER = '[[ $funcstack[1] == _perfcore ]] && _perfcore_completion "$@"'


def answer_the_first_key() -> None:
    """Complete the script that ``--install-completion`` has written for zsh, if it has."""
    script = Path.home() / ".zfunc" / "_perfcore"
    if script.is_file() and _ANSWER not in (text := script.read_text()):
        script.write_text(f"{text}\n{_ANSWER}\n")


def direct(group: str, commands: Container[str]) -> None:
    """Let a shell that asks what to complete be told of ``group``, where its line is about a server.

    What a shell has on its line is in the environment. ``cache`` with a command among ``commands`` is about
    a server where ``--url`` is there already, or is begun: ``group`` has every option of the directory's.
    """
    name = "COMP_WORDS" if os.environ.get("_PERFCORE_COMPLETE") == "complete_bash" else "_TYPER_COMPLETE_ARGS"
    line = os.environ.get(name, "")
    _, *words = line.split() or [""]
    begun = words[-1] if words and not line[-1].isspace() else ""
    is_url = "--url" in words or (begun[:1] == "-" and "--url".startswith(begun))
    if words[:1] == ["cache"] and len(words) > 2 and words[1] in commands and is_url:
        os.environ[name] = re.sub(r"\bcache\b", group, line, count=1)
