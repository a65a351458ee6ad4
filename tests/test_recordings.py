"""Each data set is written here in its own format, with a drawn face whose pulse is known."""

import csv
import json
import shutil
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copy, copytree
from typing import NamedTuple
from xml.etree import ElementTree

import cv2
import h5py
import numpy as np
import pytest
import tyro
from numpy.typing import NDArray
from scipy import io
from scipy.io.matlab import MatReadError

from kdphys.bench import machine_name
from kdphys.hub import SHIPPED
from kdphys.stream import FaceStream
from kdphys.video import Frame, read_frames
from tests._films import easy_config, write_video
from tests._media import write_video as write_avi
from tests._tiny_run import SHORT
from train.benchmark import (
    BenchmarkJob,
    _sensor_bpm,
    _whole_truth,
    chosen_recordings,
    draw_bland_altman,
    measure_recording,
    run_benchmark,
    summarise,
    toolbox_bpm,
)
from train.card import all_recipes
from train.datasets import read_store, read_stores, whole_batch
from train.distill import DistillRun
from train.evaluate import EvaluateJob
from train.evaluate import main as evaluate
from train.labels import Trace, label_on_grid, rate_between, rate_of
from train.loop import without_folders
from train.matlab import frames_of, read_v5_video, read_v73_frames
from train.recordings import (
    LOADERS,
    Recording,
    RecordingsJob,
    _write_side,
    check_split,
    cut_clips,
    face_stretches,
    people_of,
    read_cohface,
    read_folder,
    read_mmpd,
    read_pure,
    read_scamps,
    read_ubfc,
    split_people,
    write_clips,
)
from train.recordings import main as cut_data_set
from train.script import JobError
from train.smoke import SMOKE_SCHEDULE
from train.soup import record_of
from train.synthetic import Film, SyntheticConfig, SyntheticJob, make_film, write_dataset
from train.teacher import TeacherRun
from train.teacher import main as train_teacher

BPM = 84.0
FPS = 30.0
LEAD_S = 0.5  # a sensor that is switched on before the camera
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def film() -> Film:
    """Eleven seconds of a still drawn face at 84 bpm, 30 times a second."""
    off = ("codec", "timing", "rhythm", "talk", "express", "blink")
    return make_film(
        4,
        SyntheticConfig(
            11.0, difficulty=0.0, negatives=0.0, side=96, view=2.0, fps=FPS, bpm=BPM, off=off
        ),
    )


def heard(film: Film, hz: float, lead_s: float = 0.0) -> tuple[Array, Array]:
    """What a sensor of its own rate says, from `lead_s` before the first frame to the last one."""
    times = np.arange(-lead_s, film.time_s[-1], 1 / hz)
    return times, np.interp(times, film.pulse.time_s, film.pulse.values)


# The sets, written as their owners do ------------------------------------------------------------


def write_ubfc_2(root: Path, film: Film) -> None:
    folder = root / "DATASET_2" / "subject12"
    folder.mkdir(parents=True)
    write_avi(folder / "vid.avi", film.pictures, film.time_s, "rawvideo", "bgr24")
    times, wave = heard(film, 29.5)
    rows = (wave, np.full(len(times), BPM), times)
    text = "\n".join("  ".join(f"{x: .7e}" for x in row) for row in rows)
    (folder / "ground_truth.txt").write_text(text + "\n")


def write_ubfc_1(root: Path, film: Film) -> None:
    folder = root / "DATASET_1" / "5-gt"
    folder.mkdir(parents=True)
    write_avi(folder / "vid.avi", film.pictures, film.time_s, "rawvideo", "bgr24")
    times, wave = heard(film, 62.1)
    lines = [f"{1000 * t:.0f},84,98,{x:.5f}" for t, x in zip(times, wave, strict=True)]
    (folder / "gtdump.xmp").write_text("\n".join(lines) + "\n")


def write_pure(root: Path, film: Film) -> None:
    start = 1_392_643_993_642_815_000
    folder = root / "07-02"
    (folder / "07-02").mkdir(parents=True)
    stamps = [start + round(time_s * 1e9) for time_s in film.time_s]
    for stamp, picture in zip(stamps, film.pictures, strict=True):
        path = folder / "07-02" / f"Image{stamp}.png"
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    times, wave = heard(film, 60.0, LEAD_S)
    packages = [
        {
            "Timestamp": start + round(t * 1e9),
            "Value": {"pulseRate": 84, "o2saturation": 98, "signalStrength": 5, "waveform": x},
        }
        for t, x in zip(times, wave, strict=True)
    ]
    images = [{"Timestamp": stamp, "Value": 0} for stamp in stamps]
    (folder / "07-02.json").write_text(json.dumps({"/FullPackage": packages, "/Image": images}))


def write_cohface(root: Path, film: Film) -> None:
    folder = root / "31" / "2"
    folder.mkdir(parents=True)
    write_avi(folder / "data.avi", film.pictures, film.time_s, "mjpeg", "yuvj420p")
    times, wave = heard(film, 256.0)
    with h5py.File(folder / "data.hdf5", "w") as file:
        file["pulse"], file["respiration"], file["time"] = wave, np.zeros_like(wave), times


def write_mmpd(root: Path, film: Film, *, packed: bool = True) -> None:
    folder = root / "subject9"
    folder.mkdir(parents=True)
    wave = np.interp(film.time_s, film.pulse.time_s, film.pulse.values)
    labels = {"light": "LED-low", "motion": "Watching Videos", "exercise": "False"}
    io.savemat(
        folder / "p9_3.mat",
        {
            **labels,
            "video": np.stack(film.pictures).astype(np.float32) / 255,
            "GT_ppg": wave[None],
            "skin_color": 5,
            "gender": "female",
        },
        do_compression=packed,
    )


def write_scamps(root: Path, film: Film) -> None:
    root.mkdir(parents=True, exist_ok=True)
    wave = np.interp(film.time_s, film.pulse.time_s, film.pulse.values)
    with h5py.File(root / "P000042.mat", "w") as file:
        file["RawFrames"] = np.stack(film.pictures).transpose(3, 2, 1, 0) / 255
        file["d_ppg"] = wave[:, None]


def write_folder(root: Path, film: Film) -> None:
    root.mkdir(parents=True, exist_ok=True)
    write_video(root / "mary_at rest.mp4", film.pictures, film.time_s)
    with (root / "mary_at rest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time_s", "wave", "bpm"))
        writer.writerows((t, x, BPM) for t, x in zip(*heard(film, 100.0, LEAD_S), strict=True))


class Written(NamedTuple):
    """How a set is written and read, and what is known about its one recording."""

    write: Callable[[Path, Film], None]
    read: Callable[[Path], list[Recording]]
    subject: str
    activity: str | None = None
    skin_tone: str | None = None
    light: str | None = None
    rated: bool = False


SETS = {
    "ubfc 1": Written(write_ubfc_1, read_ubfc, "ubfc/5-gt", "still", rated=True),
    "ubfc 2": Written(write_ubfc_2, read_ubfc, "ubfc/subject12", "game", rated=True),
    "pure": Written(write_pure, read_pure, "pure/07", "talking", rated=True),
    "cohface": Written(write_cohface, read_cohface, "cohface/31", "still", light="daylight"),
    "mmpd": Written(write_mmpd, read_mmpd, "mmpd/p9", "walking", "Fitzpatrick 5", "LED-low"),
    "scamps": Written(write_scamps, read_scamps, "scamps/P000042"),
    "folder": Written(write_folder, read_folder, "folder/mary", "at rest", rated=True),
}


@pytest.fixture(scope="module", params=list(SETS))
def known(request, film, tmp_path_factory) -> tuple[Written, Recording]:
    written = SETS[request.param]
    root = tmp_path_factory.mktemp("sets") / "root"
    written.write(root, film)
    (recording,) = written.read(root)
    return written, recording


def test_a_recording_knows_its_person_and_its_labels(known):
    written, recording = known
    for name in ("subject", "activity", "skin_tone", "light"):
        assert getattr(recording, name) == getattr(written, name)


def test_frames_are_upright_rgb_at_their_own_times(known, film):
    frames = list(known[1].frames())
    assert len(frames) == len(film.pictures)
    # AVI and MP4 round a stamp to their own clock, PURE to nanoseconds of a large number.
    np.testing.assert_allclose([f.time_s for f in frames], film.time_s, atol=2e-3)
    for frame, picture in zip(frames[::60], film.pictures[::60], strict=True):
        assert frame.rgb.shape == picture.shape
        # Lossy codecs move single pixels; a swap of colours or axes moves the mean far more.
        assert np.abs(frame.rgb.astype(float) - picture).mean() < 4


def green(frames: list[Frame]) -> Array:
    """Mean green of the middle of each frame, relative to its mean."""
    light = np.array([frame.rgb[30:66, 30:66, 1].mean() for frame in frames])
    return light / light.mean() - 1


def test_the_contact_wave_has_the_known_rate_and_stays_with_the_frames(known, film):
    written, recording = known
    frames = list(recording.frames())
    assert recording.wave is not None
    steps = int(frames[-1].time_s * FPS)
    label = label_on_grid(recording.wave, steps, FPS)
    rate = rate_of(label, FPS)
    assert rate is not None
    assert rate.bpm == pytest.approx(film.truth.bpm, abs=1.0)  # one 10 s window
    times = np.array([frame.time_s for frame in frames])
    shown = Trace(times, -green(frames))  # blood darkens
    seen = label_on_grid(shown, steps, FPS)
    both = np.isfinite(seen) & np.isfinite(label)
    shifts = range(-8, 9)
    inner = np.flatnonzero(both)[10:-10]
    likeness = [np.corrcoef(seen[inner], label[inner + shift])[0, 1] for shift in shifts]
    assert abs(shifts[int(np.argmax(likeness))]) <= 1  # a frame
    assert max(likeness) > 0.9
    if written.rated:
        assert recording.rate is not None
        assert set(recording.rate.values) == {BPM}


def test_every_set_that_can_be_asked_for_is_tested_here():
    assert {written.read for written in SETS.values()} == set(LOADERS.values())


# MATLAB files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8])
def test_a_version_5_video_is_read_as_it_was_written(tmp_path, packed, kind):
    pictures = np.random.default_rng(0).integers(0, 256, (70, 5, 7, 3), dtype=np.uint8)
    video = pictures if kind == np.uint8 else (pictures / 255).astype(kind)
    held = {"first": "a word", "x": np.arange(3.0), "video": video, "after": 1}
    io.savemat(tmp_path / "a.mat", held, do_compression=packed)
    found = list(frames_of(read_v5_video(tmp_path / "a.mat", "video")))
    np.testing.assert_array_equal(found, pictures)


def test_a_version_5_video_of_doubles_is_never_held_as_doubles(tmp_path):
    video = np.full((200, 96, 96, 3), 0.5)
    io.savemat(tmp_path / "a.mat", {"video": video}, do_compression=True)
    tracemalloc.start()
    read_v5_video(tmp_path / "a.mat", "video")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < video.nbytes / 4  # an eighth are the 8-bit pictures, the rest is what is unpacked


def test_both_layouts_of_a_version_7_3_video_are_told_apart(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["time first"] = pictures.transpose(3, 2, 1, 0)
        file["time last"] = pictures.transpose(0, 3, 2, 1) / 255
    for name in ("time first", "time last"):
        np.testing.assert_array_equal(list(read_v73_frames(tmp_path / "a.mat", name, 6)), pictures)


def test_pictures_outside_0_to_1_are_refused(tmp_path):
    io.savemat(tmp_path / "a.mat", {"video": np.full((3, 2, 2, 3), 7.0)})
    with pytest.raises(ValueError, match=r"from 7 to 7; they must lie in \[0, 1\]"):
        read_v5_video(tmp_path / "a.mat", "video")


# Malformed trees ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", list(LOADERS))
def test_a_folder_without_the_data_set_says_what_is_needed(tmp_path, dataset):
    with pytest.raises(FileNotFoundError, match="are needed; give the folder"):
        LOADERS[dataset](tmp_path / "nowhere")


@pytest.mark.parametrize("dataset", ["ubfc", "pure", "cohface", "mmpd", "scamps"])
def test_an_empty_folder_holds_no_data_set(tmp_path, dataset):
    with pytest.raises(FileNotFoundError, match="holds none of them"):
        LOADERS[dataset](tmp_path)


def test_a_table_of_a_spreadsheet_is_read_and_two_videos_of_one_are_refused(tmp_path):
    (tmp_path / "anna_sit.csv").write_text("time_s,bpm\n0,70\n1,71\n", encoding="utf-8-sig")
    (tmp_path / "anna_sit.mp4").touch()
    (recording,) = read_folder(tmp_path)
    assert recording.rate is not None
    assert recording.rate.values.tolist() == [70, 71]
    (tmp_path / "anna_sit.mov").touch()
    with pytest.raises(ValueError, match="holds anna_sit twice"):
        read_folder(tmp_path)


def test_two_copies_of_a_recording_are_refused(tmp_path, film):
    write_scamps(tmp_path / "a", film)
    write_scamps(tmp_path / "b", film)
    with pytest.raises(ValueError, match="holds P000042 twice"):
        read_scamps(tmp_path)


def _cut_truth(root: Path) -> None:
    path = next(root.rglob("ground_truth.txt"))
    path.write_text("\n".join(path.read_text().splitlines()[:2]))


def _spoil_truth(root: Path) -> None:
    next(root.rglob("ground_truth.txt")).write_text("pulse\n1 2 3\n")


def _uneven_json(root: Path) -> None:
    next(root.rglob("07-02.json")).write_text('{"/Image": []}')


def _lose_pulse(root: Path) -> None:
    with h5py.File(next(root.rglob("data.hdf5")), "a") as file:
        del file["pulse"]


def _bare_csv(root: Path) -> None:
    next(root.rglob("*.csv")).write_text("seconds,wave\n0,1\n")


def _worded_csv(root: Path) -> None:
    next(root.rglob("*.csv")).write_text("time_s,wave\n0,high\n")


def _not_matlab(root: Path) -> None:
    next(root.rglob("*.mat")).write_bytes(b"no MATLAB file" * 30)


def _no_video(suffix: str) -> Callable[[Path], None]:
    def lose(root: Path) -> None:
        for path in root.rglob(f"*{suffix}"):
            path.unlink()

    return lose


@pytest.mark.parametrize(
    ("name", "spoil", "error", "words"),
    [
        ("ubfc 2", _cut_truth, ValueError, "2 rows of .* it must have 3 rows"),
        ("ubfc 2", _spoil_truth, ValueError, "can't be read as numbers"),
        ("ubfc 2", _no_video(".avi"), FileNotFoundError, r"0 files vid\*\.avi"),
        ("pure", _uneven_json, ValueError, "needs /FullPackage"),
        ("pure", _no_video(".png"), FileNotFoundError, "holds no pictures"),
        ("cohface", _lose_pulse, ValueError, r"\['respiration', 'time'\] and no pulse"),
        ("cohface", _no_video(".avi"), FileNotFoundError, "data.avi is missing"),
        ("mmpd", _not_matlab, ValueError, "must be a MATLAB file of version 5"),
        ("scamps", _not_matlab, ValueError, "no MATLAB file of version 7.3"),
        ("folder", _bare_csv, ValueError, r"columns \['seconds', 'wave'\]; it needs"),
        ("folder", _worded_csv, ValueError, "a value that is no number"),
        ("folder", _no_video(".csv"), FileNotFoundError, r"at rest\.csv is missing"),
    ],
)
def test_a_damaged_data_set_says_what_is_wrong_with_it(tmp_path, film, name, spoil, error, words):
    SETS[name].write(tmp_path, film)
    spoil(tmp_path)
    with pytest.raises(error, match=words):
        SETS[name].read(tmp_path)


def _unlike_rows(samples: int) -> Callable[[Path], None]:
    """Takes samples off the last row of a truth of UBFC."""

    def cut(root: Path) -> None:
        path = next(root.rglob("ground_truth.txt"))
        path.write_text(path.read_text().rstrip()[: -samples * 16])  # two blanks, 14 characters

    return cut


def _transposed_truth(root: Path) -> None:
    path = next(root.rglob("ground_truth.txt"))
    np.savetxt(path, np.loadtxt(path).T)


def _null_json(root: Path) -> None:
    path = next(root.rglob("07-02.json"))
    told = json.loads(path.read_text())
    told["/FullPackage"][9]["Value"]["waveform"] = None
    path.write_text(json.dumps(told))


def _unlike_pulse(root: Path) -> None:
    with h5py.File(next(root.rglob("data.hdf5")), "a") as file:
        pulse = np.asarray(file["pulse"])
        del file["pulse"]
        file["pulse"] = pulse[:-3]


def _bad_cell(root: Path) -> None:
    path = next(root.rglob("*.csv"))
    lines = path.read_text().splitlines()
    lines[9] = lines[9].replace(",", ",x", 1)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("name", "people", "spoil", "words"),
    [
        (
            "ubfc 2",
            ("subject12", "subject8"),
            _unlike_rows(6),
            r"3 rows of \d+ to \d+ numbers; they",
        ),
        (
            "ubfc 2",
            ("subject12", "subject8"),
            _transposed_truth,
            "rows of 3 numbers; it must have 3",
        ),
        (
            "ubfc 2",
            ("subject12", "subject8"),
            _cut_truth,
            "it must have 3 rows, wave, rate and time",
        ),
        ("ubfc 2", ("subject12", "subject8"), _no_video(".avi"), r"holds 0 files vid\*\.avi"),
        ("pure", ("07-", "08-"), _null_json, r"07-02\.json can't be used \(TypeError"),
        ("cohface", ("31", "32"), _unlike_pulse, r"data\.hdf5 can't be used"),
        ("mmpd", ("p9", "p8"), _not_matlab, "must be a MATLAB file of version 5"),
        ("scamps", ("P000042", "P000043"), _not_matlab, "no MATLAB file of version 7.3"),
        ("folder", ("mary", "anna"), _bad_cell, "a value that is no number"),
        ("folder", ("mary", "anna"), _no_video(".csv"), r"at rest\.csv is missing"),
    ],
)
def test_damaged_labels_of_one_recording_do_not_end_the_others(
    tmp_path, film, name, people, spoil, words
):
    SETS[name].write(tmp_path / "other", film)
    for path in sorted((tmp_path / "other").rglob(f"{people[0]}*"), reverse=True):
        path.rename(path.with_name(path.name.replace(*people)))
    SETS[name].write(tmp_path / "root", film)
    spoil(tmp_path / "root")
    copytree(tmp_path / "other", tmp_path / "root", dirs_exist_ok=True)
    damaged, whole = sorted(
        SETS[name].read(tmp_path / "root"), key=lambda recording: recording.damage is None
    )
    assert damaged.subject == SETS[name].subject != whole.subject
    with pytest.raises(JobError, match=words):
        cut_clips(damaged, 10.0)
    assert whole.wave is not None
    assert len(list(whole.watch())) == len(film.pictures)


def test_a_recording_with_damaged_labels_is_left_out_by_name(drawn, tmp_path, caplog):
    root = tmp_path / "root"
    copytree(drawn, root)
    (root / "anna_sitting.csv").write_text("time_s,wave\n0,1\n1,none\n")
    write_clips(RecordingsJob(root=root, out=tmp_path / "out", test_share=0))
    assert "train anna_sitting was left out: " in caplog.text
    assert "anna_sitting.csv holds a value that is no number" in caplog.text
    assert [truth["subject"] for truth in read_store(tmp_path / "out/train").truths] == [
        "folder/ben"
    ]
    first, second = run_benchmark(BenchmarkJob("folder", root, tmp_path / "tables", ("green",)))
    assert (first.recording.name, second.refused) == ("anna_sitting", None)
    assert "a value that is no number" in str(first.refused)
    report = json.loads((tmp_path / "tables" / "folder.json").read_text())
    assert [one["refused"] for one in report["outcomes"]] == [first.refused, None]
    copy(drawn / "anna_sitting.csv", root)
    write_clips(RecordingsJob(root=root, out=tmp_path / "out", test_share=0))  # once it is mended
    assert len(read_store(tmp_path / "out" / "train")) == 2


@pytest.mark.parametrize("lost", [0, 1, 5])
def test_rows_of_ubfc_that_differ_by_a_few_samples_are_cut_alike(tmp_path, film, lost):
    write_ubfc_2(tmp_path, film)
    (whole,) = read_ubfc(tmp_path)
    if lost:
        _unlike_rows(lost)(tmp_path)
    (found,) = read_ubfc(tmp_path)
    assert whole.wave is not None
    assert found.wave is not None
    assert len(found.wave.values) == len(whole.wave.values) - lost
    np.testing.assert_array_equal(found.wave.values, whole.wave.values[: len(found.wave.values)])


def test_commas_at_the_ends_of_the_lines_of_a_dump_of_ubfc_do_not_count(tmp_path, film):
    write_ubfc_1(tmp_path, film)
    (before,) = read_ubfc(tmp_path)
    path = next(tmp_path.rglob("gtdump.xmp"))
    path.write_text(path.read_text().replace("\n", ",\n"))
    (after,) = read_ubfc(tmp_path)
    assert before.wave is not None
    assert after.wave is not None
    np.testing.assert_array_equal(after.wave.values, before.wave.values)
    path.write_text("0,84,98,1,\n16,84,98,\n")
    with pytest.raises(JobError, match=r"2 rows of 3 to 4 numbers; it must have 4 columns"):
        read_ubfc(tmp_path)


def test_labels_of_mmpd_in_matlab_cells_are_those_in_the_cells(tmp_path):
    held = {"GT_ppg": np.ones((1, 900)), "video": np.zeros((9, 2, 2, 3))}
    cells = {"light": "LED-low", "motion": "Talking", "skin_color": 3}
    boxed = {name: np.array([np.array([value])], object) for name, value in cells.items()}
    nested = np.empty((1, 1), object)
    nested[0, 0] = "Talking"
    io.savemat(tmp_path / "p1_0.mat", held | boxed | {"motion": nested})
    (found,) = read_mmpd(tmp_path)
    assert (found.activity, found.light, found.skin_tone) == ("talking", "LED-low", "Fitzpatrick 3")


# Labels -------------------------------------------------------------------------------------------


def test_a_repeated_or_missing_stamp_is_left_out():
    trace = Trace.of([0, 1, 1, 2, 1.5, np.nan, 3], [1, 2, 9, 3, 9, 9, np.nan])
    assert trace.time_s.tolist() == [0, 1, 2]
    assert trace.values.tolist() == [1, 2, 3]


def test_a_loss_of_the_sensor_stays_a_loss():
    times = np.concatenate([np.arange(0, 10, 0.02), np.arange(12, 22, 0.02)])
    label = label_on_grid(Trace(times, np.sin(2 * np.pi * 1.2 * times)), 30 * 30, FPS)
    at = np.arange(len(label)) / FPS
    assert np.isnan(label[(at > 10.05) & (at < 11.95)]).all()
    assert np.isnan(label[at > 22.05]).all()
    assert np.isfinite(label[(at < 9.9) | ((at > 12.05) & (at < 21.9))]).all()


def test_breathing_is_not_part_of_the_label():
    times = np.arange(0.0, 30.0, 1 / 64)
    beat = np.sin(2 * np.pi * 1.2 * times)
    drift = np.sin(2 * np.pi * 0.25 * times) * 5.0
    both = label_on_grid(Trace(times, beat + drift), 900, FPS)
    alone = label_on_grid(Trace(times, beat), 900, FPS)
    # 0.25 Hz lies more than an octave below the band: a filter of order 2, run twice, leaves 3 %.
    assert np.abs(both - alone)[90:-90].max() < 0.2


def test_a_disturbed_part_of_the_label_has_no_rate_and_the_others_keep_theirs():
    times = np.arange(0.0, 40.0, 1 / 64)
    wave = np.sin(2 * np.pi * 1.2 * times) + 0.5 * np.sin(2 * np.pi * 2.4 * times)
    noise = np.random.default_rng(0).standard_normal(len(times))
    disturbed = (times > 15) & (times < 25)
    wave[disturbed] = 3 * noise[disturbed]
    rate = rate_of(label_on_grid(Trace(times, wave), 1200, FPS), FPS)
    assert rate is not None
    assert rate_between(rate, 15, 25) is None
    # One 10 s window; its interpolated peak is good to a tenth of its 0.5 bpm grid.
    assert rate_between(rate, 2, 12) == pytest.approx(72, abs=0.1)
    assert rate_between(rate, 29, 39) == pytest.approx(72, abs=0.1)
    assert rate_between(rate, 2, 39) is None


@pytest.mark.parametrize("seconds", [6, 7, 8, 10, 12])
def test_a_clean_wave_gives_a_rate_for_each_of_its_clips(seconds):
    times = np.arange(0.0, 60.0 + 1 / 64, 1 / 64)
    wave = np.sin(2 * np.pi * 1.2 * times) + 0.5 * np.sin(2 * np.pi * 2.4 * times)
    rate = rate_of(label_on_grid(Trace(times, wave), 1800, FPS), FPS)
    assert rate is not None
    for start in range(0, 60 - seconds + 1, seconds):
        assert rate_between(rate, start, start + seconds) == pytest.approx(72, abs=0.1)


def test_a_part_beside_a_gap_has_the_rate_of_its_own_side():
    times = np.arange(0.0, 40.0, 1 / 64)
    wave = np.sin(2 * np.pi * np.cumsum(np.where(times < 20, 1.2, 1.3)) / 64)
    heard = (times < 18) | (times > 22)
    rate = rate_of(label_on_grid(Trace(times[heard], wave[heard]), 1200, FPS), FPS)
    assert rate is not None
    # As above; the filter's ends at the gap may add as much.
    assert rate_between(rate, 12, 18) == pytest.approx(72, abs=0.3)
    assert rate_between(rate, 22.1, 28.1) == pytest.approx(78, abs=0.3)
    assert rate_between(rate, 17, 23) is None


# Clips for training -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(drawn, tmp_path_factory) -> Path:
    """Its clips."""
    out = tmp_path_factory.mktemp("clips")
    write_clips(RecordingsJob(dataset="folder", root=drawn, out=out, test_share=0.5))
    return out


def test_clips_carry_the_face_its_wave_and_its_rate(written, drawn):
    store = read_store(written / "train")
    (truth,) = store.truths
    assert store.pixels[0].shape == (1, 300, 36, 36, 3)
    assert store.waves.mean() == pytest.approx(0, abs=1e-5)
    assert store.waves.std() == pytest.approx(1, abs=1e-4)
    (recording,) = [r for r in read_folder(drawn) if r.subject == truth["subject"]]
    assert recording.wave is not None
    expected = label_on_grid(recording.wave, 300, FPS)
    assert np.corrcoef(expected, store.waves[0])[0, 1] > 0.9999


@pytest.mark.parametrize("lost", [0, 7])
def test_label_and_crops_of_a_clip_belong_to_the_same_moment(film, lost):
    beat = film.pulse.at(film.time_s)[:, None, None, None]
    lit = np.clip(np.rint(np.stack(film.pictures) * (1 + 0.03 * beat)), 0, 255).astype(np.uint8)
    lit[:lost] = 128  # nobody is in view yet

    def frames() -> Iterator[Frame]:
        for picture, time_s in zip(lit, film.time_s, strict=True):
            yield Frame(picture, time_s - film.time_s[0], None)

    recording = Recording("lit", "folder/lit", frames, Trace(*heard(film, 100.0, LEAD_S)))
    (clip,) = cut_clips(recording, 10.0)
    light = clip.pixels[:, 9:27, 9:27, 1].mean((1, 2))
    shown = label_on_grid(Trace(np.arange(300) / FPS, light), 300, FPS)
    fine = np.arange(30, 260, 0.1)
    likeness = [
        np.corrcoef(
            np.interp(fine + k, np.arange(300), clip.wave), np.interp(fine, np.arange(300), shown)
        )[0, 1]
        for k in np.arange(-2, 2.05, 0.1)
    ]
    assert max(likeness) > 0.99
    # Half a step of 30 Hz where the first frames show no face, else rounding.
    assert abs(np.argmax(likeness) * 0.1 - 2) <= (0.6 if lost else 0.15)
    assert clip.truth.start_s == pytest.approx(lost / FPS, abs=10 / FPS)


def test_nobody_is_on_both_sides(written):
    train, test = people_of(written / "train"), people_of(written / "test")
    assert len(train | test) == 2
    assert not train & test
    check_split(train, test)
    with pytest.raises(ValueError, match=r"1 people are on both sides .*folder/"):
        check_split(train, train | test)


def test_clips_that_are_there_are_kept(written, drawn):
    before = (written / "train" / "0000.npz").stat().st_mtime_ns
    job = RecordingsJob(dataset="folder", root=drawn, out=written, test_share=0.5)
    write_clips(job)
    assert (written / "train" / "0000.npz").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds clips of another command"):
        write_clips(RecordingsJob(dataset="folder", root=drawn, out=written, test_share=0))


def some_recordings(people: str) -> list[Recording]:
    return [
        Recording(f"{person}{index}", person, lambda: iter(()), None)
        for index in range(3)
        for person in people
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_split_parts_people_and_loses_nothing(seed):
    everything = some_recordings("abcdefghij")
    train, test = split_people(everything, 0.2, seed)
    assert len({one.subject for one in test}) == 2
    assert not {one.subject for one in train} & {one.subject for one in test}
    assert sorted(one.name for one in train + test) == sorted(one.name for one in everything)


def test_one_person_can_not_be_split():
    with pytest.raises(ValueError, match="leave nobody to train on"):
        split_people(some_recordings("a"), 0.2, 0)
    assert split_people(some_recordings("a"), 0.0, 0)[1] == []


def test_a_recording_without_a_wave_can_not_be_trained_on(drawn):
    (recording, _) = read_folder(drawn)
    bare = Recording("anna", "folder/anna", recording.frames, None)
    with pytest.raises(ValueError, match="has rates but no wave"):
        cut_clips(bare, 10.0)


def test_a_clip_whose_sensor_shows_no_steady_pulse_is_left_out(drawn):
    (recording, _) = read_folder(drawn)
    assert recording.wave is not None
    rng = np.random.default_rng(0)
    values: Array = rng.standard_normal(len(recording.wave.time_s))
    noise = Trace(recording.wave.time_s, values)
    assert cut_clips(Recording("anna", "folder/anna", recording.frames, noise), 10.0) == []


# Several folders ----------------------------------------------------------------------------------


def write_shard(folder: Path, number: int, marks: list[int], frames: int = 8) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(
        folder / f"{number:04d}.npz",
        pixels=np.stack([np.full((frames, 2, 2, 3), mark, np.uint8) for mark in marks]),
        wave=np.stack([np.full(frames, mark, np.float32) for mark in marks]),
        truth=np.array([json.dumps({"bpm": mark}) for mark in marks]),
    )
    return folder


def test_shards_of_any_size_are_joined_in_order(tmp_path):
    write_shard(tmp_path / "a", 0, [1, 2, 3])
    write_shard(tmp_path / "a", 1, [4])
    write_shard(tmp_path / "b", 0, [5, 6])
    store = read_stores((tmp_path / "a", tmp_path / "b"))
    assert [int(store.clip(i)[0, 0, 0, 0]) for i in range(len(store))] == [1, 2, 3, 4, 5, 6]
    assert store.bpm.tolist() == store.waves[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert whole_batch(store, range(2, 5)).bpm.tolist() == [3, 4, 5]
    fewer = read_stores((tmp_path / "a", tmp_path / "b"), most=2)
    assert [int(fewer.clip(i)[0, 0, 0, 0]) for i in range(len(fewer))] == [1, 2, 5, 6]


def test_one_folder_is_what_it_was_and_two_have_a_digest_of_their_own(tmp_path):
    one, other = (write_shard(tmp_path / name, 0, [mark]) for name, mark in (("a", 1), ("b", 2)))
    assert read_stores((one,)).sha256 == read_store(one).sha256
    assert read_stores((one, other)).sha256 != read_stores((other, one)).sha256


def test_other_pixels_are_other_data(tmp_path):
    """Hints of a teacher are kept by that digest."""
    one, other = (write_shard(tmp_path / name, 0, [1]) for name in "ab")
    assert read_store(one).sha256 == read_store(other).sha256
    with np.load(other / "0000.npz") as shard:
        np.savez(other / "0000.npz", **{**shard, "pixels": shard["pixels"] + 1})
    assert read_store(one).sha256 != read_store(other).sha256


def test_clips_of_two_lengths_are_not_mixed(tmp_path):
    folders = (write_shard(tmp_path / "a", 0, [1]), write_shard(tmp_path / "b", 0, [1], frames=9))
    with pytest.raises(ValueError, match=r"a 8 x 2, .*b 9 x 2; write them with the same length"):
        read_stores(folders)
    with pytest.raises(ValueError, match="names no folder"):
        read_stores(())


def test_training_takes_several_folders_one_after_the_other():
    for run in (TeacherRun, DistillRun):
        found = tyro.cli(run, args=["--data", "data/train", "data/ubfc/train"])
        assert found.data == (Path("data/train"), Path("data/ubfc/train"))
        assert tyro.cli(run, args=[]).data == (Path("data/train"),)


@pytest.mark.slow
def test_the_teacher_learns_from_drawn_and_recorded_clips_together(written, tmp_path):
    drawn_clips = tmp_path / "synthetic"
    write_dataset(SyntheticJob(out=drawn_clips, clips=2, workers=1))
    run = TeacherRun(
        data=(drawn_clips, written / "train"),
        check=written / "test",
        out=tmp_path / "run",
        schedule=replace(SMOKE_SCHEDULE, precision=SHORT.precision),  # one for all in a process
    )
    train_teacher(run)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["clips"] == 3
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_damaged_recording_does_not_end_the_cutting_of_the_others(drawn, tmp_path, caplog):
    root = tmp_path / "root"
    copytree(drawn, root)
    first = min(root.glob("*.npz"))
    first.write_bytes(b"half a film")
    job = RecordingsJob(dataset="folder", root=root, out=tmp_path / "out", test_share=0)
    write_clips(job)
    assert "was left out" in caplog.text
    assert first.stem.rpartition("_")[0] in caplog.text
    assert len(read_store(tmp_path / "out" / "train")) > 0


@pytest.mark.parametrize("error", [IndexError, TypeError, MemoryError, zlib.error, MatReadError])
def test_whatever_a_damaged_file_ends_with_does_not_end_the_others(drawn, caplog, tmp_path, error):
    def broken() -> Iterator[Frame]:
        raise error("damaged")

    recordings = read_folder(drawn)
    first = replace(recordings[0], frames=broken)
    job = RecordingsJob(root=drawn, out=tmp_path)
    _write_side(job, tmp_path / "train", [first, recordings[1]])
    assert f"{first.name} can't be read: damaged" in caplog.text
    assert {path.name for path in (tmp_path / "train").glob("*.npz")} == {"0001.npz"}


@pytest.mark.parametrize("unit_s", [1e-3, 1e-6, 1e-9])
def test_a_wave_that_is_not_timed_in_seconds_gives_no_clip_and_is_told(
    drawn, tmp_path, caplog, unit_s
):
    """Microseconds took the memory for days of wave at 240 samples a second."""
    copy(drawn / "anna_sitting.npz", tmp_path)
    (recording, _) = read_folder(drawn)
    assert recording.wave is not None
    rows = zip(recording.wave.time_s / unit_s, recording.wave.values, strict=True)
    lines = "".join(f"{time:.0f},{value}\n" for time, value in rows)
    (tmp_path / "anna_sitting.csv").write_text("time_s,wave\n" + lines)
    out = tmp_path / "out"
    job = RecordingsJob(root=tmp_path, out=out, test_share=0)
    with pytest.raises(JobError, match=r"out holds no clip: none of 1 recordings gave one, and"):
        write_clips(job)
    assert "anna_sitting gives no clip: its wave has" in caplog.text
    assert "times must be seconds since the first frame" in caplog.text
    copy(drawn / "anna_sitting.csv", tmp_path)
    write_clips(replace(job, seconds=10.5))  # what holds no clip is not of another command
    assert len(read_store(out / "train")) == 1


def test_a_recording_that_is_shorter_than_a_clip_is_told(drawn, tmp_path, caplog):
    job = RecordingsJob(root=drawn, out=tmp_path, test_share=0, seconds=60.0)
    with pytest.raises(JobError, match="none of 2 recordings gave one"):
        write_clips(job)
    assert "ben_sitting gives no clip: the face is in view for 1" in caplog.text
    assert "s in a row, a clip is 60 s" in caplog.text


@pytest.mark.parametrize("seconds", [6.0, 8.0])
def test_a_recording_of_eleven_seconds_gives_a_clip_of_any_length(drawn, seconds):
    (recording, _) = read_folder(drawn)
    (clip,) = cut_clips(recording, seconds)
    assert clip.truth.bpm == pytest.approx(60, abs=1.5)  # the drawn rhythm is held, not perfect
    assert len(clip.wave) == round(seconds * FPS)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.ones, "its wave is flat"),
        (lambda samples: np.full(samples, np.nan), "its wave has 0 samples that can be used"),
        (np.random.default_rng(0).standard_normal, "its wave shows no steady pulse"),
    ],
)
def test_a_wave_that_tells_nothing_is_told(drawn, caplog, values, told):
    (recording, _) = read_folder(drawn)
    assert recording.wave is not None
    wave = Trace.of(recording.wave.time_s, values(len(recording.wave.time_s)))
    assert cut_clips(replace(recording, wave=wave), 10.0) == []
    assert told in caplog.text


def test_a_recording_without_a_face_gives_no_clip_and_is_told(drawn, caplog):
    (recording, _) = read_folder(drawn)
    frames = [replace(frame, rgb=np.full_like(frame.rgb, 128)) for frame in recording.frames()]
    assert cut_clips(replace(recording, frames=lambda: iter(frames)), 10.0) == []
    assert "its video shows no face" in caplog.text


def test_samples_that_can_t_be_used_are_told(tmp_path, caplog):
    (tmp_path / "mary.mp4").touch()
    (tmp_path / "mary.csv").write_text("time_s,wave\n0,1\n1,2\n0.5,3\n2,nan\n3,4\n")
    (recording,) = read_folder(tmp_path)
    assert recording.wave is not None
    assert recording.wave.time_s.tolist() == [0, 1, 3]
    assert "mary.csv: left out 2 of 5 samples of wave, whose time does not" in caplog.text


@pytest.mark.slow
def test_the_script_cuts_clips_from_its_own_smoke_data(tmp_path):
    cut_data_set(RecordingsJob(out=tmp_path, smoke=True))
    for side in ("train", "test"):
        assert len(read_store(tmp_path / side)) == 1


# The test on a real data set ----------------------------------------------------------------------


def test_a_data_set_is_evaluated_from_end_to_end(drawn, tmp_path, capsys):
    job = EvaluateJob(out=tmp_path, dataset="folder", root=drawn, models=("student", "green"))
    evaluate(job)
    page = (tmp_path / "folder.md").read_text()
    assert machine_name() in page
    assert page in capsys.readouterr().out
    for words in (
        "MAE",
        "RMSE",
        "MAPE %",
        "r",
        "SNR dB",
        "MAE, toolbox protocol",
        "## By activity",
    ):
        assert words in page
    assert "By skin tone" not in page
    report = json.loads((tmp_path / "folder.json").read_text())
    assert machine_name() == report["origin"]["machine"]
    (line, _) = report["tables"]["all"]
    assert line["recordings"] == line["people"] == 2
    value, low, high = line["figures"]["MAE"]
    assert low <= value <= high < 2  # still, well lit, drawn faces
    assert {one["subject"] for one in report["outcomes"]} == {"folder/anna", "folder/ben"}
    picture = ElementTree.parse(tmp_path / "folder_student.svg").getroot()
    assert len(picture.findall("{http://www.w3.org/2000/svg}circle")) == 2


def test_what_belongs_to_a_data_set_comes_with_one(drawn, tmp_path):
    with pytest.raises(ValueError, match="name it as dataset"):
        EvaluateJob(root=drawn)
    with pytest.raises(ValueError, match="needs --root"):
        evaluate(EvaluateJob(out=tmp_path, dataset="pure"))


def test_people_that_training_saw_are_not_tested(drawn, written, tmp_path):
    job = BenchmarkJob("folder", drawn, tmp_path, ("green",), trained_on=(written / "train",))
    with pytest.raises(ValueError, match="on both sides"):
        run_benchmark(job)
    job = BenchmarkJob(
        "folder", drawn, tmp_path, ("green",), written / "test", (written / "train",)
    )
    outcomes = run_benchmark(job)
    assert {one.recording.subject for one in outcomes} == people_of(written / "test")


def test_a_recording_without_a_face_is_an_outcome_too(film, tmp_path):
    grey = [np.full_like(picture, 128) for picture in film.pictures]
    write_video(tmp_path / "wall.mp4", grey, film.time_s)
    (tmp_path / "wall.csv").write_text("time_s,bpm\n0,70\n1,0\n2,72\n")
    (outcome,) = run_benchmark(BenchmarkJob("folder", tmp_path, tmp_path / "out", ("green",)))
    assert outcome.refused is not None
    assert "No face was found in wall" in outcome.refused
    assert outcome.true_bpm == 71  # an oximeter's 0 is no rate


def test_recordings_in_which_nothing_is_read_are_counted_as_missed(drawn):
    """They were left out of all figures, and the contact sensor was blamed."""
    (whole, _) = read_folder(drawn)
    assert whole.wave is not None
    frames, rng = list(whole.frames()), np.random.default_rng(0)

    def lost() -> Iterator[Frame]:
        for index, frame in enumerate(frames):
            grey = np.full_like(frame.rgb, 128)
            yield frame if index < 100 else replace(frame, rgb=grey)

    def damaged() -> Iterator[Frame]:
        yield from frames[:9]
        raise ValueError("it was cut off before its end")

    noise = Trace(whole.wave.time_s, rng.standard_normal(len(whole.wave.time_s)))
    recordings = [
        replace(whole, name="good"),
        replace(whole, name="face for 4 s", frames=lost),
        replace(whole, name="damaged", frames=damaged),
        replace(whole, name="sensor off", wave=noise),
    ]
    outcomes = [measure_recording(one, ("green",))[0] for one in recordings]
    true = outcomes[0].true_bpm
    assert [one.true_bpm for one in outcomes[1:3]] == [pytest.approx(true, abs=1)] * 2
    assert np.isnan(outcomes[3].true_bpm)
    assert "can't be read: it was cut off" in str(outcomes[2].refused)
    (line,) = summarise(outcomes, "green", "all")
    assert (line.recordings, line.labelled, line.read) == (4, 3, 1)
    assert line.figures["MAE"].value < 2
    assert line.figures["within 3 %"].value == pytest.approx(100 / 3)


@pytest.mark.parametrize("seen", ["by itself", "by its start", "by its teacher", "before that"])
def test_people_whom_a_network_learned_from_are_not_tested(drawn, tmp_path, seen):
    weights = tmp_path / "weights"
    copytree(SHIPPED / "student", weights)
    manifest = json.loads((weights / "manifest.json").read_text())
    recipe = {"config": {"dataset": "ubfc"}, "people": ["folder/ben"]}
    where = {
        "by itself": {"data": [recipe]},
        "by its start": {"start": {"data": [recipe]}},
        "by its teacher": {"taught_by": [recipe]},
        "before that": {"start": {"data": [], "taught_by": [recipe]}},
    }
    manifest["run"] |= where[seen]
    (weights / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"1 people are on both sides .*folder/ben"):
        chosen_recordings(BenchmarkJob("folder", drawn, tmp_path, ("green", str(weights))))
    assert len(chosen_recordings(BenchmarkJob("folder", drawn, tmp_path, ("green",)))) == 2


def test_people_of_a_folder_of_one_s_own_are_not_named_and_so_must_be(drawn, tmp_path):
    copytree(SHIPPED / "student", tmp_path / "weights")
    manifest = json.loads((tmp_path / "weights" / "manifest.json").read_text())
    manifest["run"]["data"].append({"config": {"dataset": "folder"}, "people": 2})
    (tmp_path / "weights" / "manifest.json").write_text(json.dumps(manifest))
    job = BenchmarkJob("folder", drawn, tmp_path, ("green", str(tmp_path / "weights")))
    with pytest.raises(ValueError, match="weights learned from a folder of one's own"):
        chosen_recordings(job)
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "manifest.json").write_text(json.dumps({"people": ["folder/ben"]}))
    with pytest.raises(ValueError, match="weights learned from a folder of one's own"):
        chosen_recordings(replace(job, people=clips))  # who was trained on is not known by that
    with pytest.raises(ValueError, match="on both sides"):
        chosen_recordings(replace(job, trained_on=(clips,)))


def test_a_split_of_another_time_does_not_say_whom_a_network_learned_from(drawn, tmp_path):
    """Another split of as many people was believed, though it tests who was learned from."""
    split = RecordingsJob("folder", drawn, tmp_path / "clips", seconds=10.0, test_share=0.5)
    write_clips(split)
    recipe = without_folders(read_store(split.out / "train").recipes[0])
    assert recipe["people"] == 1, "names are kept to oneself"
    weights = tmp_path / "weights"
    copytree(SHIPPED / "student", weights)
    manifest = json.loads((weights / "manifest.json").read_text())
    manifest["run"]["data"].append(recipe)
    (weights / "manifest.json").write_text(json.dumps(manifest))
    job = BenchmarkJob("folder", drawn, tmp_path, (str(weights),), split.out / "test")
    assert len(chosen_recordings(job)) == 1
    swapped = tmp_path / "swapped"
    copytree(split.out / "train", swapped / "test")
    copytree(split.out / "test", swapped / "train")
    with pytest.raises(ValueError, match="beside the training folder that it learned from"):
        chosen_recordings(replace(job, people=swapped / "test"))
    with pytest.raises(ValueError, match="on both sides"):
        chosen_recordings(replace(job, people=None, trained_on=(split.out / "train",)))


def test_clips_of_people_who_have_changed_sides_are_not_kept(drawn, tmp_path):
    job = RecordingsJob("folder", drawn, tmp_path, seconds=10.0, test_share=0.5)
    write_clips(job)
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(ValueError, match="test holds clips of another command; remove"):
        write_clips(replace(job, test_share=0.0))
    assert not (tmp_path / "train").exists()


def test_a_rate_before_the_pictures_does_not_count():
    time_s = np.arange(-60.0, 31.0)
    rate = Trace.of(time_s, np.where(time_s < 0, 120.0, 60.0))
    recording = Recording("x", "x", lambda: iter(()), None, rate)
    assert _sensor_bpm(recording, 30.0) == 60.0


def test_a_stamp_of_another_clock_does_not_fill_the_memory():
    time_s = np.append(np.arange(900) / 30, 1.764e9)
    wave = Trace.of(time_s, np.sin(2 * np.pi * 1.2 * time_s))
    label = label_on_grid(wave, 900, 30.0)
    assert np.isfinite(label).sum() > 850
    recording = Recording("x", "x", lambda: iter(()), wave)
    assert _whole_truth(recording) == pytest.approx(72, abs=0.5)


@pytest.mark.parametrize("length", [0, 100, 1000, 3000, 6000, 7200])
def test_a_damaged_file_of_mmpd_is_named(tmp_path, length):
    folder = tmp_path / "subject1"
    folder.mkdir()
    path = folder / "p1_0.mat"
    video = np.random.default_rng(0).random((90, 8, 8, 3))
    held = {"GT_ppg": np.ones((1, 900)), "light": "LED-low", "motion": "Stationary"}
    io.savemat(path, held | {"skin_color": 3, "video": video}, do_compression=True)
    path.write_bytes(path.read_bytes()[:length])

    def read() -> None:
        for recording in read_mmpd(tmp_path):
            list(recording.frames())

    with pytest.raises((JobError, ValueError), match=r"p1_0\.mat"):
        read()


@pytest.mark.parametrize("label", ["motion", "light", "skin_color", "GT_ppg"])
def test_a_label_of_mmpd_that_says_nothing_is_named(tmp_path, label):
    held = {"GT_ppg": np.ones((1, 900)), "light": "LED-low", "motion": "Stationary"}
    odds = {"GT_ppg": ("abc", np.full(900, 1j)), "skin_color": ("", np.inf, np.nan)}
    for odd in odds.get(label, ("",)):
        io.savemat(tmp_path / "p1_0.mat", held | {"skin_color": 3, label: odd})
        with pytest.raises(JobError, match=r"p1_0\.mat can't be used"):
            read_mmpd(tmp_path)


@pytest.mark.parametrize("read", [read_cohface, read_scamps])
def test_bytes_of_hdf5_that_were_changed_end_in_a_sentence(tmp_path, read):
    """h5py tells of them in five kinds of errors; an empty value is the fourth of these."""
    folder = tmp_path / "1" / "0"
    folder.mkdir(parents=True)
    (folder / "data.avi").touch()
    path = folder / ("data.hdf5" if read is read_cohface else "P000001.mat")
    with h5py.File(path, "w") as file:
        for name in ("pulse", "time", "d_ppg", "RawFrames"):
            file[name] = np.arange(300) / 256
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused: list[str] = []
    for _ in range(300):
        spoiled = bytearray(whole)
        for at in rng.integers(0, len(whole), 4):
            spoiled[at] = rng.integers(256)
        path.write_bytes(spoiled)
        try:
            read(tmp_path)
        except JobError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all(path.name in words for words in refused)
    with h5py.File(path, "w") as file:
        file["pulse"] = file["d_ppg"] = h5py.Empty("f")
    with pytest.raises(JobError, match=path.name):
        read(tmp_path)


def test_pictures_of_pure_that_lie_in_both_places_are_read_once(tmp_path, film):
    write_pure(tmp_path, film)
    for picture in (tmp_path / "07-02" / "07-02").iterdir():
        shutil.copy(picture, tmp_path / "07-02")
    (recording,) = read_pure(tmp_path)
    assert len(list(recording.frames())) == len(film.pictures)


def test_a_picture_with_the_stamp_of_the_one_before_does_not_end_a_benchmark(film):
    def frames() -> Iterator[Frame]:
        for time_s, picture in zip(film.time_s, film.pictures, strict=True):
            yield from [Frame(picture, float(time_s), None)] * 2

    (found,) = measure_recording(Recording("twice", "x", frames, None), ("green",))
    assert found.refused is None
    assert found.bpm == pytest.approx(BPM, abs=2)


@pytest.mark.parametrize("damage", ["cut", "unlike"])
def test_a_damaged_file_of_cohface_is_named(tmp_path, damage):
    folder = tmp_path / "1" / "0"
    folder.mkdir(parents=True)
    (folder / "data.avi").touch()
    path = folder / "data.hdf5"
    with h5py.File(path, "w") as file:
        file["pulse"], file["time"] = np.zeros(20_001), np.arange(20_000 + (damage == "cut")) / 256
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(JobError, match=r"data\.hdf5 can't be used"):
        read_cohface(tmp_path)


def test_a_table_in_another_coding_is_named(tmp_path):
    (tmp_path / "anna_sitting.mp4").touch()
    (tmp_path / "anna_sitting.csv").write_bytes("time_s,wave,größe\n0,1,2\n".encode("latin-1"))
    with pytest.raises(JobError, match="save it as CSV in UTF-8"):
        read_folder(tmp_path)


def test_a_run_and_a_mean_of_runs_name_what_their_teachers_learned_from(tmp_path):
    recipe = {"config": {"dataset": "ubfc"}, "people": ["ubfc/subject1"]}
    teacher = {"data": [], "start": {"data": [recipe]}}
    student = {"data": [], "taught_by": all_recipes(teacher)}
    assert all_recipes(student) == [recipe]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(student))
        (tmp_path / name / "model.safetensors").touch()
    mean = record_of([tmp_path / "a", tmp_path / "b"])
    assert all_recipes(mean) == [recipe]
    assert all_recipes({"data": [], "start": mean}) == [recipe]


@pytest.mark.parametrize("bpm", [50.0, 71.3, 120.0])
def test_the_toolbox_protocol_reads_the_bin_of_its_spectrum(bpm):
    times = np.arange(300) / FPS
    bin_bpm = 60 * FPS / 512
    found = toolbox_bpm(np.sin(2 * np.pi * bpm / 60 * times) + 3 * times, FPS)
    assert found / bin_bpm == pytest.approx(round(found / bin_bpm), abs=1e-9)
    assert abs(found - bpm) <= bin_bpm
    assert np.isnan(toolbox_bpm(np.zeros(100), FPS))


def test_what_is_learned_from_is_cut_out_as_it_is_measured_where_the_view_moves(tmp_path):
    """The page's own recordings show parts of the camera's picture, and which."""
    film = make_film(3, easy_config(seconds=2.0, side=240, view=2.2))
    views = [(0, 0, 240)] * 20 + [(24, 24, 192)] * (len(film.pictures) - 20)
    frames = np.stack([
        cv2.resize(picture[y : y + side, x : x + side], (96, 96), interpolation=cv2.INTER_AREA)
        for picture, (x, y, side) in zip(film.pictures, views, strict=True)
    ])  # fmt: skip
    path = tmp_path / "a.npz"
    np.savez(path, frames=frames, time_s=film.time_s, view=np.array(views, float))
    faces = FaceStream()
    shown = [faces.push(frame.rgb, frame.time_s, frame.view) for frame in read_frames(path)]
    ((_, pixels),) = face_stretches(read_frames(path))
    np.testing.assert_array_equal(pixels, np.concatenate([c.pixels for c in shown if c]))


def test_the_picture_shows_every_pair_with_both_rates():
    found, true = np.array([70.0, 80.0, np.nan]), np.array([72.0, 79.0, 60.0])
    picture = draw_bland_altman(found, true, "a < b")
    root = ElementTree.fromstring(picture)
    assert picture.count("<circle") == 2
    assert "bias -0.50" in picture
    assert root.tag.endswith("svg")
