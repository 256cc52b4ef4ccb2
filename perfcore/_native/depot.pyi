from typing import final

__all__ = ["Depot", "Keeper"]

@final
class Depot: ...

@final
class Keeper: ...
