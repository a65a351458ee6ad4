"""Waves of videos as a CSV file: a line for each sample, written as soon as a video is measured."""

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kdphys.errors import VideoError
from kdphys.pipeline import Measurement

COLUMNS = ("video", "time_s", "wave")


class WaveFile:
    """A CSV file of waves that grows by one wave at a time; none of them is kept in memory.

    It may be a pipe or a device. Waves that a file holds stay until there is a first one to replace
    them.

    Args:
        path: The file.

    Raises:
        VideoError: It can't be written, or holds something else than waves.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._is_begun = path, False
        try:
            if _holds_something_else(path):
                raise VideoError(
                    f"{path} holds something else than waves of this command, which would replace "
                    "it: give another file, or delete it."
                )
            self._file = path.open("a", newline="", encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> "WaveFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, video: Path, found: Measurement) -> None:
        """Write the wave of a video.

        Raises:
            VideoError: It can't be written.
        """
        lines = io.StringIO(newline="")
        table = csv.writer(lines)
        try:
            if not self._is_begun:
                self._forget_what_was_there()
                table.writerow(COLUMNS)
            table.writerows(_rows(video, found))
            self._file.write(lines.getvalue())
            self._file.flush()
            self._is_begun = True
        except OSError as error:
            with suppress(OSError):  # which would try to write the same again
                self._file.close()
            raise self._unwritable(error) from error

    def _forget_what_was_there(self) -> None:
        if self._path.is_file():
            self._file.truncate(0)

    def _unwritable(self, error: OSError) -> VideoError:
        return VideoError(
            f"The waves can't be written to {self._path} ({error.strerror}): give another file."
        )


def _holds_something_else(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:  # a mark is of a spreadsheet
        return file.readline(100).rstrip("\n") != ",".join(COLUMNS)


def _rows(video: Path, found: Measurement) -> Iterator[tuple[str, str, str]]:
    """Video, time in seconds, wave (empty where there is no face)."""
    for index, value in enumerate(found.wave):
        yield str(video), f"{index / found.wave_fps:.4f}", "" if value != value else f"{value:.5f}"
