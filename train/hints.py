"""What the teacher says about every clip of a store, worked out once before a student learns.

The teacher sees each clip whole, as it was trained to, and only once; a training step then costs
no more than one on labels alone. Cutting, mirroring and retiming a clip does the same to its hints.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from kdphys.hub import sha256
from kdphys.models.teacher import Teacher
from train.datasets import ClipStore, Cut, whole_batch
from train.loop import bf16_is_native
from train.room import held, save_arrays

logger = logging.getLogger(__name__)

CLIPS_AT_ONCE = 8
MIDDLE = 1.5  # frame in the middle of the first four, to which the first of the traits belongs


@dataclass(frozen=True)
class Hints:
    """The teacher's view of every clip, at the clips' own frame rate."""

    waves: NDArray[np.float32]
    """Its waves. Shape (M, T)."""
    looks: NDArray[np.float16]
    """Where its early maps are strong: their squares summed over channels, of unit length over
    space. Shape (M, T, H, W)."""
    traits: NDArray[np.float16]
    """Its features after the attention over time, at a quarter of the frame rate, each of zero
    mean and unit variance over all clips. Shape (M, T / 4, C)."""

    def of(self, cuts: Sequence[Cut]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Hints about clips that were cut, mirrored and retimed.

        Args:
            cuts: Where each clip of a batch comes from.

        Returns:
            Waves, shape (B, T); looks, shape (B, T, H, W); traits, shape (B, C, T).
        """
        waves, looks, traits = [], [], []
        for cut in cuts:
            whole = self.waves[cut.index]
            frames, quarters = np.arange(len(whole)), len(self.traits[cut.index])
            waves.append(np.interp(cut.times, frames, whole))
            nearest = np.clip(np.rint(cut.times).astype(int), 0, len(whole) - 1)
            look = self.looks[cut.index][nearest]
            looks.append(look[..., ::-1] if cut.mirrored else look)
            place = np.clip((cut.times - MIDDLE) / 4, 0, quarters - 1)
            first = np.minimum(place.astype(int), quarters - 2)
            share = (place - first)[:, None]
            here = self.traits[cut.index].astype(np.float32)
            traits.append(here[first] * (1 - share) + here[first + 1] * share)
        stacked = (np.stack(part).astype(np.float32) for part in (waves, looks, traits))
        wave, look, trait = (torch.from_numpy(part) for part in stacked)
        return wave, look, trait.transpose(1, 2)


def read_hints(teacher: Teacher, weights: Path, store: ClipStore, cache: Path) -> Hints:
    """Hints of a teacher about a store, from a file if they were worked out before.

    Args:
        teacher: In evaluation mode.
        weights: Its model.safetensors, whose digest names the file with that of the clips.
        store: The clips.
        cache: Folder of the files.

    Returns:
        The hints.

    Raises:
        NoRoomError: The disk has no room for that file.
    """
    both = sha256(weights) + store.sha256 + str(len(store))
    name = cache / f"hints-{hashlib.sha256(both.encode()).hexdigest()[:16]}.npz"
    with held(cache):  # two runs of one folder may begin together
        if name.exists():
            with np.load(name) as found:
                return Hints(found["waves"], found["looks"], found["traits"])
        hints = work_out(teacher, store)
        save_arrays(name, vars(hints))
    return hints


@torch.no_grad()
def work_out(teacher: Teacher, store: ClipStore) -> Hints:
    """Show the teacher every clip of a store."""
    frames = store.waves.shape[1]
    parts: list[tuple[torch.Tensor, ...]] = []
    device = next(teacher.parameters()).device
    for start in range(0, len(store), CLIPS_AT_ONCE):
        clip = whole_batch(store, range(start, min(start + CLIPS_AT_ONCE, len(store)))).clip
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16_is_native()):
            seen = teacher.describe(clip.to(device))
        looks = F.normalize(seen.maps.float().square().sum(1).flatten(2), dim=2)
        looks = looks.unflatten(2, seen.maps.shape[3:])
        parts.append((seen.wave.float().cpu(), looks.half().cpu(), seen.traits.float().cpu()))
        if start // CLIPS_AT_ONCE % 50 == 0:
            logger.info("hints for %d of %d clips", start, len(store))
    waves, looks, traits = (torch.cat(part) for part in zip(*parts, strict=True))
    spread, mean = torch.std_mean(traits, (0, 2), keepdim=True)
    traits = ((traits - mean) / spread.clamp_min(1e-6)).transpose(1, 2)
    missing = frames - waves.shape[1]  # of a length that is no multiple of four
    return Hints(
        np.pad(waves.numpy(), ((0, 0), (0, missing)), mode="edge"),
        np.pad(looks.numpy(), ((0, 0), (0, missing), (0, 0), (0, 0)), mode="edge"),
        traits.half().numpy(),
    )
