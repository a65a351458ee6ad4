"""The command line: JSON as promised, one sentence on stderr, exit status 0 or 2."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import weakref
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from kdphys.__main__ import main
from kdphys.errors import WeightsError
from kdphys.pipeline import NOT_MEDICAL, Measurement, measure
from tests._films import Recording, even_times, write_npz, write_video

ROOT = Path(__file__).parent.parent
PROMISED = {
    "schema": int,
    "model": str,
    "speed": float,
    "duration_s": float,
    "fps": float,
    "frames": int,
    "face_fraction": float,
    "heart_rate_bpm": float | None,
    "quality": float,
    "reason": str | None,
    "rmssd_ms": float | None,
    "sdnn_ms": float | None,
    "respiration_bpm": float | None,
    "seconds": dict,
    "wave": dict,
}
HUB = ("--model", "owner/name", "--revision", "0" * 40)  # which no test can reach


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict]:
        return [json.loads(line, parse_constant=_refuse) for line in self.out.splitlines()]


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


Command = Callable[..., Answer]


@pytest.fixture
def kdphys(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process; what C code prints is caught as well."""

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["kdphys", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        printed = capfd.readouterr()
        return Answer(int(left.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="module")
def short(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds of a face."""
    path = tmp_path_factory.mktemp("cli") / "short.npz"
    return write_npz(path, recording.pictures[:176], recording.time_s[:176])


def test_a_reading_is_one_json_object_with_every_promised_field(kdphys, npz, recording):
    answer = kdphys("measure", npz, "--json", "--model", "pos")
    assert answer.status == 0
    assert answer.err == ""
    (record,) = answer.records
    for name, kind in PROMISED.items():
        assert isinstance(record[name], kind), name
    assert set(record) - set(PROMISED) == {"note", "notes", "video", "weights"}
    assert record["note"] == NOT_MEDICAL
    assert record["video"] == str(npz)
    assert record["heart_rate_bpm"] == pytest.approx(recording.bpm, abs=2)
    assert record["reason"] is None
    assert len(record["wave"]["values"]) == int(record["duration_s"] * record["wave"]["fps"]) + 1


def test_an_honest_no_reading_is_no_failure(kdphys, tmp_path, recording):
    still = [recording.pictures[0]] * 200
    answer = kdphys(
        "measure", write_npz(tmp_path / "still.npz", still, even_times(8, 25)), "--json",
        "--model", "pos",
    )  # fmt: skip
    assert answer.status == 0
    (record,) = answer.records
    assert record["heart_rate_bpm"] is None
    assert record["quality"] < 0.5
    assert record["reason"]


def test_without_json_a_sentence_is_printed(kdphys, npz):
    answer = kdphys("measure", npz, "--model", "pos")
    assert answer.status == 0
    assert answer.out.startswith("easy.npz: 7")
    assert "beats a minute (confidence " in answer.out
    assert answer.out.count("\n") == 2


def test_below_the_last_sentence_it_says_that_it_is_no_medical_device(kdphys, short, tmp_path):
    lines = kdphys("measure", short, short, "--model", "pos").out.splitlines()
    assert [line.partition(":")[0] for line in lines] == 2 * ["short.npz"] + [
        "Not a medical device"
    ]
    assert lines[-1] == NOT_MEDICAL
    assert kdphys("measure", tmp_path / "gone.mp4").out == ""


def test_speed_scales_the_reading(kdphys, npz, recording):
    (record,) = kdphys("measure", npz, "--json", "--model", "pos", "--speed", "1.25").records
    assert record["heart_rate_bpm"] == pytest.approx(1.25 * recording.bpm, abs=3)
    assert record["speed"] == 1.25


def test_a_speed_is_said_where_it_is_not_that_of_the_recording(kdphys, short):
    sentence, _ = kdphys("measure", short, "--model", "pos", "--speed", "1.1").out.splitlines()
    assert sentence.startswith("short.npz, read at 1.1 times its speed: ")
    (record,) = kdphys("measure", short, "--json", "--model", "pos", "--speed", "1").records
    assert record["speed"] == 1


def test_the_wave_is_written_as_csv(kdphys, npz, tmp_path):
    path = tmp_path / "wave.csv"
    (record,) = kdphys("measure", npz, "--json", "--model", "pos", "--csv", path).records
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video", "time_s", "wave"]
    assert {row["video"] for row in rows} == {str(npz)}
    assert len(rows) == len(record["wave"]["values"])
    assert float(rows[30]["time_s"]) == pytest.approx(1.0)
    for row, value in zip(rows, record["wave"]["values"], strict=True):
        assert row["wave"] == ("" if value is None else f"{value:.5f}")


def test_several_inputs_and_a_folder_give_a_line_each(kdphys, short, tmp_path, recording):
    folder = tmp_path / "folder"
    folder.mkdir()
    write_npz(folder / "b.npz", recording.pictures[100:276], recording.time_s[100:276])
    write_npz(folder / "a.npz", recording.pictures[:176], recording.time_s[:176])
    (folder / "notes.txt").write_text("not a video")
    answer = kdphys("measure", short, folder, "--json", "--model", "pos")
    assert answer.status == 0
    one, first, second = (_without_times(record) for record in answer.records)
    assert one == first  # nothing of a file is left in the next
    assert second["wave"] != first["wave"]
    alone = kdphys("measure", folder / "b.npz", "--json", "--model", "pos").records[0]
    assert _without_times(alone) == second


def test_videos_of_the_same_name_are_named_by_their_paths(kdphys, short, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.mp4").write_text("this is no video")
        np.savez(tmp_path / folder / "face.npz", **np.load(short))
    (tmp_path / "a" / "only.npz").write_bytes(short.read_bytes())
    write_npz(tmp_path / "b" / "wall.npz", *wall(8))
    (tmp_path / "a" / "wall.npz").write_bytes((tmp_path / "b" / "wall.npz").read_bytes())
    answer = kdphys("measure", "a", "b", "--model", "pos")
    assert answer.status == 2
    *read, last = answer.out.splitlines()
    names = [line.partition(":")[0] for line in read]
    assert names == ["a/face.npz", "only.npz", "b/face.npz"]
    assert last == NOT_MEDICAL
    said = answer.err.splitlines()
    assert [line.partition(" can't")[0] for line in said[::2]] == ["a/bad.mp4", "b/bad.mp4"]
    assert [line.partition(": No face")[0] for line in said[1::2]] == ["a/wall.npz", "b/wall.npz"]
    others = kdphys("measure", "a/bad.mp4", "b/wall.npz", "a/bad.mp4").err.splitlines()
    assert [line.startswith("bad.mp4 can't") for line in others] == [True, False, True]


def wall(seconds: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures without a face, and their times."""
    return [np.full((64, 64, 3), (120, 110, 100), np.uint8)] * 10 * seconds, even_times(seconds, 10)


def _without_times(record: dict) -> dict:
    return {name: value for name, value in record.items() if name not in ("seconds", "video")}


def test_a_bad_file_does_not_stop_the_others(kdphys, short, tmp_path):
    answer = kdphys("measure", tmp_path / "gone.mp4", short, "--json", "--model", "pos")
    assert answer.status == 2
    assert len(answer.records) == 1
    assert answer.err.count("\n") == 1


def missing(folder: Path, _recording: Recording) -> Path:
    return folder / "gone.mp4"


def text(folder: Path, _recording: Recording) -> Path:
    path = folder / "letter.mp4"
    path.write_text("Dear reader,\n" * 50)
    return path


def empty_file(folder: Path, _recording: Recording) -> Path:
    path = folder / "nothing.mp4"
    path.touch()
    return path


def truncated(folder: Path, recording: Recording) -> Path:
    path = write_video(folder / "cut.mp4", recording.pictures[:60], recording.time_s[:60])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    return path


def audio_only(folder: Path, _recording: Recording) -> Path:
    path = folder / "song.mp4"
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("aac", rate=16000)
        tone = (8000 * np.sin(np.arange(1024 * 20) / 5)).astype(np.int16).reshape(20, 1, 1024)
        for index, piece in enumerate(tone):
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, index * 1024
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


def zero_frames(folder: Path, _recording: Recording) -> Path:
    path = folder / "none.npz"
    np.savez(path, frames=np.zeros((0, 8, 8, 3), np.uint8), time_s=np.zeros(0))
    return path


def two_seconds(folder: Path, recording: Recording) -> Path:
    return write_video(folder / "brief.mp4", recording.pictures[:51], recording.time_s[:51])


def no_face(folder: Path, _recording: Recording) -> Path:
    return write_video(folder / "wall.mp4", *wall(8))


def black(folder: Path, _recording: Recording) -> Path:
    dark = np.zeros((64, 64, 3), np.uint8)
    return write_video(folder / "dark.webm", [dark] * 80, even_times(8, 10), codec="libvpx")


def five_a_second(folder: Path, recording: Recording) -> Path:
    return write_video(folder / "slow.mp4", recording.pictures[::5], recording.time_s[::5])


def picture(folder: Path, recording: Recording) -> Path:
    path = folder / "photo.jpg"
    cv2.imwrite(str(path), recording.pictures[0][..., ::-1])
    return path


def picture_named_video(folder: Path, recording: Recording) -> Path:
    path = folder / "photo.mp4"
    path.write_bytes(picture(folder, recording).read_bytes())
    return path


def empty_folder(folder: Path, _recording: Recording) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def foreign_npz(folder: Path, _recording: Recording) -> Path:
    path = folder / "other.npz"
    np.savez(path, weights=np.zeros(3))
    return path


def locked_npz(folder: Path, _recording: Recording) -> Path:
    """An archive whose members claim to be encrypted."""
    path = folder / "locked.npz"
    np.savez(path, frames=np.zeros((2, 8, 8, 3), np.uint8), time_s=np.arange(2.0))
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)
    return path


def boastful_npz(folder: Path, _recording: Recording) -> Path:
    """An archive whose stamps claim to be a hundred trillion."""
    path = folder / "boast.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000000,), }\n"
    with zipfile.ZipFile(path, "w") as archive:
        frames = io.BytesIO()
        np.save(frames, np.zeros((2, 8, 8, 3), np.uint8))
        archive.writestr("frames.npy", frames.getvalue())
        size = len(header).to_bytes(2, "little")
        archive.writestr("time_s.npy", b"\x93NUMPY\x01\x00" + size + header)
    return path


BAD_INPUT = {
    locked_npz: "locked.npz can't be used",
    boastful_npz: "boast.npz can't be used",
    missing: "There is no file",
    text: "letter.mp4 can't be read as video",
    empty_file: "nothing.mp4 is empty",
    truncated: "cut.mp4 was cut off",
    audio_only: "sound but no moving picture",
    zero_frames: "none.npz",
    two_seconds: "a heart rate needs 6 s",
    no_face: "No face was found in wall.mp4",
    black: "dark.webm are black",
    five_a_second: "pictures a second; a pulse needs",
    picture: "photo.jpg is a single picture",
    picture_named_video: "photo.mp4",
    empty_folder: "holds no video",
    foreign_npz: "other.npz can't be used",
}


@pytest.mark.parametrize("make", BAD_INPUT, ids=lambda make: make.__name__)
def test_bad_input_is_one_sentence_and_status_2(kdphys, make, recording, tmp_path):
    answer = kdphys("measure", make(tmp_path, recording), "--json")
    assert answer.status == 2
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert BAD_INPUT[make] in line
    assert line.endswith(".")
    assert "Traceback" not in line
    assert "Errno" not in line


@pytest.mark.parametrize("speed", ["0", "-1", "11", "nan"])
def test_a_speed_out_of_range_is_one_sentence(kdphys, short, speed):
    answer = kdphys("measure", short, f"--speed={speed}")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "--speed" in answer.err


def test_a_csv_that_can_t_be_written_is_refused_before_any_work(kdphys, short, tmp_path):
    for path in (tmp_path, tmp_path / "gone" / "wave.csv"):
        answer = kdphys("measure", short, "--csv", path)
        assert answer.status == 2
        assert answer.out == ""
        assert answer.err.count("\n") == 1
        assert "--csv" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("measure", "{closed}"),
        ("measure", "{short}", "{closed}"),
        ("measure", "{short}", "--csv", "{closed}"),
        ("measure", "{short}", "--model", "{closed}"),
        ("batch", "{short}", "--out", "{closed}"),
        ("batch", "{short}", "--model", "{closed}"),
        ("batch", "{closed}", "--out", "{folder}/rates.csv"),
    ],
)
def test_a_path_that_can_t_be_looked_at_is_one_sentence(kdphys, short, tmp_path, words):
    closed = tmp_path / (300 * "x")  # too long for any file system, so not even root may
    given = [word.format(closed=closed, short=short, folder=tmp_path) for word in words]
    answer = kdphys(*given)
    assert answer.status == 2
    (line,) = answer.err.splitlines()
    assert f"{closed} can't be " in line
    assert "(File name too long): " in line


def test_no_video_at_all_is_one_sentence(kdphys):
    answer = kdphys("measure", "--json")
    assert answer.status == 2
    assert answer.err == "No video was given: name a video file or a folder of videos.\n"


@pytest.mark.parametrize("command", ["measure", "batch"])
def test_an_empty_name_is_not_the_current_folder(kdphys, short, monkeypatch, command):
    monkeypatch.chdir(short.parent)
    answer = kdphys(command, short, "", "--model", "pos")
    assert (answer.status, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("The name of a video is empty: ")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["measure", "--modle", "pos"], "--modle"),
        (["measure", "face.mp4", "--model", "best"], "best"),
        (["measure", "face.mp4", "--model", "owner/name"], "needs --revision"),
        (["measure", "face.mp4", "--model", "owner/name", "--revision", ""], "needs --revision"),
        (
            ["measure", "face.mp4", "--model", "owner/name", "--revision", "main"],
            "full commit hash",
        ),
        (["measure", "face.mp4", "--revision", "0" * 40], "--revision is for a network on the Hub"),
        (["measure", "face.mp4", "--fallback", "student"], "leave it out without --revision"),
        (
            ["batch", "face.mp4", *HUB, "--fallback", "owner/other"],
            "--fallback owner/other is not known",
        ),
        (["measure", "face.mp4", "--speed", "fast"], "fast"),
        (["weigh"], "weigh"),
        ([], "bench"),
    ],
)
def test_a_command_that_can_t_be_understood_is_one_line(kdphys, words, named):
    answer = kdphys(*words)
    assert answer.status == 2
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert named in line
    assert "─" not in line


@pytest.mark.parametrize("command", ["measure", "batch"])
def test_without_a_connection_only_a_fallback_that_was_named_reads(
    kdphys, short, tmp_path, command
):
    table = ("--out", tmp_path / "rates.csv", "--jobs", 1) if command == "batch" else ("--json",)
    refused = kdphys(command, short, *table, *HUB)
    assert (refused.status, refused.out) == (2, "")
    answer = kdphys(command, short, *table, *HUB, "--fallback", "pos")
    assert answer.status == 0
    first = answer.err.splitlines()[0]
    assert first == refused.err.rstrip() + " Reading with pos instead, as --fallback says."
    if command == "measure":
        rows = answer.records
    else:
        rows = list(csv.DictReader((tmp_path / "rates.csv").read_text().splitlines()))
    assert [row["model"] for row in rows] == ["pos"]


def test_a_bench_without_weights_says_what_is_wrong_with_them(kdphys, monkeypatch):
    def damaged(_name):
        raise WeightsError("They are damaged: export them again.")

    monkeypatch.setattr("kdphys.bench.open_model", damaged)
    answer = kdphys("bench")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == "They are damaged: export them again.\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    ("words", "begin"),
    [
        (["measure", "a.mp4", "--modle", "pos"], "Unrecognized options: --modle, pos Perhaps"),
        (["measure", "a.mp4", "--speed"], "Missing value for argument '--speed'. Expected"),
        (["measure", "a.mp4", "--speed", "fast"], "Error parsing --speed: could not convert"),
        (["measure", "a.mp4", "--jobs", "3"], "Unrecognized or misplaced options: --jobs (applied"),
        ([], "Expected one of {measure, batch, bench}. For full helptext, run kdphys --help"),
    ],
)
def test_what_can_t_be_understood_is_said_once(kdphys, monkeypatch, words, begin, encoding):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    (line,) = kdphys(*words).err.splitlines()
    assert line.startswith(begin)
    assert "---" not in line


@pytest.mark.parametrize("command", ["measure", "batch"])
@pytest.mark.parametrize(
    "name", ["-dash.mp4", "--a_b.npz", "-folder", "-c d.MOV", f"-{200 * 'x'}.mp4"]
)
def test_a_video_whose_name_begins_as_an_option_is_told_how_to_be_named(
    kdphys, tmp_path, monkeypatch, command, name
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-folder").mkdir()
    answer = kdphys(command, name)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == f"{name} is taken for an option: write ./{name} for what is named so.\n"


def test_an_option_too_long_for_a_name_is_one_line(kdphys):
    (line,) = kdphys("measure", f"-{300 * 'x'}").err.splitlines()
    assert line.startswith("Unrecognized options: -xxx")


def test_a_video_whose_name_begins_as_an_option_is_measured_when_named_so(
    kdphys, short, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.npz").write_bytes(short.read_bytes())
    for words in (("./-dash.npz",), ("--", "-dash.npz")):
        assert kdphys("measure", "--model", "green", *words).out.startswith("-dash.npz: ")


def test_a_csv_never_replaces_a_video(kdphys, short, tmp_path):
    video = tmp_path / "kept.mp4"
    video.write_bytes(b"a video")
    answer = kdphys("measure", short, "--csv", video)
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "would replace a video" in answer.err
    assert video.read_bytes() == b"a video"


def test_a_disk_that_is_full_is_one_sentence_after_the_reading(kdphys, short):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    answer = kdphys("measure", short, "--csv", "/dev/full", "--model", "pos")
    assert answer.status == 2
    assert answer.out.count("\n") == 1
    (line,) = answer.err.splitlines()
    assert line.startswith("The waves can't be written to /dev/full (No space left on device): ")


def test_a_csv_that_can_t_be_opened_is_refused_before_any_work(kdphys, short, tmp_path):
    with socket.socket(socket.AF_UNIX) as deaf:  # not even root opens one as a file
        deaf.bind(str(tmp_path / "deaf.csv"))
        answer = kdphys("measure", short, "--csv", tmp_path / "deaf.csv", "--model", "pos")
    assert (answer.status, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"The waves can't be written to {tmp_path / 'deaf.csv'} (")


def test_waves_are_in_the_file_as_soon_as_a_video_is_done(kdphys, short, tmp_path, monkeypatch):
    path, done = tmp_path / "waves.csv", []

    def watched(video: Path, model: str, *, speed: float) -> Measurement:
        if len(done) == 2:
            assert done[0]() is None  # nothing of it is kept
            lines = path.read_text().splitlines()
            assert lines[0] == "video,time_s,wave"
            assert len(lines) == 1 + 2 * len(done[1]().wave)
            raise KeyboardInterrupt
        found = measure(video, model, speed=speed)
        done.append(weakref.ref(found))
        return found

    monkeypatch.setattr("kdphys.__main__.measure", watched)
    answer = kdphys("measure", short, short, short, "--csv", path, "--model", "pos")
    assert answer.status == 130
    assert len(done) == 2
    assert path.read_text().endswith("\n")


def test_waves_of_before_stay_until_there_are_new_ones(kdphys, short, tmp_path):
    path = tmp_path / "waves.csv"
    before = "video,time_s,wave\nof before,0.0000,1.00000\n"
    path.write_text(before, encoding="utf-8-sig")  # as a spreadsheet saves it
    assert kdphys("measure", tmp_path / "gone.mp4", "--csv", path).status == 2
    assert path.read_text(encoding="utf-8-sig") == before
    assert kdphys("measure", short, "--csv", path, "--model", "pos").status == 0
    assert path.read_text().startswith("video,time_s,wave\n")
    assert "of before" not in path.read_text()


@pytest.mark.parametrize(
    "held",
    [b"notes\n", b"\nnotes\n", b"\xff\x00" * 200, b"video,heart_rate_bpm\n", b"video,time_s"],
)
def test_a_csv_never_replaces_what_is_no_table_of_waves(kdphys, short, tmp_path, held):
    path = tmp_path / "notes.txt"
    path.write_bytes(held)
    answer = kdphys("measure", short, "--csv", path, "--model", "pos")
    assert (answer.status, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"{path} holds something else than waves of this command")
    assert path.read_bytes() == held


def test_a_csv_may_be_an_empty_file(kdphys, short, tmp_path):
    (tmp_path / "empty.csv").touch()
    assert kdphys("measure", short, "--csv", tmp_path / "empty.csv", "--model", "pos").status == 0


def test_waves_are_written_to_a_pipe(kdphys, short, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    answer = kdphys("measure", short, "--csv", tmp_path / "pipe", "--model", "pos")
    assert (answer.status, answer.err) == (0, "")
    assert os.read(reader, 100).startswith(b"video,time_s,wave\r\n")
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_an_interrupt_ends_quietly(kdphys, short, monkeypatch):
    def interrupted(*_words: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kdphys.__main__.measure", interrupted)
    answer = kdphys("measure", short)
    assert (answer.status, answer.out, answer.err) == (130, "", "")


@pytest.mark.slow
def test_a_reader_that_has_heard_enough_is_no_error(short):
    command = [sys.executable, "-m", "kdphys", "measure", str(short), str(short), "--model=pos"]
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(5)
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0


@pytest.mark.parametrize("words", [["--help"], ["measure", "--help"], ["bench", "--help"]])
def test_help_is_printed(kdphys, words):
    answer = kdphys(*words)
    assert answer.status == 0
    assert "usage: kdphys" in answer.out


@pytest.mark.parametrize("command", ["measure", "batch"])
def test_who_measures_is_told_that_it_is_no_medical_device(kdphys, command):
    assert "KDPhys is not a medical device." in kdphys(command, "--help").out


IMPORT = """
import sys, time
import av, cv2, numpy, onnxruntime, scipy.signal  # not ours to make quick
began = time.process_time()
import kdphys
seconds = time.process_time() - began
heavy = {"torch", "gradio", "mediapipe", "jax", "matplotlib", "huggingface_hub"} & set(sys.modules)
print(seconds, *heavy)
"""


def test_importing_the_library_is_quick_and_brings_no_torch():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True, cwd=ROOT
    )
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < 1  # of processor time: what else runs does not count


@pytest.mark.slow
def test_the_module_runs_as_a_command(npz, tmp_path):
    command = [sys.executable, "-m", "kdphys", "measure"]
    done = subprocess.run(
        [*command, str(npz), str(tmp_path / "gone.mp4"), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["model"] == "student"
    assert done.stderr.count("\n") == 1
    assert "gone.mp4" in done.stderr


@pytest.mark.slow
def test_bench_compares_both_networks():
    done = subprocess.run(
        [sys.executable, "-m", "kdphys", "bench", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(done.stdout)
    assert list(found) == ["student", "teacher", "machine"]
    fields = (
        "parameters", "macs_per_frame", "file_bytes", "load_s", "clip_ms_per_frame",
        "streaming_ms_p50", "streaming_ms_p95", "peak_rss_mb",
    )  # fmt: skip
    for name in ("student", "teacher"):
        assert set(fields) <= set(found[name])
        assert found[name]["clip_ms_per_frame"] > 0
    assert found["teacher"]["streaming_ms_p50"] is None
    assert 0 < found["student"]["streaming_ms_p50"] <= found["student"]["streaming_ms_p95"]
    assert found["student"]["parameters"] <= 230_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_an_answer_that_can_t_be_written_is_said(npz):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kdphys", "measure", str(npz), "--model", "pos", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == "The answer can't be written (No space left on device)."


def test_a_name_with_a_line_break_gives_one_line(kdphys, npz, tmp_path):
    video = tmp_path / "two\nlines.npz"
    video.write_bytes(npz.read_bytes())
    line, _ = kdphys("measure", video, "--model", "pos").out.splitlines()
    assert line.startswith("two lines.npz: ")


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_changes_nothing_but_what_it_would_have_said(npz, closed):
    """It ended with a traceback."""
    command = [sys.executable, "-m", "kdphys", "measure", str(npz), "--json", "--model", "green"]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}>&-', "bash", *command],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) == (closed != 1)
