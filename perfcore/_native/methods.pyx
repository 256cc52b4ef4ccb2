"""Methods of native types that Python subclasses make their own."""

cdef extern from "Python.h":
    ctypedef struct PyMethodDescrObject:
        void *d_method
    object PyDescr_NewMethod(type owner, void *method)

__all__ = ["adopt"]


def adopt(type subclass not None, *names):
    """Give a subclass methods of its own that are those it inherits from a native type.

    The interpreter's short way to call a method is only for objects of the very type that has it, and so not for those
    of a subclass. Raises TypeError for what is no method of a native type.

    >>> class Numbers(list):
    ...     pass
    >>> adopt(Numbers, "append")
    >>> Numbers.append
    <method 'append' of 'Numbers' objects>
    """
    for name in names:
        inherited = getattr(subclass, name)
        if type(inherited) is not type(list.append):
            raise TypeError(f"{name} is no method of a native type, but {type(inherited).__name__}")
        setattr(subclass, name, PyDescr_NewMethod(subclass, (<PyMethodDescrObject *><void *>inherited).d_method))
