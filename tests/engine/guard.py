"""Memory that ends, or starts, exactly at a page nobody may touch."""

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
PROT_NONE = 0


def guarded(n_bytes, end):
    """uint8 (n_bytes,) that ends (or starts) exactly at a forbidden page; others lie around it."""
    inner = max(1, -(-n_bytes // PAGE)) * PAGE
    region = mmap.mmap(-1, inner + 2 * PAGE)
    whole = np.frombuffer(region, dtype=np.uint8)
    for page in (0, PAGE + inner):
        protect(whole.ctypes.data + page)
    start = PAGE + inner - n_bytes if end else PAGE
    return whole[start : start + n_bytes]


def protect(address):
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), PROT_NONE) == 0
