"""Many videos at once: the table, what is done before, workers that die, and a cluster."""

import codecs
import csv
import errno
import os
import pty
import re
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from shutil import copy
from typing import Any, TextIO

import pytest

from kdphys.__main__ import BAD_INPUT, main
from kdphys.batch import COLUMNS, OLDER, STATE, Row, Table, _lock, key_of, measure_all, measure_row
from kdphys.errors import VideoError, WorkerError
from kdphys.pipeline import measure
from kdphys.runtime import model_facts

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, npz: Path) -> Path:
    """Two recordings of a face, and a file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.npz", "b.npz"):
        copy(npz, folder / name)
    (folder / "c.mp4").write_text("this is no video")
    return folder


POS = {"model": "pos", "speed": "1"}


class Here(ThreadPoolExecutor):
    """Stands for processes where what they do takes no time."""

    def __init__(self, workers: int, *_: object, **__: object) -> None:
        super().__init__(workers)


def rows_of(table: Path) -> dict[str, dict[str, str]]:
    with table.open(newline="") as file:
        return {Path(row["video"]).name: row for row in csv.DictReader(file)}


def all_rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def command(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int | str | None:
    """Run the command line in this process; its exit status."""
    monkeypatch.setattr("sys.argv", ["kdphys", "batch", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_a_row_says_what_a_measurement_says(npz):
    row = measure_row(npz, "pos")
    record = measure(npz, "pos").to_json()
    assert set(row.cells) == set(OLDER) - {"error"}
    assert row.cells["heart_rate_bpm"] == record["heart_rate_bpm"]
    assert row.cells["sdnn_ms"] == record["sdnn_ms"]


def test_a_video_that_can_t_be_read_gets_a_row_with_a_sentence(folder):
    row = measure_row(folder / "c.mp4", "pos")
    assert "c.mp4 can't be read as video" in str(row.cells["error"])


@pytest.mark.slow
def test_a_folder_gives_a_table_and_the_same_command_goes_on(folder, tmp_path, monkeypatch, capsys):
    table = tmp_path / "out.csv"
    words = (folder, "--out", table, "--model", "pos", "--jobs", "2")
    assert command(monkeypatch, *words) == BAD_INPUT  # one of them is no video
    rows = rows_of(table)
    assert sorted(rows) == ["a.npz", "b.npz", "c.mp4"]
    assert abs(float(rows["a.npz"]["heart_rate_bpm"]) - float(rows["b.npz"]["heart_rate_bpm"])) == 0
    assert rows["c.mp4"]["error"]
    assert "3 new rows; 1 could not be read" in capsys.readouterr().out
    monkeypatch.setattr("kdphys.__main__.ProcessPoolExecutor", Here)  # those start slowly
    content = table.read_bytes()
    end = content.index(b"b.npz") + 20
    table.write_bytes(content[:end])  # as a full disk leaves it, in the middle of a row
    command(monkeypatch, *words)
    assert re.search(r"[23] new rows; 1 could not", capsys.readouterr().out)
    assert sorted(rows_of(table)) == ["a.npz", "b.npz", "c.mp4"]
    assert command(monkeypatch, *words) == BAD_INPUT  # what could not be read is tried again
    assert "1 new rows; 1 could not be read" in capsys.readouterr().out
    assert len(table.read_text().splitlines()) == 4
    assert command(monkeypatch, folder / "a.npz", *words[1:], "--speed", "1.1") == 0
    assert "1 new rows" in capsys.readouterr().out


NO_VIDEOS = ("a.mp4", "b.mp4", "c.mp4")
DONE = re.compile(r"(\d+)%\|.*?\| (\d+)/(\d+)")  # as the bar says it


@pytest.fixture
def batch(tmp_path: Path) -> list[str]:
    """A command that measures three files, which takes no time, as they are no videos."""
    for name in NO_VIDEOS:
        (tmp_path / name).write_text("this is no video")
    words = (tmp_path, "--out", tmp_path / "out.csv", "--jobs", 1, "--model", "pos")
    return [sys.executable, "-m", "kdphys", "batch", *map(str, words)]


@pytest.mark.slow
def test_a_terminal_shows_how_many_videos_are_done_from_none_to_all(batch):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    shown = b""
    with subprocess.Popen(batch, stdout=subprocess.DEVNULL, stderr=theirs, cwd=ROOT) as running:
        os.close(theirs)
        with suppress(OSError):  # so Linux says that nobody writes to a terminal any more
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    assert running.returncode == BAD_INPUT
    bars = [tuple(map(int, bar)) for bar in DONE.findall(shown.decode())]
    assert bars[0] == (0, 0, 3)
    assert bars[-1] == (100, 3, 3)
    assert bars == sorted(bars)


@pytest.mark.slow
def test_nothing_is_shown_where_there_is_no_terminal(batch):
    done = subprocess.run(batch, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (BAD_INPUT, "")
    assert "3 new rows; 3 could not be read" in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("{folder}", "--jobs", "0"), "--jobs 0 is out of range"),
        (("{folder}", "--out", "{folder}/a.npz"), "would replace a video"),
        (("{folder}", "--out", "{folder}/nowhere/a.csv"), "in a folder that exists"),
        (("{folder}", "--out", "{folder}/c.csv"), "is no table of this command"),
        (("{folder}/nothing",), "There is no file"),
    ],
)
def test_what_can_t_be_done_is_one_sentence(folder, words, complaint, monkeypatch, capsys):
    (folder / "c.csv").write_text("name,value\n1,2\n")
    monkeypatch.chdir(folder)
    given = [word.format(folder=folder) for word in words]
    assert command(monkeypatch, *given) == BAD_INPUT
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_a_table_keeps_the_rows_it_has(tmp_path):
    path = tmp_path / "table.csv"
    names = ["one", "two, with a comma", "three\udce9 of no text", "four\nlines"]
    for name in names:
        with Table(path) as table:
            cells = {"video": name, "model": "pos", "speed": "1", "heart_rate_bpm": 61.5}
            table.add(Row(Path(name), dict(cells)))
    with Table(path) as table:
        assert table.done == {key_of(Path(name), "pos", 1.0) for name in names}


def test_a_video_is_known_from_wherever_it_is_named(tmp_path, monkeypatch):
    """The same name in another folder is another video."""
    path = tmp_path / "here" / "table.csv"
    for folder in ("here", "there"):
        (tmp_path / folder / "clips").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    video, cells = Path("clips/x.mp4"), {"model": "pos", "speed": "1"}
    with Table(Path("table.csv")) as table:
        table.add(Row(video, dict(cells)))
        table.add(Row(tmp_path / "y.mp4", dict(cells)))
    named = [line.partition(",")[0] for line in path.read_text().splitlines()]
    assert named == ["video", "clips/x.mp4", str(tmp_path / "y.mp4")]
    monkeypatch.chdir(tmp_path / "there")
    with Table(path) as table:
        assert key_of(video, "pos", 1.0) not in table.done
        assert key_of(Path("../here") / video, "pos", 1.0) in table.done
        assert key_of(Path("../y.mp4"), "pos", 1.0) in table.done
        table.add(Row(video, dict(cells)))
    assert path.read_text().splitlines()[-1].startswith("../there/clips/x.mp4,")
    with Table(path) as table:
        assert key_of(video, "pos", 1.0) in table.done


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t"])
def test_a_name_that_spreadsheets_would_calculate_is_written_as_one_of_this_folder(
    tmp_path, monkeypatch, begin
):
    monkeypatch.chdir(tmp_path)
    path, video = tmp_path / "table.csv", Path(f"{begin}1+1.mp4")
    video.write_text("this is no video")
    for _ in range(2):
        with Table(path) as table:
            table.add(Row(video, dict(POS)))
            table.add(measure_row(video, "pos"))
        with path.open(newline="") as file:
            *_, row, failed = csv.DictReader(file)
        assert row["video"] == failed["video"] == f"./{video}"
        assert failed["error"].startswith(("./", "1+1.mp4 "))  # a sentence begins with no tab
    with Table(path) as table:
        table.add(Row(video, dict(POS)))
    path.write_text(path.read_text().replace("./", ""))  # as it was written before
    with Table(path) as table:
        assert key_of(video, "pos", 1.0)[:4] in {key[:4] for key in table.done}
    with path.open(newline="") as file:
        assert {row["video"] for row in csv.DictReader(file)} == {f"./{video}"}


def test_what_other_weights_measured_is_not_done(tmp_path):
    path, video = tmp_path / "table.csv", tmp_path / "x.mp4"
    weights = model_facts("student").weights
    assert len(weights) == 12
    for older in ("0" * 12, weights):
        with Table(path) as table:
            assert key_of(video, "student", 1.0) not in table.done
            table.add(Row(video, {"model": "student", "weights": older, "speed": "1"}))
    with Table(path) as table:
        assert key_of(video, "student", 1.0) in table.done
    assert len(path.read_text().splitlines()) == 3  # nothing is lost


def test_a_video_that_has_changed_is_measured_anew(folder, tmp_path, monkeypatch, capsys):
    video, table = tmp_path / "x.mp4", tmp_path / "out.csv"
    copy(folder / "a.npz", video)
    words = (video, "--out", table, "--model", "pos", "--jobs", "1")
    monkeypatch.setattr("kdphys.__main__.ProcessPoolExecutor", Here)
    monkeypatch.setattr("kdphys.batch.measure_row", lambda video, *_: Row(video, dict(POS)))
    for change, told in (
        (lambda: None, "1 new rows; 0 could not be read (column error); 0 were"),
        (lambda: None, "0 new rows; 0 could not be read (column error); 1 were"),
        (lambda: os.utime(video, (1e9, 1e9)), "1 new rows; 0 could"),
        (lambda: os.truncate(video, 1000) or os.utime(video, (1e9, 1e9)), "1 new rows; 0 could"),
        (lambda: None, "0 new rows; 0 could not be read (column error); 1 were"),
    ):
        change()
        assert command(monkeypatch, *words) == 0
        assert told in capsys.readouterr().out
    (row,) = all_rows_of(table)  # a mean counts it once
    assert (row["file_changed_s"], row["file_bytes"]) == ("1000000000", "1000")


def state_of(video: Path) -> dict[str, str]:
    return dict(zip(STATE, key_of(video, "pos", 1.0).state, strict=True))


def test_only_the_same_video_model_weights_and_speed_replace_a_row(tmp_path):
    path, video, other = tmp_path / "table.csv", tmp_path / "x.mp4", tmp_path / "y.mp4"
    student = {"model": "student", "weights": "a" * 12, "speed": "1"}
    before = {"file_bytes": "5", "file_changed_s": "5"}
    kept: list[tuple[Path, dict[str, str]]] = [
        (video, student | {"weights": "b" * 12}),
        (video, student | {"model": "teacher"}),
        (video, student | {"speed": "2"}),
        (other, student),
    ]
    for file in (video, other):
        file.write_text("this is no video")
    with Table(path) as table:
        for file, cells in [(video, student), *kept]:
            table.add(Row(file, {**cells, **before}))
    assert len(all_rows_of(path)) == 5
    with Table(path) as table:
        table.add(Row(video, {**student, **state_of(video)}))
    rows = all_rows_of(path)
    for (file, cells), row in zip(kept, rows[:-1], strict=True):
        assert row.items() >= {"video": str(file), **cells, **before}.items()
    assert rows[-1].items() >= {"video": str(video), **student, **state_of(video)}.items()


@pytest.mark.parametrize("order", [1, -1])
def test_rows_that_a_killed_run_left_double_go_however_they_were_sorted(tmp_path, order):
    path, video = tmp_path / "table.csv", tmp_path / "x.mp4"
    video.write_text("this is no video")
    states = [{"file_bytes": "5", "file_changed_s": "5"}, state_of(video)]
    table = Table(path)
    for state in states[::order]:
        table.add(Row(video, {**POS, **state}))
    table._file.close()  # and nothing else, as when it is killed
    assert len(all_rows_of(path)) == 2
    with Table(path) as table:
        assert table.done == {key_of(video, "pos", 1.0)}
    (row,) = all_rows_of(path)
    assert row.items() >= state_of(video).items()


def test_of_a_video_that_is_gone_all_rows_stay(tmp_path):
    path, video = tmp_path / "table.csv", tmp_path / "x.mp4"
    for changed_s in ("5", "6"):
        with Table(path) as table:
            table.add(Row(video, {**POS, "file_bytes": "5", "file_changed_s": changed_s}))
    with Table(path):
        pass
    assert [row["file_changed_s"] for row in all_rows_of(path)] == ["5", "6"]


def test_what_could_not_be_read_keeps_its_row_until_it_is_tried_again(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("kdphys.__main__.ProcessPoolExecutor", Here)
    table, damaged, other = tmp_path / "out.csv", tmp_path / "a" / "x.mp4", tmp_path / "y.mp4"
    damaged.parent.mkdir()
    for video in (damaged, other):
        video.write_text("this is no video")
    words = ("--out", table, "--model", "pos", "--jobs", "1")
    assert command(monkeypatch, damaged.parent, *words) == BAD_INPUT
    assert command(monkeypatch, other, *words) == BAD_INPUT
    assert command(monkeypatch, other, *words, "--speed", "2") == BAD_INPUT
    assert [row["video"] for row in all_rows_of(table)] == [str(damaged), *2 * [str(other)]]
    monkeypatch.setattr("kdphys.batch.measure_row", lambda video, *_: Row(video, dict(POS)))
    copy(folder / "a.npz", other)
    assert command(monkeypatch, other, *words) == 0
    rows = all_rows_of(table)
    assert [(row["video"], row["speed"], bool(row["error"])) for row in rows] == [
        (str(damaged), "1", True),
        (str(other), "2", True),
        (str(other), "1", False),
    ]
    monkeypatch.undo()
    monkeypatch.setattr("kdphys.__main__.ProcessPoolExecutor", Here)
    assert command(monkeypatch, damaged.parent, *words) == BAD_INPUT  # tried again: one row
    assert [row["video"] for row in all_rows_of(table)] == [*2 * [str(other)], str(damaged)]


def test_a_sentence_never_replaces_a_measurement(tmp_path):
    """The file may be back tomorrow as it was."""
    path, video = tmp_path / "table.csv", tmp_path / "x.mp4"
    video.write_text("this is no video")
    measured = {**POS, "heart_rate_bpm": "61.5", "file_bytes": "5", "file_changed_s": "5"}
    for cells in (measured, {**POS, "error": "It can't be read.", **state_of(video)}):
        with Table(path) as table:
            table.add(Row(video, dict(cells)))
    assert [row["heart_rate_bpm"] for row in all_rows_of(path)] == ["61.5", ""]
    with Table(path) as table:
        assert len(table.done) == 1
        table.add(Row(video, {**POS, **state_of(video)}))
    assert [row["error"] for row in all_rows_of(path)] == [""]


def find_the_disk_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def about_to_replace_a_row(folder: Path) -> tuple[Path, Table, Path]:
    """A table in which a video has a row and a newer one, not closed yet; and the video."""
    path, video = folder / "table.csv", folder / "x.mp4"
    video.write_text("this is no video")
    with Table(path) as table:
        table.add(Row(video, dict(POS)))
    table = Table(path)
    table.add(Row(video, {**POS, **state_of(video)}))
    return path, table, video


def test_what_was_replaced_goes_at_once_or_not_at_all(tmp_path, monkeypatch):
    path, table, _ = about_to_replace_a_row(tmp_path)
    before = path.read_bytes()
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", find_the_disk_full)
        with pytest.raises(VideoError, match=r"can't be written \(No space left"), table:
            pass
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["table.csv", "x.mp4"]
    with Table(path):
        pass
    assert len(all_rows_of(path)) == 1


def test_a_table_from_before_keeps_its_rows_and_their_videos_are_measured_anew(folder, tmp_path):
    path, video = tmp_path / "table.csv", folder / "a.npz"
    row = f"{video},61.5,0.9,,,,,12,30,1,pos,,1,,"
    path.write_text(",".join(OLDER) + f"\r\n{row}\r\n", newline="")
    with Table(path) as table:
        assert key_of(video, "pos", 1.0) not in table.done
    assert path.read_text().splitlines() == [",".join(COLUMNS), f"{row},,"]


def test_a_table_that_a_spreadsheet_saved_is_gone_on_with_and_keeps_its_mark(tmp_path):
    path, video = tmp_path / "table.csv", Path("/é.mp4")
    with Table(path) as table:
        table.add(Row(video, dict(POS)))
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    for _ in range(2):
        with Table(path) as table:
            assert key_of(video, "pos", 1.0) in table.done
            table.add(Row(video, dict(POS)))
    assert path.read_bytes().count(codecs.BOM_UTF8) == 1
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert [line.partition(",")[0] for line in lines[1:]] == ["/é.mp4"] * 3


def test_a_table_behind_a_link_stays_there(tmp_path):
    link = tmp_path / "table.csv"
    link.symlink_to(tmp_path / "true.csv")
    with Table(link) as table:
        table.add(Row(tmp_path / "x.mp4", {"model": "pos", "speed": "1"}))
    assert link.is_symlink()
    assert "x.mp4" in (tmp_path / "true.csv").read_text()


def test_a_file_beside_a_table_stays_whatever_its_name(tmp_path):
    (tmp_path / "table.csv.part").write_text("somebody else's")
    for _ in range(2):
        with Table(tmp_path / "table.csv") as table:
            table.add(Row(tmp_path / "x.mp4", dict(POS)))
    assert (tmp_path / "table.csv.part").read_text() == "somebody else's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.csv.part"]


def test_a_table_that_can_t_be_replaced_is_as_it_was_and_nothing_lies_beside_it(
    tmp_path, monkeypatch
):
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    path = tmp_path / "table.csv"
    with Table(path) as table:
        table.add(Row(tmp_path / "x.mp4", dict(POS)))
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(VideoError, match=r"can't be written \(Permission denied\)"):
        Table(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_is_held_no_more_is_not_rewritten(tmp_path, monkeypatch):
    """A full disk ends the lock with the file, and another run may be writing by then."""
    path, table, video = about_to_replace_a_row(tmp_path)
    inode = path.stat().st_ino
    monkeypatch.setattr("kdphys.batch.os.fsync", find_the_disk_full)
    with pytest.raises(VideoError, match=r"can't be written \(No space left"), table:
        table.add(Row(video, dict(POS)))
    assert path.stat().st_ino == inode


def test_another_table_is_not_written_to(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\x00no table\n")
    with pytest.raises(VideoError, match="no table of this command"):
        Table(path)
    assert path.read_bytes() == b"\xff\x00no table\n"


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_what_is_no_file_is_never_replaced_by_a_table(folder, tmp_path, monkeypatch, capsys, name):
    """A device would be replaced just as a pipe would."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    words = (folder, "--out", tmp_path / name, "--model", "pos", "--jobs", "1")
    assert command(monkeypatch, *words) == BAD_INPUT
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{tmp_path / name} is a folder, a pipe or a device, and a table needs")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


HOLDER = """
import sys
from pathlib import Path
from kdphys.batch import Row, Table
with Table(Path(sys.argv[1])) as table:
    table.add(Row(Path("/one.mp4"), {"model": "pos", "speed": "1"}))
    print("holds it", flush=True)
    sys.stdin.read()
"""


def test_a_table_is_written_by_one_run_at_a_time(tmp_path):
    path = tmp_path / "table.csv"
    words = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "holds it\n"
        with pytest.raises(VideoError, match=r"table\.csv is being written by another run: wait"):
            Table(path)
        other.kill()
    with Table(path) as table:  # the dead hold nothing
        assert table.done == {key_of(Path("/one.mp4"), "pos", 1.0)}
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_a_run_that_saw_the_table_before_another_replaced_it_gives_way(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    with Table(path) as table:
        table.add(Row(Path("/one.mp4"), {"model": "pos", "speed": "1"}))

    def just_in_time(file: TextIO) -> bool:
        (tmp_path / "new").write_bytes(path.read_bytes())
        (tmp_path / "new").replace(path)
        return _lock(file)

    monkeypatch.setattr("kdphys.batch._lock", just_in_time)
    with pytest.raises(VideoError, match="is being written by another run"):
        Table(path)


@pytest.mark.parametrize("has_no_locks", ["system", "disk"])
def test_where_nothing_can_be_locked_a_table_is_written_as_ever(
    tmp_path, monkeypatch, has_no_locks
):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if has_no_locks == "system":
        monkeypatch.setattr("kdphys.batch.fcntl", None)
    else:
        monkeypatch.setattr("kdphys.batch.fcntl.flock", refuse)
    for name in ("/one.mp4", "/two.mp4"):
        with Table(tmp_path / "table.csv") as table:
            table.add(Row(Path(name), {"model": "pos", "speed": "1"}))
    assert sorted(rows_of(tmp_path / "table.csv")) == ["one.mp4", "two.mp4"]


def test_a_table_that_can_t_be_written_is_one_sentence(tmp_path):
    with pytest.raises(VideoError, match="can't be written"):
        Table(tmp_path / "nowhere" / "table.csv")


def test_an_error_nobody_foresaw_is_a_row_too(npz, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("kdphys.batch.measure", fail)
    assert "a bug" in str(measure_row(npz, "pos").cells["error"])


class Mortal(Executor):
    """Its workers die over every second task."""

    def __init__(self) -> None:
        self.tasks = 0

    def submit(self, task: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks += 1
        if self.tasks % 2 == 0:
            future.set_exception(MemoryError("out of memory"))
        else:
            future.set_result(task(*given, **named))
        return future


def test_a_worker_that_dies_ends_with_a_sentence(folder):
    with pytest.raises(WorkerError, match=r"A worker died.*out of memory"):
        list(measure_all([folder / "c.mp4"] * 2, Mortal(), "pos"))


PARENT = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from kdphys.batch import end_with_parent

if __name__ == "__main__":
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, initializer=end_with_parent) as executor:
        print(executor.submit(os.getpid).result(), flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks a process up in /proc")
def test_workers_end_with_a_command_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        worker = int(parent.stdout.readline())
        parent.kill()
    patience = time.monotonic() + 30
    while runs(worker):
        assert time.monotonic() < patience, "the worker outlived its parent"
        time.sleep(0.05)


def runs(process: int) -> bool:
    """Whether a process is there, and not just waiting to be reaped."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_any_executor_will_do(folder):
    with ThreadPoolExecutor(2) as threads:
        rows = list(measure_all([folder / "c.mp4", folder / "a.npz"], threads, "pos"))
    assert {row.video.name for row in rows} == {"a.npz", "c.mp4"}


@pytest.mark.slow
def test_a_dask_cluster_measures_the_same(folder, tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    table = tmp_path / "out.csv"
    started: Any = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with started as cluster:
        words = (folder / "a.npz", "--out", table, "--model", "pos")
        assert command(monkeypatch, *words, "--dask", cluster.scheduler_address) == 0
    alone = measure(folder / "a.npz", "pos").to_json()
    assert float(rows_of(table)["a.npz"]["heart_rate_bpm"]) == alone["heart_rate_bpm"]


def test_a_cluster_that_does_not_answer_is_one_sentence(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kdphys.__main__.CLUSTER_S", "0.2s")
    words = (folder / "a.npz", "--out", tmp_path / "out.csv", "--dask", "tcp://127.0.0.1:9")
    assert command(monkeypatch, *words) == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("--dask tcp://127.0.0.1:9 leads to no scheduler (Timed out")
    assert line.endswith("or give the address of one, such as tcp://HOST:8786.")


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("foo", ValueError("missing port number in address 'foo'")),
        ("tls://127.0.0.1:9", TypeError("TLS expects a `ssl_context` argument")),
    ],
)
def test_an_address_of_no_cluster_is_one_sentence(
    folder, tmp_path, monkeypatch, capsys, address, error
):
    """What Dask says of them; clients of its own that fail keep later ones from beginning."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("distributed.Client", fail)
    words = (folder / "a.npz", "--out", tmp_path / "out.csv", "--model", "pos", "--dask", address)
    assert command(monkeypatch, *words) == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--dask {address} leads to no scheduler ({error}): start one there")


def test_a_cluster_without_its_extra_is_one_sentence(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = (folder / "a.npz", "--out", tmp_path / "out.csv", "--model", "pos", "--dask", "foo")
    assert command(monkeypatch, *words) == BAD_INPUT
    assert capsys.readouterr().err == "--dask needs an extra: pip install '.[cluster]'.\n"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("concurrent.futures.process.ProcessPoolExecutor.__init__", ValueError("at most 61"),
         "2 processes can't be set up (at most 61): give fewer --jobs"),
        ("concurrent.futures.process.ProcessPoolExecutor.submit", OSError(errno.EAGAIN, "No more"),
         "No worker can be had for a.npz (No more); use fewer of them"),
        ("kdphys.batch.os.fsync", OSError(errno.ENOSPC, "No space left on device"),
         "lacking.csv can't be written (No space left on device)."),
    ],
    ids=["processes", "a process", "disk"],
)  # fmt: skip
def test_what_the_system_lacks_for_a_table_is_one_sentence(
    folder, monkeypatch, capsys, call, error, said
):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(folder)
    if call.endswith("fsync"):
        monkeypatch.setattr("kdphys.__main__.ProcessPoolExecutor", Here)
        monkeypatch.setattr("kdphys.batch.measure_row", lambda video, *_: Row(video, dict(POS)))
    monkeypatch.setattr(call, fail)
    words = ("a.npz", "b.npz", "--out", "lacking.csv", "--model", "pos", "--jobs", "2")
    assert command(monkeypatch, *words) == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("error", [ValueError, ImportError, OSError])
def test_a_mistake_in_the_code_is_not_told_as_if_it_were_the_user_s(
    folder, tmp_path, monkeypatch, error
):
    def fail(*_: object) -> None:
        raise error("a bug")

    monkeypatch.setattr("kdphys.__main__.measure_all", fail)
    words = [str(folder / "a.npz"), "--out", str(tmp_path / "out.csv"), "--model", "pos"]
    monkeypatch.setattr("sys.argv", ["kdphys", "batch", *words])
    with pytest.raises(error, match="a bug"):
        main()


def test_a_video_on_another_drive_than_its_table_is_named_in_full(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kdphys.batch.relpath", fail)
    with Table(tmp_path / "table.csv") as table:
        table.add(Row(Path("x.mp4"), dict(POS)))
    assert list(rows_of(tmp_path / "table.csv")) == ["x.mp4"]
    assert str(tmp_path / "x.mp4") in (tmp_path / "table.csv").read_text()


def test_a_private_table_stays_private(tmp_path):
    path = tmp_path / "rates.csv"
    with Table(path):
        pass
    path.chmod(0o600)
    with Table(path):
        pass
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_pool_that_broke_before_is_a_sentence_too():
    broken = Mortal()
    broken.submit = broken_pool  # type: ignore[method-assign]
    with pytest.raises(WorkerError, match=r"before face.mp4 could be asked for"):
        list(measure_all([Path("face.mp4")], broken))


def broken_pool(*_: object) -> Future:
    raise BrokenExecutor("a child died")
