"""Procedural faces: what a head looks like, where its skin is, and how it is shaped.

A face is drawn once, as maps over a square view, by soft implicit shapes; `train.world` then turns,
lights and films it. Coordinates are in face units: the head is about 2 tall, x to the right and y
down, the origin between nose and eyes. Skin colour comes from melanin and blood (`train.optics`),
with more blood in cheeks, nose and lips (the two-pigment picture of Tsumura et al., 2003,
doi 10.1145/882262.882344).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.optics import draw_tone

Map = NDArray[np.float32]
Layers = tuple[Map, Map, Map]
"""Picture, bare skin and outline of a head. Of shape (N, N, 3), (N, N) and (N, N)."""

FLUSH = 0.5  # how much more blood darkens green, at most


@dataclass(frozen=True)
class Face:
    """A head as maps of one square view. Linear light, float32."""

    rest: Map
    """Reflectance with eyes open and mouth closed. Shape (N, N, 3)."""
    open_mouth: Map
    """Reflectance with the mouth open. Shape (N, N, 3)."""
    shut_eyes: Map
    """Reflectance with the eyes shut. Shape (N, N, 3)."""
    head: Map
    """1 where the head or its hair is, 0 where the background is. Shape (N, N)."""
    perfusion: Map
    """Strength of the pulse: 0 off the skin, about 1 on it. Shape (N, N)."""
    delay_s: Map
    """How much later the pulse arrives than at the earliest place. Shape (N, N)."""
    depth: Map
    """Height of the surface towards the camera in face units. Shape (N, N)."""
    jaw: Map
    """How far a place follows the jaw down when the mouth opens. Shape (N, N)."""
    melanin: float
    """0 for the lightest skin, 1 for the darkest."""
    pulse_rgb: NDArray[np.float64]
    """Relative darkening of R, G, B by a pulse of unit strength. Shape (3,)."""


@dataclass(frozen=True)
class Anatomy:
    """Where things are on one head, in face units."""

    half_width: float
    half_height: float
    eye_y: float
    eye_x: float
    eye_size: float
    mouth_y: float
    mouth_width: float
    nose_y: float


@dataclass(frozen=True)
class Look:
    """What a head looks like at rest, before it is given a shape and a way to move."""

    image: Map
    """Linear reflectance. Shape (N, N, 3)."""
    skin: Map
    """Colour that bare skin has at each place. Shape (N, N, 3)."""
    perfusion: Map
    """Strength of the pulse. Shape (N, N)."""
    head: Map
    """1 where the head is. Shape (N, N)."""
    melanin: float
    """0 for the lightest skin, 1 for the darkest."""
    pulse_rgb: NDArray[np.float64]
    """Relative darkening of R, G, B by a pulse of unit strength. Shape (3,)."""


def view_grid(side: int, view: float) -> tuple[Map, Map]:
    """Coordinates of the pixel centres of a square view from -view to view. Two of shape (N, N)."""
    line = ((np.arange(side) + 0.5) / side * 2 - 1) * view
    x, y = np.meshgrid(line, line)
    return x.astype(np.float32), y.astype(np.float32)


def draw_face(rng: np.random.Generator, x: Map, y: Map, off: frozenset[str] = frozenset()) -> Face:
    """Draw a new person.

    Args:
        rng: Source of randomness.
        x: Horizontal coordinates of the view. Shape (N, N).
        y: Vertical coordinates of the view. Shape (N, N).
        off: What nobody is to have, of the looks in `train.world.FACTORS`.

    Returns:
        The face. All skin tones are equally likely along the melanin axis.
    """
    body = _draw_anatomy(rng)
    tone, melanin = draw_tone(rng)
    colour = tone.reflectance * np.exp(rng.normal(0, 0.06, 3))
    narrow = body.half_width * (
        1 - rng.uniform(0.1, 0.3) * np.clip(y / body.half_height, 0, 1) ** 2
    )
    radius: Map = np.sqrt((x / narrow) ** 2 + (y / body.half_height) ** 2)
    soft = 1.5 * float(x[0, 1] - x[0, 0])
    front = _step(np.float32(1) - radius, soft / body.half_width)

    blood = _blood_map(rng, x, y, body)
    redder = 0.35 * blood + 0.12 * smooth_field(rng, x.shape, 5)
    skin = colour * np.exp(-FLUSH * tone.flush * redder[..., None])
    skin *= 1 + 0.05 * smooth_field(rng, x.shape, 24)[..., None]
    image, bare = _draw_features(rng, skin.astype(np.float32), x, y, body)
    image, bare, head = _draw_hair(rng, (image, bare), front, (x, y), body, off)
    image, head = _draw_neck(image, head, skin, (x, y), body)
    image, bare, head = _draw_wear(rng, (image, bare, head), front, (x, y), body, off)
    patchy = "patches" not in off
    uneven = 1 + 0.45 * patchy * smooth_field(rng, x.shape, 4) + 0.3 * patchy * blood
    perfusion = bare * head * np.clip(uneven, 0.1, 2.5)
    perfusion *= np.where(y > body.half_height, 0.5, 1.0)  # the neck pulses less
    flesh = skin.astype(np.float32)
    look = Look(image, flesh, perfusion.astype(np.float32), head, melanin, tone.pulse)
    return finish_face(rng, look, (x, y, radius), body)


def finish_face(
    rng: np.random.Generator, look: Look, place: tuple[Map, Map, Map], body: Anatomy
) -> Face:
    """Give a look its depth, its jaw, an open mouth and shut eyes.

    Args:
        rng: Source of randomness.
        look: The head at rest.
        place: Coordinates x and y of the view, and the radius that is 1 at the outline of the
            face. Three of shape (N, N).
        body: Where things are.

    Returns:
        The face.
    """
    x, y, radius = place
    front = _step(np.float32(1) - radius, 1.5 * float(x[0, 1] - x[0, 0]) / body.half_width)
    down = np.clip((y - body.mouth_y + 0.05) / 0.3, 0, 1) * front
    return Face(
        rest=look.image,
        open_mouth=_with_open_mouth(look.image, x, y, body),
        shut_eyes=_with_shut_eyes(look.image, look.skin, x, y, body),
        head=look.head,
        perfusion=look.perfusion,
        delay_s=(0.03 * np.clip(1 + smooth_field(rng, x.shape, 4), 0, 2)).astype(np.float32),
        depth=_depth(x, y, radius, body),
        jaw=(down * np.exp(-((x / 0.6) ** 2))).astype(np.float32),
        melanin=look.melanin,
        pulse_rgb=look.pulse_rgb,
    )


def draw_background(rng: np.random.Generator, x: Map, y: Map) -> Map:
    """Draw a room behind the head, and shoulders. Linear light. Shape (N, N, 3)."""
    base = rng.uniform(0.02, 0.8) * np.exp(rng.normal(0, 0.25, 3))
    room = np.broadcast_to(base, (*x.shape, 3)).astype(np.float32)
    room = room * (1 + 0.4 * rng.uniform() * smooth_field(rng, x.shape, 3)[..., None])
    for _ in range(int(rng.integers(0, 7))):  # pictures, shelves, windows
        colour = (rng.uniform(0.01, 0.9) * np.exp(rng.normal(0, 0.4, 3))).astype(np.float32)
        centre, size = rng.uniform(-2, 2, 2), rng.uniform(0.1, 1.0, 2)
        inside = (abs(x - centre[0]) < size[0]) & (abs(y - centre[1]) < size[1])
        room[inside] = colour
    cloth = (rng.uniform(0.02, 0.8) * np.exp(rng.normal(0, 0.4, 3))).astype(np.float32)
    stripes = 1 + rng.uniform(0, 0.3) * np.sin(rng.uniform(5, 40) * (x + rng.uniform(-1, 1) * y))
    shoulders = _step(y - 1.35 - 0.35 * np.clip(abs(x) - 0.35, 0, None) ** 1.5, 0.05)
    room = _over(room, shoulders, cloth * stripes[..., None])
    return np.clip(room, 0.002, 1.5).astype(np.float32)


def _draw_anatomy(rng: np.random.Generator) -> Anatomy:
    return Anatomy(
        half_width=rng.uniform(0.66, 0.8),
        half_height=rng.uniform(0.95, 1.08),
        eye_y=rng.uniform(-0.2, -0.1),
        eye_x=rng.uniform(0.27, 0.34),
        eye_size=rng.uniform(0.1, 0.14),
        mouth_y=rng.uniform(0.5, 0.58),
        mouth_width=rng.uniform(0.2, 0.3),
        nose_y=rng.uniform(0.2, 0.27),
    )


def _blood_map(rng: np.random.Generator, x: Map, y: Map, body: Anatomy) -> Map:
    """More blood on cheeks, nose and lower forehead. Shape (N, N)."""
    strength = rng.uniform(0.1, 1.0, 3)
    cheeks = sum(_blob(x, y, side * 0.38, 0.25, 0.22, 0.2) for side in (-1, 1))
    nose = _blob(x, y, 0, body.nose_y, 0.12, 0.12)
    forehead = _blob(x, y, 0, -0.55, 0.45, 0.2)
    return strength[0] * cheeks + strength[1] * nose + 0.5 * strength[2] * forehead


def _draw_features(
    rng: np.random.Generator, skin: Map, x: Map, y: Map, body: Anatomy
) -> tuple[Map, Map]:
    """Draw eyes, brows, nose and lips; return the picture and where bare skin is left."""
    image = skin.copy()
    bare = np.ones(x.shape, np.float32)
    iris = rng.uniform(0.01, 0.2) * np.exp(rng.normal(0, 0.3, 3))
    brow = rng.uniform(0.01, 0.12) * np.array([1.0, 0.8, 0.6])
    brow_y, brow_tilt = body.eye_y - rng.uniform(0.17, 0.22), rng.uniform(-0.1, 0.25)
    size = body.eye_size
    for side in (-1, 1):
        centre = side * body.eye_x
        socket = _blob(x, y, centre, body.eye_y, 2.1 * size, 1.5 * size)
        image *= (1 - 0.28 * socket)[..., None]
        white = disc(x, y, centre, body.eye_y, size, 0.5 * size)
        image = _over(image, white, np.array([0.62, 0.6, 0.58]) * rng.uniform(0.6, 1.0))
        image = _over(image, white * disc(x, y, centre, body.eye_y, 0.5 * size, 0.5 * size), iris)
        image = _over(image, disc(x, y, centre, body.eye_y, 0.2 * size, 0.2 * size), 0.005)
        lid = disc(x, y, centre, body.eye_y - 0.45 * size, 1.15 * size, 0.16 * size)
        image = _over(image, 0.8 * lid, brow * 0.5)
        arch = y + brow_tilt * (abs(x) - body.eye_x) ** 2 * 4
        hairs = disc(x, arch, centre, brow_y, 1.45 * size, rng.uniform(0.2, 0.4) * size)
        image = _over(image, 0.85 * hairs, brow)
        bare *= (1 - disc(x, y, centre, body.eye_y, 1.1 * size, 0.6 * size)) * (1 - 0.8 * hairs)
    side_of_nose = _blob(x, y, 0.1, 0.1, 0.05, 0.25) + 0.5 * _blob(x, y, -0.1, 0.1, 0.05, 0.25)
    image *= (1 - 0.22 * side_of_nose - 0.25 * _blob(x, y, 0, body.nose_y + 0.12, 0.14, 0.035))[
        ..., None
    ]
    for side in (-1, 1):
        nostril = disc(x, y, side * 0.07, body.nose_y + 0.08, 0.035, 0.022)
        image = _over(image, 0.8 * nostril, skin * 0.15)
    lips = _lips(x, y, body)
    redness = np.array([0.85, rng.uniform(0.35, 0.7), rng.uniform(0.4, 0.75)])
    image = _over(image, lips, skin * redness)
    image = _over(image, disc(x, y, 0, body.mouth_y, 0.9 * body.mouth_width, 0.012), skin * 0.25)
    return image.astype(np.float32), bare * (1 - 0.4 * lips)


def _draw_hair(
    rng: np.random.Generator,
    drawn: tuple[Map, Map],
    front: Map,
    place: tuple[Map, Map],
    body: Anatomy,
    off: frozenset[str],
) -> tuple[Map, Map, Map]:
    """Add ears, hair and beard; return picture, bare skin and the outline of the head."""
    (image, bare), (x, y) = drawn, place
    colour = rng.choice([0.012, 0.03, 0.09, 0.3]) * np.array([1.0, 0.75, 0.5]) ** rng.uniform(
        0.3, 1.3
    )
    strands = (1 + 0.3 * smooth_field(rng, x.shape, (90, 12)))[..., None]
    ears = np.maximum.reduce(
        [disc(x, y, side * body.half_width * 1.02, 0.02, 0.1, 0.22) for side in (-1, 1)]
    )
    head = _union(front, ears)
    style = rng.uniform()
    if style > 0.1:  # one in ten is bald
        volume = rng.uniform(1.04, 1.25)
        line = rng.uniform(-0.72, -0.5) + rng.uniform(0.0, 0.5) * x**2 * (1 if style < 0.8 else -1)
        cap = disc(x, y, 0, -0.12, body.half_width * volume, body.half_height * volume * 0.98)
        long = rng.uniform() < 0.4
        sides = _step(abs(x) - body.half_width * rng.uniform(0.8, 0.97), 0.04)
        sides *= _step((1.3 if long else 0.0) - y, 0.1)
        mane = disc(x, y, 0, 0.35, body.half_width * 1.3, 1.25) if long else cap
        hair = np.maximum(cap * _step(line - y, 0.05), np.maximum(cap, mane) * sides)
        hair *= np.float32("hair" not in off)
        image = _over(image, hair, colour * strands)
        head, bare = _union(head, hair), bare * (1 - hair)
    if rng.uniform() < 0.25:  # beard
        low = _step(y - rng.uniform(0.3, 0.55) - 0.15 * np.cos(4 * x), 0.06) * front
        beard = low * (1 - _lips(x, y, body)) * rng.uniform(0.3, 0.95) * ("beard" not in off)
        image = _over(image, beard, colour * strands)
        bare = bare * (1 - 0.95 * beard)
    return image, bare, head


def _draw_neck(
    image: Map, head: Map, skin: Map, place: tuple[Map, Map], body: Anatomy
) -> tuple[Map, Map]:
    """Put a shaded neck behind the chin."""
    x, y = place
    neck = _step(0.62 * body.half_width - abs(x), 0.04) * _step(y - 0.4, 0.1) * _step(1.5 - y, 0.08)
    behind = neck * (1 - head)
    image = _over(image, behind, skin * 0.6)
    return image, head + behind


def _draw_wear(
    rng: np.random.Generator,
    drawn: Layers,
    front: Map,
    place: tuple[Map, Map],
    body: Anatomy,
    off: frozenset[str],
) -> Layers:
    """Make-up, glasses, a mask over mouth and nose, a scarf around the face; none is common."""
    glasses, make_up, mask, scarf = rng.uniform(size=4) < (0.25, 0.15, 0.06, 0.06)
    for name, worn, put_on in (
        ("make-up", make_up, _make_up),
        ("glasses", glasses, _put_on_glasses),
        ("mask", mask, _put_on_mask),
        ("scarf", scarf, _put_on_scarf),
    ):
        if worn:  # drawn even where it is off, so that the rest of the face is the same
            dressed = put_on(rng, drawn, front, place, body)
            drawn = drawn if name in off else dressed
    return drawn


def _make_up(
    rng: np.random.Generator,
    drawn: Layers,
    _: Map,
    place: tuple[Map, Map],
    body: Anatomy,
) -> Layers:
    """Foundation that covers a part of the pulse, and colour on lips, cheeks and lids."""
    (image, bare, head), (x, y) = drawn, place
    cover = rng.uniform(0.0, 0.5)
    mean = (image * bare[..., None]).sum((0, 1)) / max(float(bare.sum()), 1.0)
    image = _over(image, 0.6 * cover * bare, mean)
    lips = _lips(x, y, body)
    image = _over(image, rng.uniform(0, 0.9) * lips, np.array([0.4, 0.03, 0.05]))
    for side in (-1, 1):
        cheek = _blob(x, y, side * 0.38, 0.25, 0.22, 0.18)
        image = _over(image, rng.uniform(0, 0.25) * cheek * bare, np.array([0.6, 0.2, 0.2]))
        lid = disc(x, y, side * body.eye_x, body.eye_y - 0.1, 1.3 * body.eye_size, 0.06)
        image = _over(image, rng.uniform(0, 0.5) * lid, 0.3 * rng.uniform(size=3))
    return image, bare * (1 - cover) * (1 - 0.5 * lips), head


def _put_on_glasses(
    rng: np.random.Generator,
    drawn: Layers,
    _: Map,
    place: tuple[Map, Map],
    body: Anatomy,
) -> Layers:
    """A frame around the eyes."""
    (image, bare, head), (x, y) = drawn, place
    frame = np.zeros(x.shape, np.float32)
    width, height = rng.uniform(0.19, 0.25), rng.uniform(0.13, 0.2)
    for side in (-1, 1):
        outer = disc(x, y, side * body.eye_x, body.eye_y, width, height)
        inner = disc(x, y, side * body.eye_x, body.eye_y, width - 0.03, height - 0.03)
        frame = np.maximum(frame, outer - inner)
    bridge = _step(0.1 - abs(x), 0.02) * _step(0.02 - abs(y - body.eye_y), 0.01)
    frame = np.maximum(frame, bridge)
    image = _over(image, frame, rng.uniform(0.005, 0.2) * np.exp(rng.normal(0, 0.3, 3)))
    return image, bare * (1 - frame), head


def _put_on_mask(
    rng: np.random.Generator,
    drawn: Layers,
    front: Map,
    place: tuple[Map, Map],
    body: Anatomy,
) -> Layers:
    """Cloth with pleats over mouth and nose."""
    (image, bare, head), (x, y) = drawn, place
    cloth = front * _step(y - body.nose_y + rng.uniform(0.0, 0.2) - 0.25 * x**2, 0.04)
    pleats = 1 + 0.15 * np.sin(rng.uniform(15, 30) * y)
    image = _over(image, cloth, _cloth(rng) * pleats[..., None])
    return image, bare * (1 - cloth), head


def _put_on_scarf(
    rng: np.random.Generator,
    drawn: Layers,
    _: Map,
    place: tuple[Map, Map],
    body: Anatomy,
) -> Layers:
    """Cloth around the face."""
    (image, bare, head), (x, y) = drawn, place
    reach = rng.uniform(0.78, 0.92)
    inside = disc(x, y, 0, 0.08, reach * body.half_width, reach * body.half_height)
    around = disc(x, y, 0, 0.05, 1.35 * body.half_width, 1.3 * body.half_height)
    cloth = np.maximum(around, _step(0.75 - abs(x), 0.1) * _step(y - 0.6, 0.1)) * (1 - inside)
    image = _over(image, cloth, _cloth(rng) * (1 + 0.15 * smooth_field(rng, x.shape, 9))[..., None])
    return image, bare * (1 - cloth), _union(head, cloth)


def _cloth(rng: np.random.Generator) -> NDArray[np.float64]:
    """Colour of a piece of cloth: white, surgical blue, black or any."""
    kinds = ([0.75, 0.75, 0.73], [0.35, 0.6, 0.75], [0.02, 0.02, 0.02], rng.uniform(0.02, 0.7, 3))
    return np.array(kinds[int(rng.integers(len(kinds)))])


def _with_open_mouth(image: Map, x: Map, y: Map, body: Anatomy) -> Map:
    hole = disc(x, y, 0, body.mouth_y + 0.06, 0.75 * body.mouth_width, 0.1)
    return _over(image, hole, np.array([0.06, 0.015, 0.015])).astype(np.float32)


def _with_shut_eyes(image: Map, skin: Map, x: Map, y: Map, body: Anatomy) -> Map:
    for side in (-1, 1):
        lid = disc(x, y, side * body.eye_x, body.eye_y, 1.1 * body.eye_size, 0.6 * body.eye_size)
        image = _over(image, lid, skin * 0.75)
    return image.astype(np.float32)


def _lips(x: Map, y: Map, body: Anatomy) -> Map:
    return disc(x, y, 0, body.mouth_y, body.mouth_width, 0.075)


def _depth(x: Map, y: Map, radius: Map, body: Anatomy) -> Map:
    """An ellipsoid with a nose. Shape (N, N)."""
    dome = 0.75 * np.sqrt(np.clip(1 - radius**2, 0, None))
    nose = 0.22 * _blob(x, y, 0, body.nose_y - 0.05, 0.1, 0.2)
    brow = 0.05 * _blob(x, y, 0, body.eye_y - 0.18, 0.4, 0.08)
    eyes = -0.05 * sum(_blob(x, y, s * body.eye_x, body.eye_y, 0.12, 0.1) for s in (-1, 1))
    return (dome + nose + brow + eyes).astype(np.float32)


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], knots: int | tuple[int, int]
) -> Map:
    """Draw a smooth map of about unit standard deviation, `knots` bumps a side. Shape (N, N)."""
    across, down = (knots, knots) if isinstance(knots, int) else knots
    coarse = rng.standard_normal((down, across)).astype(np.float32)
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)


def _step(distance: Map, softness: float) -> Map:
    """0 to 1 across `distance` = 0. Shape of `distance`."""
    return np.clip(distance / softness + 0.5, 0, 1).astype(np.float32)


def disc(x: Map, y: Map, x0: float, y0: float, rx: float, ry: float) -> Map:
    """1 inside an ellipse, 0 outside, with an edge about a pixel soft. Shape (N, N)."""
    radius: Map = np.sqrt(((x - x0) / rx) ** 2 + ((y - y0) / ry) ** 2)
    pixel = abs(float(x[0, 1] - x[0, 0]))
    return _step(np.float32(1) - radius, max(1.5 * pixel / min(rx, ry), 0.05))


def _blob(x: Map, y: Map, x0: float, y0: float, rx: float, ry: float) -> Map:
    """A Gaussian hill of height 1. Shape (N, N)."""
    return np.exp(-(((x - x0) / rx) ** 2) - ((y - y0) / ry) ** 2).astype(np.float32)


def _union(first: Map, second: Map) -> Map:
    """Cover of two soft masks that do not know of each other. Shape (N, N)."""
    return first + second - first * second


def _over(image: Map, alpha: Map, colour: Map | NDArray[np.float64] | float) -> Map:
    """Lay `colour` over `image` where `alpha` is 1. Shape (N, N, 3)."""
    return (image + alpha[..., None] * (colour - image)).astype(np.float32)
