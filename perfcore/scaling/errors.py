"""What scaling raises on its own behalf; each is also the error that Python has a word for."""

from concurrent.futures import BrokenExecutor

from perfcore.errors import PerfcoreError

__all__ = [
    "CapacityError",
    "DrainError",
    "NodesLostError",
    "ScalingError",
    "SchedulerLostError",
    "VersionMismatchError",
]


class ScalingError(PerfcoreError, RuntimeError):
    """Base of what can go wrong with a cluster."""


class CapacityError(ScalingError):
    """More nodes were asked for than there may be, or than the cluster gives; those that came stay."""


class DrainError(ScalingError, TimeoutError):
    """A node could not be emptied in time; it was put back to work and nothing on it was lost."""


class SchedulerLostError(ScalingError, ConnectionError):
    """The cluster's scheduler does not answer; what it had been given may or may not have run."""


class NodesLostError(ScalingError, BrokenExecutor):
    """A task was given up because one node after another died while running it."""


class VersionMismatchError(ScalingError):
    """The cluster runs other versions than this process; the message names both."""
