"""How the C library hands out the memory of large arrays and CPU tensors."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc


def keep_freed_memory() -> bool:
    """Make glibc reuse the memory of freed tensors instead of returning it; True if it agreed.

    By default every array of tens of MB is mapped anew, and the kernel clears it page by page: a
    third of a training step on the CPU. For the whole process and for good, so for entry points and
    worker processes only.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_MAX, 0) and libc.mallopt(_M_TRIM_THRESHOLD, -1))
