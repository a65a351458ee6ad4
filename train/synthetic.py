"""Synthetic face videos with a known pulse.

A clip is a pure function of a seed and a `SyntheticConfig`: on one machine the same pair always
gives the same bytes; on another a few pixels differ. `python train/synthetic.py --help` writes data
sets for training, videos to look at or to measure, and a contact sheet.
"""

import hashlib
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.clip import EvenGrid
from kdphys.crop import FaceBox, crop_face
from kdphys.face import FaceFinder, FaceTracker
from train import faces, portraits, pulses, world
from train.aside import aside
from train.datasets import MANIFEST, clips_in, read_manifest, unplaced, write_shard
from train.portraits import People
from train.recorded_pulses import check_pulses, draw_recorded_pulse, read_pulses
from train.room import held, written
from train.script import JobError, in_processes, run_script
from train.sheets import draw_crops, draw_waves
from train.streams import Streams, smooth_noise

logger = logging.getLogger(__name__)

NETWORK_FPS = 30.0
SOURCE_FPS = (15.0, 20.0, 24.0, 25.0, 25.0, 29.97, 30.0, 30.0, 30.0, 60.0)
CODECS = ("libx264", "libx264", "libx264", "mpeg4", "libvpx", "mjpeg")
KEY_FRAME_EVERY = (12, 15, 25, 30, 30, 50, 60, 250, 250)
# Encoders that training never draws. Of AV1 there is only SVT-AV1, which writes to the terminal.
OTHER_CODECS = ("libx265", "libvpx-vp9", "mpeg2video")
OTHER_KEY_FRAME_EVERY = (10, 20, 40, 45, 75, 90, 120, 300)
LEAST_CODED_PX = 64  # x265 writes past its memory in films of 34 to 54 pixels
MOST_DIFFICULT = 2.0
HARDSHIP = 0.3  # of difficulty 1, on the scale of 0 to 1 that the world's factors are drawn on
SHARD = 50
Boxes = Literal["drawn", "found"]
Codecs = Literal["usual", "others"]


@dataclass(frozen=True)
class SyntheticConfig:
    """What kind of clips are drawn."""

    seconds: float = 10.0
    """Length of a clip."""
    size: int = 36
    """Side of the square crop in pixels."""
    difficulty: float | None = None
    """0 for a still face in good light; at 1 POS errs by 5.2 bpm and at 2 by 9.4 on the test clips
    of 48 to 130 bpm, read by the highest peak, where 3.7, 4.0 and 12.4 are published for PURE,
    UBFC-rPPG and MMPD (docs/results); none draws 0 to 2 for each clip."""
    negatives: float = 0.12
    """Share of clips without a pulse: photos, masks and the like."""
    side: int | None = None
    """Side of the filmed square in pixels; none draws 64 to 128 for each clip, and enlarges to 128
    to 256 what goes through a codec."""
    view: float = 1.6
    """Half the width of the filmed square in face units; a head is about 2 tall."""
    fps: float | None = None
    """Frame rate of the camera; none draws one for each clip."""
    bpm: float | None = None
    """Heart rate; none draws 40 to 180."""
    rates: Literal["uniform", "log"] = "uniform"
    """How heart rates are drawn: uniformly, or uniformly in their logarithm, which gives slow
    hearts, whose harmonics mislead, as large a share as fast ones."""
    faces: Path | None = None
    """Folder of portraits that lend their looks to a part of the heads; none draws all heads. By
    their place in the sorted list each fifth is kept for tests, so leave the folder as it is."""
    portrait_share: float = 0.6
    """Share of the heads that come from portraits, where there is a folder of them."""
    pulses: Path | None = None
    """Folder of pulse recordings that lend their waves to a part of the clips; none draws all."""
    pulse_share: float = 0.4
    """Share of the pulses that come from recordings, where there is a folder of them."""
    people: People = "train"
    """Whose portraits and recordings: those for training, or those that are kept for tests."""
    boxes: Boxes = "drawn"
    """Where the face is cut out: where it was drawn, as a plain detector would have it, late and
    unsteady; or where the measuring path itself finds and follows it."""
    codecs: Codecs = "usual"
    """Which codecs clips go through: the usual ones, up to half of the clips, or others, which
    training never draws, each clip."""
    acting: float = 0.0
    """Share of those who make faces, one grimace after another, at times in a rhythm."""
    off: tuple[str, ...] = ()
    """Factors to switch off; train.world.MEANING says what each is."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        unknown = set(self.off) - set(world.FACTORS)
        if unknown:
            raise ValueError(f"off={sorted(unknown)} must be among {world.FACTORS}")
        if self.seconds < 2:
            raise ValueError(f"seconds={self.seconds} must be at least 2")
        if self.difficulty is not None and not 0 <= self.difficulty <= MOST_DIFFICULT:
            raise ValueError(f"difficulty={self.difficulty} must lie in [0, {MOST_DIFFICULT:g}]")
        if self.codecs == "others" and self.side and self.side < LEAST_CODED_PX:
            raise ValueError(f"side={self.side} must be at least {LEAST_CODED_PX} for other codecs")


@dataclass(frozen=True)
class Truth:
    """What is known about a clip."""

    seed: int
    bpm: float | None
    """Mean heart rate; none where there is no pulse."""
    melanin: float
    difficulty: float
    fps: float
    codec: str | None
    key_every: int | None
    strength: float
    """Standard deviation of the pulse in green, linear light, relative to its mean."""
    found: float = 1.0
    """Share of the frames in which the measuring path finds the face; 1 where it is drawn."""


@dataclass(frozen=True)
class Film:
    """Frames of a filmed face with their truth."""

    pictures: list[NDArray[np.uint8]]
    """T frames of shape (N, N, 3)."""
    time_s: NDArray[np.float64]
    """Stamp of each frame. Shape (T,)."""
    boxes: list[FaceBox]
    """The face's box in each frame."""
    key_frame: NDArray[np.bool_]
    """Which frames were key frames of a codec. Shape (T,)."""
    pulse: pulses.Pulse
    truth: Truth


@dataclass(frozen=True)
class SyntheticClip:
    """What the network sees, and what it should say."""

    pixels: NDArray[np.uint8]
    """Face crops on an even grid of 30 Hz. Shape (T, S, S, 3)."""
    wave: NDArray[np.float32]
    """What the network should say (see train.pulses); zeros where there is no pulse. Shape (T,)."""
    truth: Truth
    key_times_s: NDArray[np.float64]
    """Times of the codec's key frames, from the first crop on. Shape (K,)."""
    places: NDArray[np.float32]
    """Where the face was cut out, as `kdphys.sway` takes it. Shape (T, 3)."""


def make_film(seed: int, config: SyntheticConfig) -> Film:
    """Film one synthetic person.

    Args:
        seed: Which one.
        config: What kind.

    Returns:
        The film; the same seed and config give the same film.
    """
    streams = Streams(seed)
    off = frozenset(config.off)
    kind = streams.of("kind")
    difficulty = float(kind.uniform(0, MOST_DIFFICULT))
    if config.difficulty is not None:
        difficulty = config.difficulty
    hardship = HARDSHIP * difficulty
    negative = kind.uniform() < config.negatives
    still = kind.uniform() < 0.5 and negative  # a photo on a stand
    side, wide = 2 * int(kind.integers(32, 65)), 2 * int(kind.integers(64, 129))
    fps = config.fps or float(kind.choice(SOURCE_FPS))
    codec, options = _draw_codec(streams.of("codec"), config, hardship, still=still)
    side = config.side or side
    wide = max(side, wide) if codec and not config.side else side
    true_s, stamps = _frame_times(streams.of("timing"), config.seconds, fps, hardship, off)
    pulse = _draw_pulse(streams.of("pulse"), config, hardship)
    x, y = faces.view_grid(side, config.view)
    face, room = _draw_head(streams.of("head"), config, x, y)
    strength = 0.0 if negative else _draw_strength(streams.of("strength"), hardship)
    effort = 0.02 if still else hardship
    frozen = off | ({"talk", "express", "blink"} if still else set())
    acts = streams.of("acting").uniform() < config.acting and not still
    motion = world.draw_motion(streams, true_s, effort, frozen, acts=acts)
    light = world.draw_light(streams, true_s, effort, off)
    camera = world.draw_camera(streams, face, wide, hardship, off)
    volume = strength * pulse.at(true_s)
    slope = strength * (pulse.at(true_s + 0.01) - pulse.at(true_s - 0.01)) / 0.02
    room = faces.draw_background(streams.of("background"), x, y) if room is None else room
    blood = np.stack([volume, slope], 1)
    hand = None
    if "hand" not in off and not still:
        hand = world.draw_hand(streams.of("hand"), face, true_s, hardship, config.view)
    shot = world.Shot(face, room, motion, light, camera, blood, config.view, hand, off)
    pictures = list(world.film(streams.of("film"), shot))
    keys = np.zeros(len(pictures), bool)
    if codec:
        pictures, keys = world.encode(pictures, fps, codec, options)
    boxes, found = _draw_boxes(streams.of("box"), shot, true_s, hardship, off), 1.0
    if config.boxes == "found":
        boxes, found = _find_boxes(pictures, stamps, boxes)
    truth = Truth(
        seed=seed,
        bpm=None if negative else pulse.bpm,
        melanin=face.melanin,
        difficulty=difficulty,
        fps=fps,
        codec=codec,
        key_every=int(options["g"]) if "g" in options else None,
        strength=strength * float(face.pulse_rgb[1]),
        found=found,
    )
    return Film(pictures, stamps, boxes, keys, pulse, truth)


def make_clip(seed: int, config: SyntheticConfig) -> SyntheticClip:
    """Film one synthetic person and crop the face as the measuring path does.

    Args:
        seed: Which one.
        config: What kind.

    Returns:
        Crops on an even 30 Hz grid with the blood volume at the same times.
    """
    film = make_film(seed, replace(config, seconds=config.seconds + 0.5))
    grid = EvenGrid(NETWORK_FPS)
    parts = [
        grid.push(crop_face(picture, box, config.size), float(time_s))
        for picture, box, time_s in zip(film.pictures, film.boxes, film.time_s, strict=True)
    ]
    frames = round(config.seconds * NETWORK_FPS)
    pixels = np.concatenate(parts)[:frames]
    times = film.time_s[0] + np.arange(len(pixels)) / NETWORK_FPS
    wave = film.pulse.target_at(times) * (film.truth.bpm is not None)
    keys = film.time_s[: len(film.key_frame)][film.key_frame] - film.time_s[0]
    cut = [(*box.centre, box.width) for box in film.boxes]
    places = [np.interp(times, film.time_s, part) for part in np.transpose(cut)]
    return SyntheticClip(
        pixels, wave.astype(np.float32), film.truth, keys, np.stack(places, 1).astype(np.float32)
    )


def _frame_times(
    rng: np.random.Generator, seconds: float, fps: float, difficulty: float, off: frozenset[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When frames were taken, and when their stamps say they were. Two of shape (T,)."""
    off = world.switched_off(off)
    time_s = np.arange(math.ceil(seconds * fps) + 1) / fps
    kept = np.ones(len(time_s), bool)
    if rng.uniform() < 0.3 * difficulty:  # dropped frames
        kept = rng.uniform(size=len(time_s)) > rng.uniform(0, 0.1)
        kept[[0, -1]] = True
    count = int(kept.sum())  # frames that are not dropped after all are even, with right stamps
    late, error = np.zeros(len(time_s)), np.zeros(len(time_s))
    if rng.uniform() < 0.3:  # a camera without an even clock, whose stamps are right but for a bit
        late[kept] = rng.uniform(0, 0.35) / fps * rng.uniform(-1, 1, count)
    error[kept] = difficulty * 0.002 * rng.standard_normal(count)
    kept |= "drops" in off
    time_s = time_s + ("jitter" not in off) * late
    time_s, error = time_s[kept], error[kept]
    if "stamps" in off:
        return time_s, time_s
    return time_s, np.maximum.accumulate(time_s + error) + 1e-4 * np.arange(len(time_s)) / fps


def _draw_head(
    rng: np.random.Generator, config: SyntheticConfig, x: faces.Map, y: faces.Map
) -> tuple[faces.Face, faces.Map | None]:
    """A drawn head; or a portrait's, and the room it brings with it."""
    (found, wanted), off = _choose_portrait(rng, config), frozenset(config.off)
    if found:
        return portraits.draw_portrait(rng, found, x, y, wanted, off)
    return faces.draw_face(rng, x, y, off), None


def _choose_portrait(
    rng: np.random.Generator, config: SyntheticConfig
) -> tuple[portraits.Portrait | None, float]:
    """Whose portrait lends a head its looks, if any, and the skin tone that it is given."""
    if not config.faces or rng.uniform() >= config.portrait_share:
        return None, 0.0
    wanted = rng.uniform()
    return portraits.choose_portrait(rng, config.faces, config.people, wanted), wanted


def lender(seed: int, config: SyntheticConfig) -> str | None:
    """Whose portrait lent a clip its looks, by the name of its file; None where the head is drawn.

    Clips of one portrait are not independent. Nothing is drawn to find it out.

    Args:
        seed: Which clip.
        config: What kind.
    """
    found, _ = _choose_portrait(Streams(seed).of("head"), config)
    return found.name if found else None


def _draw_pulse(
    rng: np.random.Generator, config: SyntheticConfig, difficulty: float
) -> pulses.Pulse:
    variability = rng.uniform(0, 0.4 + 0.6 * difficulty)
    bpm = config.bpm
    if bpm is None and config.rates == "log":
        bpm = float(np.exp(rng.uniform(np.log(pulses.LEAST_BPM), np.log(pulses.MOST_BPM))))
    seconds = config.seconds + 1.0
    if config.pulses and rng.uniform() < config.pulse_share:
        recorded = read_pulses(config.pulses, config.people)
        found = draw_recorded_pulse(rng, recorded, seconds, bpm)
        if found:
            return found
    return pulses.draw_pulse(rng, seconds, variability, bpm, frozenset(config.off))


def _draw_strength(rng: np.random.Generator, difficulty: float) -> float:
    """Relative darkening of the lightest skin's green, standard deviation in linear light."""
    low, high = 0.0025 - 0.0017 * difficulty, 0.007 - 0.003 * difficulty
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _draw_codec(
    rng: np.random.Generator, config: SyntheticConfig, difficulty: float, *, still: bool
) -> tuple[str | None, dict[str, str]]:
    """Choose a codec and how hard it squeezes; a still, and each clip of other codecs has one."""
    always = still or config.codecs == "others"
    if "codec" in config.off or (rng.uniform() > min(0.5, 1.5 * difficulty) and not always):
        return None, {}
    if config.codecs == "others":
        return _draw_other_codec(rng, difficulty)
    codec = str(rng.choice(CODECS))
    squeeze = (0.3 + 0.7 * difficulty) * rng.uniform() ** 1.5
    every = str(rng.choice(KEY_FRAME_EVERY))
    if codec == "libx264":
        crf = f"{2 + 16 * squeeze:.0f}"
        # x264's tree of macroblocks reads memory that nobody wrote, so clips differed by a level.
        speed = {"preset": "veryfast", "x264-params": "mbtree=0"}
        return codec, {"crf": crf, "g": every, "sc_threshold": "0", **speed}
    if codec == "libvpx":
        crf = f"{2 + 10 * squeeze:.0f}"
        # A speed below 0 is kept whatever the machine does meanwhile, so that clips are the same.
        speed = {"deadline": "realtime", "cpu-used": "-8", "b": "6M", "qmin": "0", "qmax": "20"}
        return codec, {"crf": crf, "g": every, **speed}
    quality = f"{1 + 4 * squeeze:.0f}" if codec == "mpeg4" else f"{2 + 12 * squeeze:.0f}"
    if codec == "mpeg4":
        return codec, {"qmin": quality, "qmax": quality, "g": every}
    return codec, {"qmin": quality, "qmax": quality}


def _draw_other_codec(rng: np.random.Generator, difficulty: float) -> tuple[str, dict[str, str]]:
    """Choose a codec that training never draws, which leaves about as much of a pulse."""
    codec = str(rng.choice(OTHER_CODECS))
    squeeze = (0.3 + 0.7 * difficulty) * rng.uniform() ** 1.5
    every = str(rng.choice(OTHER_KEY_FRAME_EVERY))
    if codec == "libx265":
        preset = str(rng.choice(["ultrafast", "superfast", "veryfast"]))
        # Without threads, so that clips are the same; a key frame only where one is due.
        calm = "log-level=error:pools=none:frame-threads=1:scenecut=0"
        crf = f"{1 + 12 * squeeze:.0f}"
        return codec, {"crf": crf, "g": every, "preset": preset, "x265-params": calm}
    if codec == "libvpx-vp9":
        speed = {"deadline": "realtime", "cpu-used": str(rng.integers(5, 9)), "lag-in-frames": "0"}
        return codec, {"crf": f"{2 + 16 * squeeze:.0f}", "b": "0", "g": every, **speed}
    quality = f"{1 + 4 * squeeze:.0f}"
    # MPEG-2 has no 15 or 20 frames a second but unofficially.
    regular = {"sc_threshold": "1000000000", "strict": "unofficial"}
    return codec, {"qmin": quality, "qmax": quality, "g": every, **regular}


def _draw_boxes(
    rng: np.random.Generator,
    shot: world.Shot,
    time_s: NDArray[np.float64],
    difficulty: float,
    off: frozenset[str],
) -> list[FaceBox]:
    """Follow the head as a smoothing detector does: a little late, a little unsteady."""
    step = float(np.median(np.diff(time_s)))
    motion, side = shot.motion, shot.camera.side
    pixels_per_unit = side / (2 * shot.view)
    half = rng.uniform(*BOX_HALF) * pixels_per_unit
    middle = rng.normal(0, 0.07, 2) + np.array([0.0, BOX_CENTRE_Y])
    keep = np.exp(-step / rng.uniform(0.03, 0.35))
    wobble = ("box" not in off) * difficulty * rng.uniform() ** 2 * 0.02
    follows = rng.uniform() < 0.8 or "box" in off
    place = np.stack([motion.x, motion.y, motion.scale], 1)
    if not follows:
        place = np.broadcast_to(place.mean(0), place.shape)
    boxes = []
    state = place[0]
    shake = np.stack([smooth_noise(rng, len(time_s), step, 1.0) for _ in range(3)], 1)
    for target, noise in zip(place, shake, strict=True):
        state = keep * state + (1 - keep) * target
        x, y, scale = state + wobble * noise
        reach = half * scale
        x_pixel = side / 2 + (x + middle[0]) * pixels_per_unit
        y_pixel = side / 2 + (y + middle[1]) * pixels_per_unit
        boxes.append(FaceBox(x_pixel - reach, y_pixel - reach, x_pixel + reach, y_pixel + reach, 1))
    return boxes


def _find_boxes(
    pictures: list[NDArray[np.uint8]], time_s: NDArray[np.float64], drawn: list[FaceBox]
) -> tuple[list[FaceBox], float]:
    """Find and follow the head as the measuring path does, and say in what share of the frames.

    The box before bridges frames without a face, or the first one; where there is none at all, the
    drawn ones stay.
    """
    tracker = FaceTracker(_finder())
    found = [tracker.update(rgb, float(at)) for rgb, at in zip(pictures, time_s, strict=True)]
    seen = [box for box in found if box]
    if not seen:
        return drawn, 0.0
    boxes, last = [], seen[0]
    for box in found:
        last = box or last
        boxes.append(last)
    return boxes, len(seen) / len(found)


@cache
def _finder() -> FaceFinder:
    return FaceFinder()


BOX_HALF = (0.75, 1.2)  # half the side of the face box in face units
BOX_CENTRE_Y = 0.05


@dataclass(frozen=True)
class SyntheticJob:
    """Write clips for training; or one face as a video, or a contact sheet."""

    out: Path = Path("data/train")
    """Folder for the clips; shards already there are kept, so a stopped run goes on."""
    clips: int = 3000
    """How many clips, or rows of the sheet."""
    seed: int = 0
    """First seed; clip i has seed + i."""
    workers: int = 2
    """Processes."""
    video: Path | None = None
    """Write one face to this file instead, with its truth beside it as JSON: .mp4, or .npz for
    frames as they are. Lengths, sizes and rates come from the config; 480 pixels unless given."""
    quality: int = 10
    """Constant rate factor of the video: 0 is lossless, 51 the worst."""
    sheet: Path | None = None
    """Draw crops over time into this picture instead, one row a clip, and their waves and spectra
    into another beside it, NAME-waves."""
    config: SyntheticConfig = field(default_factory=SyntheticConfig)
    smoke: bool = False
    """Four short clips only, to see that it runs to its end."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.clips, self.workers) < 1:
            raise ValueError(f"clips={self.clips} and workers={self.workers} must be at least 1")


def write_dataset(job: SyntheticJob) -> None:
    """Write shards of crops and waves, and a manifest.

    Raises:
        FileNotFoundError: What is to lend looks or pulses holds none.
        NoRoomError: The disk has no room for a shard; those that are there are whole.
        JobError: The folder holds clips that another command made, its manifest is damaged, or a
            process that draws was killed.
    """
    check_lent(job.config)
    with held(job.out):  # two evaluations may ask for the same clips
        _write_missing(job)


def _write_missing(job: SyntheticJob) -> None:
    """Write the shards that are not there yet."""
    _claim(job)
    missing = [start for start in range(0, job.clips, SHARD) if not _is_whole(job, start)]
    workers = job.workers if len(missing) > 1 else 1  # one is not worth the start of a process
    drew, kept = f"drew clips of {job.out}", "; it keeps what is drawn"
    drawn = in_processes(partial(_write_shard, job), missing, workers, drew, kept)
    _log_shards(drawn, len(missing))


def _log_shards(drawn: Iterator[int], count: int) -> None:
    """Say of each shard that it is there, as soon as it is."""
    for done, start in enumerate(drawn, 1):
        logger.info("shard %04d (%d of %d)", start // SHARD, done, count)


def _claim(job: SyntheticJob) -> None:
    """Write the manifest first, so that clips of two configurations never mix in one folder."""
    name = job.out / MANIFEST
    wanted = {
        "config": asdict(job.config),
        "seed": job.seed,
        "clips": job.clips,
        "lent_sha256": lent_digest(job.config),
    }
    text = json.dumps(wanted, indent=1, default=str) + "\n"
    if name.exists():
        there = read_manifest(job.out)
        alike = {key: value for key, value in json.loads(text).items() if key in there}
        if not {"config", "seed", "clips"} <= there.keys() or _kind(there) != _kind(alike):
            raise JobError(
                f"{job.out} holds clips of another configuration; remove it or write to another "
                "folder"
            )
        if there["clips"] >= job.clips:
            return
    with written(name) as file:
        file.write_text(text)


def _kind(manifest: dict) -> dict[str, object]:
    """What makes clips the clips that they are: not by what path a folder was named."""
    lent = manifest.get("lent_sha256")
    config = unplaced(manifest["config"]) if lent else manifest["config"]
    return {
        "config": {"boxes": "drawn", "acting": 0.0, "codecs": "usual"} | config,
        "seed": manifest["seed"],
        "lent": lent,
    }


def check_lent(config: SyntheticConfig) -> None:
    """Check that the folders which are to lend looks and pulses hold some, before much is drawn.

    Raises:
        FileNotFoundError: One holds none.
    """
    if config.faces:
        portraits.list_portraits(config.faces, config.people)
    if config.pulses:
        check_pulses(config.pulses)


def lent_digest(config: SyntheticConfig) -> str:
    """Digest of the names of portraits and pulse recordings: by them people are split."""
    folders = [folder for folder in (config.faces, config.pulses) if folder]
    names = [[str(path.relative_to(folder)) for path in folder.rglob("*")] for folder in folders]
    return hashlib.sha256(json.dumps([sorted(some) for some in names]).encode()).hexdigest()


def _shard(job: SyntheticJob, start: int) -> tuple[Path, range]:
    """File and seeds of the shard that begins with clip `start`."""
    name = job.out / f"{start // SHARD:04d}.npz"
    return name, range(job.seed + start, job.seed + min(start + SHARD, job.clips))


def _is_whole(job: SyntheticJob, start: int) -> bool:
    """Whether a shard has all its clips; fewer, where a smaller request came between."""
    name, seeds = _shard(job, start)
    return name.exists() and clips_in(name) >= len(seeds)


def _write_shard(job: SyntheticJob, start: int) -> int:
    """Write clips start to start + SHARD, on one core."""
    name, seeds = _shard(job, start)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        made = [make_clip(seed, job.config) for seed in seeds]
    finally:
        cv2.setNumThreads(threads)
    write_shard(
        name,
        [clip.pixels for clip in made],
        [clip.wave for clip in made],
        [asdict(clip.truth) for clip in made],
        [clip.places for clip in made],
        [clip.key_times_s for clip in made],
    )
    return start


def write_video(path: Path, film: Film, quality: int) -> None:
    """Write a film as H.264 with its own time stamps.

    Args:
        path: File to write.
        film: What to write.
        quality: Constant rate factor of x264.
    """
    clock = 90_000
    with av.open(str(path), "w") as sink:
        options = {"crf": str(quality), "preset": "veryfast", "g": "250"}
        stream = sink.add_stream("libx264", rate=round(film.truth.fps), options=options)
        stream.height, stream.width = film.pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, clock)
        for picture, time_s in zip(film.pictures, film.time_s - film.time_s[0], strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time_s * clock), Fraction(1, clock)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))


def draw_sheets(path: Path, job: SyntheticJob) -> None:
    """Draw crops of each clip, and its waves beside."""
    check_lent(job.config)
    seeds = range(job.seed, job.seed + job.clips)
    clips = [make_clip(seed, job.config) for seed in seeds]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_stem(f"{path.stem}-waves")
    sheets = {path: draw_crops(clips), beside: draw_waves(clips, NETWORK_FPS)}
    for name, picture in sheets.items():
        cv2.imwrite(str(name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def save_film(path: Path, job: SyntheticJob) -> None:
    """Write one face as a video or as raw frames, with its truth beside it."""
    check_lent(job.config)
    config = replace(job.config, side=job.config.side or 480, view=max(job.config.view, 2.2))
    film = make_film(job.seed, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez_compressed(path, frames=np.stack(film.pictures), time_s=film.time_s)
    else:
        write_video(path, film, job.quality)
    path.with_suffix(".json").write_text(json.dumps(asdict(film.truth), indent=1) + "\n")


def main(job: SyntheticJob) -> None:
    """Do the job."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = replace(
            aside(job, "out"), clips=4, workers=1, config=replace(job.config, seconds=4.0)
        )
    if job.video:
        save_film(job.video, job)
    elif job.sheet:
        draw_sheets(job.sheet, job)
    else:
        write_dataset(job)


if __name__ == "__main__":
    run_script(main, SyntheticJob)
