"""Input and output: files that are kept open, batches of reads, sockets that read into pooled buffers."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore._native.files import OpenFile
    from perfcore.io.files import announce, read_ahead, read_many, read_ranges
    from perfcore.io.keeping import StreamStats
    from perfcore.io.optimizer import IOOptimizer, IOReport
    from perfcore.io.sockets import Receiver, ReceiverStats, receive_exactly
    from perfcore.io.steps import IOStep
    from perfcore.io.stream import Stream
    from perfcore.io.streams import StreamCache

__all__ = [
    "IOOptimizer",
    "IOReport",
    "IOStep",
    "OpenFile",
    "Receiver",
    "ReceiverStats",
    "Stream",
    "StreamCache",
    "StreamStats",
    "announce",
    "read_ahead",
    "read_many",
    "read_ranges",
    "receive_exactly",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore._native.files": ["OpenFile"],
        "perfcore.io.files": ["announce", "read_ahead", "read_many", "read_ranges"],
        "perfcore.io.keeping": ["StreamStats"],
        "perfcore.io.optimizer": ["IOOptimizer", "IOReport"],
        "perfcore.io.sockets": ["Receiver", "ReceiverStats", "receive_exactly"],
        "perfcore.io.steps": ["IOStep"],
        "perfcore.io.stream": ["Stream"],
        "perfcore.io.streams": ["StreamCache"],
    },
)
