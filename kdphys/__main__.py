"""The command line: `python -m kdphys measure VIDEO`, `batch FOLDER` and `bench`."""

import errno
import io
import json
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from kdphys.batch import Table, end_with_parent, key_of, measure_all
from kdphys.bench import bench
from kdphys.errors import HubUnreachableError, KDPhysError, WorkerError
from kdphys.hub import is_folder
from kdphys.pipeline import MODELS, NOT_MEDICAL, Measurement, measure
from kdphys.runtime import open_model
from kdphys.video import VIDEO_SUFFIXES, find_videos
from kdphys.waves import WaveFile

BAD_INPUT, INTERRUPTED = 2, 130
CLUSTER_S = "10s"  # to wait for a cluster
BOX = "╭╮╰╯│─┌┐└┘-"  # what tyro frames its complaints with

Videos = Annotated[  # as words, since an empty one as a path is the current folder
    tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[PATH ...]")
]


@dataclass(frozen=True)
class MeasureCommand:
    """Measure the pulse of a face in videos. KDPhys is not a medical device."""

    videos: Videos
    """Video files, .npz files, or folders of them."""
    model: Literal["student", "teacher", "pos", "chrom", "green"] | str = "student"
    """How the pulse is read; FOLDER holds an exported network, and OWNER/NAME is one on the Hugging
    Face Hub, with --revision."""
    revision: str | None = None
    """Full hash of the commit on the Hub to take the network from."""
    fallback: Literal["student", "teacher", "pos", "chrom", "green"] | str | None = None
    """What reads instead where the Hub does not answer and that commit is not kept here: of what
    comes with KDPhys, or FOLDER. It is said on standard error, and each record names its model."""
    speed: float = 1.0
    """Read the frame times as if the video were played this much faster."""
    json: bool = False
    """Print one JSON object for each video, on a line of its own."""
    csv: Path | None = None
    """Write the wave to this file: a line for each sample, as soon as a video is measured. What it
    replaces is waves of before, never another file."""


@dataclass(frozen=True)
class BatchCommand:
    """Measure many videos beside each other into a table, which an interrupted run goes on with.

    KDPhys is not a medical device.
    """

    videos: Videos
    """Video files, .npz files, or folders of them."""
    out: Path = Path("kdphys.csv")
    """CSV file with a row for each video; those that have one, and have not changed since, are left
    out."""
    jobs: int = os.cpu_count() or 1
    """Processes of this machine."""
    dask: str | None = None
    """Address of the scheduler of a Dask cluster, such as tcp://HOST:8786, whose workers measure
    instead; they need KDPhys, and the videos under the same paths."""
    model: Literal["student", "teacher", "pos", "chrom", "green"] | str = "student"
    """As for measure."""
    revision: str | None = None
    """As for measure."""
    fallback: Literal["student", "teacher", "pos", "chrom", "green"] | str | None = None
    """As for measure."""
    speed: float = 1.0
    """As for measure."""


@dataclass(frozen=True)
class BenchCommand:
    """Compare what teacher and student cost on this machine."""

    json: bool = False
    """Print one JSON object."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # workers are not to be left behind
    try:
        command = _parse()
        status = BAD_INPUT if command is None else _run(command)
        print(end="", flush=True)  # unless it was closed before this began
    except BrokenPipeError:  # whoever read what is printed has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _complain(f"The answer can't be written ({error.strerror}).")
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _run(command: MeasureCommand | BatchCommand | BenchCommand) -> int:
    try:
        if isinstance(command, BenchCommand):
            return _bench(command)
        return _batch(command) if isinstance(command, BatchCommand) else _measure(command)
    except KDPhysError as error:
        return _complain(str(error))


def _parse() -> MeasureCommand | BatchCommand | BenchCommand | None:
    """Read the command line; None, after one sentence, where it can't be understood."""
    heard = io.StringIO()
    try:
        with redirect_stderr(heard):
            return tyro.cli(
                Annotated[MeasureCommand, tyro.conf.subcommand("measure")]  # type: ignore[arg-type]
                | Annotated[BatchCommand, tyro.conf.subcommand("batch")]
                | Annotated[BenchCommand, tyro.conf.subcommand("bench")],
                prog="kdphys",
            )
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
    _complain(_misunderstood(heard.getvalue(), sys.argv[1:]))
    return None


def _misunderstood(heard: str, words: Sequence[str]) -> str:
    """What tyro says of these words, without its frame, whose title says the same."""
    _, _, framed = heard.strip().partition("\n")
    said = " ".join(word for word in framed.split() if word.strip(BOX))
    if said.startswith("Unrecognized"):
        named = "".join(said.split())  # long words are broken
        for word in words:
            if word.startswith("-") and "".join(word.split()) in named and _may_be_a_video(word):
                return f"{word} is taken for an option: write ./{word} for what is named so."
    return said


def _may_be_a_video(word: str) -> bool:
    path = Path(word)
    with suppress(OSError):  # as of a name that is too long
        return path.suffix.lower() in VIDEO_SUFFIXES or path.exists()
    return False


def _measure(command: MeasureCommand) -> int:
    """Measure each video; one that can't be read does not stop the others."""
    if wrong := _what_is_wrong(command):
        return _complain(wrong)
    model = _opened(command)
    with WaveFile(command.csv) if command.csv else nullcontext() as waves:
        return _measure_all(command, model, waves)


def _measure_all(command: MeasureCommand, model: str, waves: WaveFile | None) -> int:
    videos, status = _find_all(command.videos)
    has_sentences, names = False, Counter(video.name for video in set(videos))
    for video in videos:
        is_alone = names[video.name] == 1
        try:
            found = measure(video, model, speed=command.speed)
        except KDPhysError as error:
            status = _complain(str(error) if is_alone else _with_path(str(error), video))
            continue
        record = found.to_json() | {"video": str(video)}
        sentence = _sentence(video.name if is_alone else str(video), found)
        print(json.dumps(record) if command.json else sentence, flush=True)
        has_sentences = not command.json
        if waves:
            waves.add(video, found)
    if has_sentences:
        print(NOT_MEDICAL)
    return status


def _find_all(paths: Iterable[str]) -> tuple[list[Path], int]:
    """Videos behind all paths; what is no video is said, and makes the status that of bad input."""
    videos: list[Path] = []
    status = 0
    for path in paths:
        try:
            videos += find_videos(Path(path))
        except KDPhysError as error:
            status = _complain(str(error))
    return videos, status


def _with_path(sentence: str, video: Path) -> str:
    """Tell by its path of which video of the same name a sentence is."""
    if str(video) in sentence:
        return sentence
    if sentence.startswith(video.name):
        return f"{video}{sentence.removeprefix(video.name)}"
    return f"{video}: {sentence}"


def _batch(command: BatchCommand) -> int:
    """Measure all videos that have no row yet."""
    if wrong := _what_is_wrong_with_the_table(command):
        return _complain(wrong)
    model = _opened(command)
    found, status = _find_all(command.videos)
    failed = 0
    with Table(command.out) as table:
        wanted = {key_of(video, model, command.speed): video for video in found}
        videos = [video for key, video in wanted.items() if key not in table.done]
        with _workers(command, len(videos)) as workers:
            rows = measure_all(videos, workers, model, command.speed)
            for row in tqdm(rows, total=len(videos), unit="video", disable=None):
                table.add(row)
                failed += "error" in row.cells
    print(
        f"{command.out}: {len(videos)} new rows; {failed} could not be read (column error); "
        f"{len(wanted) - len(videos)} were there before."
    )
    return BAD_INPUT if failed else status


@contextmanager
def _workers(command: BatchCommand, most: int) -> Iterator[Executor]:
    """Who measures: processes of this machine, or the workers of a cluster."""
    if command.dask is None:
        executor = _processes(max(1, min(command.jobs, most)))
        try:
            yield executor
        except BaseException:  # interrupted: nobody waits for what was begun
            executor.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
        executor.shutdown()
        return
    with _cluster(command.dask) as executor:
        yield executor


def _processes(count: int) -> Executor:
    fresh = multiprocessing.get_context("spawn")
    try:
        return ProcessPoolExecutor(count, fresh, initializer=end_with_parent)
    except (OSError, ValueError) as error:  # of more than the system lets a program wait for
        raise WorkerError(
            f"{count} processes can't be set up ({error}): give fewer --jobs."
        ) from error


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client  # an optional extra
    except ImportError as error:
        raise WorkerError("--dask needs an extra: pip install '.[cluster]'.") from error
    try:
        client = Client(address, timeout=CLUSTER_S)
    except (OSError, ValueError, TypeError) as error:  # of types where TLS is not set up
        raise WorkerError(
            f"--dask {address} leads to no scheduler ({error}): start one there with `dask "
            "scheduler`, or give the address of one, such as tcp://HOST:8786."
        ) from error
    with client, client.get_executor() as executor:
        yield executor


def _what_is_wrong_with_the_table(command: BatchCommand) -> str | None:
    """What can't be done, known before any video is read."""
    if wrong := _what_is_wrong_with_the_input(command):
        return wrong
    if command.jobs < 1:
        return f"--jobs {command.jobs} is out of range: give 1 or more."
    return _what_is_wrong_with_the_file("--out", command.out)


def _opened(command: MeasureCommand | BatchCommand) -> str:
    """Full name of the model that reads, opened before any video as it may have to be fetched."""
    model = f"{command.model}@{command.revision}" if command.revision else command.model
    try:
        open_model(model)
    except HubUnreachableError as error:
        if command.fallback is None:
            raise
        open_model(command.fallback)
        _complain(f"{error} Reading with {command.fallback} instead, as --fallback says.")
        return command.fallback
    return model


def _what_is_wrong(command: MeasureCommand) -> str | None:
    """What can't be done, known before any video is read."""
    return _what_is_wrong_with_the_input(command) or (
        command.csv and _what_is_wrong_with_the_file("--csv", command.csv)
    )


def _what_is_wrong_with_the_input(command: MeasureCommand | BatchCommand) -> str | None:
    if not command.videos:
        return "No video was given: name a video file or a folder of videos."
    if "" in command.videos:
        return "The name of a video is empty: name a video file or a folder of videos."
    if wrong := _what_is_wrong_with_the_model(command.model, command.revision):
        return wrong
    if wrong := _what_is_wrong_with_the_fallback(command.fallback, command.revision):
        return wrong
    if not 0.1 <= command.speed <= 10:
        return f"--speed {command.speed:g} is out of range: give 0.1 to 10."
    return None


def _what_is_wrong_with_the_file(option: str, path: Path) -> str | None:
    try:
        is_in_a_folder = path.parent.is_dir() and not path.is_dir()
    except OSError as error:
        return f"{option} {path} can't be written ({error.strerror}): give another file."
    if not is_in_a_folder:
        return f"{option} {path} can't be written: give a file in a folder that exists."
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return f"{option} {path} would replace a video: give a file that ends in .csv."
    return None


def _what_is_wrong_with_the_model(model: str, revision: str | None) -> str | None:
    if model in MODELS or is_folder(model):
        return revision and f"--revision is for a network on the Hub: leave it out with {model}."
    if model.count("/") == 1 and not revision:
        return f"--model {model} needs --revision: give the full hash of the commit you trust."
    if model.count("/") != 1:
        return (
            f"--model {model} is not known: give {', '.join(MODELS)}, a folder of weights, or "
            "OWNER/NAME on the Hugging Face Hub with --revision."
        )
    return None


def _what_is_wrong_with_the_fallback(fallback: str | None, revision: str | None) -> str | None:
    if fallback is None:
        return None
    if not revision:
        return "--fallback is for where the Hub does not answer: leave it out without --revision."
    if fallback in MODELS or is_folder(fallback):
        return None
    return f"--fallback {fallback} is not known: give {', '.join(MODELS)}, or a folder of weights."


def _sentence(name: str, found: Measurement) -> str:
    heart = found.vitals.heart_rate
    if found.speed != 1:
        name += f", read at {found.speed:g} times its speed"
    if heart.value is None:
        text = f"{name}: no reading (confidence {heart.quality:.0%}). {heart.reason}"
    else:
        text = f"{name}: {heart.value:.0f} beats a minute (confidence {heart.quality:.0%})"
    return " ".join(" ".join([text, *found.notes]).split())  # one line, whatever the file's name


def _bench(command: BenchCommand) -> int:
    found = bench()
    if command.json:
        print(json.dumps(found))
        return 0
    names = ("student", "teacher")
    for field in found["student"]:
        print(f"{field:20}", *(f"{name} {found[name][field]!s:>12}" for name in names))
    print("machine:", found["machine"])
    return 0


def _complain(sentence: str) -> int:
    print(" ".join(sentence.split()), file=sys.stderr)  # one line, even where a file's name has two
    return BAD_INPUT


if __name__ == "__main__":
    main()
