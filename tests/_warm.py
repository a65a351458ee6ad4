"""Scripts in processes of their own that begin with the large packages imported.

Importing those takes longer than most short runs. What is KDPhys's is imported by each itself.
"""

import multiprocessing
import os
import resource
import runpy
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import CompletedProcess
from threading import Timer
from types import MappingProxyType

LARGE = ["accelerate", "av", "cv2", "onnxruntime", "scipy.ndimage", "scipy.signal", "torch", "tyro"]


def run(
    script: Path,
    words: Sequence[str],
    bound_s: float,
    *,
    room: int | None = None,
    env: Mapping[str, str] = MappingProxyType({}),
) -> CompletedProcess[str]:
    """Run a script of Python from the folder above its own, as `subprocess.run` would.

    Args:
        script: The file.
        words: What follows it on the command line.
        bound_s: Seconds after which it is killed.
        room: Bytes that no file may exceed.
        env: Variables of its environment beside those here.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LARGE)
    readers, writers = zip(*(context.Pipe(duplex=False) for _ in range(2)), strict=True)
    given = (script, words, room, writers, {**os.environ, **env})
    process = context.Process(target=_become, args=given)
    process.start()
    for writer in writers:
        writer.close()
    too_long = Timer(bound_s, process.kill)
    too_long.start()
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(_read, readers))
    process.join()
    too_long.cancel()
    assert process.exitcode is not None
    return CompletedProcess([str(script), *words], process.exitcode, *said)


def _read(end: Connection) -> str:
    """All that is written to the other end, until it is closed."""
    with os.fdopen(os.dup(end.fileno()), encoding="utf-8") as text:
        end.close()
        return text.read()


def _become(
    script: Path, words: Sequence[str], room: int | None, ends: Sequence[Connection], env: dict
) -> None:
    """Run the script here, as a program that was started."""
    for stream, end in zip((1, 2), ends, strict=True):
        os.dup2(end.fileno(), stream)
        end.close()
    if room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    os.environ.clear()
    os.environ.update(env)
    os.chdir(script.parent.parent)
    sys.argv = [str(script.relative_to(Path.cwd())), *words]
    sys.path[0] = str(script.parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
