"""Input and output: files that are kept open, batches of reads, sockets that read into pooled buffers."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.io.keeping import StreamStats
    from perfcore.io.stream import Stream
    from perfcore.io.streams import StreamCache

__all__ = [
    "Stream",
    "StreamCache",
    "StreamStats",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.io.keeping": ["StreamStats"],
        "perfcore.io.stream": ["Stream"],
        "perfcore.io.streams": ["StreamCache"],
    },
)
