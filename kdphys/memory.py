"""How much memory a process takes. It imports nothing else, which would count."""

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_rss_mb() -> float:
    """Peak resident memory of this process in MB.

    On Linux `getrusage` starts from the memory of the process that started this one; the kernel's
    own high-water mark does not.
    """
    if STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return round(int(found[1]) / 1024, 1)  # some sandboxes leave it out
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1)
