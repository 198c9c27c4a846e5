"""What this machine gives at best, measured beside the engines: read bandwidth and FP32 peak."""

import platform
from pathlib import Path

from benchmarks.measure import spread

BYTES = 256 << 20  # more than any cache of a desktop machine holds
ROUNDS = 200_000  # multiply-adds of each chain: some milliseconds


class Machine:
    """Takes figures now and then while other things run, so that they stand for the same time."""

    def __init__(self, threads, n_bytes=BYTES):
        import numpy as np

        from llama_gguf.engine import cpu, probe

        self.data = np.ones(n_bytes, np.uint8)
        self.isas = [isa for isa in probe.ISAS if not cpu.missing(isa)]
        self.found = {n: {"read": [], "peak": []} for n in threads}

    def sample(self):
        """One figure for each number of threads, the best that any instruction set here gives."""
        for n, found in self.found.items():
            found["read"].append(max(self.read(n, isa) for isa in self.isas))
            found["peak"].append(max(self.peak(n, isa) for isa in self.isas))

    def read(self, n_threads, isa):
        """GB/s of one sweep over memory."""
        from llama_gguf.engine import probe

        probe.read_seconds(self.data[: 1 << 20], n_threads, isa)  # wakes the team
        return self.data.nbytes / probe.read_seconds(self.data, n_threads, isa) / 1e9

    def peak(self, n_threads, isa):
        """GFLOP/s of FP32 multiply-adds."""
        from llama_gguf.engine import probe

        probe.multiply_seconds(ROUNDS // 20, n_threads, isa)
        seconds, operations = probe.multiply_seconds(ROUNDS, n_threads, isa)
        return operations / seconds / 1e9

    def figures(self):
        """{threads: {"read_gb_s", "peak_gflop_s"}} as spreads."""
        names = {"read": "read_gb_s", "peak": "peak_gflop_s"}
        return {
            n: {names[what]: spread(values) for what, values in found.items()}
            for n, found in self.found.items()
        }


def description():
    """Processor, cores, instruction set, versions: what figures must be told with."""
    import llama_gguf
    from llama_gguf import engine

    return {
        "processor": processor(),
        "cores": engine.cpu.physical_cores(),
        "instruction_set": engine.isa,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "llama-gguf": llama_gguf.__version__,
    }


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
