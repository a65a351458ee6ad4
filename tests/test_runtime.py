import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

from kdphys.errors import WeightsError
from kdphys.hub import SHIPPED, load_weights
from kdphys.pipeline import MODELS
from kdphys.runtime import (
    FPS,
    Session,
    TeacherModel,
    TeacherSession,
    look_of,
    model_facts,
    open_model,
)

Pixels = NDArray[np.uint8]
NETWORKS = ("student", "teacher")
OPT_OUT = "ORT_DISABLE_TELEMETRY"
CROPS: Pixels = np.random.default_rng(0).integers(60, 190, (700, 36, 36, 3), np.uint8)


def test_a_network_that_runs_tells_nobody_of_it(tmp_path):
    """Left alone, ONNX Runtime notes what it will send, outside of continuous integration."""
    env = {name: value for name, value in os.environ.items() if name not in ("CI", OPT_OUT)}
    for place in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        (tmp_path / place).mkdir()
        env[place] = str(tmp_path / place)
    code = "from kdphys.runtime import look_of; import numpy; "
    code += "look_of('student', numpy.zeros((60, 36, 36, 3), numpy.uint8))"
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if "matplotlib" not in path.parts] == []


def run(session: Session, pixels: Pixels, cuts: list[int]) -> NDArray[np.float32]:
    """Push crops in pieces that end at `cuts`, and finish. Shape (T,)."""
    parts = [session.push(piece) for piece in np.split(pixels, sorted(cuts))]
    return np.concatenate([*parts, session.finish()])


@settings(max_examples=25)
@given(
    name=st.sampled_from(("student", "pos", "chrom", "green")),
    frames=st.integers(1, 700),
    cuts=st.lists(st.integers(0, 700), max_size=4),
)
def test_each_crop_gets_exactly_one_sample(name, frames, cuts):
    wave = run(open_model(name).start(), CROPS[:frames], [cut for cut in cuts if cut <= frames])
    assert wave.shape == (frames,)
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()


@pytest.mark.parametrize("frames", [1, 3, 4, 149, 299, 300, 301, 451])
def test_the_teacher_gives_each_crop_exactly_one_sample(frames):
    wave = run(open_model("teacher").start(), CROPS[:frames], [frames // 3])
    assert wave.shape == (frames,)
    assert np.isfinite(wave).all()


class MeanOfEachFrame:
    """A network that looks at each frame alone, and counts its calls."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def run(self, names: list[str], given: dict[str, NDArray]) -> list[NDArray[np.float32]]:
        assert names == ["wave"]
        clip = given["clip"]
        self.lengths.append(clip.shape[1])
        return [clip.mean((2, 3, 4), dtype=np.float64).astype(np.float32)]


@settings(max_examples=150)
@given(frames=st.integers(1, 700), cuts=st.lists(st.integers(0, 700), max_size=4))
def test_joining_windows_changes_nothing_where_they_agree(frames, cuts):
    network = MeanOfEachFrame()
    model = cast(TeacherModel, SimpleNamespace(frames=100, network=network))
    small = CROPS[:frames, :4, :4]
    wave = run(TeacherSession(model), small, [cut for cut in cuts if cut <= frames])
    wanted = small.mean((1, 2, 3)) / 255
    # Weights that sum to 1 but for float32 rounding.
    assert np.abs(wave - wanted).max() < 1e-6
    assert all(length % 4 == 0 and length <= 100 for length in network.lengths)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_remembered_from_one_recording_to_the_next(name):
    model = open_model(name)
    frames = 340 if name == "teacher" else 200
    first, second = CROPS[:frames], CROPS[700 - frames :]
    alone = [run(model.start(), clip, []) for clip in (first, second)]
    one, other = model.start(), model.start()
    parts: tuple[list, list] = ([], [])
    for piece in range(0, frames, 64):  # two recordings at the same time
        parts[0].append(one.push(first[piece : piece + 64]))
        parts[1].append(other.push(second[piece : piece + 64]))
    together = (
        np.concatenate([*parts[0], one.finish()]),
        np.concatenate([*parts[1], other.finish()]),
    )
    for wave, wanted in zip(together, alone, strict=True):
        np.testing.assert_array_equal(wave, wanted)


@pytest.mark.parametrize("name", MODELS)
def test_an_empty_recording_gives_an_empty_wave(name):
    session = open_model(name).start()
    assert session.push(CROPS[:0]).shape == (0,)
    assert session.finish().shape == (0,)
    assert session.seconds >= 0


def test_the_student_answers_a_lag_after_each_crop():
    session = open_model("student").start()
    counts = [len(session.push(CROPS[index : index + 1])) for index in range(40)]
    lag = counts.index(1)
    assert lag / FPS <= 0.5
    assert counts == [0] * lag + [1] * (40 - lag)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_facts_are_those_of_the_files(name):
    facts = model_facts(name)
    tensors = load_file(SHIPPED / name / "model.safetensors")
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    trained = sum(x.size for key, x in tensors.items() if not key.endswith(buffers))
    assert facts.parameters == trained
    assert facts.file_bytes == (SHIPPED / name / "model.onnx").stat().st_size
    assert facts.macs_per_frame > 1e5


def test_the_shipped_student_is_small():
    assert model_facts("student").parameters <= 230_000
    assert model_facts("student").macs_per_frame < model_facts("teacher").macs_per_frame


@pytest.mark.parametrize("name", ["pos", "chrom", "green"])
def test_classical_methods_have_nothing_that_was_trained(name):
    assert model_facts(name).parameters == 0
    assert model_facts(name).file_bytes == 0


def test_only_the_student_looks_ahead_and_no_further_than_half_a_second():
    assert 0 < model_facts("student").ahead_s <= 0.5
    assert model_facts("student").ahead_s * FPS == load_weights("student").config["lag"]
    assert model_facts("teacher").ahead_s == model_facts("pos").ahead_s == 0


def test_a_folder_of_weights_is_a_model(tmp_path):
    copied = shutil.copytree(SHIPPED / "student", tmp_path / "mine@home")
    model = open_model(str(copied))
    assert model.facts == open_model("student").facts
    np.testing.assert_array_equal(
        run(model.start(), CROPS[:60], []), run(open_model("student").start(), CROPS[:60], [])
    )
    with pytest.raises(WeightsError, match=r"manifest\.json is missing"):
        open_model(str(tmp_path))


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="name='facephys' must be student"):
        open_model("facephys")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("frames", [1, 7, 301])
def test_a_look_is_a_map_of_the_face(name, frames):
    look = look_of(name, CROPS[:frames])
    assert look.shape == (9, 9)
    assert look.min() >= 0
    # Each frame's has unit length, so their mean has at most that, but for float32 rounding.
    assert 0.1 < np.linalg.norm(look) < 1 + 1e-5


def test_a_classical_method_looks_nowhere():
    with pytest.raises(ValueError, match="'pos' must be a network"):
        look_of("pos", CROPS[:10])


def test_a_relative_folder_is_what_it_means_here_and_now(tmp_path, monkeypatch):
    """In another working directory, or exported anew, it was the network of before."""
    for place, kind in (("a", "student"), ("b", "teacher")):
        shutil.copytree(SHIPPED / kind, tmp_path / place / "net")
        monkeypatch.chdir(tmp_path / place)
        assert open_model("net").facts.name == kind
        assert open_model(Path("net")) is open_model("net")
    shutil.rmtree(tmp_path / "b" / "net")
    shutil.copytree(SHIPPED / "student", tmp_path / "b" / "net")
    assert open_model("net").facts.name == "student"
