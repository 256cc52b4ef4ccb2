"""The envelope of a stored value (:mod:`perfcore.cache.codec.entry`), written and read in one pass.

In Python either way is a dozen small objects, which cost as much as decompressing a value of 1 KB.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from xxhash import xxh3_64_digest

__all__ = ["look_in", "wrap"]

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    static inline void pc_write_le(uint8_t *at, uint64_t number, int width) {
        for (int place = 0; place < width; place++) at[place] = (uint8_t)(number >> 8 * place);
    }

    static inline uint64_t pc_read_le(const uint8_t *at, int width) {
        uint64_t number = 0;
        for (int place = 0; place < width; place++) number |= (uint64_t)at[place] << 8 * place;
        return number;
    }
    """
    void pc_write_le(uint8_t *at, uint64_t number, int width) noexcept
    uint64_t pc_read_le(const uint8_t *at, int width) noexcept

cdef enum:
    HEADER = 36
    CHECKSUM = 8
    COMPRESSED = 1
    #: above this a view of bytes costs less than a slice of them
    SMALL = 4096
    #: a block of at most 128 KB takes at least 3 bytes, so no frame holds more than this many times its size
    MOST_RATIO = 1 << 16

cdef const uint8_t *OURS = b"\x9dp\x01"  # magic and version


def wrap(
    int kind, uint32_t flags, uint32_t dictionary, uint32_t raw_length, uint64_t expiry, uint64_t generation,
    bytes key not None, bytes tags not None, payload, /
):
    """Return the envelope around ``payload``, not signed; ``flags`` are written as they are.

    Raises :exc:`OverflowError` for a number that its field does not hold.
    """
    cdef Py_buffer view
    cdef Py_ssize_t size, start = HEADER + PyBytes_GET_SIZE(key)
    cdef uint8_t *out
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        size = start + PyBytes_GET_SIZE(tags) + view.len
        sealed = PyBytes_FromStringAndSize(NULL, size + CHECKSUM)
        out = <uint8_t *>PyBytes_AS_STRING(sealed)
        memcpy(out, OURS, 3)
        out[3] = <uint8_t>kind
        pc_write_le(out + 4, flags, 4)
        pc_write_le(out + 8, dictionary, 4)
        pc_write_le(out + 12, <uint64_t>PyBytes_GET_SIZE(key), 4)
        pc_write_le(out + 16, raw_length, 4)
        pc_write_le(out + 20, expiry, 8)
        pc_write_le(out + 28, generation, 8)
        memcpy(out + HEADER, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        memcpy(out + start, PyBytes_AS_STRING(tags), PyBytes_GET_SIZE(tags))
        memcpy(out + start + PyBytes_GET_SIZE(tags), view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    checksum = digest_of(sealed, size)
    memcpy(out + size, PyBytes_AS_STRING(checksum), CHECKSUM)
    return sealed


def look_in(bytes data not None, bytes key not None, uint64_t largest, /):
    """Return ``(kind, payload, dictionary, expiry)`` of an entry that is sound, for ``key``, and has neither
    signature nor tags; None for every other one, sound or not: it needs a closer look.

    ``dictionary`` is None for a payload that is not compressed; of one that is, the length is then known to
    be the declared one, at most ``largest``, and one that a frame of this size can hold.
    """
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t start = HEADER + PyBytes_GET_SIZE(key), end = PyBytes_GET_SIZE(data) - CHECKSUM
    cdef uint32_t flags
    cdef uint64_t raw_length
    if start > end or memcmp(at, OURS, 3) != 0:
        return None
    flags, raw_length = <uint32_t>pc_read_le(at + 4, 4), pc_read_le(at + 16, 4)
    if flags & ~<uint32_t>COMPRESSED or pc_read_le(at + 12, 4) != <uint64_t>PyBytes_GET_SIZE(key):
        return None
    if memcmp(at + HEADER, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)) != 0:
        return None
    if raw_length != (content_size(at + start, end - start, largest) if flags else <uint64_t>(end - start)):
        return None
    checksum = digest_of(data, end)
    if memcmp(at + end, PyBytes_AS_STRING(checksum), CHECKSUM) != 0:
        return None
    payload = data[start:end] if end < SMALL else memoryview(data)[start:end]
    return at[3], payload, pc_read_le(at + 8, 4) if flags else None, pc_read_le(at + 20, 8)


cdef bytes digest_of(bytes data, Py_ssize_t size):
    return xxh3_64_digest(data[:size] if size < SMALL else memoryview(data)[:size])


cdef uint64_t content_size(const uint8_t *frame, Py_ssize_t size, uint64_t largest) noexcept:
    """What a zstd frame says it holds (RFC 8878, 3.1.1.1); more than any entry can for one that must not."""
    cdef uint64_t found = <uint64_t>-1
    cdef uint8_t descriptor
    cdef int width, place
    if size < 6 or pc_read_le(frame, 4) != 0xFD2FB528:
        return found
    descriptor = frame[4]
    width = (1 << (descriptor >> 6)) if descriptor >> 6 else (descriptor >> 5 & 1)
    place = 5 + (not descriptor & 0x20) + (1 << (descriptor & 3) >> 1 if descriptor & 3 else 0)
    if not width or place + width > size:
        return found
    found = pc_read_le(frame + place, width) + (256 if width == 2 else 0)
    if found > largest or found > <uint64_t>size * MOST_RATIO:
        return <uint64_t>-1
    return found
