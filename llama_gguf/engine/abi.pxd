"""What two compiled modules must agree on: records, steps, matrices, caches. Declarations only."""
from libc.stdint cimport int32_t, uint8_t

cdef enum:
    PAGE = 64            # positions of one page of the KV cache
    KEYS = 16            # keys of one interleaved tile inside a page
    BLOCK = 32           # columns that share one activation scale
    MAX_HEAD = 1024      # widest attention head
    MAX_TAPS = 64        # of a convolution over tokens
    ROOM = 32            # query rows (token, head) of one unit of attention
    SPLIT_TOKENS = 16    # steps of so few tokens split each sequence by position too
    SPAN = 128           # positions of one such part
    GATHERED = 64        # rows of activations that one expert of a mixture takes at a time

cdef struct Scale:       # of one block of 8-bit activations: value = d * code
    float d
    float sum            # of the 32 codes, a whole number
    float low            # of the first 16 codes
    float high           # of the last 16 codes
    int32_t less[4]      # the sums with their sign turned, as products start from them: of all codes, first and last 16

cdef struct Step:        # what one forward pass is asked to do
    int n_tokens
    int n_wanted
    int n_runs
    const int32_t* token      # (n_tokens,)
    const int32_t* position   # (n_tokens,)
    const int32_t* wanted     # (n_wanted,) rows whose logits are wanted
    const int32_t* run_start  # (n_runs + 1,) neighbours of one sequence at consecutive positions
    const int32_t* run_seq    # (n_runs,)

ctypedef void (*tile_fn)(const uint8_t* panel, int cols, const uint8_t* x, const Scale* scales, Py_ssize_t stride,
                         int tokens, float* y) noexcept nogil
ctypedef void (*pack_fn)(const uint8_t* rows, Py_ssize_t row_bytes, int n_rows, int cols,
                         uint8_t* panel) noexcept nogil
ctypedef void (*expand_fn)(const void* row, float* out, Py_ssize_t n) noexcept nogil
ctypedef void (*spread_fn)(const uint8_t* panel, int cols, int number, void* spread) noexcept nogil
ctypedef void (*spread_rows_fn)(const void* spread, int blocks, const uint8_t* x, const Scale* scales,
                                Py_ssize_t stride, int rows, bint first, float* y) noexcept nogil

cdef struct Matrix:      # a weight, (rows, cols)
    const uint8_t* data
    Py_ssize_t stride        # bytes from panel to panel; from row to row if it is not packed
    Py_ssize_t panel         # bytes of a panel
    Py_ssize_t next          # bytes from one expert's matrix to the next one's
    int rows
    int cols
    int quantized            # 1: activations in 8 bits, 0: in float
    tile_fn tile             # multiplies one panel with some tokens
    spread_fn spread         # unpacks one panel of a group, for many tokens; or NULL
    spread_rows_fn spread_rows
    pack_fn pack             # NULL: data holds panels; else makes one panel of LANES rows when it is needed
    expand_fn expand         # not NULL: rows are dequantized into a float panel first

cdef struct Cache:       # keys and values of one layer; pages are shared by all sequences (layouts: cache.pxi)
    uint8_t* k               # (page, kv_head, PAGE / KEYS, one tile of keys)
    uint8_t* v               # (page, kv_head, PAGE values); NULL: the first v_dim of a key are its value
    const int32_t* table     # (sequence, pages_per_seq): the page of each PAGE positions
    int pages_per_seq
    int heads
    int k_dim
    int v_dim
    int v_pad                # v_dim rounded up to KEYS
    int kind                 # id of F32, F16, Q8_0 or Q4_0

cdef struct Op

ctypedef void (*op_fn)(const Op* op, const Step* step, int tid, int team) noexcept nogil

cdef struct Op:          # one record of a plan, bound to its buffers
    op_fn run
    int barrier              # wait for the team before this record
    int wanted               # rows: 0 one per token, 1 one per wanted row of logits
    int width                # floats of one row of dst
    int terms                # 8-bit rows that make or read one row of activations: 1, or 2 for 16 bits
    int n[8]                 # small integers: heads, dimensions, ... (see ops.pxi)
    float f[4]               # small numbers: eps, scale, ...
    float* dst
    const float* a
    const float* b
    const float* c
    const float* d
    const float* e
    Py_ssize_t dst_stride    # floats from row to row
    Py_ssize_t a_stride
    Py_ssize_t b_stride
    Py_ssize_t c_stride
    Py_ssize_t d_stride
    Py_ssize_t e_stride
    uint8_t* q               # 8-bit copy of dst, or NULL
    Py_ssize_t q_stride      # bytes
    const uint8_t* raw       # bytes of a table (embeddings)
    Py_ssize_t raw_stride
    expand_fn expand
    const float* gain
    const float* bias
    const Matrix* matrix
    const Matrix* other      # up, where matrix is gate
    const Cache* cache
    float* scratch           # room of each thread, or states of each sequence, scratch_stride floats apart
    Py_ssize_t scratch_stride

cdef struct Format:      # how one tensor type is multiplied: one row of the kernel table
    int type_id
    int quantized            # 1: activations in 8 bits, 0: in float
    Py_ssize_t block_cols    # columns of one block of the panel
    Py_ssize_t block_bytes   # bytes of one block of the panel, all LANES rows
    tile_fn tile
    pack_fn pack
    spread_fn spread         # or NULL
    spread_rows_fn spread_rows

cdef struct Kernels:     # everything that an instruction set brings
    size_t abi               # sizes of the structs above: modules of different builds must not meet
    int lanes
    const Format* formats
    int n_formats
    const op_fn* ops
    int n_ops
    expand_fn (*expander)(int type_id) noexcept nogil


cdef inline size_t abi_size() noexcept nogil:
    return sizeof(Op) + 1000 * sizeof(Step) + 1000000 * (sizeof(Matrix) + sizeof(Cache)) + 1000000000 * sizeof(Format)
