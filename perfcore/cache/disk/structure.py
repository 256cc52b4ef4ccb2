"""Whether an LMDB file is sound enough to be mapped: a walk over its pages that trusts nothing it reads.

py-lmdb's engine refuses most damaged pages, but not all: of 6 000 random mutations of a file, one in 150
ended in a failed assertion and one in seven, all truncations, in a bus error, and both take the process
with them. This check runs before the engine sees the file. It follows the trees from the newer of the two
meta pages, a whole level at a time in numpy.

Format 1 of LMDB 0.9 on 64-bit machines. Checked is what memory safety needs: where pages and nodes lie,
their kinds and sizes, that nothing overlaps, is reached twice or is also listed as free. The contents are
the business of the entries' own checksums; a wrong order of keys can only cause misses.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from struct import Struct
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Unsound", "check"]

_Bytes: TypeAlias = "npt.NDArray[np.uint8]"
_Integers: TypeAlias = "npt.NDArray[np.int64]"

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
_BIG, _SUB = 1, 2
_PAGE_HEADER, _NODE_HEADER, _POINTER = 16, 8, 8
_NO_PAGE = (1 << 64) - 1
_MAX_DEPTH, _MAX_KEY = 32, 511
_INTEGER_KEYS = 8  # what LMDB notes about the free list's keys

_META_PAGE = Struct("=QHHIII")
_TREE = Struct("=IHHQQQQQ")
_TAIL = Struct("=QQ")
_TREES_AT, _TAIL_AT = 40, 136


class Unsound(Exception):  # noqa: N818  # a finding, not an error of the program
    """The file must not be mapped; the message says why."""


class _Tree(NamedTuple):
    """What LMDB records of a tree."""

    pad: int
    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int


class _Pages(NamedTuple):
    """Pages of one level: where they begin in the file, and the bounds of their nodes."""

    start: _Integers
    counts: _Integers
    upper: _Integers


class _Nodes(NamedTuple):
    """The nodes of a level: where they begin in the file, and what their headers say."""

    start: _Integers
    low: _Integers
    flags: _Integers
    key_size: _Integers


def check(path: Path) -> None:
    """Raise :exc:`Unsound` unless the file at ``path`` can be mapped and used without danger.

    An empty file is sound: LMDB makes a new one of it. Raises :exc:`OSError` when the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if not size:
            return
        _demand(size >= 1024, "too short for two meta pages")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        _Walk(content).run()
    except IndexError as error:  # numpy checks every access
        raise Unsound("a reference leads out of the file") from error


def _demand(condition: object, complaint: str) -> None:
    if not condition:
        raise Unsound(complaint)


class _Walk:
    """One look over a file. Positions are int64, so that no sum of stored numbers wraps."""

    def __init__(self, content: mmap.mmap) -> None:
        self._view = content
        self._bytes: _Bytes = np.frombuffer(content, np.uint8)
        self._words = self._bytes[: len(content) & ~1].view("=u2")
        self._page_size = 0
        self._used: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)

    def run(self) -> None:
        free, main, pages = self._newest_meta()
        self._used = np.zeros(pages, np.bool_)
        self._used[:2] = True
        _demand(free.flags == _INTEGER_KEYS and main.flags == 0, "a core tree is of another kind")
        lists = self._walk(free, fewest=1)
        values = self._walk(main, fewest=2)
        _demand(not (values.flags & _SUB).any(), "a tree hangs where a value should be")
        self._check_free(lists)

    def _newest_meta(self) -> tuple[_Tree, _Tree, int]:
        """The two roots of the newer meta page, and how many pages are in use."""
        page_size = _TREE.unpack_from(self._view, _TREES_AT)[0]
        _demand(page_size in [512 << shift for shift in range(7)], "an impossible page size")
        _demand(len(self._bytes) >= 2 * page_size, "too short for two meta pages")
        metas = []
        for at in (0, page_size):
            _, _, flags, _, magic, version = _META_PAGE.unpack_from(self._view, at)
            _demand((flags, magic, version) == (_META, _MAGIC, _VERSION), "not an LMDB file of format 1")
            last, transaction = _TAIL.unpack_from(self._view, at + _TAIL_AT)
            metas.append((transaction, at, last + 1))
        _, at, pages = max(metas)
        free = _Tree._make(_TREE.unpack_from(self._view, at + _TREES_AT))
        main = _Tree._make(_TREE.unpack_from(self._view, at + _TREES_AT + _TREE.size))
        _demand(free.pad == page_size, "the meta pages contradict each other")
        _demand(2 <= pages <= len(self._bytes) // page_size, "shorter than its meta page says")
        self._page_size = page_size
        return free, main, pages

    def _walk(self, tree: _Tree, fewest: int) -> _Nodes:
        """Check a tree and return the nodes of its leaves; a branch page has at least ``fewest`` children."""
        if tree.root == _NO_PAGE:
            _demand(not any(tree[2:7]), "a tree without a root has something in it")
            return _Nodes(*[np.zeros(0, np.int64)] * 4)
        _demand(1 <= tree.depth <= _MAX_DEPTH, "a tree of impossible depth")
        _demand(tree.root < len(self._used), "a reference leads out of the file")
        level, branches = np.array([tree.root], np.int64), 0
        for _ in range(tree.depth - 1):
            nodes = self._nodes(self._pages(level, _BRANCH, fewest), _BRANCH)
            branches += len(level)
            level = nodes.low | nodes.flags << 32
        nodes = self._nodes(self._pages(level, _LEAF, 1), _LEAF)
        overflows = self._check_values(nodes)
        counted = (branches, len(level), overflows, len(nodes.start))
        _demand(counted == tree[3:7], "a tree does not hold what is recorded of it")
        return nodes

    def _pages(self, numbers: _Integers, kind: int, fewest: int) -> _Pages:
        """Check the headers of pages that must be of one kind, and in nobody else's use."""
        self._claim(numbers)
        start = numbers * self._page_size
        header = self._headers(start, numbers, kind)
        lower, upper = _field(header, 12, "=u2"), _field(header, 14, "=u2")
        counts = (lower - _PAGE_HEADER) >> 1
        ordered = (lower <= upper) & (upper <= self._page_size) & (lower % 2 == 0)
        _demand((ordered & (counts >= fewest)).all(), "a page with impossible bounds")
        return _Pages(start, counts, upper)

    def _headers(self, start: _Integers, numbers: _Integers, kind: int) -> _Bytes:
        header: _Bytes = self._bytes[start[:, None] + np.arange(_PAGE_HEADER)]
        _demand((_field(header, 0, "=i8") == numbers).all(), "a page does not lie where it belongs")
        _demand((_field(header, 10, "=u2") == kind).all(), "a page of the wrong kind")
        return header

    def _nodes(self, pages: _Pages, kind: int) -> _Nodes:
        """The nodes on ``pages``. They fill the end of each page without a gap; a delete relies on that."""
        owner = np.repeat(np.arange(len(pages.counts)), pages.counts)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(pages.counts) - pages.counts, pages.counts)
        pointer = self._words[(pages.start[owner] + _PAGE_HEADER >> 1) + place].astype(np.int64)
        inside = (pointer >= pages.upper[owner]) & (pointer <= self._page_size - _NODE_HEADER)
        _demand((inside & (pointer % 2 == 0)).all(), "a node lies outside its page")

        start = pages.start[owner] + pointer
        low, high, flags, key_size = (self._words[(start >> 1) + i].astype(np.int64) for i in range(4))
        nodes = _Nodes(start, low | high << 16, flags, key_size)
        sizes = _sizes(nodes, kind)
        _demand((pointer + sizes <= self._page_size).all(), "a node lies outside its page")
        order = np.argsort(start, kind="stable")
        _demand(((start + sizes)[order][:-1] <= start[order][1:]).all(), "two nodes overlap")
        filled = np.bincount(owner, weights=sizes, minlength=len(pages.counts))
        _demand((filled == self._page_size - pages.upper).all(), "a page is not filled by its nodes")
        return nodes

    def _check_values(self, nodes: _Nodes) -> int:
        """Check what the nodes of leaves lead to; returns how many overflow pages that takes."""
        _demand(np.isin(nodes.flags, (0, _BIG, _SUB)).all(), "a value of no known kind")
        _demand(((nodes.key_size >= 1) & (nodes.key_size <= _MAX_KEY)).all(), "a key of impossible length")
        big = nodes.flags == _BIG
        if not big.any():
            return 0
        at = (nodes.start + _NODE_HEADER + nodes.key_size)[big]
        first = _field(self._bytes[at[:, None] + np.arange(_POINTER)], 0, "=i8")
        _demand(((first >= 0) & (first < len(self._used))).all(), "a reference leads out of the file")
        header = self._headers(first * self._page_size, first, _OVERFLOW)
        counts = _field(header, 12, "=u4")
        needed = (_PAGE_HEADER - 1 + nodes.low[big]) // self._page_size + 1
        _demand((counts >= needed).all(), "a value is longer than its pages")
        _demand((counts <= len(self._used) - first).all(), "a reference leads out of the file")
        total = int(counts.sum())
        _demand(total <= len(self._used), "a page is used twice")
        self._claim(np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(total))
        return total

    def _claim(self, numbers: _Integers) -> None:
        """Note that these pages are in use, each by one owner."""
        _demand(((numbers >= 2) & (numbers < len(self._used))).all(), "a reference leads out of the file")
        before = np.count_nonzero(self._used)
        self._used[numbers] = True
        _demand(np.count_nonzero(self._used) == before + len(numbers), "a page is used twice")

    def _check_free(self, nodes: _Nodes) -> None:
        """The lists of free pages name each page once, in descending order, and none that is in use."""
        _demand(
            (nodes.key_size == 8).all() and not (nodes.flags & _SUB).any(), "a free list of no known kind"
        )
        for start, length, flags in zip(*(column.tolist() for column in nodes[:3]), strict=True):
            at = start + _NODE_HEADER + 8
            if flags & _BIG:
                number = int.from_bytes(self._bytes[at : at + _POINTER].tobytes(), "little")
                at = number * self._page_size + _PAGE_HEADER
            _demand(length % 8 == 0 and length >= 8, "a free list of the wrong length")
            pages = np.frombuffer(self._bytes[at : at + length].tobytes(), "=i8")
            listed = pages[1:]
            _demand(pages[0] == len(listed), "a free list of the wrong length")
            _demand((listed[1:] < listed[:-1]).all(), "a free list out of order")
            self._claim(listed)


def _field(rows: _Bytes, at: int, kind: str) -> _Integers:
    """The number at byte ``at`` of each row."""
    width = np.dtype(kind).itemsize
    return rows[:, at : at + width].copy().view(kind)[:, 0].astype(np.int64)


def _sizes(nodes: _Nodes, kind: int) -> _Integers:
    """The bytes that each node takes on its page, rounded up to even."""
    if kind == _BRANCH:
        return _NODE_HEADER + nodes.key_size + 1 & ~1
    data = np.where(nodes.flags & _BIG, _POINTER, nodes.low)
    return _NODE_HEADER + nodes.key_size + data + 1 & ~1
