"""The native rooms: the only place where the C core meets Python objects. Import them through their packages."""
