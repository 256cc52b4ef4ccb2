"""The one exception tree of perfcore.

Errors that a Python programmer already has a word for stay that word: a missing key is ``KeyError``, a wrong
type is ``TypeError``. Everything that is perfcore's own derives from :class:`PerfcoreError`.
"""

__all__ = ["CodecError", "ConfigError", "MissingExtraError", "PerfcoreError", "UnreadableError"]


class PerfcoreError(Exception):
    """Base of every error that perfcore raises on its own behalf."""


class ConfigError(PerfcoreError, ValueError):
    """A configuration was refused; the message names the path and what was expected there."""


class CodecError(PerfcoreError, ValueError):
    """Stored bytes could not be decoded: damaged, foreign, forged, or of another version."""


class UnreadableError(CodecError):
    """Stored bytes are sound, and not for this process: a class it does not allow, a pickle, no memory."""


class MissingExtraError(PerfcoreError, ImportError):
    """An optional dependency is missing; the message names the extra that installs it."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed: pip install 'perfcore[{extra}]'")
        self.module = module
        self.extra = extra
