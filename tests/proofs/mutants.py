"""The weakenings of ring.h and queue.h that the proofs must catch, and the program that explores them.

A room is a model and the header that it explores; two explore the ring: writers without a lock, and with one.

A weakening is an edit of the header that ships: the text it replaces must be there exactly once. Original and
weakened copies are compiled into one program, each in a namespace of its own.
"""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SRC_C = HERE.parent.parent / "src_c"
CHECKERS = ("views", "relacy")


class Weakening(NamedTuple):
    name: str
    old: str
    new: str
    escapes: str = ""  # the checker that cannot see it


RELEASED = "{}, memory_order_release)"
RELAXED = "{}, memory_order_relaxed)"

RING = [
    Weakening(
        "the claim does not acquire",
        "2 * ticket + 1, memory_order_acquire",
        "2 * ticket + 1, memory_order_relaxed",
        escapes="relacy",  # there the order of modification is the order of execution
    ),
    *(
        Weakening(f"{name} word is stored relaxed", RELEASED.format(cell), RELAXED.format(cell))
        for name, cell in [
            ("the first", "pc_store(&slot->word[0], a"),
            ("the second", "pc_store(&slot->word[1], b"),
            ("the third", "pc_store(&slot->word[2], c"),
        ]
    ),
    Weakening(
        "publishing is relaxed",
        "2 * ticket + 2, memory_order_release",
        "2 * ticket + 2, memory_order_relaxed",
    ),
    Weakening(
        "the first look is relaxed",
        "seq = pc_load(&slot->seq, memory_order_acquire)",
        "seq = pc_load(&slot->seq, memory_order_relaxed)",
    ),
    *(
        Weakening(
            f"word {i} is read relaxed",
            f"pc_load(&slot->word[{i}], memory_order_acquire)",
            f"pc_load(&slot->word[{i}], memory_order_relaxed)",
        )
        for i in range(3)
    ),
    Weakening(
        "no second look",
        "return seq == wanted ? PC_RING_RECORD : PC_RING_OVERWRITTEN;",
        "return PC_RING_RECORD;",
    ),
    Weakening("a slot in flight is stolen", "(seq & 1) || seq > 2 * ticket", "seq > 2 * ticket"),
    Weakening("a lapped writer goes on", "(seq & 1) || seq > 2 * ticket", "(seq & 1)"),
    Weakening(
        "the claim is a store",
        "!pc_compare_exchange(&slot->seq, &seq, 2 * ticket + 1, memory_order_acquire, memory_order_relaxed)",
        "(pc_store(&slot->seq, 2 * ticket + 1, memory_order_relaxed), false)",
    ),
    Weakening(
        "published before the last word",
        "    pc_store(&slot->word[2], c, memory_order_release);\n",
        "    pc_store(&slot->seq, 2 * ticket + 2, memory_order_release);\n"
        "    pc_store(&slot->word[2], c, memory_order_release);\n",
    ),
    Weakening(
        "a drop is not counted", "(void)pc_fetch_add(&r->dropped, 1, memory_order_relaxed);", "(void)r;"
    ),
]

LOCKED = [
    *(
        weakening
        for weakening in RING
        if weakening.name.endswith(("is stored relaxed", "is read relaxed"))
        or weakening.name in {"publishing is relaxed", "the first look is relaxed", "no second look"}
    ),
    Weakening(
        "no claim",
        "    pc_store(&slot->seq, 2 * ticket + 1, memory_order_relaxed); /* seen by",
        "    /* seen by",
    ),
    Weakening("a vanished writer's slot is used", "memory_order_relaxed) & 1)", "memory_order_relaxed) & 0)"),
    Weakening("alone while others are away", "return away > 0 ?", "return away > 9 ?"),
    Weakening("the ticket is not taken", "pc_store(&r->head, ticket + 1,", "pc_store(&r->head, ticket,"),
]

QUEUE = [
    Weakening(
        "the producer does not acquire",
        "seq = pc_load(&cell->seq, memory_order_acquire); /* pairs with the consumer's",
        "seq = pc_load(&cell->seq, memory_order_relaxed); /* pairs with the consumer's",
    ),
    Weakening(
        "the consumer does not acquire",
        "seq = pc_load(&cell->seq, memory_order_acquire); /* pairs with the producer's",
        "seq = pc_load(&cell->seq, memory_order_relaxed); /* pairs with the producer's",
    ),
    Weakening(
        "handed over relaxed", "position + 1, memory_order_release)", "position + 1, memory_order_relaxed)"
    ),
    Weakening(
        "given back relaxed",
        "position + q->mask + 1, memory_order_release)",
        "position + q->mask + 1, memory_order_relaxed)",
    ),
    Weakening("a full queue takes more", "if (seq == position) {", "if (seq <= position) {"),
    Weakening(
        "two consumers take one position",
        "pc_compare_exchange(&q->head, &position, position + 1, memory_order_relaxed, memory_order_relaxed)",
        "(pc_store(&q->head, position + 1, memory_order_relaxed), true)",
    ),
    Weakening(
        "handed over before it is there",
        "                pc_set(cell->item, item);\n",
        "                pc_store(&cell->seq, position + 1, memory_order_release);\n"
        "                pc_set(cell->item, item);\n",
    ),
]
WEAKENINGS = {"ring": RING, "locked": LOCKED, "queue": QUEUE}
HEADERS = {"ring": "ring", "locked": "ring", "queue": "queue"}


def weakened(source: str, weakening: Weakening) -> str:
    assert source.count(weakening.old) == 1, f"{weakening.name}: not there exactly once"
    return source.replace(weakening.old, weakening.new)


def body(source: str) -> str:
    """Return a header without its guard and includes: what can stand in a namespace."""
    kept = re.sub(r"^#(?:include|ifndef|endif).*\n|^#define PC_(?:RING|QUEUE)_H\n", "", source, flags=re.M)
    return re.sub(r"^#define (\w+)", r"#undef \1\n#define \1", kept, flags=re.M)


def program(room: str, with_weakenings: bool) -> str:
    """Return C++ whose first argument chooses the original (0) or a weakening (1 and up)."""
    original = (SRC_C / f"{HEADERS[room]}.h").read_text()
    model = body((HERE / f"{room}_model.hpp").read_text())
    headers = [original, *(weakened(original, w) for w in WEAKENINGS[room] if with_weakenings)]
    spaces = [f"namespace w{i} {{\n{body(h)}\n{model}\n}}" for i, h in enumerate(headers)]
    cases = [f"case {i}: return explore<w{i}::{room}_model>(runs, seed);" for i in range(len(headers))]
    return "\n".join(
        [
            '#include "alloc.h"\n#include "atomic.h"\n#include <stdalign.h>\n#include <cstdlib>',
            *spaces,
            "int main(int, char **argv) {",
            "uint64_t runs = strtoull(argv[2], nullptr, 10), seed = strtoull(argv[3], nullptr, 10);",
            "switch (atoi(argv[1])) {",
            *cases,
            "}\nreturn 2;\n}",
        ]
    )


def build(room: str, checker: str, folder: Path, with_weakenings: bool = True) -> Path:
    """Compile the program of a room for a checker."""
    source, binary = folder / f"{room}_{checker}.cpp", folder / f"{room}_{checker}"
    source.write_text(program(room, with_weakenings))
    atomics = f'-DPC_MODEL_ATOMICS="{checker}.hpp"'
    command = ["g++", "-std=c++17", "-O1", "-w", f"-I{SRC_C}", f"-I{HERE}", atomics, "-o", binary, source]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return binary


def explore(binary: Path, number: int, runs: int, seed: int = 1) -> tuple[bool, str]:
    """Return whether no run failed, and what was printed."""
    command = [str(binary), str(number), str(runs), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0, done.stdout[-2000:]
