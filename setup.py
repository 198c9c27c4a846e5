"""The table of compiled modules and their flags; everything else is in pyproject.toml.

LLAMA_GGUF_NO_OPENMP=1 builds single-threaded, LLAMA_GGUF_REQUIRE_OPENMP=1 fails without OpenMP,
LLAMA_GGUF_DEBUG_BUILD=1 checks every index. Changing one needs build_ext --inplace --force.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

BASELINE = ("bpe", "cpu", "match", "merge", "panels", "plan", "probe", "quants", "sampler")
BASELINE += ("summary", "texts", "unigram", "walk")
X86, NEON = "#include <immintrin.h>\n", "#include <arm_neon.h>\n"
AVX2 = "-mavx2 -mfma -mf16c -mbmi2"
AVX512 = "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512"
ISAS = {  # name: (flags of gcc and clang, of MSVC, C that must compile with them)
    "generic": ("", "", "int x;"),
    "avx2": (AVX2, "/arch:AVX2", X86 + "__m256i f(__m256i a) { return _mm256_abs_epi8(a); }"),
    "avxvnni": (
        f"{AVX2} -mavxvnni -DLG_VNNI",
        "/arch:AVX2 /DLG_VNNI",
        X86 + "__m256i f(__m256i a) { return _mm256_dpbusd_avx_epi32(a, a, a); }",
    ),
    "avx512": (
        f"{AVX2} {AVX512}",
        "/arch:AVX512",
        X86 + "__m512i f(__m512i a) { return _mm512_dpbusd_epi32(a, a, a); }",
    ),
    "amx": (
        f"{AVX2} {AVX512} -mamx-tile -mamx-int8 -DLG_AMX",
        "/nothing",  # its compiler takes no assembler
        "#ifndef __linux__\n#error\n#endif\n" + 'void f(void) { __asm__("tdpbssd %tmm2, %tmm1, %tmm0"); }',
    ),
    "neon": (
        "-march=armv8.2-a+dotprod+fp16",
        "",
        NEON + "int32x4_t f(int32x4_t a, int8x16_t b) { return vdotq_s32(a, b, b); }",
    ),
}
DEBUG = os.environ.get("LLAMA_GGUF_DEBUG_BUILD") == "1"
COMMON = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]  # no hidden FMA: same bits everywhere
COMMON += ["-g" if DEBUG else "-g0"]
INLINE = ["-DCYTHON_INLINE=inline __attribute__((always_inline))", "-fno-semantic-interposition"]
UNROLL = ["--param=max-completely-peeled-insns=4000", "--param=max-completely-peel-times=32"]
OPENMP = {  # compiler: (compile flags, link flags), first that works
    "unix": [(["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])],
    "msvc": [(["/openmp"], [])],
}
SHARED = "llama_gguf.engine._cyutility"  # Cython's memoryview code, once for all modules
DIRECTIVES = {"language_level": 3, "cdivision": True, "embedsignature": True}
DIRECTIVES |= dict.fromkeys(("boundscheck", "wraparound", "initializedcheck"), DEBUG)
DIRECTIVES |= {"freethreading_compatible": True}


@contextlib.contextmanager
def silence():
    """A probe may fail; the compiler's complaint about it would only alarm."""
    with open(os.devnull, "w") as void, os.fdopen(os.dup(1)) as out, os.fdopen(os.dup(2)) as err:
        os.dup2(void.fileno(), 1), os.dup2(void.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)


class BuildEngine(build_ext):
    """Probes the compiler at hand, drops what it refuses, then translates and compiles."""

    def build_extensions(self):
        if not self.compiles("#include <Python.h>"):
            raise SystemExit(
                "llama-gguf needs a C compiler and Python's headers: "
                "`apt install gcc python3-dev`, `xcode-select --install` or Visual Studio"
            )
        flags, self.link_flags = self.base_flags()
        self.extensions = [ext for ext in self.extensions if self.set_flags(ext, flags)]
        self.translate()
        self.parallel = self.parallel or min(4, os.cpu_count() or 1)
        super().build_extensions()

    def compiles(self, program, flags=(), link=None):
        with tempfile.TemporaryDirectory() as folder, silence():
            Path(folder, "probe.c").write_text(program + "\n")
            source, include = [f"{folder}/probe.c"], self.include_dirs
            try:
                objects = self.compiler.compile(
                    source, folder, include_dirs=include, extra_postargs=list(flags)
                )
                if link is not None:
                    self.compiler.link_executable(objects, "probe", folder, extra_postargs=link)
            except (CompileError, LinkError):
                return False
        return True

    def base_flags(self):
        self.kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        omp, link = self.openmp()
        if self.kind == "msvc":
            return ["/O2", *omp], link
        return [flag for flag in COMMON if self.compiles("int x;", [flag])] + omp, link

    def openmp(self):
        program = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }"
        if os.environ.get("LLAMA_GGUF_NO_OPENMP") == "1":
            return [], []
        for flags, link in OPENMP[self.kind]:
            if self.compiles(program, flags, link):
                return flags, link
        if os.environ.get("LLAMA_GGUF_REQUIRE_OPENMP") == "1":
            raise SystemExit("LLAMA_GGUF_REQUIRE_OPENMP=1, but this compiler has no OpenMP")
        print("warning: this compiler has no OpenMP; llama-gguf will use one thread")
        return [], []

    def set_flags(self, ext, flags):
        """False if `ext` is for an instruction set that this compiler does not know."""
        ext.extra_compile_args, ext.extra_link_args = flags, self.link_flags
        name = ext.name.rpartition(".")[2].removeprefix("quantize_")
        if name not in ISAS:
            return True
        gnuc, msvc, program = ISAS[name]
        own = (msvc if self.kind == "msvc" else gnuc).split()
        gnu = own and self.compiles("#ifndef __GNUC__\n#error\n#endif")  # generic vectors are arrays: minutes to unroll
        inline = INLINE if gnu else []
        unroll = UNROLL if gnu and self.compiles("#ifdef __clang__\n#error\n#endif") else []
        ext.extra_compile_args = flags + inline + unroll + own
        return self.compiles(program, own)

    def translate(self):
        """Cython runs here, not on import of setup.py: an sdist holds .pyx files and no C."""
        translated = cythonize(
            [Extension(ext.name, ext.sources) for ext in self.extensions],
            include_path=["pyx", "pyx/isa", "."],
            compiler_directives=DIRECTIVES,
            shared_utility_qualified_name=SHARED,
            build_dir="build/cython-debug" if DEBUG else "build/cython",
            annotate=os.environ.get("LLAMA_GGUF_ANNOTATE") == "1",
            force=self.force or None,
        )
        for ext, done in zip(self.extensions, translated, strict=True):
            ext.sources, ext.depends = done.sources, ["setup.py"]


sources = {name: f"pyx/{name}.pyx" for name in BASELINE} | {n: f"pyx/isa/{n}.pyx" for n in ISAS}
sources |= {f"quantize_{n}": f"pyx/isa/quantize_{n}.pyx" for n in ISAS}
sources = {name: source for name, source in sources.items() if os.path.exists(source)}
modules = [Extension(f"llama_gguf.engine.{name}", [source]) for name, source in sources.items()]
shared = Extension(SHARED, [SHARED.replace(".", "/") + ".c"])
setup(ext_modules=[*modules, shared], cmdclass={"build_ext": BuildEngine})
