"""A model is scored as the program reads it."""

import csv
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from kdphys.runtime import open_model
from train.datasets import ClipStore, Seen
from train.figures import how_right, people, summary
from train.scores import Scores, score, score_shared, write_rows
from train.script import JobError

SKIN = np.array([150.0, 110.0, 90.0])
BLOOD = np.array([0.43, 1.0, 0.69])  # of R, G, B, relative to green
WAVE = np.sin(2 * np.pi * 72 / 60 * np.arange(600) / 30)


def store_of_a_rhythm(colour: np.ndarray) -> ClipStore:
    """A clip of skin that swings in a colour 72 times a minute, in noise."""
    rng = np.random.default_rng(0)
    mean = SKIN * (1 + 0.02 * WAVE[:, None] * colour)
    pixels = mean[:, None, None] + rng.normal(0, 2, (600, 36, 36, 3))
    clip = torch.from_numpy(pixels.round().astype(np.uint8))[None]
    bpm = np.array([72], np.float32)
    return ClipStore((clip,), -WAVE[None].astype(np.float32), bpm, ({"key_every": None},), "0")


@pytest.mark.parametrize(
    ("colour", "given"), [(BLOOD, [72.0]), (np.ones(3), [np.nan])], ids=["blood", "light"]
)
def test_light_in_a_rhythm_is_given_no_rate(colour, given):
    store = store_of_a_rhythm(colour)
    found = score(open_model("green"), store)
    assert found.bpm == pytest.approx([72], abs=0.5)
    np.testing.assert_allclose(found.given, given, atol=0.5)


def test_a_head_that_moves_in_the_rhythm_is_given_no_rate_where_that_was_kept():
    rng = np.random.default_rng(0)
    places = 100 * (np.array([3.0, 2.0, 1.0]) + 2e-4 * rng.standard_normal((600, 3)))
    swaying = places + 2 * WAVE[:, None] * np.array([0.0, 1.0, 0.0])
    for seen, given in (((), 72), ((places,), 72), ((swaying,), np.nan)):
        kept = tuple(Seen(one.astype(np.float32), np.empty(0)) for one in seen)
        found = score(open_model("green"), replace(store_of_a_rhythm(BLOOD), seen=kept))
        np.testing.assert_allclose(found.given, [given], atol=0.5)


def test_a_clip_in_which_no_face_is_found_is_given_no_rate():
    """It is cut out where the head was drawn, which the program does not know."""
    store = store_of_a_rhythm(BLOOD)
    for found, rate in ((0.7, 72), (0.0, np.nan)):
        truths = ({"key_every": None, "found": found},)
        scores = score(open_model("green"), replace(store, truths=truths))
        np.testing.assert_allclose([*scores.bpm, *scores.given], [rate] * 2, atol=0.5)


def store_of_two() -> ClipStore:
    """A clip with a pulse, and one of light."""
    blood, light = store_of_a_rhythm(BLOOD), store_of_a_rhythm(np.ones(3))
    waves = np.concatenate([blood.waves, light.waves])
    bpm = np.concatenate([blood.bpm, light.bpm])
    return ClipStore(blood.pixels + light.pixels, waves, bpm, blood.truths + light.truths, "0")


@pytest.mark.slow
def test_several_processes_read_what_one_does(monkeypatch):
    alone = score(open_model("student"), store_of_two())
    monkeypatch.setattr("train.scores.MANY", 1)
    shared = score_shared("student", store_of_two(), 2)
    for part in fields(Scores):
        np.testing.assert_array_equal(getattr(shared, part.name), getattr(alone, part.name))


def test_a_process_that_was_killed_is_told_in_a_sentence(monkeypatch):
    class Killed:
        def __init__(self, *_: object) -> None:
            raise BrokenProcessPool

    monkeypatch.setattr("train.scores.MANY", 1)
    monkeypatch.setattr("train.script.ProcessPoolExecutor", Killed)
    with pytest.raises(JobError, match=r"ended from outside.*fewer --workers"):
        score_shared("green", store_of_two(), 2)


def some_scores(given: list[float], quality: list[float]) -> Scores:
    """What some model read: whatever the confidence 70 bpm, and a wave of no worth."""
    whatever, alike = np.full(len(given), 70.0), np.zeros(len(given))
    return Scores(whatever, whatever, np.array(given), np.array(quality), alike, alike)


def test_readings_are_counted_from_a_confidence_on():
    true, skin = np.array([60.0, 60.0, 60.0, 60.0]), np.array([1, 2, 1, 2])
    scores = some_scores([61.0, 62.0, 65.0, np.nan], [0.9, 0.8, 0.6, 0.2])
    assert how_right(scores, true, skin, 0.8) == {
        "confidence": 0.8, "readings": 2, "share": 0.5, "MAE": 1.5, "wrong": 0,
        "worst skin over best": 2.0,
    }  # fmt: skip
    assert how_right(scores, true, skin, 0.5)["wrong"] == 1
    none = how_right(scores, true, skin, 0.95)
    assert (none["readings"], none["MAE"], none["worst skin over best"]) == (0, None, None)


def test_people_who_lent_several_clips_their_looks_are_counted_once():
    lenders = ["anna", None, "anna", None, "ben"]
    whose = people(lenders)
    assert whose[0] == whose[2]
    assert len({*whose.tolist()}) == 4
    truths: tuple[dict[str, object], ...] = tuple({"melanin": m} for m in (0.1, 0.1, 0.9, 0.9, 0.9))
    store = replace(store_of_two(), bpm=np.full(5, 70, np.float32), truths=truths)
    scores = some_scores([71.0, 71.0, 73.0, 71.0, 71.0], [0.9] * 5)
    table: dict[str, Any] = summary(scores, scores, store, np.ones(5, bool), lenders)
    counted = {name: table[name]["portraits"] for name in ("all", "light", "dark")}
    assert counted == {"all": 2, "light": 1, "dark": 2}
    ratio = table["skin"]
    assert ratio["worst over best"] == ratio["dark over light"] == pytest.approx(5 / 3, abs=0.001)
    low, high = ratio["95 %"]
    assert low == 1.0
    assert high > 5 / 3


def test_what_was_read_of_each_clip_is_a_table(tmp_path):
    pixels = torch.zeros((2, 1, 36, 36, 3), dtype=torch.uint8)
    truths: tuple[dict[str, object], ...] = tuple({"seed": at, "melanin": 0.25} for at in (7, 8))
    bpm, waves = np.array([60.0, 0.0], np.float32), np.zeros((2, 1), np.float32)
    store = ClipStore((pixels,), waves, bpm, truths, "0")
    read = {"pos": some_scores([61.0, np.nan], [0.9, 0.2])}
    write_rows(tmp_path / "clips.csv", [(store, [None, "anna.jpg"], read)])
    assert list(csv.reader((tmp_path / "clips.csv").read_text().splitlines())) == [
        ["seed", "true_bpm", "melanin", "portrait", "pos_whatever_bpm", "pos_given_bpm",
         "pos_confidence", "pos_correlation"],
        ["7", "60.00", "0.250", "", "70.00", "61.00", "0.900", "0.000"],
        ["8", "", "0.250", "1", "70.00", "", "0.200", "0.000"],
    ]  # fmt: skip
