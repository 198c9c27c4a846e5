"""How long a conversion takes and how much memory it needs: python -m benchmarks.convert_folder DIR [TYPE ...]

Prints a line of JSON for each type: seconds and the largest resident memory, with and without pages of mapped files
(Linux). A child process runs each conversion, so that imports count as they do on a command line.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD = """
import resource, sys, threading, time
from llama_gguf.convert import convert
most = [0]
def watch():
    while True:
        for line in open("/proc/self/status"):
            if line.startswith("RssAnon:"):
                most[0] = max(most[0], int(line.split()[1]))
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
convert(sys.argv[1], sys.argv[2], sys.argv[3], force=True)
print(most[0] / 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def main(folder, *types):
    with tempfile.TemporaryDirectory(dir=Path(folder).parent) as temp:
        for kind in types or ("BF16", "F16", "F32", "Q8_0"):
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", CHILD, folder, f"{temp}/out.gguf", kind], check=True,
                                  capture_output=True, text=True)
            own, resident = map(float, done.stdout.split())
            print(json.dumps({"type": kind, "seconds": round(time.perf_counter() - start, 2), "own_mb": round(own),
                              "resident_mb": round(resident)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
