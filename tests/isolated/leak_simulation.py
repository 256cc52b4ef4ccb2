"""Traces that are played again and again, also broken ones, and codes that are written and refused."""

import numpy as np
from flat import insist_flat

from perfcore import simulate
from perfcore._native.plain import pack_plain

TRACE = np.random.default_rng(1).zipf(1.2, 34_000).astype(np.uint32)
SIZES = (TRACE % 50 + 1).astype(np.uint32)
PLAIN = {
    "name": "é",
    "numbers": [1, 2.5, -(2**40), None, True],
    "bytes": b"x" * 100,
    "deep": {"a": {"b": []}},
}


class Foreign:
    pass


def refuse(*arguments, **options):
    try:
        simulate(*arguments, **options)
    except (TypeError, ValueError):
        pass


def traces():
    for policy in ("lru", "lfu", "random", "adaptive"):
        simulate(TRACE, 500, policy), simulate(TRACE, [10, 100, 1000], policy)
        simulate(TRACE, 5000, policy, sizes=SIZES)
        refuse(TRACE, -1, policy), refuse(TRACE, 10, policy, sizes=SIZES[:-1])


def codes():
    for number in range(34_000):
        pack_plain(PLAIN)
        if number % 10 == 0:
            try:
                pack_plain({"good": [number], "bad": [Foreign()]})
            except TypeError:
                pass


def step():
    traces(), codes()


insist_flat(step)
