"""Many videos: measured beside each other, a row of a table for each as soon as it is done.

The work goes to any executor of `concurrent.futures`: processes of this machine, or a cluster's.
"""

import codecs
import csv
import logging
import multiprocessing
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing import connection
from os.path import relpath
from pathlib import Path
from secrets import token_hex
from typing import Literal, NamedTuple, TextIO, cast

from kdphys.errors import KDPhysError, VideoError, WorkerError
from kdphys.pipeline import measure
from kdphys.runtime import model_facts

try:
    import fcntl
except ImportError:  # this system has none
    fcntl = None

logger = logging.getLogger(__name__)

STATE: tuple[str, ...] = ("file_bytes", "file_changed_s")
"""Columns that tell of which state of a file a row is; older tables have none."""
OLDER: tuple[str, ...] = (
    "video", "heart_rate_bpm", "quality", "reason", "rmssd_ms", "sdnn_ms", "respiration_bpm",
    "duration_s", "fps", "face_fraction", "model", "weights", "speed", "notes", "error",
)  # fmt: skip
COLUMNS: tuple[str, ...] = OLDER + STATE
NAMING = frozenset(("video", "error"))
"""Columns whose text may begin with the name of a file."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What spreadsheets take for the beginning of a formula."""

Cells = dict[str, str]
"""A row as it is in the file."""


class Key(NamedTuple):
    """What tells rows apart; texts are as in the table."""

    video: Path
    """Without links."""
    model: str
    weights: str
    speed: str
    file_bytes: str
    file_changed_s: str

    @property
    def asked(self) -> tuple[Path, str, str]:
        """What was to be measured, and how."""
        return self.video, self.model, self.speed

    @property
    def state(self) -> tuple[str, str]:
        """Which state of the file it is of."""
        return self.file_bytes, self.file_changed_s


class Row(NamedTuple):
    """What came of one video."""

    video: Path
    cells: dict[str, object]
    """By the names of `COLUMNS`; either `error` says in a sentence why it can't be read, or the
    others hold what `Measurement.to_json` gives; `file_bytes` and `file_changed_s`, seconds since
    1970, tell of which file."""


def measure_row(video: Path, model: str = "student", speed: float = 1.0) -> Row:
    """Measure one video.

    Args:
        video: Its path.
        model: As for `measure`.
        speed: As for `measure`.

    Returns:
        Its row; a video that can't be read gives one too.
    """
    cells: dict[str, object] = {"video": str(video), "model": model, "speed": f"{speed:g}"}
    try:
        record = measure(video, model, speed=speed).to_json()
    except KDPhysError as error:
        return Row(video, {**cells, "error": " ".join(str(error).split())})
    except Exception as error:  # one video must not end the others
        logger.exception("%s could not be measured", video)
        return Row(video, {**cells, "error": f"It could not be measured: {error!r}"})
    found = {name: record[name] for name in COLUMNS if name in record}
    return Row(video, {**found, **cells, "notes": " ".join(cast(list[str], record["notes"]))})


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
        WorkerError: A worker died, perhaps for want of memory, or none could be had.
    """
    asked: dict[Future[Row], tuple[Path, tuple[str, ...]]] = {}
    for video in videos:
        try:
            job = executor.submit(measure_row, video, model, speed)
        except BrokenExecutor as error:
            raise WorkerError(
                f"A worker died before {video.name} could be asked for ({error}); use fewer of "
                "them, or more memory."
            ) from error
        except OSError as error:
            raise WorkerError(
                f"No worker can be had for {video.name} ({error.strerror or error}); use fewer of "
                "them, or end other programs."
            ) from error
        # what changes while it waits is of another state afterwards, and measured anew
        asked[job] = video, _state_of(video)
    for done in as_completed(asked):
        video, state = asked[done]
        try:
            row = done.result()
        except Exception as error:
            raise WorkerError(
                f"A worker died, at the latest over {video.name} ({error}); use fewer of them, or "
                "more memory."
            ) from error
        yield row._replace(cells=row.cells | dict(zip(STATE, state, strict=True)))


def end_with_parent() -> None:
    """End this worker process as soon as the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("end_with_parent() must be called in a process that another started")

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()


def key_of(video: Path, model: str, speed: float) -> Key:
    """What tells the row of a video apart, from wherever it is named."""
    weights = model_facts(model).weights
    return Key(video.resolve(), model, weights, f"{speed:g}", *_state_of(video))


def _state_of(video: Path) -> tuple[str, str]:
    """Bytes of a file, and its last change in s, to 1 ms, whose digits a spreadsheet keeps."""
    try:
        found = video.stat()
    except OSError:
        return "", ""
    return str(found.st_size), f"{found.st_mtime:.13g}"


class Table:
    """A CSV file that grows by a row at a time, so that an interrupted command loses none.

    Rows that it has stay, but for those that are incomplete, as of a full disk, and those that
    newer ones of the same video, model and speed replace: an `error` goes when the video is
    measured, or tried again, and a measurement of a file that has changed since, or of which an
    older table doesn't tell that, when the same weights have measured it as it is now. They go
    together, when the table is closed or opened again. A video that is named from the current
    folder is written as seen from the table's, so that it is the same one to a later command;
    `=1.mp4` is written as `./=1.mp4`, which spreadsheets don't take for a formula. Only one process
    writes a table at a time, where the system and the disk can see to that.

    Args:
        path: The file; of a link, the one that it points to.

    Raises:
        VideoError: It is another table, another process writes it, or it can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        with _as_a_sentence(path):
            if path.exists() and not path.is_file():
                raise VideoError(
                    f"{path} is a folder, a pipe or a device, and a table needs a file of its own: "
                    "give another name."
                )
            path = path.resolve()
            self._path, self._folder = path, path.parent
            # Where there are no such locks, a file that is open can't be replaced.
            with _held(path) if fcntl else nullcontext():
                rows = _remaining(_rows(path), self._folder)
                _rewrite(path, [cells for _, cells in rows])
            self._file = _held(path)
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="")
        self._asked = {key.asked for key, _ in rows}
        self._replaces = False
        self.done: set[Key] = {key for key, cells in rows if not cells["error"]}
        """What has been measured."""

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_: object) -> None:
        if fcntl is None:
            self._file.close()
        try:
            if self._replaces:
                self._leave_out_what_was_replaced()
        finally:
            self._file.close()

    def add(self, row: Row) -> None:
        """Write a row to the disk.

        Raises:
            VideoError: It can't be written.
        """
        cells = {**row.cells, "video": _seen_from(self._folder, row.video)}
        named = {name: _named(str(cells[name])) for name in NAMING & cells.keys()}
        try:
            self._writer.writerow(cells | named)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):  # which would try to write the same again
                self._file.close()
            self._replaces = False  # nobody else is kept from the table any more
            raise _unwritable(self._path, error) from error
        asked = row.video.resolve(), str(cells["model"]), str(cells["speed"])
        self._replaces = self._replaces or asked in self._asked
        self._asked.add(asked)

    def _leave_out_what_was_replaced(self) -> None:
        with _as_a_sentence(self._path):
            rows = _rows(self._path)
            remaining = _remaining(rows, self._folder)
            if len(remaining) < len(rows):
                _rewrite(self._path, [cells for _, cells in remaining])


def _unwritable(path: Path, error: OSError) -> VideoError:
    return VideoError(f"{path} can't be written ({error.strerror}).")


def _seen_from(folder: Path, video: Path) -> str:
    """A video's path from a folder; the whole of it where that is given, or on another drive."""
    if video.is_absolute():
        return str(video)
    video = video.resolve()
    try:
        return relpath(video, folder)
    except ValueError:
        return str(video)


@contextmanager
def _as_a_sentence(path: Path) -> Iterator[None]:
    """Say of a table that can't be written why that is."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def _remaining(rows: Iterable[Cells], folder: Path) -> list[tuple[Key, Cells]]:
    """Rows of a table in this folder with their keys, without those that newer ones replace."""
    keyed = [(_key_in(cells, folder), cells) for cells in rows]
    alike: defaultdict[tuple[Path, str, str], list[tuple[Key, Cells]]] = defaultdict(list)
    for key, cells in keyed:
        alike[key.asked].append((key, cells))
    replaced = {id(cells) for some in alike.values() if len(some) > 1 for cells in _replaced(some)}
    return [(key, cells) for key, cells in keyed if id(cells) not in replaced]


def _key_in(cells: Cells, folder: Path) -> Key:
    said = (cells[name] for name in ("model", "weights", "speed", *STATE))
    return Key((folder / cells["video"]).resolve(), *said)


def _replaced(alike: list[tuple[Key, Cells]]) -> Iterator[Cells]:
    """Which rows of one video, model and speed others among them replace.

    Of measurements the file itself tells which is newer, as a spreadsheet may have sorted them;
    where it can't be seen, all stay.
    """
    state = _state_of(alike[0][0].video)
    fresh = {key.weights for key, cells in alike if _is_fresh(key, cells, state)}
    is_answered = False  # by a row further down
    for key, cells in reversed(alike):
        is_now = _is_fresh(key, cells, state)
        is_older = key.weights in fresh and not is_now
        if is_answered if cells["error"] else is_older:
            yield cells
        is_answered = is_answered or is_now or bool(cells["error"])


def _is_fresh(key: Key, cells: Cells, state: tuple[str, str]) -> bool:
    """Whether a row measures a file in this state, which is known."""
    return all(state) and key.state == state and not cells["error"]


def _rewrite(path: Path, rows: Iterable[Cells]) -> None:
    """Replace a table by one of these rows, which is written beside it under a name of its own."""
    unfinished = path.with_name(f"kdphys-{token_hex(8)}.part")
    try:
        with _opened(unfinished, "x", _coding(path)) as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        if path.exists():
            shutil.copymode(path, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _opened(path: Path, mode: Literal["r", "x", "a"], coding: str = "utf-8") -> TextIO:
    """Open a table; names of files need not be text."""
    return path.open(mode, newline="", encoding=coding, errors="surrogateescape")


def _coding(path: Path) -> str:
    """Tell how a table is written: some spreadsheets put a mark before it, and look for it."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            return "utf-8-sig"
    return "utf-8"


def _held(path: Path) -> TextIO:
    """Open a table to add to it, and keep other processes from that until it is closed.

    Raises:
        VideoError: Another process holds it.
    """
    file = _opened(path, "a")
    if not _lock(file) or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
        file.close()
        raise VideoError(
            f"{path} is being written by another run: wait until it is done, or give another file."
        )
    return file


def _lock(file: TextIO) -> bool:
    """Lock a file until it is closed, or this process dies; False where another has done so."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.info("%s can't be locked (%s)", file.name, error.strerror)
    return True


def _rows(path: Path) -> list[Cells]:
    """Complete rows of a table."""
    if not path.exists() or not path.stat().st_size:
        return []
    try:
        with _opened(path, "r", "utf-8-sig") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) not in (COLUMNS, OLDER):
                raise ValueError("it has other columns")
            rows = [row for row in table if None not in row and None not in row.values()]
    except (ValueError, csv.Error) as error:
        raise VideoError(
            f"{path} is no table of this command ({error}): give another file, or delete it."
        ) from error
    return [
        dict.fromkeys(COLUMNS, "") | row | {name: _named(row[name]) for name in NAMING}
        for row in rows
    ]


def _named(text: str) -> str:
    """A file's name, or a sentence that begins with one, as what no spreadsheet calculates."""
    return f"./{text}" if text.startswith(FORMULA) else text
