"""Any function or object made faster, and what each measure has gained. Names load on first use."""

from perfcore._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perfcore.optimizing.entry import optimize_for_performance
    from perfcore.optimizing.functions import OptimizedCoroutine, OptimizedFunction
    from perfcore.optimizing.gains import Gain
    from perfcore.optimizing.objects import OptimizedObject

__all__ = ["Gain", "OptimizedCoroutine", "OptimizedFunction", "OptimizedObject", "optimize_for_performance"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "perfcore.optimizing.entry": ["optimize_for_performance"],
        "perfcore.optimizing.functions": ["OptimizedCoroutine", "OptimizedFunction"],
        "perfcore.optimizing.gains": ["Gain"],
        "perfcore.optimizing.objects": ["OptimizedObject"],
    },
)
