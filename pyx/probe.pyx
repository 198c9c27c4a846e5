"""What a machine gives at best, for benchmarks: bytes read and FP32 multiply-adds per second.

Loops with nothing in them but loads, or multiply-adds, in the vectors of an instruction set.
"""
from cython.parallel cimport parallel, threadid
from libc.stdint cimport uint8_t, uint64_t

from llama_gguf.engine.team cimport now, team_size

cdef extern from * nogil:
    """
    #include <stddef.h>
    #include <stdint.h>
    #if defined(__GNUC__)
    #if defined(__x86_64__)
    #define LG_WITH(flags) __attribute__((target(flags)))
    #else
    #define LG_WITH(flags)
    #endif
    #define LG_STREAMS 8
    /* `chains` independent sums hide the latency of a multiply-add, fit the registers, and are
       few enough (16) that gcc keeps them there. */
    #define LG_PROBE(isa, with, bytes, chains, FMA) \\
        typedef float isa##_floats __attribute__((vector_size(bytes))); \\
        typedef uint64_t isa##_words __attribute__((vector_size(bytes), aligned(8), may_alias)); \\
        with static float isa##_multiply(ptrdiff_t rounds, float x, float y) { \\
            isa##_floats sum[chains], all = {0}, a = all + x, b = all + y; \\
            for (int j = 0; j < chains; j++) sum[j] = all + (float)j; \\
            for (ptrdiff_t i = 0; i < rounds; i++) \\
                for (int j = 0; j < chains; j++) sum[j] = FMA(sum[j], a, b); \\
            for (int j = 0; j < chains; j++) all += sum[j]; \\
            return all[0]; } \\
        with static uint64_t isa##_read(const uint8_t *from, ptrdiff_t n) { \\
            isa##_words sum[LG_STREAMS] = {{0}}, all = {0}; \\
            for (ptrdiff_t i = 0; i + LG_STREAMS * bytes <= n; i += LG_STREAMS * bytes) \\
                for (int j = 0; j < LG_STREAMS; j++) \\
                    sum[j] ^= *(const isa##_words *)(from + i + j * bytes); \\
            for (int j = 0; j < LG_STREAMS; j++) all ^= sum[j]; \\
            return all[0] ^ all[1]; }
    #define LG_TWO(a, b, c) ((a) * (b) + (c))
    LG_PROBE(generic, , 16, 12, LG_TWO)
    #if defined(__x86_64__)
    #include <immintrin.h>
    LG_PROBE(avx2, LG_WITH("avx2,fma"), 32, 12, _mm256_fmadd_ps)
    LG_PROBE(avx512, LG_WITH("avx512f,prefer-vector-width=512"), 64, 12, _mm512_fmadd_ps)
    #elif defined(__aarch64__)
    #include <arm_neon.h>
    #define LG_NEON_FMA(a, b, c) vfmaq_f32(c, a, b)
    LG_PROBE(neon, , 16, 16, LG_NEON_FMA)
    #endif
    #else  /* no vectors without GNU C: one float at a time, which understates the machine */
    static float generic_multiply(ptrdiff_t rounds, float x, float y) {
        float sum[4] = {0, 1, 2, 3};
        for (ptrdiff_t i = 0; i < rounds; i++)
            for (int j = 0; j < 4; j++) sum[j] = sum[j] * x + y;
        return sum[0] + sum[1] + sum[2] + sum[3]; }
    static uint64_t generic_read(const uint8_t *from, ptrdiff_t n) {
        const uint64_t *word = (const uint64_t *)from;
        uint64_t sum = 0;
        for (ptrdiff_t i = 0; i < n / 8; i++) sum ^= word[i];
        return sum; }
    #endif

    typedef struct {
        const char *isa;
        int per_round;                      /* sums of products that one round makes */
        float (*multiply)(ptrdiff_t, float, float);
        uint64_t (*read)(const uint8_t *, ptrdiff_t);
    } Probe;
    static const Probe lg_probes[] = {
    #if !defined(__GNUC__)
        {"generic", 4, generic_multiply, generic_read},
    #else
        {"generic", 4 * 12, generic_multiply, generic_read},
    #if defined(__x86_64__)
        {"avx2", 8 * 12, avx2_multiply, avx2_read},
        {"avx512", 16 * 12, avx512_multiply, avx512_read},
    #elif defined(__aarch64__)
        {"neon", 4 * 16, neon_multiply, neon_read},
    #endif
    #endif
    };
    #define LG_PROBES (int)(sizeof(lg_probes) / sizeof(lg_probes[0]))
    """
    ctypedef struct Probe:
        const char* isa
        int per_round
        float (*multiply)(Py_ssize_t rounds, float x, float y) noexcept nogil
        uint64_t (*read)(const uint8_t* begin, Py_ssize_t n) noexcept nogil
    const Probe* lg_probes
    const int LG_PROBES

cdef enum:
    MOST = 1024          # threads


cdef struct Work:
    const Probe* probe
    const uint8_t* data
    Py_ssize_t amount        # bytes to read in all, or rounds of each thread
    uint64_t read[MOST]      # results, so that no compiler leaves the loops out
    float sums[MOST]


ISAS = tuple(lg_probes[i].isa.decode() for i in range(LG_PROBES))


cdef const Probe* probe_of(str isa) except NULL:
    if isa not in ISAS:
        raise ValueError(f"this build has no probe for {isa!r}")
    cdef int i = ISAS.index(isa)
    return &lg_probes[i]


cdef void read_share(Work* w, int tid, int team) noexcept nogil:
    cdef Py_ssize_t lines = w.amount // 64, lo = lines * tid // team, hi = lines * (tid + 1) // team
    w.read[tid] = w.probe.read(w.data + 64 * lo, 64 * (hi - lo))


cdef double team_seconds(Work* w, bint reading, int n_threads) noexcept nogil:
    cdef double begin = now()
    cdef int tid = 0
    with parallel(num_threads=n_threads):
        tid = threadid()
        if reading:
            read_share(w, tid, team_size())
        else:
            w.sums[tid] = w.probe.multiply(w.amount, <float>0.9, <float>(0.1 + tid))
    return now() - begin


def read_seconds(const uint8_t[::1] data, int n_threads, str isa="generic"):
    """Seconds in which `n_threads` read `data` once, each a share of it."""
    cdef Work w
    w.probe, w.data, w.amount = probe_of(isa), &data[0], data.shape[0]
    with nogil:
        seconds = team_seconds(&w, True, min(n_threads, <int>MOST))
    return seconds


def multiply_seconds(Py_ssize_t rounds, int n_threads, str isa="generic"):
    """(seconds, operations) of `rounds` on each of `n_threads`; a multiply-add counts as two."""
    cdef Work w
    w.probe, w.amount = probe_of(isa), rounds
    with nogil:
        seconds = team_seconds(&w, False, min(n_threads, <int>MOST))
    return seconds, 2 * rounds * w.probe.per_round * n_threads
