from typing import final

__all__ = ["ThreadMeter", "forked"]

def forked() -> None: ...

@final
class ThreadMeter:
    def work(self) -> tuple[int, int | None, int | None]: ...
    def rss(self) -> int | None: ...
