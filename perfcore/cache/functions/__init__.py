"""Functions that remember their results: what ``cached`` and ``cached_method`` are made of."""
