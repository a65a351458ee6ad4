"""The command line: `python -m kdphys measure VIDEO` and `python -m kdphys bench`."""

import csv
import io
import json
import os
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kdphys.bench import bench
from kdphys.errors import KDPhysError
from kdphys.pipeline import MODELS, Measurement, measure
from kdphys.runtime import open_model
from kdphys.video import VIDEO_SUFFIXES, find_videos

BAD_INPUT, INTERRUPTED = 2, 130
BOX = "╭╮╰╯│─┌┐└┘"  # what tyro frames its complaints with


@dataclass(frozen=True)
class MeasureCommand:
    """Measure the pulse of a face in videos."""

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Video files, .npz files, or folders of them."""
    model: Literal["student", "teacher", "pos", "chrom", "green"] | str = "student"
    """How the pulse is read; OWNER/NAME is a network on the Hugging Face Hub, with --revision."""
    revision: str | None = None
    """Full hash of the commit on the Hub to take the network from."""
    speed: float = 1.0
    """Read the frame times as if the video were played this much faster."""
    json: bool = False
    """Print one JSON object for each video, on a line of its own."""
    csv: Path | None = None
    """Write the wave to this file: a line for each sample."""


@dataclass(frozen=True)
class BenchCommand:
    """Compare what teacher and student cost on this machine."""

    json: bool = False
    """Print one JSON object."""


def main() -> None:
    """Run the command line."""
    try:
        command = _parse()
        if command is None:
            status = BAD_INPUT
        else:
            status = _bench(command) if isinstance(command, BenchCommand) else _measure(command)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read what is printed has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _parse() -> MeasureCommand | BenchCommand | None:
    """Read the command line; None, after one sentence, where it can't be understood."""
    heard = io.StringIO()
    try:
        with redirect_stderr(heard):
            return tyro.cli(
                Annotated[MeasureCommand, tyro.conf.subcommand("measure")]  # type: ignore[arg-type]
                | Annotated[BenchCommand, tyro.conf.subcommand("bench")],
                prog="kdphys",
            )
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
    words = heard.getvalue().translate(str.maketrans("", "", BOX)).split()
    _complain(" ".join(words).removeprefix("Parsing error "))
    return None


def _measure(command: MeasureCommand) -> int:
    """Measure each video; one that can't be read does not stop the others."""
    status = 0
    if wrong := _what_is_wrong(command):
        return _complain(wrong)
    model = f"{command.model}@{command.revision}" if command.revision else command.model
    try:
        open_model(model)  # before any video is read: a network may have to be fetched
    except KDPhysError as error:
        return _complain(str(error))
    rows: list[tuple[Path, Measurement]] = []
    for given in command.videos:
        try:
            videos = find_videos(given)
        except KDPhysError as error:
            status = _complain(str(error))
            continue
        for video in videos:
            try:
                found = measure(video, model, speed=command.speed)
            except KDPhysError as error:
                status = _complain(str(error))
                continue
            rows.append((video, found))
            record = found.to_json() | {"video": str(video)}
            print(json.dumps(record) if command.json else _sentence(video, found), flush=True)
    if command.csv and rows and (wrong := _write_csv(command.csv, rows)):
        status = _complain(wrong)
    return status


def _what_is_wrong(command: MeasureCommand) -> str | None:
    """What can't be done, known before any video is read."""
    if not command.videos:
        return "No video was given: name a video file or a folder of videos."
    if wrong := _what_is_wrong_with_the_model(command.model, command.revision):
        return wrong
    if not 0.1 <= command.speed <= 10:
        return f"--speed {command.speed:g} is out of range: give 0.1 to 10."
    if command.csv and (command.csv.is_dir() or not command.csv.parent.is_dir()):
        return f"--csv {command.csv} can't be written: give a file in a folder that exists."
    if command.csv and command.csv.suffix.lower() in VIDEO_SUFFIXES:
        return f"--csv {command.csv} would replace a video: give a file that ends in .csv."
    return None


def _what_is_wrong_with_the_model(model: str, revision: str | None) -> str | None:
    if model in MODELS:
        return revision and f"--revision is for a network on the Hub: leave it out with {model}."
    if model.count("/") == 1 and not revision:
        return f"--model {model} needs --revision: give the full hash of the commit you trust."
    if model.count("/") != 1:
        return (
            f"--model {model} is not known: give {', '.join(MODELS)}, or OWNER/NAME on the "
            "Hugging Face Hub with --revision."
        )
    return None


def _sentence(video: Path, found: Measurement) -> str:
    heart = found.vitals.heart_rate
    if heart.value is None:
        text = f"{video.name}: no reading (confidence {heart.quality:.0%}). {heart.reason}"
    else:
        text = f"{video.name}: {heart.value:.0f} beats a minute (confidence {heart.quality:.0%})"
    return " ".join([text, *found.notes])


def _write_csv(path: Path, rows: list[tuple[Path, Measurement]]) -> str | None:
    """One line a sample: video, time in seconds, wave (empty where there is no face).

    What is wrong is returned as a sentence.
    """
    try:
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["video", "time_s", "wave"])
            for video, found in rows:
                for index, value in enumerate(found.wave):
                    shown = "" if value != value else f"{value:.5f}"
                    table.writerow([str(video), f"{index / found.wave_fps:.4f}", shown])
    except OSError as error:
        return f"--csv {path} can't be written: {error.strerror}."
    return None


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
