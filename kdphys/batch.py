"""Many videos: measured beside each other, a row of a table for each as soon as it is done.

The work goes to any executor of `concurrent.futures`: processes of this machine, or a cluster's.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, as_completed
from pathlib import Path
from typing import NamedTuple, cast

from kdphys.errors import KDPhysError, VideoError, WorkerError
from kdphys.pipeline import measure

COLUMNS: tuple[str, ...] = (
    "video", "heart_rate_bpm", "quality", "reason", "rmssd_ms", "sdnn_ms", "respiration_bpm",
    "duration_s", "fps", "face_fraction", "model", "notes", "error",
)  # fmt: skip


class Row(NamedTuple):
    """What came of one video."""

    video: Path
    cells: dict[str, object]
    """By the names of `COLUMNS`; either `error` says in a sentence why it can't be read, or the
    others hold what `Measurement.to_json` gives."""


def measure_row(video: Path, model: str = "student", speed: float = 1.0) -> Row:
    """Measure one video.

    Args:
        video: Its path.
        model: As for `measure`.
        speed: As for `measure`.

    Returns:
        Its row; a video that can't be read gives one too.
    """
    try:
        record = measure(video, model, speed=speed).to_json()
    except KDPhysError as error:
        return Row(video, {"video": str(video), "model": model, "error": str(error)})
    cells = {name: record[name] for name in COLUMNS if name in record}
    notes = " ".join(cast(list[str], record["notes"]))
    return Row(video, {**cells, "video": str(video), "notes": notes})


def measure_all(
    videos: Iterable[Path], executor: Executor, model: str = "student", speed: float = 1.0
) -> Iterator[Row]:
    """Measure videos beside each other.

    Args:
        videos: Their paths, which each worker must be able to read.
        executor: Whose workers measure.
        model: As for `measure`.
        speed: As for `measure`.

    Yields:
        A row for each, in the order in which they are done.

    Raises:
        WorkerError: A worker died, perhaps for want of memory.
    """
    asked = {executor.submit(measure_row, video, model, speed): video for video in videos}
    for done in as_completed(asked):
        try:
            row = done.result()
        except Exception as error:
            raise WorkerError(
                f"A worker died, at the latest over {asked[done].name} ({error}); use fewer of "
                "them, or more memory."
            ) from error
        yield row


def done_before(table: Path) -> set[str]:
    """Videos that have a row in a table already.

    Raises:
        VideoError: The file is another table, or none.
    """
    if not table.exists() or not table.stat().st_size:
        return set()
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                raise ValueError("it has other columns")
            return {row["video"] for row in rows}
    except (ValueError, csv.Error) as error:
        raise VideoError(
            f"{table} is no table of this command ({error}): give another file, or delete it."
        ) from error


class Table:
    """A CSV file that grows by a row at a time, so that an interrupted command loses none.

    Args:
        path: The file; rows that it has stay.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="")
        if not self._file.tell():
            self._writer.writeheader()

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: Row) -> None:
        """Write a row to the disk."""
        self._writer.writerow(row.cells)
        self._file.flush()
        os.fsync(self._file.fileno())
