"""Which instruction sets this machine and its system allow, and how many threads are useful."""

import math
import os
import sys
from pathlib import Path

cdef extern from *:
    """
    #if defined(_M_X64) || defined(_M_IX86) || defined(__x86_64__) || defined(__i386__)
    #define LG_X86
    #ifdef _MSC_VER
    #include <intrin.h>
    static void lg_cpuid(int leaf, int sub, unsigned r[4]) { __cpuidex((int *)r, leaf, sub); }
    static unsigned long long lg_xcr0(void) { return _xgetbv(0); }
    #else
    #include <cpuid.h>
    static void lg_cpuid(int leaf, int sub, unsigned r[4]) {
        __cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
    }
    static unsigned long long lg_xcr0(void) {
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return ((unsigned long long)high << 32) | low;
    }
    #endif
    #else
    static void lg_cpuid(int leaf, int sub, unsigned r[4]) { r[0] = r[1] = r[2] = r[3] = 0; }
    static unsigned long long lg_xcr0(void) { return 0; }
    #endif

    #if defined(__aarch64__) || defined(_M_ARM64)
    #define LG_NEON 1
    #if defined(__linux__)
    #include <sys/auxv.h>  /* HWCAP_ASIMDHP, HWCAP_ASIMDDP */
    static int lg_neon_half(void) { return (getauxval(AT_HWCAP) >> 10) & 1; }
    static int lg_neon_dot(void) { return (getauxval(AT_HWCAP) >> 20) & 1; }
    #elif defined(_WIN32)
    #include <windows.h>  /* no flag for half arithmetic: in practice it comes with dotprod */
    static int lg_neon_dot(void) { return IsProcessorFeaturePresent(43) != 0; }
    static int lg_neon_half(void) { return lg_neon_dot(); }
    #else  /* every Apple processor with this architecture has both */
    static int lg_neon_half(void) { return 1; }
    static int lg_neon_dot(void) { return 1; }
    #endif
    #else
    #define LG_NEON 0
    static int lg_neon_half(void) { return 0; }
    static int lg_neon_dot(void) { return 0; }
    #endif

    #if defined(__linux__) && defined(__x86_64__)
    #include <sys/syscall.h>
    #include <unistd.h>     /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA */
    static int lg_may_use_tiles(void) { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }
    #else
    static int lg_may_use_tiles(void) { return 0; }
    #endif

    #ifdef _OPENMP
    #include <omp.h>
    #define LG_OPENMP 1
    #else
    #define LG_OPENMP 0
    #endif
    #if defined(_OPENMP) && defined(__GNUC__) && __GNUC__ >= 9 && !defined(__clang__)
    static void lg_pause(void) { omp_pause_resource_all(omp_pause_hard); }
    #else
    static void lg_pause(void) { }
    #endif
    """
    void lg_cpuid(int leaf, int sub, unsigned *registers) nogil
    unsigned long long lg_xcr0() nogil
    int lg_neon_half() nogil
    int lg_neon_dot() nogil
    int lg_may_use_tiles() nogil
    void lg_pause() nogil
    const bint LG_NEON
    const bint LG_OPENMP

OPENMP = bool(LG_OPENMP)

# Names of bits, as Linux spells them in /proc/cpuinfo (Intel SDM volume 2, CPUID).
LEAF_1_ECX = {"fma": 12, "avx": 28, "f16c": 29}
LEAF_7_EBX = {"avx2": 5, "bmi2": 8, "avx512f": 16, "avx512dq": 17, "avx512bw": 30, "avx512vl": 31}
LEAF_7_ECX = {"avx512_vnni": 11}
LEAF_7_EDX = {"amx_tile": 24, "amx_int8": 25}
LEAF_7_1_EAX = {"avx_vnni": 4}
OSXSAVE, YMM_STATE, ZMM_STATE, TILE_STATE = 1 << 27, 0x06, 0xE6, 0x60000  # what the system saves on a task switch

AVX2 = ("avx2", "fma", "f16c", "bmi2")
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", *AVX2)
NEEDS = {
    "amx": ("amx_tile", "amx_int8", *AVX512),
    "avx512": AVX512,
    "avxvnni": ("avx_vnni", *AVX2),
    "avx2": AVX2,
    "neon": ("neon", "asimddp", "asimdhp"),
    "generic": (),
}  # best first


def features():
    """Names of the vector instruction sets that processor and system allow, as a frozenset."""
    neon = {"neon": LG_NEON, "asimddp": lg_neon_dot(), "asimdhp": lg_neon_half()}
    return frozenset(x86_features()).union(name for name, there in neon.items() if there)


cdef list x86_features():
    top = cpuid(0, 0)[0]
    ecx1 = cpuid(1, 0)[2] if top else 0
    state = lg_xcr0() if ecx1 & OSXSAVE else 0
    if state & YMM_STATE != YMM_STATE:
        return []
    rows = [(LEAF_1_ECX, ecx1)]
    if top >= 7:
        leaf = cpuid(7, 0)
        rows += [(LEAF_7_EBX, leaf[1]), (LEAF_7_ECX, leaf[2])]
        if state & TILE_STATE == TILE_STATE and leaf[3] >> 24 & 1 and lg_may_use_tiles():  # Linux wants to be asked
            rows += [(LEAF_7_EDX, leaf[3])]
        rows += [(LEAF_7_1_EAX, cpuid(7, 1)[0] if leaf[0] else 0)]
    found = [name for bits, word in rows for name, bit in bits.items() if word >> bit & 1]
    zmm = state & ZMM_STATE == ZMM_STATE
    return [name for name in found if zmm or not name.startswith("avx512")]


cdef tuple cpuid(int leaf, int sub):
    cdef unsigned[4] registers
    lg_cpuid(leaf, sub, registers)
    return registers[0], registers[1], registers[2], registers[3]


def missing(isa):
    """What `isa` ("avx2", ...) needs and this machine lacks, a list; KeyError for no such name."""
    there = features()
    return [name for name in NEEDS[isa] if name not in there]


def pause_threads():
    """Ends the calling thread's OpenMP pool; the next parallel region starts a new one.

    A forked child inherits the pool's records but not its threads, and libgomp then waits
    for them forever (gcc bug 60035); so this runs before every fork. LLVM's runtime repairs
    itself in the child, and nothing is done for it here.
    """
    lg_pause()


def usable_threads():
    """Physical cores this process may run on, capped by a container's quota; at least 1.

    OMP_NUM_THREADS, where set, has the last word.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return max(1, min(physical_cores(), cgroup_quota())) if OPENMP else 1


def physical_cores():
    """Cores, not hyper-threads, in this process's affinity mask."""
    if not hasattr(os, "sched_getaffinity"):
        return performance_cores() if sys.platform == "darwin" else os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    return len({core_of(cpu) for cpu in cpus})


def core_of(cpu):
    """The hyper-threads that share a core with `cpu`, as Linux prints them; else `cpu` itself."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return read(path) or str(cpu)


def performance_cores():
    """macOS: efficiency cores would make every barrier wait for them."""
    import ctypes

    size, count = ctypes.c_size_t(4), ctypes.c_int(0)
    key, libc = b"hw.perflevel0.physicalcpu", ctypes.CDLL(None)
    failed = libc.sysctlbyname(key, ctypes.byref(count), ctypes.byref(size), None, 0)
    return (os.cpu_count() or 1) if failed else count.value


def cgroup_quota():
    """CPUs a container may use, rounded down (half a CPU late is a barrier late); else infinity."""
    group = next((s[3:] for s in read("/proc/self/cgroup").splitlines() if s[:3] == "0::"), "/")
    folder = Path("/sys/fs/cgroup", group.strip("/"))
    limits = [read(place / "cpu.max") for place in (folder, *folder.parents)]
    old = Path("/sys/fs/cgroup/cpu")
    limits.append(read(old / "cpu.cfs_quota_us") + " " + read(old / "cpu.cfs_period_us"))
    return min(map(cpus_of, limits))


def cpus_of(limit):
    """CPUs in a line "quota period", both in microseconds; "max" or -1 is no limit."""
    quota, _, period = limit.partition(" ")
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return math.inf
    return max(1, int(quota) // int(period))


def read(path):
    """A small system file's text, empty where it cannot be had."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
