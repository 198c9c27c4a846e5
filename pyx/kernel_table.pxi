# The kernels of the instruction set in use, for modules that bind them.
from cpython.pycapsule cimport PyCapsule_GetPointer


cdef const Kernels* kernel_table() except NULL:
    cdef const Kernels* table
    from llama_gguf import engine
    table = <const Kernels*>PyCapsule_GetPointer(engine.kernels().kernels(), "llama_gguf.Kernels")
    if table.abi != abi_size():
        raise ImportError("the compiled modules of llama-gguf come from different builds; install it again")
    return table


cdef const Format* format_of(const Kernels* k, int type_id) noexcept nogil:
    cdef int i
    for i in range(k.n_formats):
        if k.formats[i].type_id == type_id:
            return &k.formats[i]
    return NULL
