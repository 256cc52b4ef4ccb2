"""How hard the random tests try: PERFCORE_EFFORT times as long as in `make test` (`make prove` sets it)."""

import os

EFFORT = int(os.environ.get("PERFCORE_EFFORT", "1"))


def effort(examples: int) -> int:
    return examples * EFFORT
