"""The parser against the two bounds that issue 2 sets.

    python benchmarks/parsing_ceiling.py [--rounds 5] [--every 1] [TREE]

One job against a bare tree-sitter loop that finds the same symbols (at most 1.15 times its time): in one
process, file by file in turn, so that a busy machine disturbs both alike. Two worker processes against two
independent single-job processes with half of the files each (at least 0.8 of their speed): whole processes
with their start, the best of all rounds, because other work only ever adds to a time. Python files of TREE,
by default the running Python's library; caches are on, cold, in a new directory each time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from perfcore.parsing import OptimizedParser, optimize_for_performance


def bare_loop() -> Callable[[str], int]:
    """Return a function that reads, parses and finds the definitions of a file, with nothing around it."""
    import tree_sitter
    import tree_sitter_python

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
    holders = {
        "module", "block", "decorated_definition", "if_statement", "elif_clause", "else_clause",
        "for_statement", "while_statement", "try_statement", "except_clause", "finally_clause",
        "with_statement", "match_statement", "case_clause", "ERROR",
    }  # fmt: skip

    def parse(path: str) -> int:
        with open(path, "rb") as file:  # noqa: PTH123
            source = file.read()
        symbols = []
        stack = [(parser.parse(source).root_node, "")]
        while stack:
            node, prefix = stack.pop()
            for child in node.named_children:
                kind = child.type
                if kind in ("function_definition", "class_definition"):
                    name = child.child_by_field_name("name").text.decode()
                    qualified = f"{prefix}.{name}" if prefix else name
                    symbols.append(
                        (kind, name, qualified, child.start_point.row + 1, child.end_point.row + 1,
                         child.start_byte, child.end_byte)
                    )  # fmt: skip
                    stack.append((child, qualified))
                elif kind in holders:
                    stack.append((child, prefix))
        return len(symbols)

    return parse


def cold_parser(directory: str) -> OptimizedParser:
    return optimize_for_performance(cache_directory=Path(directory, "cache"))


def in_turns(paths: list[str]) -> tuple[float, float]:
    """Return the seconds that the bare loop and perfcore take for ``paths``, after one file to load all."""
    with tempfile.TemporaryDirectory() as directory, cold_parser(directory) as parser:
        runs = [bare_loop(), lambda path: len(parser.parse_file(path).symbols)]
        seconds = [0.0, 0.0]
        for run in runs:
            run(__file__)
        for number, path in enumerate(paths):
            counts = {}
            for side in (0, 1) if number % 2 else (1, 0):
                started = time.perf_counter()
                counts[side] = runs[side](path)
                seconds[side] += time.perf_counter() - started
            if counts[0] != counts[1]:
                raise SystemExit(f"{path}: {counts[0]} symbols in the bare loop, {counts[1]} in perfcore")
    return seconds[0], seconds[1]


def parse_all(paths: list[str], jobs: int) -> None:
    with tempfile.TemporaryDirectory() as directory, cold_parser(directory) as parser:
        if sum(result.ok for result in parser.parse_many(paths, jobs=jobs)) != len(paths):
            raise SystemExit("a file was not parsed")


def wall_time(*runs: tuple[list[str], int]) -> float:
    """Return the seconds until processes with these files and jobs, started together, have all ended."""
    started = time.perf_counter()
    processes = []
    for paths, jobs in runs:
        process = subprocess.Popen(
            [sys.executable, __file__, "--child", str(jobs)], stdin=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(paths))
        process.stdin.close()
        processes.append(process)
    ends = [process.wait() for process in processes]
    if any(ends):
        raise SystemExit(f"runs ended with {ends}")
    return time.perf_counter() - started


def compare(paths: list[str], rounds: int) -> bool:
    bare = ours = 0.0
    apart, together = [], []
    for number in range(1, rounds + 1):
        bare_time, our_time = in_turns(paths)
        bare, ours = bare + bare_time, ours + our_time
        apart.append(wall_time((paths[::2], 1), (paths[1::2], 1)))
        together.append(wall_time((paths, 2)))
        print(
            f"round {number}: bare loop {bare_time:.2f} s, one job {our_time:.2f} s; "
            f"two processes {apart[-1]:.2f} s, two jobs {together[-1]:.2f} s",
            flush=True,
        )
    one, two = ours / bare, min(apart) / min(together)
    print(f"{len(paths)} files, {rounds} rounds:")
    print(f"  one job takes {one:.2f}x a bare tree-sitter loop (bound: at most 1.15)")
    print(f"  two jobs reach {two:.2f} of two independent processes (bound: at least 0.80)")
    return one <= 1.15 and two >= 0.8


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("tree", nargs="?", default=sysconfig.get_path("stdlib"))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--every", type=int, default=1, help="take only every n-th file")
    options.add_argument("--child", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        parse_all(json.load(sys.stdin), chosen.child)
        return 0
    paths = [
        str(path)
        for path in sorted(Path(chosen.tree).rglob("*.py"))
        if not {"site-packages", "dist-packages"} & {*path.parts}
    ]
    paths.sort(key=lambda path: Path(path).stat().st_size)  # so that both halves are the same work
    return 0 if compare(paths[:: chosen.every], chosen.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
