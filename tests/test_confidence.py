"""How much waves without a pulse count where a network's confidence is fitted."""

import logging
from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
import torch

from kdphys.errors import WeightsError
from kdphys.hub import SHIPPED
from kdphys.runtime import open_model
from kdphys.vitals import LEAST_QUALITY, QualityFeatures
from train import confidence
from train.calibrate import fit
from train.confidence import (
    REFUSED,
    SHARES,
    ConfidenceJob,
    _seen,
    _weights,
    choose_share,
    main,
)
from train.datasets import ClipStore
from train.export import fitted


def waves(apart: float) -> tuple[list[QualityFeatures], np.ndarray, np.ndarray]:
    """Waves of 300 clips, half without a pulse, whose evidence is `apart` deviations lower."""
    rng = np.random.default_rng(0)
    silent = np.arange(300) % 2 == 1
    evidence = rng.standard_normal(300) + np.where(silent, 0.0, apart)
    errors = np.where(silent, np.inf, rng.normal(0, 0.5, 300))
    features = [QualityFeatures(0.0, value, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0) for value in evidence]
    return features, errors, np.arange(300)


def refused(share: float, features: list[QualityFeatures], errors: np.ndarray) -> float:
    """Share of the waves without a pulse that get no reading by a fit to all."""
    found = fit(features, errors, of_network=True, weights=_weights(errors, share))
    quality = np.array([found.quality(feature) for feature in features])
    return float((quality[np.isinf(errors)] < LEAST_QUALITY).mean())


def test_what_is_told_apart_easily_needs_no_weight():
    assert choose_share(*waves(apart=6.0)) == SHARES[0]


def test_what_is_hard_to_tell_apart_counts_until_it_is_refused():
    features, errors, clip = waves(apart=4.8)
    share = choose_share(features, errors, clip)
    assert SHARES[0] < share < SHARES[-1]
    assert refused(share, features, errors) == pytest.approx(REFUSED, abs=0.04)
    before = SHARES[SHARES.index(share) - 1]
    assert refused(before, features, errors) <= refused(share, features, errors)


def test_what_can_t_be_told_apart_counts_most():
    assert choose_share(*waves(apart=0.0)) == SHARES[-1]


@pytest.mark.parametrize("smoke", [True, False])
def test_what_was_made_is_told(tmp_path, monkeypatch, caplog, smoke):
    copytree(SHIPPED / "student", tmp_path / "student")
    before = (tmp_path / "student" / "manifest.json").read_text()
    monkeypatch.setattr(confidence, "drawn_clips", lambda *_: None)
    monkeypatch.setattr(confidence, "_observe", lambda *_: waves(apart=6.0))
    with caplog.at_level(logging.INFO):
        main(ConfidenceJob(models=("student",), weights=tmp_path, smoke=smoke))
    path = tmp_path / "student" / "manifest.json"
    told = "student: fitted, and not written" if smoke else f"wrote {path} and README.md"
    assert told in caplog.messages[-1]
    assert (path.read_text() == before) == smoke


@pytest.mark.parametrize("share", SHARES)
def test_weights_make_up_the_share_that_was_asked_for(share):
    errors = np.array([0.1, 0.2, np.inf, 0.3, np.inf, 50.0])
    weights = _weights(errors, share)
    assert weights[np.isinf(errors)].sum() / weights.sum() == pytest.approx(share)


def test_a_network_that_is_not_there_is_told_before_clips_are_drawn(tmp_path):
    job = ConfidenceJob(("nobody",), weights=SHIPPED, data=tmp_path / "clips")
    with pytest.raises(WeightsError, match="nobody"):
        main(job)
    assert not (tmp_path / "clips").exists()


def test_each_clip_is_judged_in_light_that_wanders_too():
    pixels = torch.full((1, 300, 36, 36, 3), 100, dtype=torch.uint8)
    store = ClipStore((pixels,), np.zeros((1, 300), np.float32), np.zeros(1, np.float32), ({},), "")
    model = open_model("green")  # what all see as one colour
    pieces = _seen(model, store, 0)
    still, wandered = pieces[: len(pieces) // 2], pieces[len(pieces) // 2 :]
    assert [len(piece) for piece in still] == [len(piece) for piece in wandered]
    assert np.nanstd(still[0]) < 1e-9 < np.nanstd(wandered[0])


@pytest.mark.parametrize("text", ['{"sha256": {', "[]", "null", '{"sha256": null}'])
def test_an_export_mends_a_damaged_manifest(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert fitted(tmp_path, SHIPPED / "student") == {}


def test_what_stays_in_its_line_makes_a_network_surer_and_no_other_wave():
    rng = np.random.default_rng(0)
    right = np.arange(400) % 2 == 0
    errors = np.where(right, 0.0, 30.0)
    stays = np.where(right, -0.2, -0.6) + 0.2 * rng.standard_normal(400)
    features = [QualityFeatures(0.0, 5.0, 0.0, 0.0, 0.0, 1.0, 0.0, value) for value in stays]
    assert fit(features, errors, of_network=True).log_standing > 2
    assert fit(features, errors, of_network=False).log_standing == 0
    against = [replace(feature, log_standing=-feature.log_standing) for feature in features]
    assert fit(against, errors, of_network=True).log_standing == 0  # it never makes it less sure
