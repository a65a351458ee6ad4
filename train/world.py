"""The world around a synthetic face: how it moves, how it is lit, and the camera that films it.

Everything that troubles a real recording has a factor of its own that can be switched off, so that
an error can be explained. Light is linear until the camera's own curve; how much the pulse darkens
red, green and blue follows from the skin and the lamp (`train.optics`).
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from train.faces import Face, Map, disc, smooth_field, view_grid
from train.mimics import MUSCLES, draw_mimics
from train.streams import Streams, Track, smooth_noise

Picture = NDArray[np.uint8]

MEANING = {
    "variability": "changes of a drawn heart rate, those that follow the breath too",
    "breath": "what the breath does to a drawn pulse: to its rate, its strength and its level",
    "ectopic": "a beat of a drawn pulse that comes early, and the pause behind it",
    "pause": "a beat of a drawn pulse that is missing",
    "beats": "beats of a drawn pulse that are not equally strong",
    "dicrotic": "the waves that follow the first one in each beat of a drawn pulse",
    "delay": "the pulse comes later to some places of the face than to others",
    "patches": "it is stronger in some places of the skin than in others",
    "hair": "on drawn heads, as the next five",
    "beard": "and moustache",
    "glasses": "their frame",
    "make-up": "foundation over the pulse; colour on lips, cheeks and lids",
    "mask": "over mouth and nose",
    "scarf": "around the face",
    "motion": "the head turns, sways and comes near; it goes along with grimaces",
    "rhythm": "it nods or sways evenly",
    "talk": "the mouth opens",
    "express": "muscles of the face fold, shade and blanch the skin, in grimaces too",
    "blink": "the eyes shut",
    "hand": "a hand passes before the face",
    "light": "drift and screen",
    "drift": "the light changes slowly, and less a little faster",
    "screen": "the light changes at once, from scene to scene",
    "mixed": "the room's own light has another colour than the lamp's",
    "shine": "the lamp's highlight on the skin",
    "flicker": "of lamps on mains",
    "shadow": "a soft edge wanders over the face",
    "exposure": "gain and balance",
    "gain": "the camera sets its exposure anew",
    "balance": "the camera's white balance moves over",
    "curve": "the shoulder of the camera's curve",
    "saturation": "colours more vivid than they are",
    "noise": "of the sensor",
    "bayer": "one colour a pixel, the others interpolated",
    "blur": "the focus",
    "chroma": "colour at half the resolution",
    "codec": "a lossy codec",
    "box": "the box around a face is unsteady, or stays where it is",
    "timing": "drops, jitter and stamps",
    "drops": "frames that are missing",
    "jitter": "frames that are not taken evenly",
    "stamps": "stamps that are not quite right",
}
"""Factors that can be switched off, each alone, and what they are.

What else is drawn stays as it is with them; but where frames are taken at other times, for want of
drops or jitter, all that moves is drawn anew.
"""
FACTORS = tuple(MEANING)
BUNDLES = {
    "light": frozenset({"drift", "screen"}),
    "exposure": frozenset({"gain", "balance"}),
    "timing": frozenset({"drops", "jitter", "stamps"}),
}
"""Factors that are several others together."""


CREASE_RGB = np.array([0.85, 1.0, 1.1], np.float32)  # skin lights itself in its creases, with red
DARKEST = 1e-9  # of full scale, below which a picture is black anyway
DARKEST_CREASE = 0.2  # of the light that falls beside it
MOST_ALONG = 0.15  # of the room that a head's movement has, which it goes along with a grimace
MOST_PRESSED = 0.006  # blood that a muscle presses aside, where a pulse brings 0.002 to 0.007
SATURATION = (0.9, 1.5)  # least and most: most cameras make colours more vivid than they are
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
MIDDLE = 0.6  # of the skin's brightest colour, where the slope of a camera's curve is its gamma's
MIXED_LIGHT = 0.15  # how far red and blue of the room's light stray from the lamp's, in logarithm


@dataclass(frozen=True)
class Motion:
    """Where the head is at every frame, in face units and radians. Each of shape (T,)."""

    x: Track
    y: Track
    scale: Track
    roll: Track
    yaw: Track
    pitch: Track
    muscles: Track
    """Pull of each group of facial muscles, as in `train.mimics`. Shape (T, MUSCLES)."""
    mouth: Track
    """0 closed to 1 wide open."""
    eyes: Track
    """0 open to 1 shut."""


@dataclass(frozen=True)
class Light:
    """Light and exposure at every frame."""

    face: Track
    """Gain on the head, per channel. Shape (T, 3)."""
    room: Track
    """Gain on the background, per channel. Shape (T, 3)."""
    shadow: Track
    """Place of a soft shadow edge in face units. Shape (T,)."""


@dataclass(frozen=True)
class Curve:
    """How a camera turns light into a picture: x / (1 + shoulder x), x = gain light^power.

    Bright colours answer less to light than dark ones, so that the red of skin changes less than
    its green, and its blue more: in the pulse as in shade. Real cameras differ (Grossberg & Nayar,
    2004, DOI 10.1109/TPAMI.2004.88); this form is that of Naka & Rushton (1966, DOI
    10.1113/jphysiol.1966.sp008001), used for pictures by Reinhard et al. (2002, DOI
    10.1145/566654.566575).
    """

    power: float
    gain: float
    shoulder: float
    """0 for a pure power; at 1 the slope in logarithms falls to nothing at white."""

    def of(self, light: Map) -> Map:
        """The picture, up to 1, of `light` in units of full scale."""
        lit = np.maximum(light, np.float32(DARKEST))
        x = self.gain * np.exp(np.float32(self.power) * np.log(lit))  # a quarter of np.power's time
        return np.minimum(x / (1 + np.float32(self.shoulder) * x), 1)


def curve_through(light: float, gamma: float, shoulder: float) -> Curve:
    """A curve that shows `light` as a pure gamma does, with its slope at `MIDDLE` of that."""
    shown = light ** (1 / gamma)
    power = 1 / (gamma * (1 - MIDDLE * shoulder * shown))
    return Curve(power, shown / (1 - shoulder * shown) / light**power, shoulder)


@dataclass(frozen=True)
class Camera:
    """What the camera does to a frame."""

    noise: float
    """Standard deviation of the noise at mid grey, in units of full scale."""
    curve: Curve
    blur: float
    """Gaussian blur in pixels."""
    exposure: float
    """Gain that brings the face to its brightness."""
    saturation: float
    """How much further from grey its colours are than those of the light; 1 leaves them."""
    side: int
    """Side of its picture in pixels; even. The scene may be drawn at fewer, then it is enlarged
    before the camera adds its noise."""
    mosaic: bool = False
    """Whether each pixel sees one colour only, the others being interpolated (Bayer)."""
    halved_colour: bool = False
    """Whether colour is kept at half the resolution in 8 bits (YCbCr 4:2:0)."""


@dataclass(frozen=True)
class Hand:
    """A hand that passes before the face."""

    look: Map
    """Linear reflectance and opacity of a hand at the origin. Shape (N, N, 4)."""
    place: Track
    """Where it is at each frame, in face units; far away when it isn't there. Shape (T, 2)."""


@dataclass(frozen=True)
class Shot:
    """All that one recording needs."""

    face: Face
    room: Map
    """What is behind the face. Shape (N, N, 3)."""
    motion: Motion
    light: Light
    camera: Camera
    blood: Track
    """Blood volume in units of relative darkening of green, and its change per second.
    Shape (T, 2)."""
    view: float
    """Half the width of the view in face units."""
    hand: Hand | None = None
    off: frozenset[str] = frozenset()
    """Factors to leave out, of those that film: the lamp's "mixed" and "shine"."""


def switched_off(names: frozenset[str]) -> frozenset[str]:
    """Those names, and all that is in the bundles among them."""
    return names.union(*(parts for bundle, parts in BUNDLES.items() if bundle in names))


def draw_motion(
    streams: Streams,
    time_s: Track,
    difficulty: float,
    off: frozenset[str],
    *,
    acts: bool = False,
) -> Motion:
    """Draw head pose, talking and blinking over time, and grimaces if it `acts`."""
    rng = streams.of("motion")
    frames = len(time_s)
    step = float(np.median(np.diff(time_s)))
    size = 0.0 if "motion" in off else difficulty * rng.uniform(0.05, 1.0)
    limits = {"x": 0.22, "y": 0.12, "scale": 0.06, "roll": 0.12, "yaw": 0.35, "pitch": 0.2}
    pose = {}
    for name, limit in limits.items():
        slow = smooth_noise(rng, frames, step, np.exp(rng.uniform(np.log(0.1), np.log(0.8))))
        quick = smooth_noise(rng, frames, step, rng.uniform(0.8, 2.5))
        pose[name] = size * limit * (0.35 * slow + 0.06 * quick)
    rng = streams.of("rhythm")
    if "rhythm" not in off and rng.uniform() < 0.3 * difficulty:  # nodding, walking, music
        hz = rng.uniform(0.3, 3.0)
        wander = 2 * np.pi * hz * time_s + 0.6 * smooth_noise(rng, frames, step, 0.2)
        for name in rng.choice(list(limits), 2, replace=False):
            strength = difficulty * limits[name] * rng.uniform(0.02, 0.35)
            pose[name] = pose[name] + strength * np.sin(wander + rng.uniform(0, 6.28))
    mimics = draw_mimics(streams, time_s, difficulty, off, acts=acts)
    if acts and "motion" not in off:
        along = streams.of("along").uniform(-MOST_ALONG, MOST_ALONG, len(limits))
        for share, (name, limit) in zip(along, limits.items(), strict=True):
            pose[name] = pose[name] + share * limit * mimics.effort
    pose["scale"] = np.exp(pose["scale"])
    return Motion(**pose, muscles=mimics.muscles, mouth=mimics.mouth, eyes=mimics.eyes)


def draw_light(streams: Streams, time_s: Track, difficulty: float, off: frozenset[str]) -> Light:
    """Draw illumination over time: colour, drift, a changing screen, flicker, auto exposure."""
    off = switched_off(off)
    frames = len(time_s)
    step = float(np.median(np.diff(time_s)))
    change = _draw_drift(streams.of("light"), time_s, difficulty, off)
    rng = streams.of("flicker")
    if "flicker" not in off and rng.uniform() < 0.25 * difficulty:  # mains light, aliased
        hz = rng.choice([100.0, 120.0]) + rng.uniform(-0.2, 0.2)
        wave = np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6.28))
        change += rng.uniform(0.001, 0.015) * wave[:, None]
    gain, balance = _draw_exposure(streams.of("exposure"), time_s, difficulty, off)
    change += balance
    rng = streams.of("lamp")
    colour = np.exp(rng.normal(0, 0.12, 3) * np.array([1, 0.5, 1]))
    rng = streams.of("shadow")
    shadow = rng.uniform(-1.5, 1.5) + difficulty * smooth_noise(rng, frames, step, 0.2)
    exposed = gain[:, None] * colour
    return Light(
        face=np.exp(change) * exposed,
        room=np.exp(streams.of("room").uniform(0, 1) * change) * exposed,
        shadow=np.full(frames, -9.0) if "shadow" in off else shadow,
    )


def _draw_drift(
    rng: np.random.Generator, time_s: Track, difficulty: float, off: frozenset[str]
) -> Track:
    """Logarithm of a light that drifts, and of a screen beside it. Shape (T, 3)."""
    frames = len(time_s)
    step = float(np.median(np.diff(time_s)))
    change = np.zeros((frames, 3))
    for cutoff, most in ((0.1, 0.08), (1.0, 0.008)):
        size = difficulty * most * rng.uniform() ** 2
        common = smooth_noise(rng, frames, step, cutoff)[:, None]
        own = np.stack([smooth_noise(rng, frames, step, cutoff) for _ in range(3)], 1)
        change += ("drift" not in off) * (size * (common + rng.uniform(0.0, 0.6) * own))
    if rng.uniform() < 0.3 * difficulty:  # a screen lights the face
        scene = np.searchsorted(np.cumsum(rng.exponential(2.0, 200)), time_s)
        lit = rng.uniform(0.003, 0.03) * rng.standard_normal((400, 3))[scene]
        change += ("screen" not in off) * lit
    return change


def _draw_exposure(
    rng: np.random.Generator, time_s: Track, difficulty: float, off: frozenset[str]
) -> tuple[Track, Track]:
    """What a camera sets anew: its gain, shape (T,), and logarithms of its colours', (T, 3)."""
    gain, balance = np.ones(len(time_s)), np.zeros((len(time_s), 3))
    if rng.uniform() < 0.3 * difficulty:
        steps = rng.uniform(0, time_s[-1], int(rng.integers(1, 4)))
        sizes = ("gain" not in off) * rng.normal(0, 0.05, len(steps))
        for moment, size in zip(steps, sizes, strict=True):
            gain *= 1 + size / (1 + np.exp(-(time_s - moment) / 0.08))
    if rng.uniform() < 0.2 * difficulty:  # the white balance moves over
        share = 1 / (1 + np.exp(-(time_s - rng.uniform(0, time_s[-1])) / rng.uniform(0.1, 0.6)))
        moved = share[:, None] * rng.normal(0, 0.03, 3) * np.array([1, 0.2, 1])
        balance += ("balance" not in off) * moved
    return gain, balance


def draw_camera(
    streams: Streams, face: Face, side: int, difficulty: float, off: frozenset[str]
) -> Camera:
    """Draw noise, curve, focus and exposure of a camera whose picture is `side` pixels wide."""
    rng = streams.of("camera")
    skin = face.rest[face.perfusion > 0.5]
    level = float(skin.max(1).mean()) if len(skin) else 0.3
    wanted = rng.uniform(0.25, 0.6) * (0.55 + 0.45 * (1 - face.melanin))
    noise = np.exp(rng.uniform(np.log(0.002), np.log(0.004 + 0.026 * difficulty)))
    gamma = float(rng.uniform(1.7, 2.4))
    shoulder = 0.0 if "curve" in off else float(streams.of("curve").uniform(0, 1))
    blur = float(rng.uniform(0, 1.2) * rng.uniform())  # drawn even where it is off
    saturation = 1.0 if "saturation" in off else streams.of("saturation").uniform(*SATURATION)
    return Camera(
        noise=0.0 if "noise" in off else float(noise),
        curve=curve_through(float(wanted), gamma, shoulder),
        blur=0.0 if "blur" in off else blur,
        exposure=wanted / level,
        saturation=float(saturation),
        mosaic=rng.uniform() < 0.5 and "bayer" not in off,
        halved_colour=rng.uniform() < 0.5 and "chroma" not in off,
        side=side,
    )


def draw_hand(
    rng: np.random.Generator, face: Face, time_s: Track, difficulty: float, view: float
) -> Hand | None:
    """Draw a hand that wipes across the face or touches it; none is the common case."""
    if rng.uniform() > 0.15 * difficulty:
        return None
    x, y = view_grid(len(face.head), view)
    skin = face.rest[face.perfusion > 0.5]
    colour = (np.median(skin, 0) if len(skin) else np.full(3, 0.3)) * rng.uniform(0.7, 1.1)
    opacity = disc(x, y, 0, 0, 0.34, 0.38)
    for finger in range(4):  # pointing up
        lean, long = (finger - 1.5) * 0.18, 0.42 - 0.05 * abs(finger - 1.5)
        opacity = np.maximum(opacity, disc(x, y, lean, -0.35 - long / 2, 0.08, long))
    opacity = np.maximum(opacity, disc(x, y, 0.36, -0.05, 0.2, 0.09))
    shade = 1 + 0.1 * smooth_field(rng, x.shape, 6)
    look = np.dstack([colour * shade[..., None], opacity]).astype(np.float32)
    start, stay = rng.uniform(0, time_s[-1]), rng.uniform(0.3, 3.0)
    away = np.clip(np.abs(time_s - start) - stay / 2, 0, None) / rng.uniform(0.2, 0.6)
    angle = rng.uniform(0, np.pi)
    target = rng.uniform(-0.6, 0.6, 2) + np.array([0, 0.2])
    path = away[:, None] * 1.5 * np.array([np.cos(angle), np.sin(angle)])
    tremor = np.stack(
        [smooth_noise(rng, len(time_s), float(np.median(np.diff(time_s))), 2.0) for _ in range(2)],
        1,
    )
    return Hand(look, target + path + 0.02 * tremor)


def film(rng: np.random.Generator, shot: Shot) -> Iterator[Picture]:
    """Film a face frame by frame.

    Colours are planes, as what is shaped (N, N, 3) takes 50 times as long to be joined to one map.

    Args:
        rng: Source of randomness: lamp directions, facial muscles and camera noise.
        shot: What is in front of the camera, and the camera.

    Yields:
        sRGB-like frames. Shape (N, N, 3), uint8.
    """
    face, motion, light = shot.face, shot.motion, shot.light
    x, y = view_grid(len(face.head), shot.view)
    lamp = _shading(rng, face, len(x) / (2 * shot.view), shot.off)
    edge_angle, edge_depth = rng.uniform(0, 6.28), rng.uniform(0.0, 0.4)
    across = (np.cos(edge_angle) * x + np.sin(edge_angle) * y).astype(np.float32)
    folds = _draw_folds(rng, face)
    delay_s = face.delay_s * ("delay" not in shot.off)
    outline = np.dstack([face.head, face.perfusion * delay_s])
    pulse_rgb = (face.pulse_rgb * np.exp(rng.normal(0, 0.05, 3))).astype(np.float32)
    pulse = _by_plane(pulse_rgb)
    ambient, crease = _by_plane(lamp.ambient_rgb), _by_plane(CREASE_RGB)
    looks, room = _Looks(face), _planes(shot.room)
    grain = rng.standard_normal(4 * shot.camera.side**2 * 3 + 100_003, dtype=np.float32)
    for index, (volume, slope) in enumerate(shot.blood):
        aside, upward, crease_of, pressed = _fold(motion.muscles[index], folds)
        maps = _sample_maps(shot, index, (x + aside, y + upward))
        texture = looks.at(float(motion.mouth[index]), float(motion.eyes[index]))
        seen = _planes(cv2.remap(texture, *maps, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE))
        skin, perfusion = seen[:3], seen[3]
        rest = cv2.remap(outline, *maps, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        covers, delayed = _planes(rest)
        blood = volume * perfusion - slope * delayed + pressed * perfusion
        darker = blood * pulse
        direct = lamp.at(float(motion.yaw[index]), float(motion.pitch[index]))
        direct = direct * (1 - edge_depth * _sigmoid((light.shadow[index] - across) * 4))
        creased = np.maximum(1 + crease_of * crease, DARKEST_CREASE)
        lit = (direct + ambient) * creased
        glint = _moved(lamp.shine, _glint_shift(motion, index) * len(x) / (2 * shot.view))
        head = skin * (1 - darker) * lit + glint
        head = head * _by_plane(light.face[index])
        behind = room * _by_plane(light.room[index])
        scene = behind + covers * (head - behind)
        if shot.hand:
            pulsing = 1 - np.float32(0.6 * volume) * pulse_rgb
            scene = _before(scene, shot.hand, index, shot.view, light.face[index] * pulsing)
        yield _expose(rng, _merged(scene), shot.camera, grain)


def _planes(image: NDArray[Any]) -> Map:
    """Channels of an image (N, N, C) one after another. Shape (C, N, N)."""
    return np.stack(cv2.split(image)).astype(np.float32, copy=False)


def _merged(planes: Map) -> Map:
    """Planes (3, N, N) as an image. Shape (N, N, 3)."""
    return np.asarray(cv2.merge(list(planes)), np.float32)


def _by_plane(colour: Track | Map) -> Map:
    """A number for each plane. Shape (C, 1, 1)."""
    return np.asarray(colour, np.float32)[:, None, None]


def _glint_shift(motion: Motion, index: int) -> Track:
    """How far the highlight has gone: with the head, and further as it turns. Shape (2,)."""
    return np.array(
        [
            motion.x[index] + 0.4 * motion.yaw[index],
            motion.y[index] + 0.4 * motion.pitch[index],
        ]
    )


def _moved(image: Map, shift: Track) -> Map:
    """A map moved by `shift` (x, y) pixels; what comes in is black."""
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[1::-1]), np.float32)


def _before(scene: Map, hand: Hand, index: int, view: float, light: Track) -> Map:
    """The scene (3, N, N) with the hand before it, if it is near."""
    place = hand.place[index]
    if np.abs(place).max() > view + 1:
        return scene
    look = _planes(_moved(hand.look, place * scene.shape[1] / (2 * view)))
    return scene + look[3] * (look[:3] * _by_plane(light) - scene)


def _draw_folds(rng: np.random.Generator, face: Face) -> NDArray[np.float32]:
    """What each group of muscles does to the face: how far it pulls, and its creases.

    Returns:
        Displacement x, y in face units, relative shade, and blood that they press out or hold
        back, in units of relative darkening of green. Shape (MUSCLES, 4, N, N).
    """
    folds = [
        np.stack(
            [
                *(rng.uniform(0.0, 0.07) * smooth_field(rng, face.head.shape, 5) for _ in range(2)),
                rng.uniform(0.0, 0.2) * smooth_field(rng, face.head.shape, 8),
                rng.uniform(0.0, MOST_PRESSED) * smooth_field(rng, face.head.shape, 6),
            ]
        )
        for _ in range(MUSCLES)
    ]
    return np.stack(folds) * face.head


def _fold(pull: Track, folds: NDArray[np.float32]) -> Map:
    """What the muscles that pull do together. Shape (4, N, N)."""
    together = np.zeros(folds.shape[1:], np.float32)
    for share, fold in zip(pull, folds, strict=True):
        if share > 0:
            together += np.float32(share) * fold
    return together


def _sample_maps(shot: Shot, index: int, place: tuple[Map, Map]) -> tuple[Map, Map]:
    """Where on the face maps each pixel of this frame looks. Two of shape (N, N), in pixels."""
    (x, y), face, motion, view = place, shot.face, shot.motion, shot.view
    side = len(x)
    cos, sin = np.cos(motion.roll[index]), np.sin(motion.roll[index])
    zoom = 1 / motion.scale[index]
    a, b = np.float32(cos * zoom), np.float32(sin * zoom)
    moved_x, moved_y = x - np.float32(motion.x[index]), y - np.float32(motion.y[index])
    from_x, from_y = a * moved_x + b * moved_y, a * moved_y - b * moved_x
    to_pixel = np.float32(side / (2 * view))
    half = np.float32(side / 2 - 0.5)
    depth = cv2.remap(
        face.depth, from_x * to_pixel + half, from_y * to_pixel + half, cv2.INTER_LINEAR
    )
    from_x = from_x - np.float32(motion.yaw[index]) * depth
    from_y = from_y - np.float32(motion.pitch[index]) * depth
    if motion.mouth[index] > 0:
        from_y = from_y - np.float32(0.1 * motion.mouth[index]) * face.jaw
    return from_x * to_pixel + half, from_y * to_pixel + half


class _Looks:
    """Reflectance and perfusion of a face whose mouth and eyes open and shut."""

    def __init__(self, face: Face) -> None:
        same = np.zeros_like(face.perfusion)
        self._rest = np.dstack([face.rest, face.perfusion])
        self._opened = np.dstack([face.open_mouth - face.rest, same])
        self._shut = np.dstack([face.shut_eyes - face.rest, same])

    def at(self, mouth: float, eyes: float) -> Map:
        """The face as they are. Shape (N, N, 4)."""
        image = self._rest
        if mouth > 0:
            image = image + np.float32(mouth) * self._opened
        if eyes > 0:
            image = image + np.float32(eyes) * self._shut
        return image


@dataclass(frozen=True)
class _Lamp:
    """A lamp on one side of a head, in a room whose own light has another colour.

    So a cheek that turns, a crease or a shadow changes in colour, not only in brightness.
    """

    still: Map
    """Lambertian shade of the lamp on the head at rest. Shape (N, N)."""
    by_yaw: Map
    """Its change a radian. Shape (N, N)."""
    by_pitch: Map
    """Its change a radian. Shape (N, N)."""
    shine: Map
    """A highlight. Shape (N, N)."""
    ambient_rgb: NDArray[np.float32]
    """Light of the room, from all sides. Shape (3,)."""

    def at(self, yaw: float, pitch: float) -> Map:
        """Shade of the lamp on a head that has turned. Shape (N, N)."""
        return self.still + yaw * self.by_yaw + pitch * self.by_pitch


def _shading(
    rng: np.random.Generator, face: Face, pixels_per_unit: float, off: frozenset[str]
) -> _Lamp:
    """Light a head by its depth."""
    slope_y, slope_x = np.gradient(cv2.GaussianBlur(face.depth, (0, 0), len(face.depth) / 60))
    normal = np.dstack(
        [-slope_x * pixels_per_unit, -slope_y * pixels_per_unit, np.ones_like(slope_x)]
    )
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    azimuth, height = rng.uniform(-1.2, 1.2), rng.uniform(-0.9, 0.3)
    ambient = rng.uniform(0.3, 0.8)
    cooler = rng.normal(0, MIXED_LIGHT) * np.array([-1, 0, 1]) + rng.normal(0, 0.03, 3)

    def lit(yaw: float, pitch: float) -> Map:
        lamp = np.array([np.sin(azimuth + yaw), np.sin(height + pitch), 1.0])
        lamp /= np.linalg.norm(lamp)
        return ((1 - ambient) * np.clip(normal @ lamp, 0, None)).astype(np.float32)

    lamp = np.array([np.sin(azimuth), np.sin(height), 1.0])
    half = lamp / np.linalg.norm(lamp) + np.array([0, 0, 1.0])
    half /= np.linalg.norm(half)
    gloss = rng.uniform(0, 0.12) * np.clip(normal @ half, 0, 1) ** rng.uniform(15, 60)
    gloss *= "shine" not in off
    still = lit(0, 0)
    return _Lamp(
        still,
        ((lit(0.1, 0) - still) / 0.1).astype(np.float32),
        ((lit(0, 0.1) - still) / 0.1).astype(np.float32),
        (gloss * (face.perfusion > 0.1)).astype(np.float32),
        (ambient * np.exp(("mixed" not in off) * cooler)).astype(np.float32),
    )


def _expose(rng: np.random.Generator, scene: Map, camera: Camera, grain: Map) -> Picture:
    """Blur, shot and read noise, tone curve, 8 bits. Shape (N, N, 3)."""
    if camera.blur > 0.3:
        scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), camera.blur), np.float32)
    if len(scene) != camera.side:
        scene = np.asarray(cv2.resize(scene, (camera.side, camera.side)), np.float32)
    scene = np.clip(scene * np.float32(camera.exposure), 0, None)
    if camera.mosaic:
        scene = _bayer(scene)
    if camera.noise:
        start = int(rng.integers(0, len(grain) - scene.size))
        noise = grain[start : start + scene.size].reshape(scene.shape)
        scene = scene + np.float32(camera.noise) * np.sqrt(0.1 + 1.8 * scene) * noise
    if camera.mosaic:
        scene = _demosaic(scene)
    shown = camera.curve.of(scene)
    if camera.saturation != 1:
        grey = shown @ LUMA
        shown = grey + np.float32(camera.saturation) * (_planes(shown) - grey)
        shown = _merged(np.clip(shown, 0, 1))
    picture = (shown * 255 + 0.5).astype(np.uint8)
    if camera.halved_colour:
        halved = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        picture = np.asarray(cv2.cvtColor(halved, cv2.COLOR_YUV2RGB_I420), np.uint8)
    return picture


def _bayer(scene: Map) -> Map:
    """Keep one colour a pixel, in the order red, green / green, blue. Shape (N, N)."""
    raw = scene[..., 1].copy()
    raw[::2, ::2] = scene[::2, ::2, 0]
    raw[1::2, 1::2] = scene[1::2, 1::2, 2]
    return raw


def _demosaic(raw: Map) -> Map:
    """Interpolate the missing colours bilinearly, in 16 bits. Shape (N, N, 3)."""
    counts = (np.clip(raw, 0, 1) * 65535).astype(np.uint16)
    rgb = cv2.cvtColor(counts, cv2.COLOR_BayerRGGB2RGB)
    return np.asarray(rgb, np.float32) * np.float32(1 / 65535)


def encode(
    pictures: list[Picture], fps: float, codec: str, options: dict[str, str]
) -> tuple[list[Picture], NDArray[np.bool_]]:
    """Send pictures through a lossy video codec and back.

    Args:
        pictures: Frames of one even size. T of shape (N, M, 3), uint8.
        fps: Frame rate in Hz.
        codec: FFmpeg's encoder name, for example "libx264", "mpeg4" or "libx265".
        options: The encoder's options.

    Returns:
        The decoded pictures, and which of them were key frames. Shape (T,).
    """
    store = io.BytesIO()
    with av.open(store, "w", format="matroska") as sink:
        stream = cast(VideoStream, sink.add_stream(codec, rate=round(fps), options=options))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.thread_count = 1
        for picture in pictures:
            sink.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        sink.mux(stream.encode(None))
    store.seek(0)
    decoded: list[Picture] = []
    keys = []
    to_rgb = VideoReformatter()  # one for all: what each picture would make for itself costs more
    with av.open(store, "r") as source:
        for frame in source.decode(video=0):
            rgb = to_rgb.reformat(frame, format="rgb24", threads=1)
            decoded.append(np.asarray(rgb.to_ndarray(), np.uint8))
            keys.append(frame.key_frame)
    return decoded, np.array(keys, np.bool_)


def _sigmoid(value: Map) -> Map:
    return 1 / (1 + np.exp(-np.clip(value, -30, 30)))
