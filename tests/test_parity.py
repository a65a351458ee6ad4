"""The same wave whichever way the frames go in and whichever runtime computes it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from kdphys import LiveMeter, measure
from kdphys.hub import SHIPPED
from kdphys.models.student import Student, StudentState
from kdphys.models.teacher import Teacher
from kdphys.ort import onnxruntime
from kdphys.pipeline import MODELS, compare
from kdphys.runtime import FPS, look_of, open_model
from tests._films import Recording
from train.export import StreamingStudent, export_onnx, read_model

# Sums of float32 in another order; a wave has unit standard deviation.
SAME_WAVE = 1e-4
FRAMES = 200
CROPS = np.random.default_rng(0).integers(60, 190, (FRAMES, 36, 36, 3), np.uint8)


def as_clip(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)[None].float() / 255


def fresh_student() -> Student:
    """An untrained student whose wave has about unit standard deviation on `CROPS`."""
    torch.manual_seed(0)
    model = Student().train()
    with torch.no_grad():
        for _ in range(20):
            model(as_clip(CROPS))  # settles the running statistics
        model.eval()
        wave = model(as_clip(CROPS))
        model.head.weight /= wave.std()
    return model


@pytest.fixture(scope="module")
def students() -> dict[str, Student]:
    shipped = read_model(SHIPPED / "student", "student")
    assert isinstance(shipped, Student)
    return {"fresh": fresh_student(), "shipped": shipped}


def in_pieces(model: Student, cuts: list[int]) -> Tensor:
    clip = as_clip(CROPS)
    state = model.start(clip[:, 0])
    waves = []
    with torch.no_grad():
        for start, stop in zip([0, *cuts], [*cuts, FRAMES], strict=True):
            wave, state = model.run(clip[:, start:stop], state)
            waves.append(wave)
    return torch.cat(waves, 1)


@pytest.mark.parametrize("which", ["fresh", "shipped"])
def test_whole_clip_chunks_and_single_frames_give_the_same_wave(students, which):
    model = students[which]
    with torch.no_grad():
        whole = model(as_clip(CROPS))
    chunks = in_pieces(model, [17, 64, 65, 150])
    frames = in_pieces(model, list(range(1, FRAMES)))
    assert whole.std() > 100 * (whole - frames).abs().max()  # or it would prove nothing
    assert (whole - chunks).abs().max() < SAME_WAVE
    assert (whole - frames).abs().max() < SAME_WAVE


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=12))
def test_the_student_in_onnx_gives_the_same_wave_in_any_grouping(cuts):
    model = open_model("student")
    session, pieces = model.start(), model.start()
    whole = np.concatenate([session.push(CROPS), session.finish()])
    parts = [pieces.push(part) for part in np.split(CROPS, sorted(cuts))]
    grouped = np.concatenate([*parts, pieces.finish()])
    assert np.abs(whole - grouped).max() < SAME_WAVE


@pytest.mark.parametrize("name", ["teacher", "pos", "chrom", "green"])
def test_the_others_give_the_very_same_wave_in_any_grouping(name):
    model = open_model(name)
    clip = np.concatenate([CROPS, CROPS[::-1]])[:330]
    waves = []
    for cuts in ([], [1, 2, 3, 299, 300, 301], list(range(7, 330, 7))):
        session = model.start()
        parts = [session.push(part) for part in np.split(clip, cuts)]
        waves.append(np.concatenate([*parts, session.finish()]))
    for wave in waves[1:]:
        # Windows and means are cut from the frames alone, so the sums are the same ones.
        np.testing.assert_array_equal(wave, waves[0])


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch's own
def test_a_freshly_exported_student_agrees_with_torch(students, tmp_path):
    model = students["fresh"]
    assert export_onnx(model, tmp_path / "model.onnx") < SAME_WAVE
    network = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    clip = as_clip(CROPS)
    state = model.start(clip[:, 0])
    found: list[NDArray[np.float32]] = []
    kept = [state.frames.numpy(), state.features.numpy()]
    for start, stop in ((0, 1), (1, 3), (3, 67), (67, FRAMES)):
        given = dict(
            zip(
                ("clip", "frames", "features"),
                (clip[:, start:stop].numpy(), *kept),
                strict=True,
            )
        )
        wave, *kept, maps = (np.asarray(x) for x in network.run(None, given))
        assert maps.shape == (1, stop - start, 32, 9, 9)
        found.append(wave)
    with torch.no_grad():
        wanted, last = model.run(clip, state)
    assert np.abs(np.concatenate(found, 1) - wanted.numpy()).max() < SAME_WAVE
    assert np.abs(kept[0] - last.frames.numpy()).max() == 0  # they are copies of frames
    assert np.abs(kept[1] - last.features.numpy()).max() < SAME_WAVE


def test_the_shipped_student_agrees_with_torch(students):
    model = students["shipped"]
    clip = as_clip(CROPS)
    state = model.start(clip[:, 0])
    network = onnxruntime.InferenceSession(SHIPPED / "student" / "model.onnx")
    given = {"clip": clip.numpy(), "frames": state.frames.numpy()}
    wave = network.run(None, {**given, "features": state.features.numpy()})[0]
    with torch.no_grad():
        wanted = StreamingStudent(model)(clip, state.frames, state.features)[0]
    assert np.abs(np.asarray(wave) - wanted.numpy()).max() < SAME_WAVE


def test_the_shipped_teacher_agrees_with_torch():
    model = read_model(SHIPPED / "teacher", "teacher")
    assert isinstance(model, Teacher)
    clip = as_clip(CROPS)
    network = onnxruntime.InferenceSession(SHIPPED / "teacher" / "model.onnx")
    wave = network.run(None, {"clip": clip.numpy()})[0]
    with torch.no_grad():
        assert np.abs(np.asarray(wave) - model(clip).numpy()).max() < SAME_WAVE


def test_a_state_made_by_hand_is_the_state_of_a_camera_that_stood_still(students):
    model = students["fresh"]
    state = model.start(as_clip(CROPS)[:, 0])
    assert isinstance(state, StudentState)
    session = open_model("student").start()
    first = session.push(CROPS[:50])
    again = open_model("student").start().push(CROPS[:50])
    np.testing.assert_array_equal(first, again)


def test_a_camera_and_a_file_give_the_same_wave(recording: Recording, npz: Path):
    found = measure(npz)
    meter = LiveMeter("student", window_s=len(found.wave) / FPS)
    for picture, time_s in zip(recording.pictures, recording.time_s, strict=True):
        meter.push(picture, float(time_s))
    live = meter.wave[np.isfinite(meter.wave)]
    late = len(found.wave) - len(live)
    # The file knows its end; the camera's last samples are still on their way.
    assert 0 <= late / FPS <= 0.5
    assert np.abs(live - found.wave[: len(live)]).max() < SAME_WAVE


def test_one_pass_for_all_models_gives_what_each_gives_alone(npz: Path):
    together = compare(npz, MODELS)
    for name in MODELS:
        alone = measure(npz, name)
        np.testing.assert_array_equal(together[name].wave, alone.wave)
        assert together[name].vitals.heart_rate == alone.vitals.heart_rate


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_where_a_network_looks_is_what_distillation_compares(name):
    model = read_model(SHIPPED / name, name)
    with torch.no_grad():
        seen = model.describe(as_clip(CROPS))
    channels = 2 if name == "student" else 1
    energy = seen.maps.square().sum(channels)[0].flatten(1)
    wanted = torch.nn.functional.normalize(energy, dim=1).mean(0).view(9, 9).numpy()
    # Sums of float32 in another order; the teacher's window is longer than this clip.
    np.testing.assert_allclose(look_of(name, CROPS), wanted, atol=1e-5)
