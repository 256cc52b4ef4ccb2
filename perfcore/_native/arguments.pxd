# Arguments from Python, checked once and turned into what the core takes. The messages name the argument.
from libc.math cimport isfinite
from libc.stdint cimport uint32_t, uint64_t


cdef inline uint64_t duration_ns(str name, object seconds) except? 0:
    """A positive duration in seconds (a number or a timedelta) as nanoseconds."""
    cdef double value
    if isinstance(seconds, bool):
        raise TypeError(f"{name} must be a number of seconds or a timedelta, not bool")
    if isinstance(seconds, (int, float)):
        value = seconds
    elif hasattr(seconds, "total_seconds"):
        value = seconds.total_seconds()
    else:
        raise TypeError(f"{name} must be a number of seconds or a timedelta, not {type(seconds).__name__}")
    if not isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be positive and finite, got {seconds!r}")
    # 2^62 ns are 146 years: beyond them the sum with the clock could wrap
    return <uint64_t>(min(value, 4.6e9) * 1e9) or 1


cdef inline uint64_t wait_ns(object timeout) except? 0:
    """A timeout in ns, at least one: 0 is left to mean for ever."""
    if not isinstance(timeout, bool) and isinstance(timeout, (int, float)) and timeout == 0:
        return 1
    return duration_ns("timeout", timeout)


cdef inline uint64_t timer_ns(object now) except? 0:
    """What an injected timer returned, in nanoseconds."""
    cdef double value = now
    if not isfinite(value) or value < 0 or value > 4.6e9:
        raise ValueError(f"timer must return seconds between 0 and 4.6e9, got {now!r}")
    return <uint64_t>(value * 1e9)


cdef inline uint64_t bound(str name, object value, uint64_t unbounded) except? 0:
    """A capacity: a non-negative int, or None for no bound."""
    if value is None:
        return unbounded
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return min(value, 2**63)


cdef inline uint32_t weight_of(str source, object weight) except? 0:
    """The weight of an entry, from the argument ``weight`` or from the ``weigher``."""
    if isinstance(weight, bool) or not isinstance(weight, int):
        raise TypeError(f"{source} must give an int, not {type(weight).__name__}")
    if not 0 <= weight < 2**32:
        raise ValueError(f"{source} must give a weight from 0 to 2**32 - 1, got {weight}")
    return weight


cdef inline int count_of(str name, object value, int least=0) except -1:
    """A number of things: an int that a C int holds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value < 2**31:
        raise ValueError(f"{name} must be from {least} to 2**31 - 1, got {value}")
    return value


cdef inline object optional_callable(str name, object value):
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable or None, not {type(value).__name__}")
    return value


cdef inline double share_of(str name, object value) except? -1:
    """A share from 0 up to, but not including, 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be from 0 to less than 1, got {value!r}")
    return value


cdef inline uint64_t bytes_of(str name, object value) except? 0:
    """A number of bytes: an int or a text such as "256MB"."""
    from perfcore.units import parse_size
    try:
        return parse_size(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
