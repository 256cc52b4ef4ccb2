"""A batch job over a CSV file: each row needs a slow lookup, and most lookups repeat, also in tomorrow's run.

python examples/batch_etl.py FOLDER    # run it twice: the second time the lookups are on disk
"""

import csv
import sys
import time
from collections import Counter
from pathlib import Path

from perfcore.cache import CacheManager
from perfcore.workers import WorkerPool


def country_of(postcode: str) -> str:
    """Stand for a slow service, 5 ms a lookup."""
    time.sleep(0.005)
    return ("DE", "FR", "PL", "ES")[int(postcode) % 4]


def make_orders(path: Path, count: int = 600) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows((number, f"{number * 7919 % 97:05}", number % 50) for number in range(count))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    orders = folder / "orders.csv"
    if not orders.exists():
        make_orders(orders)
    lookups = Counter()  # type: Counter[str]
    with (
        CacheManager(disk={"directory": folder / "cache"}, namespace="countries", version=1) as cache,
        WorkerPool(2, 8) as pool,
    ):

        def load(row: list[str]) -> tuple[str, int]:
            _, postcode, amount = row

            def look_up() -> str:
                lookups[postcode] += 1
                return country_of(postcode)

            return cache.get_or_set(postcode, look_up, ttl=30 * 24 * 3600), int(amount)

        totals: Counter[str] = Counter()
        with orders.open(newline="") as file:
            for country, amount in pool.map(load, csv.reader(file)):
                totals[country] += amount
    print(", ".join(f"{country} {total}" for country, total in sorted(totals.items())))
    print(f"lookups: {sum(lookups.values())}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
