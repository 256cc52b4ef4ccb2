"""The native rooms: the only place where the C core meets Python objects."""
