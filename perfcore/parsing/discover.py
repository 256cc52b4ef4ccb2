"""Finds the files below some paths as git sees them: without what ``.gitignore`` files name."""

# os.path here: names that are no text pass through as they are, and the walk is hot.
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH118, PTH120, PTH123
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from perfcore._repr import safe_repr
from perfcore.errors import MissingExtraError
from perfcore.parsing.reading import Skipped, faults
from perfcore.parsing.result import ParseResult, SkipReason, skip

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["Discovery"]

_VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".jj", "CVS"})


class _Rules(NamedTuple):
    """One ignore file; its patterns are relative to the directory that it lies in."""

    spec: GitIgnoreSpec
    cut: int  #: characters to drop from the path of an entry, as the walk spells it
    prefix: str = ""  #: what to put before the rest, for a file above the root of the walk

    def verdict(self, path: str, directory: bool) -> bool | None:
        """Say whether ``path`` is to be ignored, or None when no line is about it."""
        return _verdict(self.spec, self.prefix + path[self.cut :], directory)


class Discovery:
    """The files below ``paths``, by name; what it passes over is noted in ``skipped`` while it is iterated.

    A path that is no directory is taken as it is, whatever ignore files say. In directories, ``.gitignore``
    files count, nested and with negation, from the top of the git repository if there is one, and its
    ``.git/info/exclude``; ``exclude`` holds more patterns of that kind. Links to directories are not
    followed. Raises :exc:`~perfcore.errors.MissingExtraError` without the ``parse`` extra.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as top:
    ...     for name, text in {"a.py": "", "b.log": "", ".gitignore": "*.log"}.items():
    ...         _ = Path(top, name).write_text(text)
    ...     found = Discovery([top])
    ...     [os.path.basename(name) for name in found], [result.skipped for result in found.skipped]
    (['.gitignore', 'a.py'], ['ignored'])
    """

    def __init__(
        self, paths: Iterable[str | os.PathLike[str]], *, gitignore: bool = True, exclude: Sequence[str] = ()
    ) -> None:
        self._roots = [os.fsdecode(path) for path in paths]
        self._gitignore = gitignore
        self._exclude = _spec(exclude) if exclude else None
        self.skipped: list[ParseResult] = []

    @safe_repr
    def __repr__(self) -> str:
        return f"<Discovery: below {', '.join(self._roots[:3])}{' ...' if len(self._roots) > 3 else ''}>"

    def __iter__(self) -> Iterator[str]:
        for root in self._roots:
            if os.path.isdir(root):
                yield from self._walk(root)
            else:
                yield root

    def _walk(self, root: str) -> Iterator[str]:
        cut = len(os.path.join(root, ""))
        exclude = (_Rules(self._exclude, cut),) if self._exclude is not None else ()
        pending = [(root, _outer_rules(root, cut) if self._gitignore else ())]
        while pending:
            directory, rules = pending.pop()
            rules += _inner_rules(directory) if self._gitignore else ()
            below = []
            for entry in self._list(directory):
                reason, detail = _why_not(entry, exclude, rules)
                if reason is not None:
                    self.skipped.append(skip(entry.path, reason, detail))
                elif entry.is_dir():
                    below.append((entry.path, rules))
                else:
                    yield entry.path
            pending.extend(reversed(below))

    def _list(self, directory: str) -> list[os.DirEntry[str]]:
        try:
            with faults(), os.scandir(directory) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except Skipped as skipped:  # vanished, or not ours to read
            self.skipped.append(skip(directory, skipped.reason, skipped.detail))
            return []


def _why_not(
    entry: os.DirEntry[str], exclude: tuple[_Rules, ...], rules: tuple[_Rules, ...]
) -> tuple[SkipReason | None, str]:
    """Return the reason to pass over ``entry``, with a detail, or None."""
    directory = entry.is_dir(follow_symlinks=False)
    if entry.name in _VERSION_CONTROL and directory:
        return "version-control", ""
    if _ignored(exclude, entry.path, directory):
        return "ignored", "excluded"
    if _ignored(rules, entry.path, directory):
        return "ignored", ""
    return _why_not_follow(entry) if entry.is_symlink() else (None, "")


def _why_not_follow(entry: os.DirEntry[str]) -> tuple[SkipReason | None, str]:
    """A link to a file is a file; a link to a directory is passed over, and named a loop if it is one."""
    try:
        with faults():
            entry.stat()
    except Skipped as skipped:
        return ("loop", "link to itself") if skipped.reason == "loop" else ("symlink", skipped.detail)
    if not entry.is_dir():
        return None, ""
    target, here = os.path.realpath(entry.path), os.path.realpath(os.path.dirname(entry.path))
    return ("loop" if os.path.commonpath([target, here]) == target else "symlink"), f"to {target}"


def _ignored(rules: tuple[_Rules, ...], path: str, directory: bool) -> bool:
    """The innermost file that says anything about ``path`` decides, and in it the last line that does."""
    for rule in reversed(rules):
        verdict = rule.verdict(path, directory)
        if verdict is not None:
            return verdict
    return False


def _inner_rules(directory: str) -> tuple[_Rules, ...]:
    spec = _read_spec(os.path.join(directory, ".gitignore"))
    return (_Rules(spec, len(os.path.join(directory, ""))),) if spec is not None else ()


def _outer_rules(root: str, cut: int) -> tuple[_Rules, ...]:
    """Return the rules of the repository around ``root``, outermost first, without those in ``root`` itself.

    Asking for a directory that is ignored means to see what is in it, so then they do not count.
    """
    inner = os.path.abspath(root)
    around = [inner, *map(str, Path(inner).parents)]
    depth = next((i for i, above in enumerate(around) if os.path.exists(os.path.join(above, ".git"))), None)
    if depth is None:
        return ()
    specs = [(around[depth], _read_spec(os.path.join(around[depth], ".git", "info", "exclude")))]
    for directory, below in zip(around[depth:0:-1], around[depth - 1 :: -1], strict=False):
        specs.append((directory, _read_spec(os.path.join(directory, ".gitignore"))))
        here = [_Rules(spec, len(os.path.join(base, ""))) for base, spec in specs if spec is not None]
        if _ignored(tuple(here), below, True):
            return ()
    return tuple(
        _Rules(spec, cut, os.path.join(inner, "")[len(os.path.join(base, "")) :])
        for base, spec in specs
        if spec is not None
    )


def _verdict(spec: GitIgnoreSpec, relative: str, directory: bool) -> bool | None:
    """Return what the last line about ``relative`` says.

    pathspec also matches what lies below a match. Here that would be wrong: the walk does not enter what is
    ignored, and ``!logs/`` must not bring back every file in it. Its patterns mark a match by the
    group ``ps_d``; those without the group are about everything below something.
    """
    slashed = relative + "/" if directory else relative
    for pattern in reversed(spec.patterns):
        if pattern.include is None or pattern.regex is None:
            continue
        if "ps_d" in pattern.regex.groupindex:
            matched = pattern.regex.fullmatch(slashed)
        else:
            matched = pattern.regex.match(relative)
        if matched:
            return bool(pattern.include)
    return None


def _read_spec(ignore_file: str) -> GitIgnoreSpec | None:
    if not os.path.isfile(ignore_file):
        return None
    try:
        with open(ignore_file, encoding="utf-8", errors="surrogateescape") as lines:
            return _spec(lines.read().splitlines())
    except OSError:
        return None


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    try:
        from pathspec import GitIgnoreSpec
    except ImportError as error:
        raise MissingExtraError("pathspec", "parse") from error
    valid: list[str] = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:  # git, too, passes over a line that it cannot read
            continue
        valid.append(line)
    return GitIgnoreSpec.from_lines(valid)
