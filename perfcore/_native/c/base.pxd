cdef extern from "base.h" nogil:
    const unsigned int PC_NIL

    ctypedef enum pc_status:
        PC_OK
        PC_NO_MEMORY
        PC_TOO_LARGE

    unsigned int pc_hash32(unsigned long long hash, const unsigned long long *seed)
    void PC_PREFETCH(const void *address)
    unsigned long long pc_mix64(unsigned long long x)
