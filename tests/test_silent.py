"""Films without a pulse are made, cut and counted as the tables of train/silent.py say."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests._films import easy_config, record, write_npz
from train.script import JobError
from train.silent import HEADS, NOISES, PHOTOS, Case, SilentJob, cases, film_of, main, read

GREEN = ("green",)


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five faces, of which the last is kept for tests."""
    folder = tmp_path_factory.mktemp("faces")
    face = record(10, easy_config(seconds=2.0)).pictures[0]
    for name in "abcde":
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(face, cv2.COLOR_RGB2BGR))
    return folder


@pytest.fixture
def photo(portraits: Path) -> Case:
    return Case(PHOTOS, 1, portraits / "e.png", 1.0, 10.0, GREEN)


def test_photos_are_of_people_kept_for_tests(portraits):
    found = list(cases(SilentJob(faces=portraits, heads=2)))
    assert [(case.kind, case.source) for case in found] == [
        (PHOTOS, portraits / "e.png"),
        (NOISES, portraits / "e.png"),
        (HEADS, portraits),
        (HEADS, portraits),
    ]
    assert len({case.seed for case in found if case.kind == HEADS}) == 2


def test_a_coded_photo_is_renewed_at_a_steady_pace(photo):
    keys = np.flatnonzero([bool(frame.key_frame) for frame in film_of(photo)])
    assert len(keys) > 3
    assert len(set(np.diff(keys))) == 1


def test_a_noisy_photo_never_went_through_a_codec(photo):
    first, second = list(film_of(replace(photo, kind=NOISES)))[:2]
    assert first.key_frame is None
    change = second.rgb.astype(float) - first.rgb
    assert 3 < change.std() / np.sqrt(2) < 8
    assert abs(change.mean()) < 0.1


def test_a_film_with_a_pulse_is_counted_as_read(tmp_path):
    """As a whole, in its windows and in each piece, so that a table can show what fails."""
    film = record(10, easy_config(seconds=20.0))
    path = write_npz(tmp_path / "face.npz", film.pictures, film.time_s)
    (found,) = read(Case(path.name, 0, path, 1.0, 20.0, GREEN))
    assert (found.films, found.films_read) == (1, 1)
    assert (found.pieces, found.pieces_read) == (2, 2)
    assert found.windows >= 10
    assert found.windows_read == found.windows


def test_nothing_to_read_is_said():
    with pytest.raises(JobError, match="--faces DIR, --heads N or --real FILE"):
        list(cases(SilentJob(heads=0)))


@pytest.mark.slow
def test_the_table_says_how_many_of_how_many_are_silent(tmp_path, portraits):
    main(SilentJob(faces=portraits, models=("student", "green"), out=tmp_path, smoke=True))
    rows = json.loads((tmp_path / "silent.json").read_text())["rows"]
    assert {row["kind"] for row in rows} == {PHOTOS, NOISES, HEADS}
    assert not any(row["films_read"] or row["pieces_read"] for row in rows)
    assert "| all | student | 3 of 3 (100.0 %) |" in (tmp_path / "silent.md").read_text()
