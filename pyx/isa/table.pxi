# The table of kernels that this instruction set hands to plan.pyx, as a capsule.
from cpython.pycapsule cimport PyCapsule_New

cdef Format formats[28]
cdef op_fn operations[96]     # by the numbers of KINDS in plan.pyx
cdef Kernels table


cdef void add_format(int type_id, int quantized, int block_cols, Py_ssize_t block_bytes, tile_fn tile,
                     pack_fn pack) noexcept:
    cdef Format* f = &formats[table.n_formats]
    f.type_id, f.quantized, f.block_cols, f.block_bytes = type_id, quantized, block_cols, block_bytes
    f.tile, f.pack = tile, pack
    table.n_formats += 1


cdef void add_spread(int type_id, spread_fn spread, spread_rows_fn rows) noexcept:
    cdef int i
    for i in range(table.n_formats):
        if formats[i].type_id == type_id:
            formats[i].spread, formats[i].spread_rows = spread, rows


cdef void add_formats() noexcept:
    """Type, 8-bit activations?, columns and bytes of a block of LANES rows, kernels."""
    add_format(0, 0, 1, 4 * LANES, tile_f32, pack_f32)
    add_format(1, 0, 1, 2 * LANES, tile_f16, pack_f16)
    add_format(30, 0, 1, 2 * LANES, tile_bf16, pack_f16)
    add_format(2, 1, 32, 18 * LANES, tile_q4_0, pack_q4_0)
    add_format(3, 1, 32, 20 * LANES, tile_q4_1, pack_q4_1)
    add_format(6, 1, 32, 22 * LANES, tile_q5_0, pack_q5_0)
    add_format(7, 1, 32, 24 * LANES, tile_q5_1, pack_q5_1)
    add_format(8, 1, 32, 34 * LANES, tile_q8_0, pack_q8_0)
    add_format(12, 1, 256, 148 * LANES, tile_q4_k, pack_q4_k)
    add_format(13, 1, 256, 180 * LANES, tile_q5_k, pack_q5_k)
    add_format(14, 1, 256, 210 * LANES, tile_q6_k, pack_q6_k)
    add_format(10, 1, 256, 84 * LANES, tile_q2_k, pack_q2_k)
    add_format(11, 1, 256, 114 * LANES, tile_q3_k, pack_q3_k)
    add_format(20, 1, 32, 18 * LANES, tile_iq4_nl, pack_q4_0)    # the layout of Q4_0, other values
    add_format(23, 1, 256, 138 * LANES, tile_iq4_xs, pack_iq4_xs)
    add_format(39, 1, 32, 17 * LANES, tile_mxfp4, pack_mxfp4)
    add_format(40, 1, 64, 36 * LANES, tile_nvfp4, pack_nvfp4)
    add_format(34, 1, 256, 66 * LANES, tile_tq2_0, pack_tq1_0)   # the same values, in two bits
    add_format(35, 1, 256, 66 * LANES, tile_tq2_0, pack_tq2_0)
    add_format(41, 1, 128, 18 * LANES, tile_q1_0, pack_q1_0)
    add_format(42, 1, 64, 18 * LANES, tile_q2_0, pack_q2_0)
    add_format(19, 1, 256, 70 * LANES, tile_iq1_s, pack_iq1_s)
    add_format(29, 1, 256, 82 * LANES, tile_iq1_m, pack_iq1_m)
    add_format(16, 1, 256, 102 * LANES, tile_iq2_xxs, pack_iq2_xxs)
    add_format(17, 1, 256, 106 * LANES, tile_iq2_xs, pack_iq2_xs)
    add_format(22, 1, 256, 106 * LANES, tile_iq2_xs, pack_iq2_s)
    add_format(18, 1, 256, 134 * LANES, tile_iq3_xxs, pack_iq3_xxs)
    add_format(21, 1, 256, 134 * LANES, tile_iq3_s, pack_iq3_s)


cdef void add_dense() noexcept:
    operations[20], operations[21], operations[22] = op_layer_norm, op_position, op_temper


cdef void add_experts() noexcept:
    cdef op_fn* o = operations
    o[40], o[41], o[42], o[43] = op_route, op_gate_probs, op_topk, op_gate_weights
    o[44], o[45], o[46] = op_experts, op_experts_gated, op_experts_sum
    o[47], o[48], o[49] = op_swiglu_oai, op_gate_shared, op_experts_scale


cdef void add_states() noexcept:
    cdef op_fn* o = operations
    o[57], o[58], o[59] = op_conv, op_scan, op_scan_heads
    o[60], o[61], o[62] = op_delta, op_l2_norm, op_softplus


def kernels():
    """A capsule of the Kernels struct of abi.pxd."""
    cdef int i = 0
    cdef op_fn* o = operations
    if table.n_formats == 0:
        set_points()
        add_formats()
        if SPREADS:
            add_spreads()
        o[0], o[1], o[2], o[3] = op_embed, op_copy, op_select, op_quantize
        o[4], o[5], o[6], o[7] = op_rms_norm, op_matmul, op_angles, op_rope
        o[8], o[9], o[10], o[11] = op_store, op_attend, op_merge, op_scores
        o[12], o[13], o[14], o[15] = op_softmax, op_mix, op_add, op_mul
        o[16], o[17], o[18], o[19] = op_scale, op_act, op_gated, op_gated_matmul
        add_dense()
        add_latent(o)
        add_streams(o)
        add_experts()
        add_states()
        table.lanes, table.formats, table.ops, table.n_ops = LANES, formats, operations, 96
        table.expander = dequantizer
        table.abi = abi_size()
    return PyCapsule_New(&table, "llama_gguf.Kernels", NULL)
