import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream
from threadpoolctl import threadpool_info, threadpool_limits

from kdphys import LiveMeter, Measurement, compare, measure
from kdphys.errors import NoFaceError, TooShortError, VideoError
from kdphys.hub import SHIPPED
from kdphys.noticed import Noticed
from kdphys.pipeline import MODELS, NOT_MEDICAL
from kdphys.runtime import FPS, SIZE, model_facts
from kdphys.stream import compare_crops
from kdphys.threads import one_thread
from kdphys.video import Frame, Limits, Unread
from kdphys.vitals import Context, measure_vitals
from tests._films import Recording, easy_config, even_times, record, write_npz, write_video
from tests._media import write_video as write_with_aspect

# In the order that design.md promises, with what came later at its place.
SCHEMA = [
    "schema", "model", "weights", "speed", "duration_s", "fps", "frames", "face_fraction",
    "heart_rate_bpm", "quality", "reason", "rmssd_ms", "sdnn_ms", "respiration_bpm", "seconds",
    "notes", "note", "wave",
]  # fmt: skip


@pytest.fixture(scope="module")
def found(npz: Path) -> Measurement:
    return measure(npz, "pos")


def part(recording: Recording, seconds: float) -> tuple[list, np.ndarray]:
    """The first seconds of a recording."""
    count = int(np.searchsorted(recording.time_s, seconds, side="right"))
    return recording.pictures[:count], recording.time_s[:count]


def test_what_was_measured_is_described_in_full(found, recording):
    assert found.model == "pos"
    assert found.frames == len(recording.pictures)
    assert found.duration_s == pytest.approx(recording.time_s[-1] - recording.time_s[0])
    assert found.fps == pytest.approx(25.0)
    assert found.face_fraction == 1.0
    assert found.wave_fps == FPS
    assert len(found.wave) == int(found.duration_s * FPS) + 1
    assert np.isfinite(found.wave).sum() >= len(found.wave) - 1
    assert found.notes == ()


def test_the_crops_are_a_few_of_those_that_the_network_saw(found):
    assert found.crops.shape == (8, SIZE, SIZE, 3)
    assert found.crops.dtype == np.uint8
    assert found.crops.std() > 10  # a face, not a plain square


def test_a_gap_does_not_lower_the_frame_rate(recording, tmp_path):
    pictures, time_s = part(recording, 12.0)
    late = np.where(time_s > time_s[0] + 10, time_s + 60, time_s)
    found = measure(write_npz(tmp_path / "gap.npz", pictures, late), "pos")
    assert found.fps == pytest.approx(25.0, abs=0.1)
    assert any("gaps of 60.0 s" in note for note in found.notes)
    assert not any("pictures a second" in note for note in found.notes)
    slow = write_npz(tmp_path / "slow.npz", pictures[::20], time_s[::20])
    with pytest.raises(VideoError, match=r"1\.2 pictures a second"):  # nothing but gaps
        measure(slow, "pos")


def test_a_face_that_was_lost_may_be_another_and_that_is_said(recording, tmp_path):
    pictures, time_s = part(recording, 20.0)
    away = (time_s > time_s[0] + 8) & (time_s < time_s[0] + 11)
    nothing = np.full_like(pictures[0], 120)
    shown = [nothing if gone else picture for gone, picture in zip(away, pictures, strict=True)]
    found = measure(write_npz(tmp_path / "away.npz", shown, time_s), "pos")
    assert any("another person" in note for note in found.notes)


def test_a_face_that_is_seen_for_a_moment_only_is_none(recording, tmp_path):
    pictures, time_s = part(recording, 8.0)
    nothing = np.full_like(pictures[0], 120)
    refused = []
    for frames in range(len(pictures) - 12, len(pictures)):  # not each picture is looked at
        shown = [*[nothing] * (frames - 1), pictures[-1]]
        with pytest.raises(NoFaceError) as error:
            measure(write_npz(tmp_path / "moment.npz", shown, time_s[:frames]), "pos")
        refused.append(str(error.value))
    assert any("moment.npz is seen for a moment only" in each for each in refused)


def test_the_longest_row_of_crops_is_kept(found):
    assert found.stretch.shape == (300, SIZE, SIZE, 3)
    assert found.stretch.dtype == np.uint8
    first = found.stretch[0].astype(float) - found.crops[0]  # on the grid and as it came
    assert np.abs(first).mean() < 3


def test_the_time_of_each_stage_is_part_of_the_total(found):
    seconds = found.seconds
    parts = (seconds.decode, seconds.face, seconds.network, seconds.signal)
    assert all(value >= 0 for value in parts)
    assert 0 < sum(parts) <= seconds.total


def test_the_json_record_follows_the_schema(found):
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert list(record) == SCHEMA
    assert record["schema"] == 1
    assert record["note"] == NOT_MEDICAL
    assert list(record["seconds"]) == ["decode", "face", "network", "signal", "total"]
    assert list(record["wave"]) == ["fps", "values"]
    assert len(record["wave"]["values"]) == len(found.wave)
    assert (record["heart_rate_bpm"] is None) == (record["reason"] is not None)
    assert 0 <= record["quality"] <= 1


def test_what_models_share_is_in_the_time_of_each_alike(npz):
    seconds = [each.seconds for each in compare(npz, ("teacher", "green", "student")).values()]
    shared = [each.total - each.network - each.signal for each in seconds]
    assert shared == pytest.approx([shared[0]] * 3, abs=1e-6)
    assert shared[0] >= seconds[0].face


def test_the_threads_of_others_are_as_before_however_readings_overlap():
    def threads() -> set[int]:
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == before


def test_only_frames_that_show_a_face_count_as_such(recording, tmp_path):
    pictures = list(recording.pictures)
    gone = [index for index in range(50, 300) if index % 50 < 15]  # 0.6 s of each 2 s: bridged
    for index in gone:
        pictures[index] = np.full_like(pictures[0], 90)
    found = measure(write_npz(tmp_path / "peek.npz", pictures, recording.time_s), "pos")
    assert found.face_fraction == pytest.approx(1 - len(gone) / len(pictures), abs=0.02)
    assert any("out of view" in note for note in found.notes)


def test_six_seconds_are_enough_and_a_picture_fewer_is_called_so(recording, tmp_path):
    times = recording.time_s[:150]
    found = measure(write_npz(tmp_path / "six.npz", recording.pictures[:150], times), "pos")
    assert len(found.wave) > 5.9 * FPS
    with pytest.raises(TooShortError, match=r"5\.9 s long; a heart rate needs 6 s"):
        measure(write_npz(tmp_path / "few.npz", recording.pictures[:149], times[:149]), "pos")


def test_pos_reads_the_easy_face(found, recording):
    # 12 s of a clean synthetic pulse: its peak is known to better than 2 bpm.
    assert found.vitals.heart_rate.value == pytest.approx(recording.bpm, abs=2)


def test_what_never_ends_is_ended():
    pixels = np.zeros((64, 64, 3), np.uint8)
    endless = (Frame(pixels, step / 30, None) for step in itertools.count())
    with pytest.raises(VideoError, match="endless was not measured within"):
        compare("endless", ["green"], frames=endless, limits=Limits(work_s=0.1))


def test_who_is_told_of_progress_can_end_the_work(npz):
    def stop(_stage: str, share: float) -> None:
        if share > 0.3:
            raise InterruptedError("enough")

    before = threading.active_count()
    with pytest.raises(InterruptedError, match="enough"):
        measure(npz, "green", progress=stop)
    assert threading.active_count() <= before


def test_progress_never_runs_backwards(npz):
    said: list[tuple[str, float]] = []
    measure(npz, "green", progress=lambda stage, share: said.append((stage, share)))
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    assert len({stage for stage, _ in said}) >= 3


def test_measuring_again_gives_the_same(npz, found):
    again = measure(npz, "pos")
    np.testing.assert_array_equal(again.wave, found.wave)
    assert replace(again, seconds=found.seconds).to_json() == found.to_json()


@pytest.mark.parametrize("model", MODELS)
def test_a_recording_before_changes_nothing_in_the_next(model, npz, recording, tmp_path):
    other = write_npz(
        tmp_path / "other.npz", [picture[:, ::-1] for picture in recording.pictures],
        recording.time_s,
    )  # fmt: skip
    before = measure(npz, model)
    measure(other, model)
    np.testing.assert_array_equal(measure(npz, model).wave, before.wave)


def test_what_is_shown_of_a_recording_is_kept_once_for_all_models(npz):
    pos, green = compare(npz, ("pos", "green")).values()
    assert pos.crops is green.crops
    assert pos.stretch is green.stretch


@pytest.mark.parametrize("speed", [0.8, 1.25, 1.6])
def test_the_rate_grows_with_the_speed(npz, recording, speed):
    found = measure(npz, "pos", speed=speed)
    assert found.duration_s == pytest.approx(recording.time_s[-1] / speed)
    assert found.fps == pytest.approx(25 * speed)
    assert found.speed == found.to_json()["speed"] == speed
    # As without speed; shorter recordings resolve less.
    assert found.vitals.heart_rate.value == pytest.approx(recording.bpm * speed, abs=3)


def test_a_speed_that_is_none_is_refused(npz):
    for speed in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="speed="):
            measure(npz, "pos", speed=speed)


def test_time_comes_from_the_stamps(recording, tmp_path):
    """The same frames, every third of them dropped and their stamps kept, beat as fast."""
    kept = [index for index in range(len(recording.pictures)) if index % 3]
    path = write_npz(
        tmp_path / "dropped.npz", [recording.pictures[i] for i in kept], recording.time_s[kept]
    )
    found = measure(path, "pos")
    assert found.vitals.heart_rate.value == pytest.approx(recording.bpm, abs=2)


def test_a_long_loss_leaves_a_gap_in_the_wave(recording, tmp_path):
    pictures = list(recording.pictures)
    for index in range(100, 200):  # 4 s to 8 s
        pictures[index] = np.full_like(pictures[0], 90)
    found = measure(write_npz(tmp_path / "lost.npz", pictures, recording.time_s), "pos")
    heard = np.isfinite(found.wave)
    # Up to 1 s of a loss is bridged by the last box, and a face is found again within 0.3 s.
    assert heard[: int(3.9 * FPS)].all()
    assert not heard[int(5.2 * FPS) : int(7.9 * FPS)].any()
    assert heard[int(8.4 * FPS) : int(11.9 * FPS)].all()
    assert 0.6 < found.face_fraction < 0.85
    assert any("out of view" in note for note in found.notes)
    assert found.vitals.heart_rate.value is None  # 4 s and 4 s: no stretch is long enough
    assert "Record for longer" in str(found.vitals.heart_rate.reason)


def test_what_comes_after_a_gap_keeps_its_time(recording, tmp_path):
    stamps = recording.time_s.copy()
    stamps[150:] += 5  # the camera stopped for 5 s
    found = measure(write_npz(tmp_path / "paused.npz", recording.pictures, stamps), "pos")
    heard = np.isfinite(found.wave)
    assert heard[: int(5.9 * FPS)].all()
    assert not heard[int(6.2 * FPS) : int(10.8 * FPS)].any()
    assert heard[int(11.2 * FPS) : int(16.9 * FPS)].all()


def test_of_two_faces_the_larger_is_measured_and_said_so(recording, tmp_path):
    pictures, time_s = part(recording, 7.0)
    both = [np.hstack([picture, _smaller(picture)]) for picture in pictures]
    found = measure(write_npz(tmp_path / "two.npz", both, time_s), "pos")
    assert any("2 faces" in note and "largest" in note for note in found.notes)
    alone = measure(write_npz(tmp_path / "one.npz", pictures, time_s), "pos")
    likeness = np.corrcoef(found.crops[0].ravel(), alone.crops[0].ravel())[0, 1]
    assert likeness > 0.9  # the same face; its box may differ by some pixels


def _smaller(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture[:, ::-1], (120, 120), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 20, 20, 20, 20, cv2.BORDER_REPLICATE)


def test_a_face_that_fills_the_frame_is_found(recording, tmp_path):
    pictures, time_s = part(recording, 7.0)
    close = [picture[46:118, 50:110] for picture in pictures]
    found = measure(write_npz(tmp_path / "close.npz", close, time_s), "pos")
    assert found.face_fraction > 0.9


def test_a_portrait_phone_video_is_turned_upright(recording, tmp_path):
    pictures, time_s = part(recording, 7.0)
    tall = [np.vstack([picture, picture[::-1][:96]]) for picture in pictures]  # 160 wide, 256 tall
    sideways = [np.ascontiguousarray(np.rot90(picture)) for picture in tall]
    path = write_video(tmp_path / "phone.mp4", sideways, time_s, quality=1)
    turn_by_a_quarter(path, height=160)
    turned = measure(path, "pos")
    straight = measure(write_npz(tmp_path / "straight.npz", tall, time_s), "pos")
    assert turned.face_fraction > 0.95
    likeness = np.corrcoef(turned.crops[0].ravel(), straight.crops[0].ravel())[0, 1]
    assert likeness > 0.95  # colours are coded at half the size


def test_a_face_of_pixels_that_are_not_square_is_found(recording, tmp_path):
    pictures, time_s = part(recording, 7.0)
    low = [cv2.resize(picture, (160, 40), interpolation=cv2.INTER_AREA) for picture in pictures]
    path = write_with_aspect(tmp_path / "low.mp4", low, time_s, aspect=Fraction(1, 4))
    assert measure(path, "pos").face_fraction > 0.95


def turn_by_a_quarter(path: Path, height: int) -> None:
    """Write into an mp4's header that its pictures are to be turned clockwise, as phones do."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    one, minus_one = 1 << 16, (1 << 32) - (1 << 16)
    values = (0, one, 0, minus_one, 0, 0, height << 16, 0, 1 << 30)
    content[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big") for value in values)
    path.write_bytes(content)


@pytest.mark.slow
def test_a_video_of_the_largest_common_size_is_measured(recording, tmp_path):
    kept = range(0, 164, 3)  # 8.3 a second for 6.5 s
    large = (
        cv2.resize(recording.pictures[i], (3840, 2160), interpolation=cv2.INTER_LINEAR)
        for i in kept
    )
    path = write_video(tmp_path / "uhd.mp4", large, recording.time_s[kept], quality=25)
    found = measure(path, "pos")
    assert found.face_fraction > 0.9
    assert any("pictures a second" in note for note in found.notes)


@pytest.mark.parametrize(
    ("seconds", "error", "words"),
    [(2.0, TooShortError, "2.0 s long; a heart rate needs 6 s"), (5.9, TooShortError, "5.9 s")],
)
def test_a_short_recording_says_how_long_it_must_be(recording, tmp_path, seconds, error, words):
    pictures, time_s = part(recording, seconds)
    with pytest.raises(error, match=words):
        measure(write_npz(tmp_path / "short.npz", pictures, time_s), "pos")


def test_black_pictures_are_called_black(tmp_path):
    pictures = [np.full((64, 64, 3), 3, np.uint8)] * 80
    with pytest.raises(VideoError, match=r"dark\.npz are black"):
        measure(write_npz(tmp_path / "dark.npz", pictures, even_times(8, 10)))


def test_a_wall_has_no_face(tmp_path):
    rng = np.random.default_rng(0)
    wall = [(rng.integers(90, 120, (64, 64, 3))).astype(np.uint8) for _ in range(80)]
    with pytest.raises(NoFaceError, match=r"No face was found in wall\.npz; film a face"):
        measure(write_npz(tmp_path / "wall.npz", wall, even_times(8, 10)))


def test_where_no_face_is_found_other_streams_of_the_file_are_named(tmp_path):
    path = tmp_path / "two.mkv"
    wall = np.full((64, 64, 3), 120, np.uint8)
    with av.open(str(path), "w") as container:
        streams = [cast(VideoStream, container.add_stream("ffv1", rate=10)) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for at in range(80):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(wall, "rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = at, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    with pytest.raises(NoFaceError, match=r"two\.mkv holds 2 video streams, and only the first is"):
        measure(path)


@pytest.mark.slow
@pytest.mark.parametrize(("bpm", "is_one"), [(72.0, True), (98.0, False)])
def test_two_people_one_after_the_other_are_not_averaged(recording, tmp_path, bpm, is_one):
    other = record(11, easy_config(bpm=bpm))
    wall = [np.full_like(recording.pictures[0], 90)] * 50
    pictures = [*recording.pictures, *wall, *other.pictures]
    found = measure(write_npz(tmp_path / "two.npz", pictures, np.arange(len(pictures)) / 25))
    assert any("found again" in note for note in found.notes)
    if is_one:
        assert found.vitals.heart_rate.value == pytest.approx(72, abs=3)
    else:
        assert found.vitals.heart_rate.value is None
        assert "they may be two people" in str(found.vitals.heart_rate.reason)


def test_pauses_between_pictures_take_the_reading_away(recording, tmp_path):
    kept = [index for index in range(len(recording.pictures)) if index % 12 < 5]
    pictures = [recording.pictures[index] for index in kept]
    path = write_npz(tmp_path / "bursts.npz", pictures, recording.time_s[kept])
    found = measure(path)
    assert found.fps > 10
    assert found.vitals.heart_rate.value is None
    assert "pauses counted; a pulse needs 8" in str(found.vitals.heart_rate.reason)


def test_only_the_part_with_too_few_pictures_is_left_out(recording, tmp_path):
    kept = [index for index in range(301) if index < 220 or index % 8 == 0]
    path = write_npz(
        tmp_path / "slower.npz", [recording.pictures[k] for k in kept], recording.time_s[kept]
    )
    found = measure(path)
    assert found.vitals.heart_rate.value == pytest.approx(recording.bpm, abs=3)
    assert any("pictures came too seldom, which was not read" in note for note in found.notes)
    assert np.isnan(found.wave[-60:]).all()
    assert np.isfinite(found.wave[:180]).all()


@pytest.mark.parametrize(("hold", "is_enough"), [(2, True), (8, False)])
def test_pictures_that_are_shown_again_are_not_new_ones(recording, tmp_path, hold, is_enough):
    pictures = [recording.pictures[index // hold * hold] for index in range(301)]
    found = measure(write_npz(tmp_path / "held.npz", pictures, recording.time_s))
    if is_enough:
        assert found.vitals.heart_rate.value == pytest.approx(recording.bpm, abs=3)
    else:
        assert found.vitals.heart_rate.value is None
        assert "Only 3 pictures of the face" in str(found.vitals.heart_rate.reason)


def test_copies_that_an_encoder_makes_are_called_so(recording, tmp_path):
    pictures = [recording.pictures[index // 8 * 8] for index in range(301)]
    path = write_with_aspect(tmp_path / "held.mkv", pictures, recording.time_s, "ffv1")
    found = measure(path)
    assert found.vitals.heart_rate.value is None
    reason = str(found.vitals.heart_rate.reason)
    assert "are copies of the one before, as strong compression makes them: only 3.1" in reason
    assert "light" not in reason


def test_a_face_that_is_lost_again_and_again_is_called_so(recording, tmp_path):
    blank = np.full_like(recording.pictures[0], 110)
    away = (recording.time_s - recording.time_s[0]) % 4 > 3.2
    pictures = [
        blank if gone else each for gone, each in zip(away, recording.pictures, strict=True)
    ]
    found = measure(write_npz(tmp_path / "away.npz", pictures, recording.time_s))
    assert found.vitals.heart_rate.value is None
    reason = str(found.vitals.heart_rate.reason)
    assert "The face is lost too often" in reason
    assert "lets a camera film faster" not in reason


def in_grey(pictures: list) -> list:
    return [np.repeat(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY)[..., None], 3, 2) for each in pictures]


def test_a_black_and_white_video_is_called_so(recording, tmp_path):
    pictures, time_s = part(recording, 8.0)
    brighter = 1 + 0.02 * np.sin(2 * np.pi * 1.3 * time_s)  # as a lamp's light
    lit = [
        np.clip(each * gain, 0, 255).astype(np.uint8)
        for each, gain in zip(in_grey(pictures), brighter, strict=True)
    ]
    for path in (
        write_video(tmp_path / "grey.mp4", lit, time_s, quality=23),
        write_npz(tmp_path / "grey.npz", lit, time_s),
    ):
        with pytest.raises(VideoError, match="is black and white, and a pulse is read from colour"):
            measure(path, "pos")


def test_a_few_grey_pictures_make_no_black_and_white_video(recording, tmp_path):
    few = [*in_grey(recording.pictures[:20]), *recording.pictures[20:]]
    found = measure(write_npz(tmp_path / "few.npz", few, recording.time_s), "pos")
    assert "black and white" not in str(found.vitals.heart_rate.reason)


def join(path: Path, recording: Recording, *parts: np.ndarray) -> Path:
    """Write a recording as camera files with these stamps, one after the other in one file."""
    begins = 0
    with path.open("wb") as joined:
        for times_s in parts:
            pictures = recording.pictures[begins : begins + len(times_s)]
            begins += len(times_s)
            part = write_video(path.with_name(f"{begins}.ts"), pictures, times_s)
            joined.write(part.read_bytes())
    return path


def test_stamps_that_run_backwards_are_told(recording, tmp_path):
    time_s = even_times(12.0, 25.0)
    found = measure(join(tmp_path / "two.ts", recording, time_s[:100], time_s[:200]), "pos")
    assert found.to_json()["notes"] == [
        "100 of 300 pictures have time stamps that run backwards and were not read; the file may "
        "be several joined into one."
    ]
    parts = time_s[:200], time_s[200:201] + 1000, time_s[201:]
    found = measure(join(tmp_path / "jump.ts", recording, *parts), "pos")
    assert found.notes == (
        "Time stamps are out of order for 1 of 300 pictures, which were not read.",
    )
    assert found.vitals.heart_rate.value == pytest.approx(recording.bpm, abs=3)


def test_what_of_a_file_could_not_be_read_is_told():
    noticed = Noticed("a.mp4")
    assert not any("not read" in note or "was read" in note for note in noticed.notes())
    noticed.unread = Unread(damaged=3, is_cut_short=True)
    notes = " ".join(noticed.notes())
    assert "Damaged parts of the video, 3 in all, were not read." in notes
    assert "can't be read to its end" in notes


def test_too_few_pictures_a_second_are_refused(recording, tmp_path):
    kept = range(0, 300, 5)
    path = write_npz(
        tmp_path / "slow.npz", [recording.pictures[i] for i in kept], recording.time_s[kept]
    )
    with pytest.raises(VideoError, match=r"5\.0 pictures a second; a pulse needs at least 8"):
        measure(path)


def test_a_folder_of_weights_may_be_given_as_a_path(npz):
    found = measure(npz, SHIPPED / "student")
    assert found.model == str(SHIPPED / "student")
    assert found.weights == model_facts("student").weights


def test_an_unknown_model_is_refused_before_the_video_is_read(tmp_path):
    with pytest.raises(ValueError, match="name='best' must be student"):
        measure(tmp_path / "missing.mp4", "best")


@pytest.mark.parametrize("models", ["student", "", [], ()])
def test_models_that_are_no_sequence_of_names_are_refused_before_the_video_is_read(
    tmp_path, models
):
    with pytest.raises(ValueError, match=r"models=.* must be a sequence of names, at least one"):
        compare(tmp_path / "missing.mp4", models)


def test_comparing_gives_the_models_in_the_order_asked_for(npz):
    found = compare(npz, ["green", "student", "pos"])
    assert list(found) == ["green", "student", "pos"]
    assert [one.model for one in found.values()] == ["green", "student", "pos"]


class TestLiveMeter:
    """A camera's frames pushed one by one."""

    def test_vitals_come_once_a_second(self, recording):
        meter = LiveMeter("student")
        times = [
            time_s
            for picture, time_s in zip(recording.pictures, recording.time_s, strict=True)
            if meter.push(picture, float(time_s)) is not None
        ]
        assert times == pytest.approx(range(1, 13), abs=0.04 + 1e-9)

    def test_each_visitor_has_a_state_of_its_own(self, recording):
        one, other, alone = LiveMeter(), LiveMeter(), LiveMeter()
        for picture, time_s in zip(
            recording.pictures[:60], recording.time_s[:60].tolist(), strict=True
        ):
            one.push(picture, time_s)
            other.push(picture[:, ::-1], time_s)
            alone.push(picture, time_s)
        np.testing.assert_array_equal(one.wave, alone.wave)

    def test_a_stamp_that_does_not_increase_is_refused(self, recording):
        meter = LiveMeter()
        meter.push(recording.pictures[0], 1.0)
        with pytest.raises(ValueError, match=r"time_s=1\.0 must be later"):
            meter.push(recording.pictures[1], 1.0)

    @pytest.mark.parametrize("window_s", [0, 4.9, float("nan"), float("inf")])
    def test_a_window_that_can_t_be_read_is_refused(self, window_s):
        with pytest.raises(ValueError, match=f"window_s={window_s}"):
            LiveMeter(window_s=window_s)

    @pytest.mark.parametrize("model", ["teacher", "pos"])
    def test_a_model_that_needs_a_whole_recording_is_refused(self, model):
        with pytest.raises(ValueError, match="only 'student' streams"):
            LiveMeter(model)

    def test_a_clock_that_jumps_ahead_costs_no_time_and_keeps_the_rhythm(self, recording):
        meter = LiveMeter()
        meter.push(recording.pictures[0], 0.0)
        assert meter.push(recording.pictures[1], 1.7e9) is not None
        assert meter.push(recording.pictures[2], 1.7e9 + 0.5) is None
        assert meter.push(recording.pictures[3], 1.7e9 + 1.5) is not None

    def test_without_a_face_the_wave_goes_on_without_samples(self, recording):
        meter, vitals = LiveMeter(window_s=6.0), None
        wall = np.full_like(recording.pictures[0], 90)
        for index in range(275):
            picture = recording.pictures[index] if index < 200 else wall
            vitals = meter.push(picture, index / 25) or vitals
        assert vitals is not None
        assert vitals.heart_rate.value is None
        # Gone for 3 s: the box is bridged for up to 1 s, and the network's last 0.2 s never come.
        assert 2 * FPS <= np.isnan(meter.wave[-90:]).sum() <= 2.9 * FPS
        assert meter.hint == "no face"
        assert len(meter.recent_crops()) == len(meter.recent_places()) == 0

    def test_the_rate_of_somebody_who_left_is_not_given_for_longer_than_3_s(self, recording):
        meter, given = LiveMeter(every_s=0.2), {}
        wall = np.full_like(recording.pictures[0], 90)
        for index in range(375):
            picture = recording.pictures[index] if index < 250 else wall
            if vitals := meter.push(picture, index / 25):
                given[index / 25] = vitals.heart_rate.value
        assert all(value for time_s, value in given.items() if 8 < time_s < 11)
        assert not any(value for time_s, value in given.items() if time_s > 13.3)

    def test_variability_does_not_say_that_there_is_too_little_beside_a_rate(self, recording):
        meter = LiveMeter(every_s=0.1)
        for index, picture in enumerate(recording.pictures[:250]):
            vitals = meter.push(picture, index / 25)
            if vitals and vitals.heart_rate.value:
                break
        else:
            pytest.fail("no rate")
        assert "longest stretch" not in str(vitals.rmssd.reason)

    def test_a_face_that_comes_back_is_not_read_with_the_one_before(self, recording):
        """It may be another person's: of both together, any number would be wrong."""
        meter, readings = LiveMeter(), []
        wall = np.full_like(recording.pictures[0], 90)
        pictures = [*recording.pictures[:250], *[wall] * 50, *recording.pictures[:100]]
        for index, picture in enumerate(pictures):
            if vitals := meter.push(picture, index / 25):
                readings.append((index / 25, vitals.heart_rate.value))
        before = [value for time_s, value in readings if 7 < time_s < 10]
        assert before == [pytest.approx(recording.bpm, abs=3)] * len(before)
        assert len(before) > 1
        assert {value for time_s, value in readings if time_s > 13} == {None}
        assert np.isnan(meter.wave[:-120]).all()

    def test_a_camera_that_shows_the_same_picture_on_and_on_is_not_read(self, recording):
        meter, readings = LiveMeter(), []
        pictures = [*recording.pictures[:300], *[recording.pictures[300]] * 500]
        for index, picture in enumerate(pictures):
            if vitals := meter.push(picture, index / 25):
                readings.append((index / 25, vitals.heart_rate))
        before = [heart.value for time_s, heart in readings if 7 < time_s < 12]
        assert before == [pytest.approx(recording.bpm, abs=3)] * len(before)
        after = [heart for time_s, heart in readings if time_s > 15]
        assert {heart.value for heart in after} == {None}
        assert "the same picture for 5 s" in str(after[1].reason)
        assert "the same picture for 19 s" in str(after[-1].reason)
        assert not any(heart.is_early for heart in after)
        assert meter.hint is None  # no light would help
        assert meter.distrust is not None

    def test_samples_are_taken_once(self, recording):
        meter, taken = LiveMeter(), []
        for index, picture in enumerate(recording.pictures[:200]):
            meter.push(picture, index / 25)
            if index % 7 == 0:
                taken.append(meter.take())
        steps = np.concatenate([first + np.arange(len(wave)) for first, wave in taken])
        np.testing.assert_array_equal(steps, np.arange(len(steps)))
        assert len(steps) > 200
        waves = np.concatenate([wave for _, wave in taken])
        last = len(meter.take().wave)
        np.testing.assert_array_equal(meter.wave[-len(waves) - last : -last or None], waves)

    def test_variability_and_breathing_look_back_for_longer(self, recording, monkeypatch):
        lengths = []

        def read(wave, **rest):
            lengths.append(len(wave))
            return measure_vitals(wave, **rest)

        monkeypatch.setattr("kdphys.stream.measure_vitals", read)
        meter = LiveMeter(window_s=8.0)
        meter.push(recording.pictures[0], 0.0)
        assert meter.push(recording.pictures[1], 1.0) is not None
        assert lengths == [8 * FPS, 60 * FPS]
        lengths.clear()
        meter = LiveMeter(window_s=90.0)
        meter.push(recording.pictures[0], 0.0)
        meter.push(recording.pictures[1], 1.0)
        assert lengths == [90 * FPS]

    def test_a_rate_is_judged_by_the_last_minute_once_there_is_more_than_it_looks_at(
        self, recording, monkeypatch
    ):
        sure = Context(recording.bpm, 0.66)

        def read(wave, **rest):
            found = measure_vitals(wave, **rest)
            return replace(found, context=sure) if len(wave) == 60 * FPS else found

        monkeypatch.setattr("kdphys.stream.measure_vitals", read)
        meter, qualities = LiveMeter(window_s=6.0), {}
        for index, picture in enumerate(recording.pictures):
            if vitals := meter.push(picture, index / 25):
                qualities[round(index / 25)] = vitals.heart_rate.quality
        assert 0.66 not in [quality for time_s, quality in qualities.items() if time_s < 6.4]
        later = [quality for time_s, quality in qualities.items() if time_s >= 8]
        assert all(0.66 < quality < 0.95 for quality in later)  # each one's own counts too

    @pytest.mark.parametrize(
        ("change", "hint"),
        [
            (lambda rgb: rgb, None),
            (lambda rgb: rgb // 6, "too dark"),
            (lambda rgb: cv2.resize(rgb, None, fx=0.5, fy=0.5), "too far"),
        ],
    )
    def test_a_hint_says_what_stands_in_the_way(self, recording, change, hint):
        meter = LiveMeter()
        assert meter.hint == "no face"
        for index, picture in enumerate(recording.pictures[:40]):
            meter.push(change(picture), index / 25)
        assert meter.hint == hint

    @pytest.mark.parametrize(
        ("kept", "is_enough"),
        [
            (lambda index: index % 2 == 0, True),
            (lambda index: index % 4 == 0, False),  # 6 a second
            (lambda index: index % 8 == 0, False),
            (lambda index: index % 12 < 5, False),  # 10 a second in the mean, with pauses
        ],
    )
    def test_too_few_pictures_a_second_give_no_reading(self, recording, kept, is_enough):
        meter, vitals = LiveMeter(), None
        for index, picture in enumerate(recording.pictures):
            if kept(index):
                vitals = meter.push(picture, index / 25) or vitals
        assert vitals is not None
        if is_enough:
            assert vitals.heart_rate.value == pytest.approx(recording.bpm, abs=3)
            assert meter.hint is None
            assert meter.distrust is None
        else:
            assert vitals.heart_rate.value is None
            assert "pictures of the face come a second" in str(vitals.heart_rate.reason)
            assert vitals.rmssd.value is None
            assert meter.hint == "sparse"
            shown = compare_crops(meter.recent_crops(), ("student",), meter.distrust)
            assert shown["student"].heart_rate.value is None

    def test_pictures_that_come_fast_enough_again_are_read_again(self, recording):
        meter, values = LiveMeter(window_s=6.0), {}
        for index, picture in enumerate(recording.pictures):
            if index > 100 or index % 8 == 0:
                vitals = meter.push(picture, index / 25)
                values |= {index / 25: vitals.heart_rate.value} if vitals else {}
        assert {value for time_s, value in values.items() if time_s < 8} == {None}
        assert list(values.values())[-1] == pytest.approx(recording.bpm, abs=3)
        assert meter.hint is None

    def test_vitals_are_read_beside_the_colours_of_the_face(self, recording, monkeypatch):
        seen = []

        def read(wave, *, colours, **rest):
            seen.append(colours.copy())
            return measure_vitals(wave, **rest)

        monkeypatch.setattr("kdphys.stream.measure_vitals", read)
        meter = LiveMeter(window_s=6.0)
        for picture, time_s in zip(
            recording.pictures[:80], recording.time_s[:80].tolist(), strict=True
        ):
            meter.push(picture, time_s)
        colours = seen[-2]  # the rate's, before that of all that is remembered
        known = np.isfinite(colours).all(1)
        assert len(colours) == len(meter.wave) == 6 * FPS
        assert 80 < known.sum() <= 91
        assert known[-80:].all()
        assert (colours[known].std(0) < 3).all()
        assert (np.diff(colours[known].mean(0)) < 0).all()  # skin: red, green, blue

    @pytest.mark.parametrize("time_s", [float("nan"), float("inf")])
    def test_a_stamp_that_is_no_number_is_refused(self, recording, time_s):
        with pytest.raises(ValueError, match="time_s="):
            LiveMeter().push(recording.pictures[0], time_s)

    @pytest.mark.parametrize(
        "picture",
        [
            np.zeros((64, 64), np.uint8),
            np.zeros((64, 64, 4), np.uint8),
            np.zeros((64, 64, 3), np.float32),
            np.zeros((0, 64, 3), np.uint8),
        ],
    )
    def test_what_is_no_rgb_picture_is_refused(self, picture):
        with pytest.raises(ValueError, match=r"it must be uint8 \(H, W, 3\)"):
            LiveMeter().push(picture, 0.0)

    @pytest.mark.parametrize("picture", [None, [[[0, 0, 0]]], "picture.jpg"])
    def test_what_is_no_array_is_refused(self, picture):
        with pytest.raises(ValueError, match=r"it must be a NumPy array, uint8 \(H, W, 3\)"):
            LiveMeter().push(picture, 0.0)

    @pytest.mark.parametrize("time_s", ["1", None, [1.0], 1j, Fraction(1)])
    def test_what_is_no_time_is_refused(self, recording, time_s):
        with pytest.raises(ValueError, match=r"must be seconds, at most 1e\+12 from 0"):
            LiveMeter().push(recording.pictures[0], time_s)

    @pytest.mark.parametrize("kind", [int, np.float32, np.int64])
    def test_a_time_may_be_a_number_of_any_kind(self, recording, kind):
        assert LiveMeter().push(recording.pictures[0], kind(1)) is None

    def test_a_face_that_leaves_for_long_empties_the_window(self, recording):
        meter = LiveMeter(window_s=6.0)
        wall = np.full_like(recording.pictures[0], 90)
        vitals = None
        for index in range(340):
            picture = recording.pictures[index % 300] if index < 100 or index > 315 else wall
            vitals = meter.push(picture, index / 25) or vitals
        assert vitals is not None
        assert vitals.heart_rate.value is None
        # Back for 1 s, of which 0.2 s are the network's lag and up to 0.3 s the search.
        assert 0 < np.isfinite(meter.wave).sum() < FPS


def test_a_hard_cut_to_another_person_begins_anew_and_is_told(recording, tmp_path):
    other = record(23, easy_config(bpm=100.0))
    half = len(recording.pictures) // 2
    joined = [*recording.pictures[:half], *other.pictures[half:]]
    path = write_npz(tmp_path / "cut.npz", joined, np.arange(len(joined)) / 25)
    found = measure(path, "pos")
    assert any("found again" in note for note in found.notes)
    meter, lengths = LiveMeter(), []
    for index, picture in enumerate(joined):
        meter.push(picture, index / 25)
        lengths.append(np.isfinite(meter.wave).sum())
    assert lengths[half - 1] > 100
    assert lengths[half] == 0  # nothing of the one before


def shown(pictures: list, time_s: np.ndarray) -> Iterator[Frame]:
    for picture, stamp in zip(pictures, time_s, strict=True):
        yield Frame(picture, float(stamp), key_frame=None)


def test_frames_count_their_times_from_the_first(recording):
    """With stamps of a clock they were taken for a gap of half a century, and memory ran out."""
    pictures, time_s = part(recording, 7.0)
    read = [
        compare("a camera", ["green"], speed=speed, frames=shown(pictures, offset + time_s))[
            "green"
        ]
        for offset, speed in ((0.0, 1.0), (1.7e9, 2.0))
    ]
    assert read[1].speed == read[0].speed == 1
    assert read[1].duration_s == pytest.approx(read[0].duration_s, abs=1e-5)
    assert np.isclose(len(read[1].wave), len(read[0].wave), atol=1)
    assert read[1].notes == read[0].notes == ()


def test_no_frames_at_all_are_no_picture():
    with pytest.raises(VideoError, match="a camera holds no picture"):
        compare("a camera", ["green"], frames=iter([]))


def test_a_reading_that_ended_with_an_error_keeps_neither_thread_nor_file(npz):
    def stop(_stage: str, share: float) -> None:
        if share > 0:
            raise RuntimeError("enough")

    kept = []
    for _ in range(3):
        with pytest.raises(RuntimeError, match="enough") as caught:
            measure(npz, "green", progress=stop)
        kept.append(caught.value)  # with all its frames
    assert not [one for one in threading.enumerate() if one.name.startswith("ahead")]


FIRST_VISITOR = """
import gc, sys, weakref
from pathlib import Path
from kdphys import LiveMeter
from kdphys.video import read_frames
def visit():
    meter = LiveMeter()
    for frame in read_frames(Path(sys.argv[1])):
        meter.push(frame.rgb, frame.time_s)
    return weakref.ref(meter)
left = visit()
gc.collect()
assert "mediapipe" in sys.modules
sys.exit("the first visitor's pictures are kept" if left() is not None else 0)
"""


def test_nothing_of_the_first_visitor_stays_with_the_face_detector(npz):
    """Where PortAudio is missing, MediaPipe keeps the traceback of an import, with its frames."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_VISITOR, str(npz)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_colours_lie_beside_the_wave_after_gaps_as_before(recording):
    """They fell back by what the network looks ahead, with each gap once more."""
    pictures, _ = part(recording, 8.0)
    time_s = np.arange(len(pictures)) / FPS + 0.7 * np.searchsorted(
        (60, 120, 180), np.arange(len(pictures)), side="right"
    )
    meter = LiveMeter()
    for picture, stamp in zip(pictures, time_s, strict=True):
        meter.push(picture, stamp)
    begins = [
        np.flatnonzero(np.diff(np.isfinite(values).astype(int), prepend=0) == 1)
        for values in (meter._wave, meter._colours[:, 0])
    ]
    assert len(begins[0]) == 4
    assert len(set(begins[0] - begins[1])) == 1


def test_a_picture_refused_for_its_stamp_was_not_seen(recording):
    pictures, time_s = part(recording, 2.0)
    meter = LiveMeter()
    for picture, stamp in zip(pictures[:-1], time_s[:-1], strict=True):
        meter.push(picture, stamp)
    with pytest.raises(ValueError, match="time"):
        meter.push(pictures[-1], time_s[-2])
    meter.push(pictures[-1], time_s[-1])
    assert meter._held_s == 0.0
