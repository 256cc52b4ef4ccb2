from flat import insist_flat

from perfcore._native.envelope import look_in, wrap
from perfcore._native.plain import pack_plain
from perfcore._native.unpack import unpack_plain


def refuse(code, view):
    raise ValueError


GOOD = pack_plain([{f"name {number}": [number * 1e9, "é" * number, b"x" * number]} for number in range(300)])


def step():
    for place in range(200):
        unpack_plain(refuse, GOOD)
        for bad in (GOOD[: -1 - place], GOOD[: place + 1] + b"\xd4\x01\x00" + GOOD[place + 1 :]):
            try:
                unpack_plain(refuse, bad)
            except ValueError:
                pass
        for payload in (GOOD[: 10 * place], GOOD):
            sealed = wrap(1, 0, 0, len(payload), 0, place, b"key", b"", payload)
            (
                look_in(sealed, b"key", 1 << 20),
                look_in(sealed, b"another", 1 << 20),
                look_in(sealed[1:], b"", 9),
            )
        for number in range(100):
            unpack_plain(refuse, pack_plain({f"another {place} {number}": number}))


insist_flat(step)
