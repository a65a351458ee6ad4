"""From a file to a number, for every model; on real clips where they are at hand."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kdphys import Measurement, compare, measure
from kdphys.errors import TooShortError, VideoError
from kdphys.hub import load_weights
from kdphys.pipeline import MODELS
from tests._films import CLIPS, Recording, even_times, write_video

NETWORKS = ("student", "teacher")
CLASSICAL = ("pos", "chrom", "green")


@cache
def is_trained(model: str) -> bool:
    """Whether the shipped weights of a network come from a training run."""
    if model in CLASSICAL:
        return True
    run = load_weights(model).manifest["run"]
    return isinstance(run, dict) and run.get("clips") != 0


def trained_models() -> list[str]:
    return [model for model in MODELS if is_trained(model)]


def need_training(model: str) -> None:
    if not is_trained(model):
        pytest.skip(f"the weights of the {model} are not trained yet")


@pytest.fixture(scope="module")
def from_arrays(npz: Path) -> dict[str, Measurement]:
    return compare(npz, MODELS)


@pytest.fixture(scope="module")
def from_video(recording: Recording, tmp_path_factory) -> dict[str, Measurement]:
    path = tmp_path_factory.mktemp("film") / "face.mp4"
    return compare(write_video(path, recording.pictures, recording.time_s, quality=1), MODELS)


@pytest.mark.parametrize("source", ["from_arrays", "from_video"])
@pytest.mark.parametrize("model", [*NETWORKS, "pos", "chrom"])
def test_a_synthetic_face_at_72_is_read_as_72(model, source, recording, request):
    need_training(model)
    heart_rate = request.getfixturevalue(source)[model].vitals.heart_rate
    # 12 s resolve 5 bpm; the peak of a clean pulse is known to a fraction of that.
    assert heart_rate.value == pytest.approx(recording.bpm, abs=3)
    assert heart_rate.quality >= 0.5


@pytest.mark.parametrize("model", NETWORKS)
def test_the_wave_follows_the_true_pulse(model, from_arrays, recording):
    need_training(model)
    found = from_arrays[model]
    wave = found.wave[30:-30]  # the ends know only one side
    time_s = np.arange(len(found.wave))[30:-30] / found.wave_fps
    tone = np.exp(-2j * np.pi * recording.bpm / 60 * time_s)
    # The wave has unit standard deviation where the pulse is clear.
    assert 0.3 < wave.std() < 2
    assert abs((wave * tone).mean()) > 0.2 * wave.std()


def still(recording: Recording, seconds: float, noise: float) -> list[NDArray[np.uint8]]:
    """A photo of a face, filmed by a camera with some noise."""
    rng = np.random.default_rng(0)
    photo = recording.pictures[0].astype(np.float32)
    count = round(seconds * 30)
    return [
        np.clip(photo + noise * rng.standard_normal(photo.shape, np.float32), 0, 255).astype(
            np.uint8
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("noise", [0.0, 2.0, 3.0])
@pytest.mark.parametrize("key_every", [15, 30])
def test_a_photo_does_not_pulse_with_its_key_frames(recording, tmp_path, key_every, noise):
    path = write_video(
        tmp_path / "photo.mp4",
        still(recording, 15.0, noise),
        even_times(15.0, 30),
        key_every=key_every,
        quality=23,
    )
    for model, found in compare(path, trained_models()).items():
        heart_rate = found.vitals.heart_rate
        assert heart_rate.value is None, model
        assert heart_rate.quality < 0.5
        assert heart_rate.reason


def test_a_noisy_photo_without_a_codec_gives_no_reading(recording, tmp_path):
    path = tmp_path / "photo.npz"
    np.savez(path, frames=np.stack(still(recording, 12.0, 3.0)), time_s=even_times(12.0, 30))
    for model, found in compare(path, trained_models()).items():
        assert found.vitals.heart_rate.value is None, model


# Real faces ------------------------------------------------------------------------------------


def clip(name: str) -> Path:
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"{name} is not at hand; it does not come with the project")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25, 1.5, 1.75])
def test_a_real_face_is_read_at_any_speed(speed):
    need_training("student")
    heart_rate = measure(clip("talking_60bpm.mp4"), speed=speed).vitals.heart_rate
    assert heart_rate.value is not None, heart_rate.reason
    # Several methods agree on 60 to 63 bpm; there is no contact sensor, so 3 bpm are allowed.
    assert 60 * speed - 3 <= heart_rate.value <= 64 * speed + 3


@pytest.mark.slow
@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25, 1.5, 1.75])
def test_strong_expressions_bring_no_reading_but_the_one_of_the_same_man_at_rest(speed):
    need_training("student")
    heart_rate = measure(clip("expressions.mp4"), speed=speed).vitals.heart_rate
    # He sits in the same room, in the same light, as in the clip above. No classical method finds a
    # pulse here, so none needs to be found; a rate of the expressions would be another one.
    assert heart_rate.value is None or 60 * speed - 3 <= heart_rate.value <= 64 * speed + 3


@cache
def read_by_all(name: str) -> dict[str, Measurement]:
    """What each model reads of a real clip, in one pass."""
    return compare(clip(name), MODELS)


@pytest.mark.slow
@pytest.mark.xdist_group("real clips")
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("expressions.mp4", "teacher"),
        ("graded_no_pulse.mp4", "student"),
        ("graded_no_pulse.mp4", "teacher"),
        *(
            (name, model)
            for name in ("expressions.mp4", "graded_no_pulse.mp4")
            for model in CLASSICAL
        ),
    ],
)
def test_a_real_face_without_a_pulse_to_see_gives_no_reading(name, model):
    found = read_by_all(name)[model]
    json.dumps(found.to_json(), allow_nan=False)
    assert found.vitals.heart_rate.value is None


@pytest.mark.slow
def test_a_real_face_that_leaves_is_measured_while_it_is_there():
    found = measure(clip("face_noface.mov"), "pos")
    assert 0.05 < found.face_fraction < 0.95
    heard = np.isfinite(found.wave)
    assert heard[:30].all()
    assert not heard[-30:].any()
    assert found.vitals.heart_rate.value is None


def test_a_real_video_of_two_seconds_is_refused():
    with pytest.raises(TooShortError, match=r"single_face\.mp4 is 2\.4 s long"):
        measure(clip("single_face.mp4"), "pos")


def test_a_real_photo_that_is_called_a_video_is_refused():
    with pytest.raises(VideoError, match=r"noface_face\.mov is a single picture"):
        measure(clip("noface_face.mov"), "pos")
