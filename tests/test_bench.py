import subprocess
import sys

SMALL = "from kdphys.bench import peak_rss_mb; print(peak_rss_mb())"
LARGE = f"""
import subprocess, sys
from kdphys.bench import peak_rss_mb
held = bytearray(300 << 20)
held[::4096] = b"x" * len(held[::4096])  # pages of zeros count once they are written
print(peak_rss_mb(), flush=True)
subprocess.run([sys.executable, "-c", {SMALL!r}], check=True)
"""


def test_peak_memory_is_that_of_the_process_itself_and_not_of_its_parent():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    parent, child = map(float, done.stdout.split())
    # What is imported (numpy, ONNX Runtime) takes about 90 MB in each.
    assert 300 < parent < 600
    assert 30 < child < 250
