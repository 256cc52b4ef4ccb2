"""Drop-in replacements for well-known modules: import the same names from here."""
