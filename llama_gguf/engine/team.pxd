"""A team of threads inside one parallel region: its size, and a barrier that spins first and sleeps then."""
cdef extern from * nogil:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define team_size() omp_get_num_threads()
    #else
    #define team_size() 1
    #endif
    #include <time.h>
    typedef struct { int arrived; char apart[60]; int phase; char more[60]; int sleepers; char rest[60]; } Barrier;
    #if defined(__GNUC__)
    #if defined(__linux__)
    #include <limits.h>
    #include <linux/futex.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static void sleep_while(int *p, int value) { syscall(SYS_futex, p, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0); }
    static void wake_all(int *p) { syscall(SYS_futex, p, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0); }
    #else
    #include <sched.h>
    #define sleep_while(p, value) sched_yield()
    #define wake_all(p)
    #endif
    #if defined(__x86_64__) || defined(__i386__)
    #define relax() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define relax() __asm__ volatile("yield")
    #else
    #define relax()
    #endif
    static void team_wait(Barrier *b, int team) {
        if (team == 1) return;
        int phase = __atomic_load_n(&b->phase, __ATOMIC_RELAXED);
        if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_ACQ_REL) == team) {
            __atomic_store_n(&b->arrived, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&b->phase, phase + 1, __ATOMIC_SEQ_CST);
            if (__atomic_load_n(&b->sleepers, __ATOMIC_SEQ_CST)) wake_all(&b->phase);
            return;
        }
        for (int spins = 0; spins < 2000; spins++) {
            if (__atomic_load_n(&b->phase, __ATOMIC_ACQUIRE) != phase) return;
            relax();
        }
        __atomic_add_fetch(&b->sleepers, 1, __ATOMIC_SEQ_CST);   /* somebody else has the other's core */
        while (__atomic_load_n(&b->phase, __ATOMIC_SEQ_CST) == phase) sleep_while(&b->phase, phase);
        __atomic_sub_fetch(&b->sleepers, 1, __ATOMIC_SEQ_CST);
    }
    #elif defined(_OPENMP)
    static void team_wait(Barrier *b, int team) {
        #pragma omp barrier
    }
    #else
    #define team_wait(b, team)
    #endif
    #if defined(_WIN32)
    static double now(void) { return (double)clock() / CLOCKS_PER_SEC; }
    #else
    static double now(void) {
        struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
    #endif
    """
    ctypedef struct Barrier:
        int arrived
        int phase
    int team_size()
    void team_wait(Barrier*, int team)
    double now()
