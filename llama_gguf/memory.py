"""How much memory there is, and what a model takes of it."""

import os
from pathlib import Path

from .cache import MARKS, PAGE, head_bytes, padded

SHARE = 0.25  # of the free memory that a context may take when nobody asked for its size
LEAST = 512


def available():
    """Bytes that this process may still take: the machine's, or its container's limit if that is less."""
    free = _machine()
    for folder, limit, used in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        if most := _number(f"{folder}/{limit}"):
            free = min(free, most - _number(f"{folder}/{used}") + _file_pages(folder))
    return free


def _file_pages(folder):
    """Bytes of cached files (a model that was read is one), which the kernel gives back when memory is short."""
    try:
        lines = Path(folder, "memory.stat").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    except (OSError, StopIteration, ValueError):
        return 0


def _machine():
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError):
        return 4 << 30


def _number(path):
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return 0


def fits(n_bytes):
    """Is there room for a packed copy of the weights?"""
    return n_bytes * 1.15 < available()


def bytes_per_position(caches, kv_type="F16"):
    """Of the layers whose cache grows with the context."""
    return sum(
        spec.heads * sum(head_bytes(kv_type, spec))
        for spec in caches.values()
        if not spec.window
    )


def bytes_of_states(states):
    """Of one sequence, whatever its length."""
    return sum(4 * padded(spec.size) for spec in states.values())


def context(h, caches, kv_type="F16", states=None):
    """The model's own context, or as much of it as a share of the free memory holds."""
    each, fixed = max(1, bytes_per_position(caches, kv_type)), (1 + MARKS) * bytes_of_states(states or {})
    return max(min(h.context, LEAST), min(h.context, int((available() - fixed) * SHARE / each) // PAGE * PAGE))
