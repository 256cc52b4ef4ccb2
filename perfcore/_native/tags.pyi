from typing import final

__all__ = ["Label", "Tag", "TagRegister"]

@final
class Tag: ...

@final
class Label: ...

@final
class TagRegister: ...
