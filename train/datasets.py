"""Clips for training: read from shards into memory, drawn in batches, varied once per clip."""

import hashlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.pulses import LEAST_BPM, MOST_BPM
from train.room import save_arrays
from train.script import JobError, read_json

FPS = 30.0
MANIFEST = "manifest.json"
REWRITE = "delete it, and run the command again that wrote the clips; it keeps the others."
WANDERS = 0.4  # share of clips whose light wanders in training
WANDER_STEPS = (5e-5, 5e-4)  # least and most by which a colour's light moves from frame to frame


@dataclass(frozen=True)
class Cut:
    """Which part of which clip was taken, and how."""

    index: int
    """Place of the clip in its store."""
    times: NDArray[np.float64]
    """Frames of the clip, between its own where it is retimed. Shape (T,)."""
    mirrored: bool
    speed: float = 1.0
    """Frames of the clip from one to the next."""


@dataclass(frozen=True)
class Batch:
    """Clips as the networks take them, with their truth."""

    clip: Tensor
    """RGB in [0, 1]. Shape (B, T, 3, S, S)."""
    wave: Tensor
    """Blood volume; zeros where there is no pulse. Shape (B, T)."""
    bpm: Tensor
    """Heart rate; 0 where there is no pulse. Shape (B,)."""
    alive: Tensor
    """1 where there is a pulse, 0 where there is none. Shape (B,)."""
    cuts: tuple[Cut, ...] = ()
    """Where each clip comes from; empty for whole clips."""


@dataclass(frozen=True)
class Seen:
    """What the program sees of a clip beside its crops."""

    places: NDArray[np.float32]
    """Where the face was, as `kdphys.sway` takes it. Shape (T, 3)."""
    key_times_s: NDArray[np.float64]
    """When the key frames were. Shape (K,)."""


@dataclass(frozen=True)
class ClipStore:
    """Clips of one length in memory, as uint8."""

    pixels: tuple[Tensor, ...]
    """Shards of shape (N, T, S, S, 3), all on one device; N may differ."""
    waves: NDArray[np.float32]
    """All waves. Shape (M, T)."""
    bpm: NDArray[np.float32]
    """All rates, 0 where there is no pulse. Shape (M,)."""
    truths: tuple[dict[str, object], ...]
    """What else is known about each clip."""
    sha256: str
    """Digest of the pixels, waves and truths: which data this is."""
    recipes: tuple[dict[str, object], ...] = ()
    """What made the clips of each folder: its manifest."""
    seen: tuple[Seen, ...] = ()
    """What the program sees of each clip beside its pixels; none where it was not kept."""

    def __len__(self) -> int:
        return len(self.waves)

    def pixels_of(self, index: int) -> Tensor:
        """One clip where it lies. Shape (T, S, S, 3)."""
        ends = np.cumsum([len(shard) for shard in self.pixels])
        shard = int(np.searchsorted(ends, index, side="right"))
        return self.pixels[shard][int(index - ends[shard])]  # from the end of the shard

    def clip(self, index: int) -> NDArray[np.uint8]:
        """One clip. Shape (T, S, S, 3)."""
        return self.pixels_of(index).numpy(force=True)

    def near(self, device: torch.device) -> "ClipStore":
        """The same clips in the memory of a GPU, if they take no more than half of what is free.

        A batch is then drawn there, where its clips are a thousandth of what is moved otherwise.
        """
        size = sum(shard.nbytes for shard in self.pixels)
        if device.type != "cuda" or size > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        return replace(self, pixels=tuple(shard.to(device) for shard in self.pixels))


def write_shard(
    path: Path,
    pixels: Sequence[NDArray[np.uint8]],
    waves: Sequence[NDArray[np.float32]],
    truths: Sequence[dict[str, object]],
    places: Sequence[NDArray[np.float32]] | None = None,
    key_times_s: Sequence[NDArray[np.float64]] | None = None,
) -> None:
    """Write clips to a file that is there whole or not at all.

    Args:
        path: File to write, an .npz.
        pixels: Crops of each clip, all of one shape (T, S, S, 3).
        waves: What the network should say of each. Shape (T,).
        truths: What else is known about each.
        places: Where the face was in each, as `kdphys.sway` takes it; shape (T, 3).
        key_times_s: When the key frames of each were. Shape (K,), of which K may differ.

    Raises:
        NoRoomError: The disk has no room for it.
    """
    told = np.array([json.dumps(truth) for truth in truths])
    parts = {"pixels": np.stack(pixels), "wave": np.stack(waves), "truth": told}
    if places is not None:
        parts |= {"places": np.stack(places)}
    if key_times_s is not None:
        most = max(len(times) for times in key_times_s)
        filled = [
            np.pad(times, (0, most - len(times)), constant_values=np.nan) for times in key_times_s
        ]
        parts |= {"keys": np.stack(filled)}
    save_arrays(path, parts)


def unplaced(config: Mapping[str, object]) -> dict[str, object]:
    """What made clips, but for where the folders lie that lent something: only that there were."""
    return {**config, **{name: "DIR" for name in ("faces", "pulses") if config.get(name)}}


def read_store(folder: Path, most: int | None = None) -> ClipStore:
    """Read the shards that `train/synthetic.py` or `train/recordings.py` wrote.

    Args:
        folder: Where the shards are.
        most: Read no more than this many clips.

    Returns:
        The clips in the order of their seeds.

    Raises:
        FileNotFoundError: There is no shard.
        JobError: One was cut off, or is damaged.
    """
    names = _shards_in(folder)
    recipe = read_manifest(folder) if (folder / MANIFEST).exists() else {}
    is_of_people = bool(recipe.get("config", {}).get("dataset"))
    pixels, waves, truths, seen = [], [], [], []
    digest, whole = hashlib.sha256(), hashlib.sha256()  # of what is read, and of all there is
    for name in names:
        left = None if most is None else most - len(truths)
        if left == 0 and not is_of_people:
            break
        shard = _read_shard(name, "pixels", "wave", "truth")
        if is_of_people:
            _digest(whole, shard)
        if left == 0:
            continue
        drawn, wave, told = (part[:left] for part in shard)
        told = np.array(told.tolist())  # as wide as a shard of these alone has it
        _digest(digest, (drawn, wave, told))
        pixels.append(torch.from_numpy(drawn))
        waves.append(wave)
        truths += [json.loads(str(text)) for text in told]
        seen += _read_seen(name)[:left]
    bpm = np.array([truth["bpm"] or 0.0 for truth in truths], np.float32)
    wave = np.concatenate(waves)
    if is_of_people:  # by which they are known again, where names are not
        recipe |= {"sha256": whole.hexdigest()}
    whole_of = tuple(seen) if len(seen) == len(truths) else ()
    return ClipStore(
        tuple(pixels), wave, bpm, tuple(truths), digest.hexdigest(), (recipe,), whole_of
    )


def frames_in(folder: Path) -> int:
    """Number of frames of each clip of a folder.

    Raises:
        FileNotFoundError: There is no shard.
        JobError: The first is damaged.
    """
    (waves,) = _read_shard(_shards_in(folder)[0], "wave")
    return waves.shape[1]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a folder of clips says of how they were made.

    Raises:
        FileNotFoundError: It says nothing.
        JobError: That is damaged.
    """
    found = read_json(folder / MANIFEST, REWRITE)
    if not isinstance(found.get("config", {}), dict):
        raise JobError(f"{folder / MANIFEST} does not say how clips were made: {REWRITE}")
    return found


def _digest(digest: "hashlib._Hash", parts: Sequence[NDArray[Any]]) -> None:
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)


def clips_in(name: Path) -> int:
    """Number of clips in a shard.

    Raises:
        JobError: It is damaged.
    """
    return len(_read_shard(name, "wave")[0])


def _shards_in(folder: Path) -> list[Path]:
    """Files with the clips of a folder, in order."""
    names = sorted(folder.glob("[0-9]*[0-9].npz"))
    if not names:
        raise FileNotFoundError(
            f"{folder} holds no clips; write some with: python train/synthetic.py --out {folder}"
        )
    return names


def _read_shard(name: Path, *parts: str) -> tuple[NDArray[Any], ...]:
    """Parts of a shard, as they were written: pixels, wave, truth."""
    try:
        with name.open("rb") as file, np.load(file) as shard:
            return tuple(shard[part] for part in parts)
    except (BadZipFile, zlib.error, EOFError, KeyError, ValueError, UnpicklingError) as error:
        raise JobError(f"{name} was cut off or is damaged ({error}): {REWRITE}") from error


def _read_seen(name: Path) -> list[Seen]:
    """What was seen of the clips of a shard beside their crops; nothing where it was not kept."""
    with name.open("rb") as file, np.load(file) as shard:
        if not {"places", "keys"} <= set(shard.files):
            return []
        return [
            Seen(places, times[np.isfinite(times)])
            for places, times in zip(shard["places"], shard["keys"], strict=True)
        ]


def read_stores(folders: Sequence[Path], most: int | None = None) -> ClipStore:
    """Read the shards of several folders as one store, synthetic and real clips alike.

    Args:
        folders: Where the shards are.
        most: Read no more than this many clips of each.

    Returns:
        The clips, folder by folder.

    Raises:
        JobError: There is no folder, clips differ in length or size, or none are to be read.
        FileNotFoundError: There is no shard in one of them.
    """
    if not folders:
        raise JobError("data names no folder of clips; name at least one")
    if most is not None and most < 1:
        raise JobError(f"most={most} must be at least 1 clip of each folder")
    stores = [read_store(folder, most) for folder in folders]
    if len(stores) == 1:
        return stores[0]
    kinds = {
        folder: store.pixels[0].shape[1:] for folder, store in zip(folders, stores, strict=True)
    }
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{folder} {kind[0]} x {kind[1]}" for folder, kind in kinds.items())
        raise JobError(
            f"clips of one run must be alike in frames and pixels, and these are {found}; write "
            "them with the same length and size"
        )
    return ClipStore(
        pixels=tuple(shard for store in stores for shard in _shards(store)),
        waves=np.concatenate([store.waves for store in stores]),
        bpm=np.concatenate([store.bpm for store in stores]),
        truths=tuple(truth for store in stores for truth in store.truths),
        sha256=hashlib.sha256("".join(store.sha256 for store in stores).encode()).hexdigest(),
        recipes=tuple(recipe for store in stores for recipe in store.recipes),
    )


def mistimed(store: ClipStore, most_s: float) -> ClipStore:
    """The same clips, each with its label early or late by a random time of up to `most_s`."""
    frames = np.arange(store.waves.shape[1])
    shifts = np.random.default_rng(0).uniform(-most_s, most_s, len(store)) * FPS
    waves = [
        np.interp(frames + shift, frames, wave)
        for shift, wave in zip(shifts, store.waves, strict=True)
    ]
    return replace(store, waves=np.array(waves, np.float32))


def draw_batch(
    store: ClipStore, rng: np.random.Generator, clips: int, frames: int, *, vary: bool = True
) -> Batch:
    """Draw clips at random; each is cut, mirrored, retimed, and put in another light.

    Args:
        store: Where from.
        rng: Source of randomness.
        clips: How many.
        frames: Length of each.
        vary: False to only cut.

    Returns:
        The batch.
    """
    chosen = rng.integers(0, len(store), clips)
    cuts = tuple(_draw_cut(store, int(index), rng, frames, vary=vary) for index in chosen)
    clip = torch.stack([_vary(_cut(store, cut), rng) if vary else _cut(store, cut) for cut in cuts])
    bpm = torch.tensor([store.bpm[cut.index] * cut.speed for cut in cuts], dtype=torch.float32)
    wave = torch.from_numpy(np.stack([_wave_at(store.waves[cut.index], cut.times) for cut in cuts]))
    clip = clip.permute(0, 1, 4, 2, 3).contiguous()
    return Batch(clip, wave, bpm, (bpm > 0).float(), cuts)


def whole_batch(store: ClipStore, indices: range) -> Batch:
    """Give clips as they are, from their first frame to a multiple of four frames."""
    frames = store.waves.shape[1] // 4 * 4
    pixels = np.stack([store.clip(index)[:frames] for index in indices])
    clip = torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).float() / 255
    wave = torch.from_numpy(store.waves[indices.start : indices.stop, :frames])
    bpm = torch.from_numpy(store.bpm[indices.start : indices.stop])
    return Batch(clip.contiguous(), wave, bpm, (bpm > 0).float())


def _shards(store: ClipStore) -> Iterator[Tensor]:
    """Give the shards of a store without clips beyond its last one."""
    left = len(store)
    for shard in store.pixels:
        yield shard[:left]
        left -= len(shard[:left])


def _draw_cut(
    store: ClipStore, index: int, rng: np.random.Generator, frames: int, *, vary: bool
) -> Cut:
    """Choose a part of a clip."""
    whole = store.waves.shape[1]
    speed = _draw_speed(rng, float(store.bpm[index]), whole / frames) if vary else 1.0
    start = rng.uniform(0, whole - 1 - speed * (frames - 1))
    times = np.arange(frames) * speed + (start if speed != 1 else round(start))
    return Cut(index, times, vary and rng.uniform() < 0.5, speed)


def _cut(store: ClipStore, cut: Cut) -> Tensor:
    """Part of a clip, on the device that holds it, in [0, 1]. Shape (T, S, S, 3)."""
    pixels = store.pixels_of(cut.index)
    first = torch.from_numpy(cut.times.astype(int)).to(pixels.device)
    part = pixels[first].float()
    if cut.speed != 1:
        share = torch.from_numpy((cut.times % 1).astype(np.float32)).to(pixels.device)
        after = pixels[(first + 1).clamp_max(len(pixels) - 1)].float()
        part = part.lerp(after, share[:, None, None, None])
    return (part.flip(2) if cut.mirrored else part) / 255


def wandering(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """The same while lamps, shade and white balance wander by chance, as on no face alone.

    Each colour's light, all light together and the shade from side to side and from top to bottom
    walk at random. What of this falls into the band of a pulse is a few ten-thousandths, as much as
    codecs leave of some pulses.

    Args:
        clip: RGB, on any scale. Shape (T, S, S, 3).
        rng: Source of randomness.

    Returns:
        The clip, as bright as before on average. Shape as it was.
    """
    frames, side = clip.shape[:2]
    step = math.exp(rng.uniform(*np.log(WANDER_STEPS)))
    size = step * np.array([1, 1, 1, *rng.uniform(0, 3, 3)])
    walks = np.cumsum(rng.standard_normal((frames, 6)) * size, axis=0)
    walks = torch.from_numpy((walks - walks.mean(0)).astype(np.float32)).to(clip.device)
    colours, grey, across, down = walks.split((3, 1, 1, 1), dim=1)
    place = torch.linspace(-0.5, 0.5, side, device=clip.device)
    shade = grey[:, None] + across[:, None] * place + down[:, None] * place[:, None]
    return clip * (1 + colours[:, None, None] + shade[..., None])


def _vary(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """The same in another light, some in one that wanders, some with more noise. Same shape."""
    if rng.uniform() < WANDERS:
        clip = wandering(clip, rng)
    gain = np.exp(rng.normal(0, 0.1, 3)) * np.exp(rng.normal(0, 0.15))
    clip = (clip * torch.from_numpy(gain.astype(np.float32)).to(clip.device)).clamp(0, 1)
    if rng.uniform() < 0.3:  # as independent as it gets
        chance = torch.Generator(clip.device).manual_seed(int(rng.integers(1 << 62)))
        noise = torch.randn(clip.shape, generator=chance, device=clip.device)
        clip = clip + rng.uniform(0, 0.004) * noise
    return clip


def _draw_speed(rng: np.random.Generator, bpm: float, most: float) -> float:
    """How much faster a clip is played; half the clips stay as they are."""
    if rng.uniform() < 0.5:
        return 1.0
    slowest, fastest = 0.65, min(1.75, 0.999 * most)
    if bpm:
        slowest, fastest = max(slowest, LEAST_BPM / bpm), min(fastest, MOST_BPM / bpm)
    return float(rng.uniform(min(slowest, fastest), fastest))


def _wave_at(wave: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.interp(times, np.arange(len(wave)), wave).astype(np.float32)
