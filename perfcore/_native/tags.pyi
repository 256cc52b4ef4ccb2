from typing import final

from typing_extensions import disjoint_base

__all__ = ["Label", "Tag", "TagRegister"]

@final
@disjoint_base
class Tag: ...

@final
@disjoint_base
class Label: ...

@final
@disjoint_base
class TagRegister: ...
