"""Zstandard for stored payloads: what to compress, how hard, and with which dictionary.

``on`` compresses everything that gets smaller; ``adaptive`` leaves alone what is small or hardly shrinks,
works less hard the more writes pile up, and learns a dictionary when many payloads are small.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import zstandard

from perfcore.cache.dictionary import Dictionary, Trainer
from perfcore.errors import CodecError

__all__ = ["Compression", "Load", "Mode", "Page", "Shrunk"]

Mode = Literal["adaptive", "on", "off"]
#: How hard the writer is pressed: at leisure, behind, or with somebody waiting.
Load = Literal[0, 1, 2]

#: Below this a frame's own header and the reader's call cost more than the bytes saved.
_FLOOR = 96
#: What must be gained for a reader to be asked to decompress.
_WORTH = {"adaptive": 0.9, "on": 1.0}
#: A payload this large is probed first: a sample that does not shrink spares the whole.
_PROBED, _SAMPLE = 64 * 1024, 4096
#: Payloads above this gain nothing from a dictionary.
_DICTIONARY_LIMIT = 32 * 1024
#: A block of at most 128 KB takes at least 3 bytes, so no frame can hold more than this many times its size.
_MAX_RATIO = 1 << 16

#: zstd's levels by load, with a dictionary and without. With it, level 2 takes the time of level 1 and leaves
#: the bytes of level 3: of 1 KB 0.40 in 4 us where level 1 leaves 0.46, of 4 KB 0.38 in 14 us. Without it,
#: level 1 leaves 0.58 of 4 KB in 12 us, and level -3 0.81 in 6 us.
_SMALL, _TAUGHT, _UNTAUGHT = 2048, (3, 2, 2), (3, 1, -3)
#: So many payloads in a row that took as many pages as before, and only one in so many is tried again.
_FUTILE, _RETRIED = 16, 32
#: A batch of this many bytes is worth a thread for each of up to four processors.
_SHARED, _THREADS = 256 * 1024, min(4, os.cpu_count() or 1)

#: A compressed payload and the number of its dictionary, or None for a payload that is stored as it is.
Shrunk = tuple[bytes, int] | None


class Page(NamedTuple):
    """How many bytes of payload take up to a whole page of what they are stored in, and up to half of one."""

    whole: int
    half: int


_NO_PAGE = Page(0, 0)


class _Tools(threading.local):
    """Each thread's own contexts: zstd's must not be used by two threads at once, and are dear to make."""

    def __init__(self) -> None:
        self.compressors: dict[tuple[int, int], zstandard.ZstdCompressor] = {}
        self.decompressors: dict[int, zstandard.ZstdDecompressor] = {}


class Compression:
    """Compresses and restores payloads, from any thread.

    ``load`` finds the content of a dictionary by its number; ``limit`` is the largest payload, in bytes,
    that is ever restored; ``trainer`` learns dictionaries from what passes. Where more than half
    a ``page`` takes a whole one, ``adaptive`` stores as it is what does so compressed, too.
    """

    def __init__(
        self, load: Callable[[int], bytes | None], limit: int, trainer: Trainer, page: Page = _NO_PAGE
    ) -> None:
        self._load = load
        self._limit = limit
        self._trainer = trainer
        self._page = page
        self._futile = 0
        self._tools = _Tools()
        self._dictionaries: dict[int, zstandard.ZstdCompressionDict] = {}
        self._digested: dict[tuple[int, int], zstandard.ZstdCompressionDict] = {}
        self._current = 0

    def shrink(self, payload: bytes, mode: str, load: Load = 0) -> Shrunk:
        """Compress ``payload``; ``load`` trades size for speed."""
        plan = self._plan(payload, mode, load)
        if plan is None:
            return None
        return self._verdict(payload, self._compressor(*plan).compress(payload), mode, plan[1])

    def shrink_many(self, payloads: Sequence[bytes], mode: str, load: Load = 0) -> list[Shrunk]:
        """Compress ``payloads`` in one call that needs no GIL.

        With a call for each, the writer would hold the GIL as good as always, and the thread whose writes
        these are would hardly run meanwhile.
        """
        plans = [self._plan(payload, mode, load) for payload in payloads]
        shrunk: list[Shrunk] = [None] * len(payloads)
        for plan in {plan for plan in plans if plan is not None}:
            places = [place for place, planned in enumerate(plans) if planned == plan]
            packed = _compress(self._compressor(*plan), [payloads[place] for place in places])
            for place, result in zip(places, packed, strict=True):
                shrunk[place] = self._verdict(payloads[place], result, mode, plan[1])
        return shrunk

    def _verdict(self, payload: bytes, packed: bytes, mode: str, number: int) -> Shrunk:
        size, left = len(payload), len(packed)
        if number:
            self._trainer.judge(size, left)
        if self._one_page(size) and mode == "adaptive":
            self._futile = self._futile + 1 if left > self._page.half else 0
            return (packed, number) if self._futile == 0 else None
        return (packed, number) if left < size * _WORTH[mode] else None

    def _plan(self, payload: bytes, mode: str, load: Load) -> tuple[int, int] | None:
        """The level and the dictionary to compress with, 0 for none; None not to compress."""
        size = len(payload)
        if mode == "on":
            return _UNTAUGHT[0], 0
        if mode == "off" or size < _FLOOR or (size >= _PROBED and self._hopeless(payload)):
            return None
        if self._one_page(size) and not self._halves(load):
            return None
        if self._current and size <= (_DICTIONARY_LIMIT if load < 2 else self._page.whole or _SMALL):
            return _TAUGHT[load], self._current
        return (_TAUGHT if size <= _SMALL else _UNTAUGHT)[load], 0

    def _one_page(self, size: int) -> bool:
        """Say whether a payload takes a page of its own, so that only half a page would be a gain."""
        return self._page.half < size <= self._page.whole

    def _halves(self, load: Load) -> bool:
        """Say whether a payload of a page is worth trying: not if the last ones did not get half as large."""
        if load:  # what would halve it takes longer than to write it
            return False
        if self._futile < _FUTILE:
            return True
        self._futile += 1
        return self._futile % _RETRIED == 0

    def restore(self, payload: bytes | memoryview, number: int, raw_length: int) -> bytes:
        """Return the payload as it was; raises :exc:`CodecError` when it is not as long as declared.

        The declared length is held against the frame's own, against what a frame of this size can hold and
        against the limit, before any memory is taken for it.
        """
        if raw_length > min(self._limit, len(payload) * _MAX_RATIO):
            raise CodecError("a stored payload declares an impossible length")
        try:
            if zstandard.frame_content_size(payload) != raw_length:
                raise CodecError("a stored payload declares two lengths")
        except zstandard.ZstdError as error:
            raise CodecError("a stored payload does not decompress") from error
        return self.inflate(payload, number)

    def inflate(self, payload: bytes | memoryview, number: int) -> bytes:
        """Return the payload as it was, for whom has looked at its length: see :meth:`restore`."""
        try:
            decompressor = self._tools.decompressors.get(number) or self._decompressor(number)
            return decompressor.decompress(payload)
        except zstandard.ZstdError as error:
            raise CodecError("a stored payload does not decompress") from error

    def study(self, payloads: Iterable[bytes]) -> bool:
        """Take samples of ``payloads`` while some are wanted; say whether it is time to :meth:`train`."""
        return any(map(self._trainer.offer, payloads))

    @property
    def wants_samples(self) -> bool:
        """True while there is no dictionary, or one that no longer serves."""
        return self._trainer.sampling

    def train(self) -> Dictionary | None:
        """Learn from the samples so far, which takes a while; returns what was learnt, if anything."""
        learnt = self._trainer.train()
        if learnt is not None:
            self.use(learnt)
        return learnt

    def use(self, dictionary: Dictionary) -> None:
        """Compress small payloads with ``dictionary`` from now on."""
        self._dictionaries[dictionary.number] = zstandard.ZstdCompressionDict(dictionary.content)
        self._futile = 0
        self._trainer.sampling = False
        self._current = dictionary.number

    @property
    def learnt(self) -> bool:
        """Whether there is a dictionary to compress with."""
        return self._current != 0

    def content(self, number: int) -> bytes | None:
        """Return the content of dictionary ``number``, if it is known here."""
        dictionary = self._dictionaries.get(number)
        return None if dictionary is None else dictionary.as_bytes()

    def _hopeless(self, payload: bytes) -> bool:
        middle = len(payload) // 2
        sample = payload[middle : middle + _SAMPLE]
        return len(self._compressor(1, 0).compress(sample)) > _SAMPLE * 0.97

    def _compressor(self, level: int, number: int) -> zstandard.ZstdCompressor:
        held = self._tools.compressors
        if (level, number) not in held:
            dictionary = self._prepared(level, number) if number else None
            held[level, number] = zstandard.ZstdCompressor(level, dictionary, write_dict_id=False)
        return held[level, number]

    def _prepared(self, level: int, number: int) -> zstandard.ZstdCompressionDict:
        """The dictionary digested for ``level``: else each batch would do that, for 0.2 ms."""
        if (level, number) not in self._digested:
            found = zstandard.ZstdCompressionDict(self._dictionary(number).as_bytes())
            found.precompute_compress(level=level)
            self._digested[level, number] = found
        return self._digested[level, number]

    def _decompressor(self, number: int) -> zstandard.ZstdDecompressor:
        dictionary = self._dictionary(number) if number else None
        decompressor = self._tools.decompressors[number] = zstandard.ZstdDecompressor(dictionary)
        return decompressor

    def _dictionary(self, number: int) -> zstandard.ZstdCompressionDict:
        if number not in self._dictionaries:
            content = self._load(number)
            if content is None:
                raise CodecError(f"compression dictionary {number} is missing")
            self._dictionaries[number] = zstandard.ZstdCompressionDict(content)
        return self._dictionaries[number]


def _compress(compressor: zstandard.ZstdCompressor, payloads: list[bytes]) -> list[bytes]:
    if len(payloads) > 1 and hasattr(compressor, "multi_compress_to_buffer"):  # the C backend's
        buffers: Sequence[bytes | bytearray | memoryview] = payloads
        threads = _THREADS if sum(map(len, payloads)) >= _SHARED else 0
        packed = compressor.multi_compress_to_buffer(list(buffers), threads=threads)
        return [packed[place].tobytes() for place in range(len(packed))]
    return [compressor.compress(payload) for payload in payloads]
