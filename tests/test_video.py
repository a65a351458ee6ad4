"""Videos are read upright, timed by their stamps, and refused in one clear sentence."""

import gc
import itertools
import logging
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import av
import cv2
import numpy as np
import pytest
from av.error import InvalidDataError
from av.video.stream import VideoStream

from kdphys import video
from kdphys.errors import VideoError
from kdphys.video import Limits, Unread, find_videos, probe, read_frames
from kdphys.view import View
from tests._films import even_times
from tests._films import write_video as write_film
from tests._media import four_corners, rotate_mp4, write_video

TIMES_S = np.arange(12) / 30
CODING = 12  # grey levels that lossy coding may move the mean of a flat area


def flat_pictures(count: int, height: int = 48, width: int = 64) -> list:
    return [np.full((height, width, 3), 60 + 10 * k, np.uint8) for k in range(count)]


def write_npz(path: Path, **changed: np.ndarray | None) -> Path:
    arrays = {"frames": np.stack(flat_pictures(4)), "time_s": np.arange(4) / 30, **changed}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "mpeg4"),
        ("a.webm", "libvpx"),
        ("a.avi", "mjpeg"),
        ("a.mkv", "ffv1"),
    ],
)
def test_every_container_gives_its_frames_in_order_with_their_times(tmp_path, name, codec):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / name, flat_pictures(12), TIMES_S, codec, pix_fmt)
    frames = list(read_frames(path))
    assert [round(frame.rgb.mean() / 10) for frame in frames] == list(range(6, 18))
    # Matroska and WebM store whole milliseconds.
    assert np.allclose([frame.time_s for frame in frames], TIMES_S, rtol=0, atol=0.001)


def test_a_variable_frame_rate_is_kept(tmp_path):
    times_s = np.cumsum([5.0, 0.02, 0.05, 0.2, 0.033, 1.0])
    path = write_video(tmp_path / "a.mp4", flat_pictures(6), times_s, "libx264")
    found = [frame.time_s for frame in read_frames(path)]
    assert np.allclose(found, times_s - 5, rtol=0, atol=1e-4)  # a tick is 33 us


def test_speed_divides_the_times(tmp_path):
    path = write_video(tmp_path / "a.mp4", flat_pictures(12), TIMES_S)
    frames = list(read_frames(path, speed=2.0))
    assert np.allclose([frame.time_s for frame in frames], TIMES_S / 2, rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="speed=0"):
        next(read_frames(path, speed=0))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_rotated_or_mirrored_video_is_read_as_it_is_shown(tmp_path, degrees, mirrored):
    path = write_video(tmp_path / "a.mp4", [four_corners()] * 2, TIMES_S[:2])
    rotate_mp4(path, degrees, mirrored=mirrored)
    stored = four_corners()[:, ::-1] if mirrored else four_corners()
    shown = np.rot90(stored, -degrees // 90)  # the header turns it clockwise
    frame = next(read_frames(path))
    assert frame.rgb.shape == shown.shape
    assert np.abs(frame.rgb.astype(int) - shown).mean() < CODING
    assert (probe(path).height, probe(path).width) == shown.shape[:2]


@pytest.mark.parametrize("degrees", [0, 90])
@pytest.mark.parametrize(
    ("aspect", "times"),
    [
        (Fraction(2), (1, 2)),
        (Fraction(1, 4), (4, 1)),
        (Fraction(100, 99), (1, 1)),
        (Fraction(100), (1, 1)),
    ],
)
def test_pixels_that_are_not_square_are_read_as_they_are_shown(tmp_path, degrees, aspect, times):
    stored = four_corners()
    path = write_video(tmp_path / "a.mp4", [stored] * 2, TIMES_S[:2], aspect=aspect)
    rotate_mp4(path, degrees)
    shown = np.rot90(stored.repeat(times[0], axis=0).repeat(times[1], axis=1), -degrees // 90)
    frame = next(read_frames(path))
    assert frame.rgb.shape == shown.shape
    assert np.abs(frame.rgb.astype(int) - shown).mean() < CODING
    assert (probe(path).height, probe(path).width) == shown.shape[:2]


def test_frames_that_are_too_large_once_their_pixels_are_square_are_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", flat_pictures(2), TIMES_S[:2], aspect=Fraction(2))
    monkeypatch.setattr("kdphys.video.MAX_PIXELS", 128 * 48 - 1)
    with pytest.raises(VideoError, match="128x48 pixels, and up to 7680x4320"):
        next(read_frames(path))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [
        ("ffv1", "gray", "a.mkv"),
        ("ffv1", "yuv420p10le", "a.mkv"),
        ("qtrle", "argb", "a.mov"),
        ("ffv1", "yuv444p", "a.mkv"),
    ],
)
def test_grey_ten_bit_and_alpha_videos_are_read_in_odd_sizes(tmp_path, codec, pix_fmt, name):
    picture = np.full((35, 47, 3), 120, np.uint8)
    path = write_video(tmp_path / name, [picture] * 3, TIMES_S[:3], codec, pix_fmt)
    frames = list(read_frames(path))
    assert len(frames) == 3
    assert frames[0].rgb.shape == (35, 47, 3)
    assert np.abs(frames[0].rgb.astype(int) - 120).max() < CODING


def test_key_frames_are_told(tmp_path):
    path = write_video(tmp_path / "a.mp4", [four_corners()] * 14, np.arange(14) / 30)
    keys = [k for k, frame in enumerate(read_frames(path)) if frame.key_frame]
    assert keys == [0, 12]  # libavcodec's default group has 12 frames


def test_h264_in_avi_loses_no_frame_to_its_false_stamps(tmp_path):
    path = write_video(tmp_path / "a.avi", flat_pictures(15), np.arange(15) / 30, "libx264")
    steps = np.diff([frame.time_s for frame in read_frames(path)])
    assert len(steps) >= 12  # the last pictures of the decoder's delay have no stamp
    assert np.allclose(steps, 1 / 30, rtol=0, atol=1e-3)


def test_frames_without_stamps_are_refused(tmp_path):
    path = write_video(tmp_path / "a.h264", flat_pictures(6), TIMES_S[:6], "libx264")
    with pytest.raises(VideoError, match="no time stamps"):
        list(read_frames(path))


def test_a_video_cut_in_the_middle_is_read_as_far_as_it_goes(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", noise, np.arange(30) / 30, "mjpeg", "yuvj420p")
    os.truncate(path, path.stat().st_size // 2)
    with caplog.at_level(logging.WARNING):
        assert 10 < len(list(read_frames(path))) < 20


def join_ts(path: Path, *parts: np.ndarray) -> Path:
    """Write camera files with these stamps one after the other into one file, as `cat` does."""
    with path.open("wb") as joined:
        for number, times_s in enumerate(parts):
            part = path.with_name(f"{number}.ts")
            joined.write(write_film(part, flat_pictures(len(times_s)), times_s).read_bytes())
    return path


def test_stamps_that_begin_anew_are_counted_as_out_of_order(tmp_path):
    path = join_ts(tmp_path / "a.ts", even_times(6.0, 2.0), even_times(8.0, 2.0))
    unread = Unread()
    found = [frame.time_s for frame in read_frames(path, unread=unread)]
    assert np.allclose(found, even_times(8.0, 2.0), rtol=0, atol=1e-3)
    assert unread.out_of_order == 12
    assert unread.is_joined


def test_one_stamp_far_ahead_costs_one_picture(tmp_path):
    times_s = even_times(0.6, 25.0)
    path = join_ts(tmp_path / "a.ts", times_s[:8], times_s[8:9] + 1000, times_s[9:])
    unread = Unread()
    found = [frame.time_s for frame in read_frames(path, unread=unread)]
    assert np.allclose(found, np.delete(times_s, 8), rtol=0, atol=1e-3)
    assert unread == Unread(out_of_order=1)


def test_a_pause_is_no_stamp_far_ahead(tmp_path):
    times_s = np.array([0, 0.1, 5, 5.1, 9])  # the last one is after a pause too
    unread = Unread()
    path = write_video(tmp_path / "a.mkv", flat_pictures(5), times_s, "ffv1")
    found = [frame.time_s for frame in read_frames(path, unread=unread)]
    assert np.allclose(found, times_s, rtol=0, atol=0.001)
    assert unread == Unread()


def test_a_file_is_refused_if_most_of_its_stamps_are_out_of_order(tmp_path):
    path = join_ts(tmp_path / "a.ts", *[even_times(2.0, 4.0)] * 3)
    with pytest.raises(VideoError, match=r"for 16 of 24 pictures, as .*: cut it at the joint"):
        list(read_frames(path))
    path = join_ts(tmp_path / "b.ts", *[even_times(0.2, 20.0)] * 3)
    with pytest.raises(VideoError, match=r"for 8 of 12 pictures, and .*: record again, or give"):
        list(read_frames(path))


def test_what_is_damaged_is_counted(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / "a.mp4", noise, np.arange(30) / 30, "mjpeg", "yuvj420p")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 9000] = bytes(9000)
    path.write_bytes(content)
    unread = Unread()
    read = len(list(read_frames(path, unread=unread)))
    assert unread == Unread(damaged=30 - read)
    assert 0 < read < 30


def test_a_video_of_which_reading_fails_is_read_as_far_as_that_and_it_is_noted(
    tmp_path, monkeypatch
):
    path = write_video(tmp_path / "a.mkv", flat_pictures(12), TIMES_S, "ffv1")
    opened = video._open_video

    @contextmanager
    def open_broken(*asked) -> Iterator[tuple]:
        def demux(stream) -> Iterator[av.Packet]:
            yield from itertools.islice(container.demux(stream), 6)
            raise InvalidDataError(1, "broken")

        with opened(*asked) as (container, stream):
            streams, form = container.streams, container.format
            yield SimpleNamespace(demux=demux, format=form, streams=streams), stream

    monkeypatch.setattr(video, "_open_video", open_broken)
    unread = Unread()
    assert 0 < len(list(read_frames(path, unread=unread))) <= 6
    assert unread == Unread(is_cut_short=True)


def test_probe_tells_size_duration_and_codec(tmp_path):
    facts = probe(write_video(tmp_path / "a.mp4", flat_pictures(12), TIMES_S, "libx264"))
    assert (facts.width, facts.height, facts.frames, facts.codec) == (64, 48, 12, "h264")
    assert facts.duration_s == pytest.approx(0.4, abs=0.04)  # the last frame may last or not
    facts = probe(write_npz(Path(tmp_path / "a.npz")))
    assert (facts.width, facts.height, facts.frames, facts.codec) == (64, 48, 4, None)


def test_arrays_are_read_like_a_video(tmp_path):
    frames = list(read_frames(write_npz(tmp_path / "a.npz", time_s=np.array([2, 3, 5, 9]))))
    assert [frame.time_s for frame in frames] == [0, 1, 3, 7]
    assert [frame.rgb[0, 0, 0] for frame in frames] == [60, 70, 80, 90]
    assert frames[0].key_frame is None


def test_frames_of_an_archive_may_show_a_part_of_the_camera_s_picture(tmp_path):
    views = np.array([[1, 2, 16], [1, 2, 16], [3, 2, 16], [3, 2, 24]], np.float64)
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    path = write_npz(tmp_path / "a.npz", frames=frames, view=views)
    found = list(read_frames(path, speed=2.0))
    assert [frame.view for frame in found] == [View(x, y, side, 8) for x, y, side in views]
    assert found[3].time_s == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"frames": None}, "frames"),
        ({"time_s": None}, "time_s"),
        ({"frames": np.zeros((4, 8, 8), np.uint8)}, r"\(4, 8, 8\)"),
        ({"frames": np.zeros((4, 8, 8, 3), np.float32)}, "float32"),
        ({"frames": np.zeros((0, 8, 8, 3), np.uint8), "time_s": np.zeros(0)}, "shape"),
        ({"frames": np.asfortranarray(np.zeros((4, 8, 8, 3), np.uint8))}, "columns"),
        ({"time_s": np.arange(3) / 30}, r"\(3,\)"),
        ({"time_s": np.array([0, 1, np.nan, 2])}, "no numbers"),
        ({"time_s": np.array([0, 1, 1, 2])}, "increase"),
        ({"time_s": np.array([0, 1, 2, 1e9])}, "hours"),
        ({"time_s": np.array([0, 1, 2, 1e9])}, "hours, and its times are in seconds"),
        ({"time_s": np.array([0, 1, 2, None])}, "object"),
        ({"time_s": np.array(["a", "b", "c", "d"])}, "<U1"),
        ({"view": np.zeros((4, 3))}, "frames are"),  # which are not square
        ({"frames": np.zeros((4, 8, 8, 3), np.uint8), "view": np.zeros((3, 3))}, r"\(3, 3\)"),
        ({"frames": np.zeros((4, 8, 8, 3), np.uint8), "view": np.zeros((4, 3))}, "no part"),
        ({"frames": np.zeros((4, 8, 8, 3), np.uint8), "view": np.full((4, 3), 1e9)}, "no part"),
        ({"frames": np.zeros((4, 8, 8, 3), np.uint8), "view": np.ones((4, 3), bool)}, "bool"),
        ({"frames": np.zeros((4, 8, 8, 3), np.uint8), "view": np.full((4, 3), np.nan)}, "numbers"),
    ],
)
def test_unfit_arrays_are_refused_with_what_is_wrong(tmp_path, changed, said):
    with pytest.raises(VideoError, match=said):
        list(read_frames(write_npz(tmp_path / "a.npz", **changed)))


def test_a_truncated_archive_is_refused(tmp_path):
    path = write_npz(tmp_path / "a.npz")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(VideoError, match=r"a\.npz can't be used"):
        list(read_frames(path))


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("place", [0, 200])
def test_an_archive_that_is_damaged_is_refused_however_it_was_packed(tmp_path, packing, place):
    noise = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, array in (("frames.npy", noise), ("time_s.npy", np.arange(4.0))):
            packed = BytesIO()
            np.save(packed, array)
            archive.writestr(name, packed.getvalue())
    content = bytearray(path.read_bytes())
    begin = 30 + len("frames.npy") + 4 + place  # 4 is before what LZMA was set to
    content[begin : begin + 300] = b"\xff" * 300
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.npz can't be used"):
        list(read_frames(path))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_with_a_hole_is_refused_in_words(tmp_path, save):
    path = tmp_path / "a.npz"
    noise = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    save(path, frames=noise, time_s=np.arange(4.0))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3] + content[len(content) // 2 :])
    with pytest.raises(VideoError, match=r"a\.npz can't be used \(parts of it are missing, as"):
        list(read_frames(path))


@pytest.mark.parametrize(
    ("error", "said"), [(EOFError(), "parts of it are missing"), (MemoryError(), "it is damaged")]
)
def test_an_archive_that_ends_while_it_is_read_is_refused_in_words(
    tmp_path, monkeypatch, error, said
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(video, "_read_times", fail)
    with pytest.raises(VideoError, match=rf"a\.npz can't be used \({said}"):
        probe(write_npz(tmp_path / "a.npz"))


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
        sound.sample_rate = 16_000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))


def cut_mp4(path: Path) -> None:
    write_video(path, flat_pictures(12), TIMES_S)
    os.truncate(path, path.stat().st_size // 2)


def single_picture(path: Path) -> None:
    with av.open(str(path.with_suffix(".png")), "w", format="image2") as container:
        stream = container.add_stream("png")
        stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(four_corners(), format="rgb24")))
        container.mux(stream.encode(None))
    path.with_suffix(".png").rename(path)


def animated_webp(path: Path) -> None:
    _, still = cv2.imencode(".webp", four_corners())
    size = np.array([63, 47], "<u4").view(np.uint8).reshape(2, 4)[:, :3].tobytes()  # less 1
    duration = (40).to_bytes(3, "little")
    frame = bytes(6) + size + duration + bytes(1) + still.tobytes()[12:]
    parts = [(b"VP8X", b"\x02\0\0\0" + size), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * 3]
    content = b"".join(name + len(part).to_bytes(4, "little") + part for name, part in parts)
    path.write_bytes(b"RIFF" + (4 + len(content)).to_bytes(4, "little") + b"WEBP" + content)


def no_frames(path: Path) -> None:
    write_video(path, flat_pictures(12), TIMES_S, "mjpeg", "yuvj420p")
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    stop = content.index(b"moov") - 4
    path.write_bytes(content[:start] + bytes(stop - start) + content[stop:])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "There is no file"),
        (Path.mkdir, "is a folder"),
        (os.mkfifo, "is a pipe, a socket or a device"),
        (Path.touch, "is empty"),
        (lambda path: path.write_text("Not a video.\n" * 50), "can't be read as video"),
        (cut_mp4, "cut off"),
        (audio_only, "sound but no moving picture"),
        (single_picture, "single picture"),
        (animated_webp, "is an animated WebP, which is not read: give an mp4"),
        (no_frames, "no (moving )?picture"),
    ],
)
def test_what_is_no_video_is_refused_in_one_sentence_that_says_what_to_do(tmp_path, make, said):
    path = tmp_path / "clip.mp4"
    make(path)
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(VideoError, match=said) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")


def test_frames_that_are_too_large_are_refused_with_the_limit(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", flat_pictures(2), TIMES_S[:2])
    monkeypatch.setattr("kdphys.video.MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(VideoError, match="64x48 pixels, and up to 7680x4320"):
        next(read_frames(path))


def test_pictures_that_are_larger_than_the_file_says_are_left_out_before_they_are_decoded(
    tmp_path, monkeypatch, caplog
):
    path = tmp_path / "a.avi"
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index, size in enumerate([(48, 64), (480, 640), (48, 64)]):
            _, jpeg = cv2.imencode(".jpg", np.full((*size, 3), 60 + 10 * index, np.uint8))
            packet = av.Packet(jpeg.tobytes())
            packet.stream, packet.pts, packet.dts = stream, index, index
            packet.time_base = Fraction(1, 30)
            container.mux(packet)
    assert [frame.rgb.shape for frame in read_frames(path)].count((480, 640, 3)) == 1
    monkeypatch.setattr("kdphys.video.MAX_PIXELS", 64 * 48)
    assert [frame.rgb.shape for frame in read_frames(path)] == [(48, 64, 3)] * 2
    assert "left out 1 damaged" in caplog.text


@pytest.mark.parametrize("name", ["10:30.mp4", "data:x.mp4", "concat:a.mp4", "a%03d.mp4", "ü .mp4"])
def test_a_name_is_no_protocol_and_no_pattern(tmp_path, monkeypatch, name):
    write_video(tmp_path / name, flat_pictures(3), TIMES_S[:3])
    monkeypatch.chdir(tmp_path)
    assert len(list(read_frames(Path(name)))) == 3


@pytest.mark.parametrize(
    "words",
    [
        "ffconcat version 1.0\nfile 'clip.mp4'\n",  # opens itself, until no file can be opened
        "ffconcat version 1.0\nfile 'other.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_list_of_other_files_is_no_video(tmp_path, words):
    write_video(tmp_path / "other.mp4", flat_pictures(3), TIMES_S[:3])
    (tmp_path / "clip.mp4").write_text(words)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(VideoError, match=r"clip\.mp4 can't be read as video"):
        probe(tmp_path / "clip.mp4")
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def test_more_frames_than_a_recording_can_have_are_refused_before_their_stamps_are_read(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        header = {"descr": "|u1", "fortran_order": False, "shape": (60_000_000, 1, 1, 3)}
        with archive.open("frames.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, header)
        with archive.open("time_s.npy", "w") as file:
            file.write(b"never read")
    with pytest.raises(VideoError, match="60000000 frames are more than the 3600000"):
        probe(path)


def write_bomb(path: Path, frames: bytes) -> Path:
    """Write an archive whose frames begin like that, and go on for 30 MB that pack into little."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("frames.npy", frames + b" " * 30_000_000)
        with archive.open("time_s.npy", "w") as file:
            np.save(file, np.arange(4.0))
    return path


def bytes_taken(path: Path) -> int:
    """Most memory that Python took while a broken archive was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(VideoError, match=r"a\.npz can't be used"):
            list(read_frames(path))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_description_of_an_array_is_refused_before_it_is_unpacked(tmp_path):
    stated = np.lib.format.magic(2, 0) + (2_000_000_000).to_bytes(4, "little")
    path = write_bomb(tmp_path / "a.npz", stated)
    with pytest.raises(VideoError, match="takes 2000000000 bytes, more than the 10000 that are"):
        probe(path)
    assert bytes_taken(path) < 5e6


@pytest.mark.parametrize("shape", [(4, -5, 100, 3), (-4, 5, 100, 3), (4, 5, 0, 3)])
def test_frames_of_less_than_a_pixel_are_refused_before_they_are_unpacked(tmp_path, shape):
    header = BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, facts)
    assert bytes_taken(write_bomb(tmp_path / "a.npz", header.getvalue())) < 5e6


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_arrays_are_read_whichever_version_their_description_is_of(tmp_path, version):
    arrays = {"frames": np.stack(flat_pictures(4)), "time_s": np.arange(4.0)}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, version)
    assert len(list(read_frames(tmp_path / "a.npz"))) == 4


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("part", ["frames", "time_s", "view"])
def test_what_unpacks_without_bound_is_refused_before_it_is_unpacked(tmp_path, packing, part):
    arrays = {"frames": np.zeros((4, 8, 8, 3), np.uint8), "time_s": np.arange(4.0)}
    arrays["view"] = np.full((4, 3), 8.0)
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            packed = BytesIO()
            np.save(packed, array)
            content = packed.getvalue() + b" " * 30_000_000 * (name == part)
            archive.writestr(f"{name}.npy", content, packing if name == part else None)
    with pytest.raises(VideoError, match=f"its {part} are packed as NumPy packs none; write it"):
        probe(path)
    assert bytes_taken(path) < 5e6


def test_an_absurd_duration_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mkv", flat_pictures(3), [0, 0.1, 100_000], "ffv1")
    with pytest.raises(VideoError, match="4 hours"):
        list(read_frames(path))


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.flv", "flv")])
def test_a_recording_lasts_from_its_first_stamp_wherever_that_is(tmp_path, name, codec):
    path = write_video(tmp_path / name, flat_pictures(12), TIMES_S + 100_000, codec)
    assert probe(path).duration_s == pytest.approx(0.4, abs=0.05)  # the last frame may last or not
    found = [frame.time_s for frame in read_frames(path)]
    assert np.allclose(found, TIMES_S, rtol=0, atol=0.001)


def test_a_recording_is_refused_where_it_goes_beyond_a_lower_limit(tmp_path):
    path = write_video(tmp_path / "a.mkv", flat_pictures(4), [0, 60, 119, 125], "ffv1")
    limits = Limits(recording_s=120)
    for read in (probe, lambda path, limits: list(read_frames(path, limits=limits))):
        with pytest.raises(VideoError, match=r"a\.mkv lasts more than 2 minutes"):
            read(path, limits)
    path = write_npz(tmp_path / "a.npz", time_s=np.array([2, 60, 119, 125]))
    with pytest.raises(VideoError, match="2 minutes"):
        list(read_frames(path, limits=limits))


@pytest.mark.parametrize("hidden", ["_stamp_s", None])
def test_reading_ends_when_its_time_is_over_though_no_frame_comes(tmp_path, monkeypatch, hidden):
    path = write_video(tmp_path / "a.mkv", flat_pictures(2) * 30, even_times(2.0, 30.0), "ffv1")
    clock_s = itertools.count()  # a second each time it is looked at
    monkeypatch.setattr(video, "time", SimpleNamespace(monotonic=lambda: next(clock_s)))
    if hidden:
        monkeypatch.setattr(video, hidden, lambda *_: None)
    frames = read_frames(path, limits=Limits(work_s=30, began_s=0.0))
    with pytest.raises(VideoError, match=r"a\.mkv was not measured within 0\.5 minutes"):
        list(frames)
    assert next(clock_s) < 40


def test_a_folder_gives_its_videos_sorted_and_nothing_else(tmp_path):
    for name in ("b.MP4", "a.webm", "notes.txt", "._a.mp4", "c.npz"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    assert [path.name for path in find_videos(tmp_path)] == ["a.webm", "b.MP4", "c.npz"]
    assert find_videos(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(VideoError, match="holds no video"):
        find_videos(tmp_path / "folder.mp4")
    with pytest.raises(VideoError, match="There is no file"):
        find_videos(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match=r"pipe\.mp4 is a pipe, a socket or a device: save the"):
        find_videos(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.ts", "mpeg2video", "yuv420p"),
        ("a.m2ts", "libx264", "yuv420p"),
        ("a.wmv", "wmv2", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.ogv", "libvpx", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_what_is_read_singly_is_found_in_a_folder(tmp_path, name, codec, pix_fmt):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=30))
        stream.height, stream.width, stream.pix_fmt = 48, 64, pix_fmt
        for at, picture in enumerate(flat_pictures(6)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = at, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert find_videos(tmp_path) == [path]
    assert len(list(read_frames(path))) >= 5


def test_what_can_t_be_looked_at_in_a_folder_is_named(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").symlink_to(300 * "x")  # longer than any file's name
    with pytest.raises(VideoError, match=r"b\.mp4 can't be opened \(File name too long\): give a"):
        find_videos(tmp_path)


def test_pictures_that_were_read_are_kept_by_nobody(tmp_path):
    pictures = [np.full((64, 64, 3), 90, np.uint8)] * 80
    path = write_film(tmp_path / "many.mp4", pictures, even_times(8.0, 10.0))
    gc.collect()
    gc.disable()
    try:
        for _ in read_frames(path):
            pass
        kept = sum(type(each) is av.VideoFrame for each in gc.get_objects())
    finally:
        gc.enable()
    assert kept < 10


def test_pixels_of_a_kind_that_can_t_be_shown_are_a_sentence(tmp_path):
    path = tmp_path / "raw.nut"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("rawvideo", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "bgr4"
        for at in range(10):
            picture = av.VideoFrame(64, 64, "bgr4")
            picture.pts, picture.time_base = at, Fraction(1, 30)
            file.mux(stream.encode(picture))
    named = path.rename(tmp_path / "raw.avi")
    with pytest.raises(VideoError, match="its kind of pixels can't be turned"):
        list(read_frames(named))
