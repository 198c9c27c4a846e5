"""The plan of a forward pass: bound records, run by one team of threads with barriers between them.

Python binds each record once; a step is one call. Addresses come from the planner, which keeps their owners alive in
`Plan.owners` and has checked every shape: below this line nothing can fail.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport parallel, threadid
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from llama_gguf.engine.abi cimport *
from llama_gguf.engine.team cimport Barrier, now, team_size, team_wait

from llama_gguf.engine.panels import compute

KINDS = {name: first + i for first, names in {  # the order of operations in table.pxi
    0: "embed copy select quantize rms_norm matmul angles rope store attend merge scores softmax mix add mul scale act "
       "gated gated_matmul",
    20: "layer_norm position temper",
    40: "route gate_probs topk gate_weights experts experts_gated experts_sum swiglu_oai gate_shared "
        "experts_scale",
    57: "conv scan scan_heads delta l2_norm softplus",
    68: "heads_part heads_join heads_matmul",
    80: "combine match_rms sparse",
}.items() for i, name in enumerate(names.split())}
KINDS["input"] = KINDS["copy"]  # from the caller's array
PAGE_SIZE, KEY_TILE = PAGE, KEYS
EXPERT_ROWS = GATHERED
UNIT_ROWS, SPLIT = ROOM, (SPLIT_TOKENS, SPAN)
SLICE_SECONDS = 0.03         # how long a team works before Python may look for an interrupt


include "kernel_table.pxi"


cdef struct Team:            # what the threads of one run share
    const Op* ops
    const Step* step
    Barrier barrier
    int stop                 # first record that is not to run
    int reached              # where the team left off
    double deadline
    double* seconds          # of each record, or NULL
    Py_ssize_t n_threads


cdef void work(Team* team, int start, int tid, int size) noexcept nogil:
    """Run records from `start`; leave at a barrier when time is up, so that all threads leave together."""
    cdef int i = start, waits = 0
    cdef double begin = now() if tid == 0 else 0, end
    while i < team.stop:
        if team.ops[i].barrier or team.seconds != NULL:
            waits += 1
            if tid == 0 and i > start and team.seconds == NULL and waits % 4 == 0 and now() > team.deadline:
                team.reached = i
            team_wait(&team.barrier, size)
            if team.reached == i and i > start:
                return
            if tid == 0 and team.seconds != NULL:
                end = now()
                if i > start:
                    team.seconds[i - 1] += end - begin
                begin = end
        team.ops[i].run(&team.ops[i], team.step, tid, size)
        i += 1
    if team.seconds != NULL:
        team_wait(&team.barrier, size)
        if tid == 0:
            team.seconds[i - 1] += now() - begin
    if tid == 0:
        team.reached = team.stop


cdef class Plan:
    """Bound records. `add_*` while it is built, `run` for each step; see planner.py for what goes in."""
    cdef Op* ops
    cdef Matrix** matrices
    cdef Cache** caches
    cdef double* seconds
    cdef Step step
    cdef const Kernels* kernels
    cdef int n_ops, n_matrices, n_caches, in_op, out_op
    cdef public int n_threads
    cdef public list owners
    cdef readonly tuple lists    # int32 token, position, wanted, run_start, run_seq: a step is written here
    cdef readonly int capacity
    cdef int32_t[::1] token, position, wanted, run_start, run_seq

    def __cinit__(self, int capacity, int n_threads):
        import numpy as np
        self.kernels = kernel_table()
        self.capacity, self.n_threads, self.owners = capacity, n_threads, []
        self.in_op = self.out_op = -1
        self.lists = tuple(np.zeros(capacity + (name == "run_start"), np.int32)
                           for name in ("token", "position", "wanted", "run_start", "run_seq"))
        self.token, self.position, self.wanted, self.run_start, self.run_seq = self.lists

    def __dealloc__(self):
        cdef int i
        for i in range(self.n_matrices):
            free(self.matrices[i])
        for i in range(self.n_caches):
            free(self.caches[i])
        free(self.matrices)
        free(self.caches)
        free(self.ops)
        free(self.seconds)

    def __len__(self):
        return self.n_ops

    def add_matrix(self, size_t data, Py_ssize_t stride, Py_ssize_t next, int rows, int cols, int type_id, bint packed,
                   bint exact):
        """A weight: packed panels `stride` bytes apart, or the file's rows; experts `next` bytes apart.
        Returns (number, room).

        `exact`: rows are dequantized when they are used and meet float activations. `room`: bytes of scratch a thread.
        """
        cdef Matrix* m = <Matrix*>calloc(1, sizeof(Matrix))
        cdef const Format* f = format_of(self.kernels, 0 if exact else type_id)
        cdef Matrix** grown = <Matrix**>realloc(self.matrices, (self.n_matrices + 1) * sizeof(Matrix*))
        if m == NULL or grown == NULL:
            free(m)
            raise MemoryError
        self.matrices = grown
        m.data, m.stride, m.rows, m.cols, m.tile = <const uint8_t*>data, stride, rows, cols, f.tile
        m.next = next
        m.panel, m.quantized = cols // f.block_cols * f.block_bytes, f.quantized
        if packed:
            m.spread, m.spread_rows = f.spread, f.spread_rows
        else:
            m.pack = f.pack
        if exact:
            m.expand = self.kernels.expander(type_id)
        self.matrices[self.n_matrices] = m
        self.n_matrices += 1
        return self.n_matrices - 1, 0 if packed else m.panel + exact * 4 * self.kernels.lanes * cols

    def add_cache(self, size_t k, size_t v, size_t table, int pages_per_seq, int heads, int k_dim, int v_dim, int v_pad,
                  int kind):
        """The KV cache of one layer; returns its number."""
        cdef Cache* c = <Cache*>calloc(1, sizeof(Cache))
        cdef Cache** grown = <Cache**>realloc(self.caches, (self.n_caches + 1) * sizeof(Cache*))
        if c == NULL or grown == NULL:
            free(c)
            raise MemoryError
        self.caches = grown
        c.k, c.v, c.table, c.pages_per_seq = <uint8_t*>k, <uint8_t*>v, <const int32_t*>table, pages_per_seq
        c.heads, c.k_dim, c.v_dim, c.v_pad, c.kind = heads, k_dim, v_dim, v_pad, kind
        self.caches[self.n_caches] = c
        self.n_caches += 1
        return self.n_caches - 1

    def add(self, str kind, int width, *, bint barrier=True, bint wanted=False, int terms=1, tuple n=(), tuple f=(),
            dst=(0, 0), a=(0, 0), b=(0, 0), c=(0, 0), d=(0, 0), e=(0, 0), q=(0, 0), raw=(0, 0), size_t gain=0,
            size_t bias=0, int matrix=-1, int other=-1, int cache=-1, scratch=(0, 0), int expand=-1):
        """One record; buffers are (address, stride), strides in floats (bytes for q and raw)."""
        cdef Op* grown = <Op*>realloc(self.ops, (self.n_ops + 1) * sizeof(Op))
        cdef Op* op
        if grown == NULL:
            raise MemoryError
        self.ops = grown
        op = &self.ops[self.n_ops]
        memset(op, 0, sizeof(Op))
        op.run, op.barrier, op.wanted, op.width = self.kernels.ops[<int>KINDS[kind]], barrier, wanted, width
        op.terms = terms
        for i, value in enumerate(n):
            op.n[<int>i] = value
        for i, value in enumerate(f):
            op.f[<int>i] = value
        op.dst, op.dst_stride = <float*><size_t>dst[0], dst[1]
        op.a, op.a_stride = <float*><size_t>a[0], a[1]
        op.b, op.b_stride = <float*><size_t>b[0], b[1]
        op.c, op.c_stride = <float*><size_t>c[0], c[1]
        op.d, op.d_stride = <float*><size_t>d[0], d[1]
        op.e, op.e_stride = <float*><size_t>e[0], e[1]
        op.q, op.q_stride = <uint8_t*><size_t>q[0], q[1]
        op.raw, op.raw_stride = <uint8_t*><size_t>raw[0], raw[1]
        op.gain, op.bias = <float*>gain, <float*>bias
        op.scratch, op.scratch_stride = <float*><size_t>scratch[0], scratch[1]
        # matrices and caches are allocated one by one: their addresses stay
        op.matrix = self.matrices[matrix] if matrix >= 0 else NULL
        op.other = self.matrices[other] if other >= 0 else NULL
        op.cache = self.caches[cache] if cache >= 0 else NULL
        op.expand = self.kernels.expander(expand) if expand >= 0 else NULL
        self.n_ops += 1
        return self.n_ops - 1

    def set_ends(self, int in_op, int out_op):
        """The records whose input, or output, is the caller's array (-1: none)."""
        self.in_op, self.out_op = in_op, out_op

    def run(self, int n_tokens, int n_wanted, int n_runs, float[:, ::1] out, const float[:, ::1] residual=None,
            int start=0, int stop=-1):
        """Run records start ... stop of one step, whose lists stand in `lists`. Raises KeyboardInterrupt.

        out: float32 (rows, width) that receives logits or residuals; residual: (n_tokens, width) instead of tokens.
        """
        cdef Team team
        cdef int begin, size = self.n_threads
        memset(&team, 0, sizeof(team))
        self.step.n_tokens, self.step.n_wanted, self.step.n_runs = n_tokens, n_wanted, n_runs
        self.step.token, self.step.position, self.step.wanted = &self.token[0], &self.position[0], &self.wanted[0]
        self.step.run_start, self.step.run_seq = &self.run_start[0], &self.run_seq[0]
        if self.out_op >= 0 and out is not None and out.shape[0]:
            self.ops[self.out_op].dst, self.ops[self.out_op].dst_stride = &out[0, 0], out.shape[1]
        if self.in_op >= 0 and residual is not None:
            self.ops[self.in_op].a, self.ops[self.in_op].a_stride = &residual[0, 0], residual.shape[1]
        team.ops, team.step, team.seconds = self.ops, &self.step, self.seconds
        team.stop = self.n_ops if stop < 0 else stop
        team.reached = start
        with compute:
            while team.reached < team.stop:
                begin, team.reached = team.reached, -1
                team.deadline = now() + <double>SLICE_SECONDS
                with nogil:
                    if size == 1:
                        work(&team, begin, 0, 1)
                    else:
                        run_team(&team, begin, size)
                PyErr_CheckSignals()

    def time(self, bint on):
        """Begin (True) or end measuring each record; ending returns the seconds of each since the beginning."""
        import numpy as np
        result = None
        if self.seconds != NULL:
            result = np.array([self.seconds[i] for i in range(self.n_ops)])
            free(self.seconds)
            self.seconds = NULL
        if on:
            self.seconds = <double*>calloc(self.n_ops, sizeof(double))
        return result


cdef void run_team(Team* team, int begin, int size) noexcept nogil:
    with parallel(num_threads=size):
        work(team, begin, threadid(), team_size())
