__all__ = ["look_in", "wrap"]

def wrap(
    kind: int,
    flags: int,
    dictionary: int,
    raw_length: int,
    expiry: int,
    generation: int,
    key: bytes,
    tags: bytes,
    payload: bytes | memoryview,
    /,
) -> bytes: ...
def look_in(
    data: bytes, key: bytes, largest: int, /
) -> tuple[int, bytes | memoryview, int | None, int] | None: ...
