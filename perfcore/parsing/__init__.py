"""Source trees parsed by tree-sitter, through memory and disk caches. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.parsing.discover import Discovery
    from perfcore.parsing.options import ParserOptions
    from perfcore.parsing.parser import OptimizedParser, optimize_for_performance
    from perfcore.parsing.pipeline import ParserStats
    from perfcore.parsing.result import Import, ParseResult, Symbol, SyntaxIssue

__all__ = [
    "Discovery",
    "Import",
    "OptimizedParser",
    "ParseResult",
    "ParserOptions",
    "ParserStats",
    "Symbol",
    "SyntaxIssue",
    "optimize_for_performance",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.parsing.discover": ["Discovery"],
        "perfcore.parsing.options": ["ParserOptions"],
        "perfcore.parsing.parser": ["OptimizedParser", "optimize_for_performance"],
        "perfcore.parsing.pipeline": ["ParserStats"],
        "perfcore.parsing.result": ["Import", "ParseResult", "Symbol", "SyntaxIssue"],
    },
)
