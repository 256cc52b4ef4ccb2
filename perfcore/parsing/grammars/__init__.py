"""How each grammar spells definitions and imports; see :class:`perfcore.parsing.symbols.Rules`."""
