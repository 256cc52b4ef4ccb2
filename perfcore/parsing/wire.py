"""What parser and worker processes say to each other: msgpack frames over a socket."""

from __future__ import annotations

from msgspec import Struct, msgpack

from perfcore.parsing.fingerprint import Fingerprint

__all__ = ["READY", "Answer", "decode_answer", "decode_batch", "encode_answer", "encode_batch"]

#: A worker's first frame: it has started and can take work.
READY = b"ready"


class Answer(Struct, frozen=True, gc=False, array_like=True):
    """What a worker says of one file: by what it is known, and an encoded :class:`ParseResult`.

    ``shared`` ones were parsed by somebody before and came from the remote tier.
    """

    fingerprint: Fingerprint | None
    result: bytes
    shared: bool = False


encode_answer = msgpack.Encoder().encode
decode_answer = msgpack.Decoder(Answer).decode

#: A batch is a list of paths, as bytes because a name need not be text.
encode_batch = msgpack.Encoder().encode
decode_batch = msgpack.Decoder(list[bytes]).decode
