"""The operators over time that the student is compared with can stream as it does."""

import json
from dataclasses import replace

import pytest
import torch

from train.loop import Schedule
from train.operators import ARMS, OperatorsJob, _build, _cost, main


@pytest.mark.parametrize("name", ARMS)
def test_every_operator_has_no_more_parameters_than_a_student_may(name):
    assert sum(part.numel() for part in _build(name, 0).parameters()) < 230_000


@pytest.mark.parametrize("name", ARMS)
def test_every_operator_gives_the_same_wave_frame_by_frame_as_at_once(name):
    student = _build(name, 0).train()
    clip = torch.rand(1, 70, 3, 36, 36, generator=torch.Generator().manual_seed(0))
    student(clip)  # so that the batch norms have seen something
    student.eval()
    with torch.no_grad():
        whole = student(clip)
        state, pieces = student.start(clip[:, 0]), []
        for start, stop in ((0, 1), (1, 2), (2, 40), (40, 70)):
            wave, state = student.run(clip[:, start:stop], state)
            pieces.append(wave)
    # Sums are taken in another order; float32.
    assert torch.allclose(torch.cat(pieces, 1), whole, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch's own
def test_an_operator_can_be_exported_and_timed():
    """The two others are by their smoke test (tests/test_training.py)."""
    cost = _cost(_build("shifted, 36 x 36", 0))
    assert cost["parameters"] < 230_000
    assert cost["ms a frame"] > 0


def test_the_page_is_of_the_rows_that_lie_beside_it(tmp_path, monkeypatch):
    """Also where all of them were found before, and set aside for those of another schedule."""
    monkeypatch.setattr("train.operators._build", lambda *_: None)
    monkeypatch.setattr("train.operators._cost", lambda *_: {"ms a frame": 0.1})
    monkeypatch.setattr("train.operators._settings", lambda job: {"steps": job.schedule.steps})
    monkeypatch.setattr("train.operators._score", lambda *_: {"mae_bpm": 5.0, "within_3": 0.5})
    job = OperatorsJob(out=tmp_path, arms=tuple(ARMS)[:1], seeds=(0,))
    for steps in (1000, 50, 1000):
        main(replace(job, schedule=Schedule(steps=steps)))
        assert f"{steps} steps on labels" in (tmp_path / "operators.md").read_text()
        found = json.loads((tmp_path / "operators.json").read_text())
        assert found["settings"] == {"steps": steps}
