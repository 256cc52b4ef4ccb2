# The C core as Cython sees it: one file per header, and in each only what is used.
