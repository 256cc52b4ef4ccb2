"""Files that are kept open: read without opening them, and known to be those that their paths lead to."""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport PyObject
from libc.errno cimport EINTR, errno

import os

__all__ = ["OpenFile"]

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **string, Py_ssize_t size) except -1
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size) except NULL
    char *bytes_of "PyBytes_AS_STRING"(PyObject *o) noexcept
    void Py_DECREF(PyObject *o)

cdef extern from *:
    """
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <unistd.h>
    #ifdef __APPLE__
    #define PC_CHANGED st_ctimespec
    #else
    #define PC_CHANGED st_ctim
    #endif

    /* What tells one state of one file from another, also where a file system keeps inode numbers (overlays) */
    typedef struct {
        dev_t device;
        ino_t inode;
        mode_t mode;
        time_t seconds;
        long nanoseconds;
        off_t size;
    } pc_file_t;

    static void pc_file_of(const struct stat *from, pc_file_t *to) {
        to->device = from->st_dev;
        to->inode = from->st_ino;
        to->mode = from->st_mode;
        to->seconds = from->PC_CHANGED.tv_sec;
        to->nanoseconds = from->PC_CHANGED.tv_nsec;
        to->size = from->st_size;
    }

    static int pc_file_at(const char *path, pc_file_t *to) {
        struct stat found;
        if (stat(path, &found) < 0) {
            return -1;
        }
        pc_file_of(&found, to);
        return 0;
    }

    static int pc_file_in(int fd, pc_file_t *to) {
        struct stat found;
        if (fstat(fd, &found) < 0) {
            return -1;
        }
        pc_file_of(&found, to);
        return 0;
    }

    static int pc_file_same(const pc_file_t *a, const pc_file_t *b) {
        return a->inode == b->inode && a->nanoseconds == b->nanoseconds && a->seconds == b->seconds &&
               a->device == b->device && a->mode == b->mode;
    }

    static void pc_file_count(unsigned long long *reads) { /* any thread, also without the GIL */
        __atomic_fetch_add(reads, 1, __ATOMIC_RELAXED);
    }

    static int pc_file_open(const char *path) {
        return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not make us wait */
    }
    """
    ctypedef struct pc_file_t:
        long long size
        unsigned int mode
    int pc_file_at(const char *path, pc_file_t *to) noexcept nogil
    int pc_file_in(int fd, pc_file_t *to) noexcept nogil
    int pc_file_same(const pc_file_t *a, const pc_file_t *b) noexcept nogil
    void pc_file_count(unsigned long long *reads) noexcept nogil
    int pc_file_open(const char *path) noexcept nogil
    int S_ISREG(unsigned int mode) noexcept nogil
    Py_ssize_t pread(int fd, void *to, size_t size, long long offset) noexcept nogil
    int c_close "close"(int fd) noexcept nogil

#: what one read asks for at most, as CPython's own
cdef long long MOST = 0x7FFFF000


cdef object failed(object path):
    return OSError(errno, os.strerror(errno), path)


cdef object taken(PyObject *owned):
    """Return an object whose reference is the caller's."""
    cdef object it = <object>owned
    Py_DECREF(owned)
    return it


@cython.final
@cython.auto_pickle(False)
cdef class OpenFile:
    """OpenFile(path)

    A regular file that is open for reading, for as long as somebody has this object.

    Reads have no position, so any number of threads may read at once, also in a forked child; what is
    written into the file is seen at once. :meth:`read` looks first whether ``path`` still leads to the same
    state of the same file. ``reads`` counts them. Raises what :func:`open` raises, and ValueError for what is
    not a regular file.

    >>> file = OpenFile(os.__file__)
    >>> len(file.read()) == file.size, file.current()
    (True, True)
    """

    cdef readonly object path
    cdef bytes encoded
    cdef pc_file_t state
    cdef readonly unsigned long long reads
    cdef int fd

    def __cinit__(self, path, /):
        cdef const char *name
        self.fd = -1
        self.path = path = os.fspath(path)
        self.encoded = os.fsencode(path)
        if b"\0" in self.encoded:
            raise ValueError("embedded null byte")
        name = PyBytes_AS_STRING(self.encoded)
        if pc_file_at(name, &self.state) < 0:
            raise failed(path)
        if not S_ISREG(self.state.mode):  # to open a FIFO and close it again would break its writer's pipe
            raise ValueError(f"not a regular file: {path!r}")
        while True:
            with nogil:
                self.fd = pc_file_open(name)
            if self.fd >= 0:
                break
            if errno != EINTR:
                raise failed(path)
            PyErr_CheckSignals()
        if pc_file_in(self.fd, &self.state) < 0:
            raise failed(path)
        if not S_ISREG(self.state.mode):
            raise ValueError(f"not a regular file: {path!r}")

    def __dealloc__(self):
        if self.fd >= 0:
            c_close(self.fd)

    def __repr__(self):
        return f"<OpenFile {self.path!r}, {self.state.size} bytes when it was opened>"

    @property
    def size(self):
        """Its bytes when it was opened."""
        return self.state.size

    def fileno(self):
        """Return the descriptor, which is closed with this object."""
        return self.fd

    def current(self):
        """Say whether the path leads to this file still, unchanged in content, name, mode and owner."""
        cdef pc_file_t now
        return self.look(&now)

    def read(self, bint check=True, /):
        """Return the whole content, or None when the path leads to something else by now.

        With ``check`` False the path is not looked at.
        """
        cdef pc_file_t now
        cdef const char *name = PyBytes_AS_STRING(self.encoded)
        cdef Py_ssize_t size = self.state.size, read = 0
        cdef size_t room = min(size + 1, MOST)  # one more than it had: less than that came, so it has ended
        cdef bint same = True
        cdef int status = 0
        cdef PyObject *whole = new_bytes(NULL, size + 1)
        cdef char *to = bytes_of(whole)
        with nogil:
            if check:
                status = pc_file_at(name, &now)
                same = status == 0 and pc_file_same(&self.state, &now)
            if same:
                pc_file_count(&self.reads)
                read = pread(self.fd, to, room, 0)
        if same and read == size:
            _PyBytes_Resize(&whole, size)
            return taken(whole)
        if status < 0:
            error = failed(self.path)
            Py_DECREF(whole)
            raise error
        Py_DECREF(whole)
        return self.rest(size) if same else None

    def read_range(self, long long offset, Py_ssize_t size, /):
        """Return at most ``size`` bytes from ``offset`` on, fewer only at the end of the file."""
        if offset < 0 or size < 0:
            raise ValueError(f"offset and size are not negative: {offset}, {size}")
        return self.part(offset, size)

    def readinto(self, buffer, long long offset=0, /):
        """Read from ``offset`` on into a buffer; return how many bytes, fewer than fit only at the end."""
        if offset < 0:
            raise ValueError(f"an offset is not negative: {offset}")
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            return self.fill(<unsigned char *>view.buf, view.len, offset)
        finally:
            PyBuffer_Release(&view)

    cdef bint look(self, pc_file_t *now) except -1:
        cdef const char *name = PyBytes_AS_STRING(self.encoded)
        cdef int status
        with nogil:
            status = pc_file_at(name, now)
        if status < 0:
            raise failed(self.path)
        return pc_file_same(&self.state, now)

    cdef Py_ssize_t fill(self, unsigned char *to, Py_ssize_t size, long long offset) except -1:
        """Read until the buffer is full or the file ends."""
        cdef Py_ssize_t done = 0, read
        cdef size_t wanted
        pc_file_count(&self.reads)
        while done < size:
            wanted = min(size - done, MOST)
            with nogil:
                read = pread(self.fd, to + done, wanted, offset + done)
            if read == 0:
                break
            if read > 0:
                done += read
            elif errno == EINTR:
                PyErr_CheckSignals()
            else:
                raise failed(self.path)
        return done

    cdef object part(self, long long offset, Py_ssize_t size):
        cdef object out = PyBytes_FromStringAndSize(NULL, size)
        cdef Py_ssize_t read = self.fill(<unsigned char *>PyBytes_AS_STRING(out), size, offset)
        return out if read == size else out[:read]

    cdef object rest(self, Py_ssize_t size):
        """Return all of a file that has grown, shrunk or failed, or that needs more than one read."""
        parts = []
        cdef long long offset = 0
        cdef Py_ssize_t step = max(size + 1, 8192)
        while True:
            piece = self.part(offset, step)
            parts.append(piece)
            offset += len(piece)
            if len(piece) < step:
                return b"".join(parts)
            step = max(step, 1 << 20)
