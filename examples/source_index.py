"""Where is it defined? An index of the symbols of a tree of source files; only what changed is parsed again.

python examples/source_index.py TREE NAME CACHE    # such as: perfcore cached build/index
"""

import sys
from pathlib import Path

from perfcore import optimize_for_performance


def main(tree: Path, name: str, cache: Path) -> None:
    with optimize_for_performance(cache_directory=cache) as parser:
        files = sorted(path for path in tree.rglob("*.py"))
        index: dict[str, list[str]] = {}
        for result in parser.parse_many(files):
            for symbol in result.symbols:
                place = f"{Path(result.path).relative_to(tree)}:{symbol.start_line}"
                index.setdefault(symbol.name, []).append(f"{symbol.kind} {symbol.qualified_name} in {place}")
        parsed = parser.stats().parsed
    for found in index.get(name, [f"no {name} here"]):
        print(found)
    print(f"{len(files)} files, of which {parsed} were parsed")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
