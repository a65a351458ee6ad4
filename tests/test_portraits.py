import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests._media import SHARED
from train import faces, portraits
from train.portraits import (
    CANONICAL,
    LIGHT_SKIN,
    MELANIN_AXIS,
    Portrait,
    choose_portrait,
    draw_portrait,
    list_portraits,
    read_portrait,
)
from train.synthetic import SyntheticConfig, lender, make_film

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
FACE = EXAMPLES / "synthetic_face_72bpm.jpg"
REAL = SHARED / "portraits"
X, Y = faces.view_grid(96, 1.6)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """Eleven portraits, which are drawn faces themselves."""
    folder = tmp_path_factory.mktemp("people")
    pictures = sorted(EXAMPLES.glob("*.jpg"))
    for place in range(11):
        shutil.copy(pictures[place % len(pictures)], folder / f"{place:02d}.jpg")
    return folder


def test_training_and_test_share_nobody(people):
    train, test = list_portraits(people, "train"), list_portraits(people, "test")
    assert len(train) == 9
    assert len(test) == 2
    assert not set(train) & set(test)


def test_an_empty_folder_of_portraits_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no portraits"):
        list_portraits(tmp_path, "train")


def test_a_picture_without_a_face_is_no_portrait(tmp_path):
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), np.full((120, 120, 3), 90, np.uint8))
    assert read_portrait(path) is None


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        read_portrait(tmp_path / "gone.jpg")


def test_a_portrait_is_brought_to_the_places_of_a_drawn_face():
    portrait = read_portrait(FACE)
    assert portrait is not None
    eyes_px = portrait.to_picture @ np.array([[-0.305, 0.305], [-0.15, -0.15], [1, 1]])
    green = np.asarray(cv2.imread(str(FACE)), np.uint8)[..., 1]
    for x, y in eyes_px.T:  # pupils are the darkest thing around
        around = green[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
        assert around.min() < 60


def test_only_skin_pulses():
    portrait = read_portrait(FACE)
    assert portrait is not None
    for seed in range(4):
        face, room = draw_portrait(np.random.default_rng(seed), portrait, X, Y, 0.5)
        assert room.shape == face.rest.shape == (96, 96, 3)
        assert (face.rest >= 0).all()
        assert 0 <= face.melanin <= 1
        beyond = (X / CANONICAL.half_width) ** 2 + (Y / CANONICAL.half_height) ** 2 > 1.6
        assert face.perfusion[beyond].max() < 0.05
        cheek = (abs(abs(X) - 0.35) < 0.08) & (abs(Y - 0.2) < 0.08)
        eye = (abs(abs(X) - 0.305) < 0.04) & (abs(Y + 0.15) < 0.03)
        # Gains over the face are drawn, down to a tenth.
        assert face.perfusion[cheek].mean() > 3 * face.perfusion[eye].mean()


def test_portraits_are_filmed_like_drawn_faces_and_as_often_as_asked(people):
    def film(share: float):
        config = SyntheticConfig(seconds=2.0, side=64, faces=people, portrait_share=share)
        return make_film(7, config)

    first, again, drawn = film(1.0), film(1.0), film(0.0)
    np.testing.assert_array_equal(first.pictures, again.pictures)
    assert first.pictures[0].shape == (64, 64, 3)
    assert not np.array_equal(first.pictures[0], drawn.pictures[0])


def test_who_lent_a_clip_its_looks_is_known_without_drawing_it(people, monkeypatch):
    lent: list[str] = []

    def noted(rng, portrait, *more):
        lent.append(portrait.name)
        return draw_portrait(rng, portrait, *more)

    monkeypatch.setattr(portraits, "draw_portrait", noted)
    config = SyntheticConfig(seconds=2.0, side=64, faces=people, portrait_share=0.5)
    told = []
    for seed in range(8):
        lent.clear()
        make_film(seed, config)
        told.append(lender(seed, config))
        assert told[-1] == (lent[0] if lent else None)
    assert len({*told}) > 2
    assert None in told
    assert lender(0, SyntheticConfig()) is None


def test_rare_tones_are_chosen_as_often_as_they_are_wanted(people, monkeypatch):
    def tinted(path: Path) -> Portrait | None:  # one dark person among light ones
        found = read_portrait(path)
        melanin = 0.9 if path == list_portraits(people, "train")[3] else 0.1
        return found and replace(found, tone=LIGHT_SKIN * np.exp(melanin * MELANIN_AXIS))

    monkeypatch.setattr(portraits, "read_portrait", tinted)
    rng = np.random.default_rng(0)

    def darkest(wanted: float) -> int:
        found = [choose_portrait(rng, people, "train", wanted) for _ in range(60)]
        return sum(one is not None and one.tone[1] < 0.5 * LIGHT_SKIN[1] for one in found)

    assert darkest(0.1) == 0
    assert darkest(0.9) > 25  # six of nine are looked at; by chance, one in nine would be this one


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["train", "test"])
def test_skin_covers_a_face_whatever_its_tone(whose):
    if not REAL.exists():
        pytest.skip("the portraits are not at hand; they do not come with the project")
    shares = []
    for path in list_portraits(REAL, whose):
        portrait = read_portrait(path)
        assert portrait is not None
        oval = portrait.skin > 0.05
        y, x = np.nonzero(oval)
        hull = 0.25 * np.pi * np.ptp(x) * np.ptp(y)  # of the ellipse around it
        shares.append(portrait.skin.sum() / hull)
    assert min(shares) > 0.3  # eyes, brows, mouth, beard and shine take the rest
