"""Portraits as heads for the synthetic world: a picture of a person, aligned, with its skin found.

A folder of portraits, such as the AI-generated ones of faker-js/assets-person-portrait (CC0 1.0),
lends the generator real textures. A face mesh finds eyes, brows, lips and outline once a picture; a
similarity transform brings the face to the coordinates of `train.faces`, whose shape, pulse and
movements then hold for it too.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.face import find_landmarks
from train.faces import (
    Anatomy,
    Face,
    Look,
    Map,
    draw_background,
    finish_face,
    smooth_field,
)
from train.optics import BLOOD_FRACTION, COMMON_BLOOD, WHITE_KELVIN, draw_lamp, skin_tone

People = Literal["train", "test"]

TEST_EVERY = 5  # each fifth person is kept for tests
CANONICAL = Anatomy(
    half_width=0.73,
    half_height=1.02,
    eye_y=-0.15,
    eye_x=0.305,
    eye_size=0.12,
    mouth_y=0.54,
    mouth_width=0.26,
    nose_y=0.235,
)
LIGHT_SKIN, DARK_SKIN = (
    skin_tone(melanin, COMMON_BLOOD, WHITE_KELVIN).reflectance for melanin in (0.0, 1.0)
)
MELANIN_AXIS = np.log(DARK_SKIN) - np.log(LIGHT_SKIN)
LEAST_FACE_PX = 40
MOST_RETONE = 0.2  # how far the melanin of a picture is moved, of the whole range
MOST_SATURATED = 2.0  # of skin in its own shade, to that of the cheeks
DARKEST = 1.6  # logarithm of how much darker than the cheeks skin may be
CANDIDATES = 6  # portraits of which the nearest in tone is taken
CURVE = 2.2  # of the picture: what was stored is light to the power of 1 / 2.2

# Landmarks of MediaPipe's face mesh.
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
CHEEKS = (50, 101, 118, 117, 123, 280, 330, 347, 346, 352)


@dataclass(frozen=True)
class Portrait:
    """A picture of a person and where things are in it."""

    name: str
    """Of its file."""
    light: Map
    """Linear light. Shape (H, W, 3)."""
    skin: Map
    """1 on bare skin of the face, 0 elsewhere. Shape (H, W)."""
    lips: Map
    """1 on the lips. Shape (H, W)."""
    tone: NDArray[np.float64]
    """Median linear light of the cheeks. Shape (3,)."""
    to_picture: NDArray[np.float64]
    """From face units (x, y, 1) to pixels. Shape (2, 3)."""


@cache
def list_portraits(folder: Path, people: People) -> tuple[Path, ...]:
    """Pictures of one part of the people; the parts share nobody. A folder is looked at once.

    Raises:
        FileNotFoundError: The folder holds no picture.
    """
    there = folder.iterdir() if folder.is_dir() else ()
    pictures = sorted(p for p in there if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = tuple(
        picture
        for place, picture in enumerate(pictures)
        if (place % TEST_EVERY == TEST_EVERY - 1) == (people == "test")
    )
    if not chosen:
        raise FileNotFoundError(f"{folder} holds no portraits for {people}; it needs .jpg or .png")
    return chosen


def choose_portrait(
    rng: np.random.Generator, folder: Path, people: People, melanin: float
) -> Portrait | None:
    """Choose a person whose skin is near a tone, so that rare tones are drawn as often as others.

    Args:
        rng: Source of randomness.
        folder: Of pictures.
        people: Which part of the people.
        melanin: The tone that is wanted, 0 lightest to 1 darkest.

    Returns:
        The nearest of a few that chance picks; None where none of them shows a face.
    """
    pictures = list_portraits(folder, people)
    picked = rng.choice(len(pictures), min(CANDIDATES, len(pictures)), replace=False)
    found = [portrait for at in picked if (portrait := read_portrait(pictures[at]))]
    return min(found, key=lambda portrait: abs(_melanin(portrait.tone) - melanin), default=None)


def draw_portrait(
    rng: np.random.Generator,
    portrait: Portrait,
    x: Map,
    y: Map,
    wanted: float,
    off: frozenset[str] = frozenset(),
) -> tuple[Face, Map]:
    """Turn a portrait into a head and the room behind it.

    Args:
        rng: Source of randomness.
        portrait: From `read_portrait`.
        x: Horizontal coordinates of the view, in face units. Shape (N, N).
        y: Vertical coordinates of the view. Shape (N, N).
        wanted: Melanin to which the skin is moved as far as that looks right, 0 to 1.
        off: What nobody is to have, of the looks in `train.world.FACTORS`.

    Returns:
        The face, and linear light behind it, shape (N, N, 3).
    """
    grow = np.exp(rng.normal(0, 0.05))
    layers = portrait.light, portrait.skin, portrait.lips
    image, skin, lips = (_view(portrait, layer, x, y, grow) for layer in layers)
    own = float(np.clip(_melanin(portrait.tone), 0, 1))
    melanin = float(np.clip(wanted, own - MOST_RETONE, own + MOST_RETONE))
    change = (melanin - own) * MELANIN_AXIS
    flesh = np.maximum(skin, lips)
    image = image * np.exp(flesh[..., None] * change.astype(np.float32))
    radius: Map = np.sqrt((x / CANONICAL.half_width) ** 2 + (y / CANONICAL.half_height) ** 2)
    if rng.uniform() < 0.5:  # the whole picture moves, as a phone in a hand makes it
        head, room = np.ones_like(skin), image
    else:  # the head alone moves, before a room of another kind
        outline: Map = np.sqrt((x / 0.98) ** 2 + (np.where(y < 0, y / 1.4, y / 1.2)) ** 2)
        head = np.clip((1 - outline) / 0.08 + 0.5, 0, 1).astype(np.float32)
        neck = np.clip((0.5 - abs(x)) / 0.1, 0, 1) * (y > 0.5)
        head = np.maximum(head, neck.astype(np.float32))
        room = draw_background(rng, x, y) if rng.uniform() < 0.7 else _blurred(image)
    patchy = "patches" not in off
    gain = np.clip(1 + 0.45 * patchy * smooth_field(rng, x.shape, 4), 0.1, 2.5)
    perfusion = ((skin + 0.6 * lips) * head * gain).astype(np.float32)
    tone = np.broadcast_to(portrait.tone * np.exp(change), image.shape).astype(np.float32)
    optics = skin_tone(melanin, float(rng.uniform(*BLOOD_FRACTION)), draw_lamp(rng))
    look = Look(image, tone, perfusion, head, melanin, optics.pulse)
    return finish_face(rng, look, (x, y, radius), CANONICAL), room


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture in red, green and blue. Shape (H, W, 3).

    Raises:
        FileNotFoundError: There is no such picture.
    """
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(f"{path} can't be read as a picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


@cache
def read_portrait(path: Path) -> Portrait | None:
    """Read a picture and find the face in it; None where there is no face of 40 pixels or more.

    Raises:
        FileNotFoundError: There is no such picture.
    """
    rgb = read_picture(path)
    points = find_landmarks(rgb)
    if points is None or np.ptp(points[:, 0]) < LEAST_FACE_PX:
        return None
    light = np.power(rgb.astype(np.float32) / 255, np.float32(CURVE))
    soft = float(np.ptp(points[:, 0])) / 40
    eyes_and_brows = [_fill(rgb, points, part, soft) for part in (RIGHT_EYE, LEFT_EYE)]
    eyes_and_brows += [0.8 * _fill(rgb, points, part, soft) for part in (RIGHT_BROW, LEFT_BROW)]
    lips = _fill(rgb, points, LIPS, soft)
    cheeks = _fill(rgb, points, CHEEKS[:5], soft) + _fill(rgb, points, CHEEKS[5:], soft)
    tone = np.median(light[cheeks > 0.5], axis=0).astype(np.float64) + 1e-4
    skin = _fill(rgb, points, OVAL, soft) * _likeness(light, tone, soft)
    for part in (*eyes_and_brows, lips):
        skin = skin * (1 - part)
    return Portrait(path.name, light, skin, lips, tone, _alignment(points))


def _alignment(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares similarity from face units to pixels. Shape (2, 3)."""
    eyes = [points[list(part)].mean(0) for part in (RIGHT_EYE, LEFT_EYE)]
    seen = np.stack([*eyes, points[list(LIPS)].mean(0)])
    face = CANONICAL
    meant = np.array([[-face.eye_x, face.eye_y], [face.eye_x, face.eye_y], [0.0, face.mouth_y]])
    rows = [([x, -y, 1, 0], [y, x, 0, 1]) for x, y in meant]
    a, b, right, down = np.linalg.lstsq(
        np.array(rows, np.float64).reshape(-1, 4), seen.ravel(), rcond=None
    )[0]
    return np.array([[a, -b, right], [b, a, down]])


def _fill(
    rgb: NDArray[np.uint8], points: NDArray[np.float64], part: tuple[int, ...], soft: float
) -> Map:
    """Hull of some landmarks with a soft edge. Shape (H, W)."""
    mask = np.zeros(rgb.shape[:2], np.float32)
    hull = cv2.convexHull(points[list(part)].astype(np.float32)).astype(np.int32)
    cv2.fillConvexPoly(mask, hull, (1.0,))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft), np.float32)


def _likeness(light: Map, tone: NDArray[np.float64], soft: float) -> Map:
    """How much of a pixel is skin like that of the cheeks: hair, glasses and cloth are not. (H, W).

    Skin is lit by its lamp and by itself: its colour runs from the lamp's, where it shines, through
    that of the cheeks to a redder one in its shadows (Shafer 1985, doi 10.1002/col.5080100409), and
    the darker it is the further. What shines doesn't pulse.
    """
    smooth = np.asarray(cv2.GaussianBlur(light, (0, 0), soft), np.float64)
    colour, own = np.log(smooth + 0.003), np.log(tone + 0.003)
    brightness = (colour - own).mean(2)
    colour, own = colour - colour.mean(2, keepdims=True), own - own.mean()
    saturation = np.clip(colour @ own / (own @ own), 0, MOST_SATURATED)
    hue = np.linalg.norm(colour - saturation[..., None] * own, axis=2)
    like = np.exp(-((hue / 0.35) ** 2)) / (1 + np.exp(-(brightness + DARKEST) / 0.2))
    return (like * np.minimum(saturation, 1)).astype(np.float32)


def _melanin(tone: NDArray[np.float64]) -> float:
    """Where a tone lies between the lightest and the darkest skin."""
    return float((np.log(tone) - np.log(LIGHT_SKIN)) @ MELANIN_AXIS / (MELANIN_AXIS @ MELANIN_AXIS))


def _view(portrait: Portrait, layer: Map, x: Map, y: Map, grow: float) -> Map:
    """See a layer from the view; beyond the picture it is mirrored. Shape (N, N) or (N, N, 3)."""
    (a, b, right), (c, d, down) = portrait.to_picture
    at_x = ((a * x + b * y) / grow + right).astype(np.float32)
    at_y = ((c * x + d * y) / grow + down).astype(np.float32)
    shrink = float(np.hypot(a, c)) / grow * float(x[0, 1] - x[0, 0])  # pixels a view pixel
    if shrink > 1:
        layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.45 * shrink), np.float32)
    return np.asarray(
        cv2.remap(layer, at_x, at_y, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT), np.float32
    )


def _blurred(image: Map) -> Map:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), len(image) / 8), np.float32)
