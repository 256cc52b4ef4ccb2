"""What a thread and its process have taken so far, read from files that are kept open.

All of it takes 2.5 µs, most of which the kernel's, where the same in Python takes 5: a profile reads it twice.
"""

cimport cython
from libc.stdint cimport int64_t

__all__ = ["ThreadMeter", "forked"]

cdef extern from *:
    """
    #include <fcntl.h>
    #include <time.h>
    #include <unistd.h>

    #ifndef O_CLOEXEC
    #define O_CLOEXEC 0
    #endif

    static int pc_meter_open(const char *path)
    {
        return open(path, O_RDONLY | O_CLOEXEC);
    }

    /* Read all of a small file; what the length is, 0 when it cannot be had. The end of the text is a 0. */
    static size_t pc_meter_read(int file, char *text, size_t room)
    {
        ssize_t length = file < 0 ? 0 : pread(file, text, room - 1, 0);
        text[length > 0 ? length : 0] = 0;
        return length > 0 ? (size_t)length : 0;
    }

    /* The next number in a text, which is moved behind it. */
    static long long pc_meter_number(const char **text)
    {
        const char *at = *text;
        long long number = 0;
        while (*at && (*at < '0' || *at > '9'))
            at++;
        while (*at >= '0' && *at <= '9')
            number = number * 10 + (*at++ - '0');
        *text = at;
        return number;
    }

    static long long pc_meter_cpu(void)
    {
        struct timespec now;
        if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
            return 0;
        return now.tv_sec * 1000000000LL + now.tv_nsec;
    }
    """
    int pc_meter_open(const char *path) noexcept
    size_t pc_meter_read(int file, char *text, size_t room) noexcept
    long long pc_meter_number(const char **text) noexcept
    long long pc_meter_cpu() noexcept
    int close(int file) noexcept
    long sysconf(int name) noexcept
    int _SC_PAGESIZE

cdef enum:
    ROOM = 512

cdef long page = sysconf(_SC_PAGESIZE)
cdef int64_t generation = 1  # of processes: what a parent has opened tells of the parent


def forked():
    """Say that this is another process now: what was open is opened again."""
    global generation
    generation += 1


@cython.final
@cython.binding(False)
@cython.auto_pickle(False)
cdef class ThreadMeter:
    """Reads what the thread that calls it has taken; one for each thread.

    >>> cpu, read, written = ThreadMeter().work()
    >>> cpu > 0
    True
    """

    cdef int io, statm
    cdef int64_t generation
    cdef long long own

    def __cinit__(self):
        self.io = self.statm = -1

    def __dealloc__(self):
        self.shut()

    cdef void shut(self) noexcept:
        if self.io >= 0:
            close(self.io)
        if self.statm >= 0:
            close(self.statm)
        self.io = self.statm = -1

    cdef void open(self) noexcept:
        self.shut()
        self.own = 0
        self.io = pc_meter_open("/proc/thread-self/io")
        self.statm = pc_meter_open("/proc/self/statm")
        self.generation = generation

    def work(self):
        """Return CPU nanoseconds and bytes read and written, without what was read here; None is not known."""
        cdef char text[ROOM]
        cdef const char *at = text
        cdef size_t length
        cdef long long read, written
        if self.generation != generation:
            self.open()
        length = pc_meter_read(self.io, text, ROOM)
        if not length:
            return pc_meter_cpu(), None, None
        read = pc_meter_number(&at) - self.own  # rchar, of what was read before this
        written = pc_meter_number(&at)
        self.own += length
        return pc_meter_cpu(), read, written

    def rss(self):
        """Return the resident bytes of the process, None where the system does not tell."""
        cdef char text[ROOM]
        cdef const char *at = text
        cdef size_t length
        if self.generation != generation:
            self.open()
        length = pc_meter_read(self.statm, text, ROOM)
        if not length:
            return None
        self.own += length
        pc_meter_number(&at)
        return pc_meter_number(&at) * page
