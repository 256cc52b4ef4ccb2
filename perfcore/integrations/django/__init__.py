"""perfcore as the cache of a Django project (extra ``django``): a backend to name in ``CACHES``."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.integrations.django.backend import PerfcoreCache

__all__ = ["PerfcoreCache"]

__getattr__, __dir__ = lazy(__name__, {"perfcore.integrations.django.backend": ["PerfcoreCache"]})
