"""Takes memory away from a room's verbs at each of their allocations in turn: ``starved.py ROOM [at most]``.

Python's three allocators fail at the n-th call: that one alone, and then all from there on. The core's memory
is from the raw one of them (``_native/alloc.pxd``). A verb then works or raises MemoryError, its subject is
whole, the same verb works when there is memory again, and when the subject is gone nothing holds what it had.
"""

import gc
import sys
from _testcapi import remove_mem_hooks, set_nomemory

TOKENS = [(f"token {number}", number) for number in range(400)]  # hashable, and nobody else's
ENOUGH = 8  # so many allocations in a row that were not needed, or survived: the verb has no more


def starved(verb, subject, first, last):
    """Run a verb without memory; tell whether it worked."""
    try:
        set_nomemory(first, last)
        try:
            verb(subject)
        finally:
            remove_mem_hooks()
    except MemoryError:
        return False
    return True


def counts():
    return [sys.getrefcount(token) for token in TOKENS]


def attempt(room, verb, first, last):
    """Starve a verb of a new subject; check all that must hold; tell whether it worked."""
    before = counts()
    subject = room.make()
    worked = starved(verb, subject, first, last)
    room.check(subject)
    verb(subject)
    room.check(subject)
    del subject
    if counts() != before:
        gc.collect()  # what died in a cycle
    assert counts() == before, "references were lost or kept"
    return worked


def starve(room, verb, most):
    """Return how many allocations failed a verb."""
    attempt(room, verb, 1 << 30, 0)  # imports, caches of the interpreter
    failed = quiet = 0
    for number in range(most):
        worked = [attempt(room, verb, number, last) for last in (0, number + 1)]
        failed += not all(worked)
        quiet = quiet + 1 if all(worked) else 0
        if quiet == ENOUGH:
            break
    return failed


def main():
    from starved_rooms import ROOMS

    name, most = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 30
    failed = 0
    for room in ROOMS[name]():
        for told, verb in room.verbs.items():
            print(room.name, told, end=": ", flush=True)
            failures = starve(room, verb, most)
            failed += failures
            print(failures, flush=True)
    print(f"{failed} allocations failed")
    assert failed, "nothing was ever out of memory"


if __name__ == "__main__":
    main()
