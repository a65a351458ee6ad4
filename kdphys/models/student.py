"""The student: 2D convolutions per frame, then causal dilated convolutions over time.

One frame in, one sample out. All memory is in `StudentState`, of constant size, so that frames
given one by one, in chunks or all at once yield the same wave. The sample that comes out belongs
to `lag` frames ago: a fixed look-ahead.

The overall form (a 2D student of at most 0.23 M parameters for a 3D teacher) is that of KDPhys
(arXiv 2601.00714), which does not publish its layers; those here are our design. Normalised frame
differences follow Chen & McDuff (2018, arXiv 1805.07888), the dilated causal convolutions van den
Oord et al. (2016, arXiv 1609.03499).
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdphys.models.cells import cell_means


@dataclass(frozen=True)
class StudentConfig:
    """Everything needed to build the student; stored as config.json beside its weights."""

    size: int = 36
    """Side of the face crop in pixels."""
    fps: float = 30.0
    """Frames a second."""
    lag: int = 12
    """Frames between a frame and its sample of the wave."""
    reach: int = 8
    """Frames between the two frames whose difference the network sees."""
    widths: tuple[int, ...] = (12, 24, 32)
    """Channels of the stages over space."""
    strides: tuple[int, ...] = (2, 2, 1)
    """By how much each of those stages divides the side."""
    regions: int = 4
    """Attention maps over the face."""
    temporal: int = 48
    """Channels over time."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 48)
    """Frames between the three taps of each stage over time."""

    def __post_init__(self) -> None:
        """Check what the layers rely on."""
        if not 0 <= self.lag / self.fps <= 0.5:
            raise ValueError(f"lag={self.lag} frames must be 0 to 0.5 s at fps={self.fps}")
        if len(self.widths) != 3:
            raise ValueError(f"widths={self.widths} must name three stages")
        if len(self.strides) != 3 or self.size % self.cell:
            raise ValueError(
                f"strides={self.strides} must be three whose product divides size={self.size}"
            )

    @property
    def cell(self) -> int:
        """Side of the square of pixels that one place of the maps stands for."""
        return math.prod(self.strides)


class StudentState(NamedTuple):
    """What the student remembers between calls."""

    frames: Tensor
    """The last `reach` frames, in [0, 1]. Shape (B, reach, 3, S, S)."""
    features: Tensor
    """What each stage over time remembers, one after the other: the dilated convolutions their
    past inputs. Shape (B, temporal, N); N = 2 * sum(dilations)."""


class StudentDescription(NamedTuple):
    """What the student makes of a clip, and how it came to it."""

    wave: Tensor
    """Pulse wave; its sample t belongs to frame t - lag. Shape (B, T)."""
    maps: Tensor
    """Learned maps of each frame, without the plain colour. Shape (B, T, C, H, W)."""
    traits: Tensor
    """Features after the stages over time, as late as the wave. Shape (B, C, T)."""
    state: StudentState
    """What the next call must know."""


class Student(nn.Module):
    """Clip in, pulse wave out, as long as the clip is.

    The wave has unit standard deviation where the pulse is clear and shrinks towards 0 where the
    network sees none.
    """

    def __init__(self, config: StudentConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StudentConfig()
        self.stages = nn.ModuleList(
            _space_stage(before, after, stride)
            for (before, after), stride in zip(
                pairwise((6, *config.widths)), config.strides, strict=True
            )
        )
        beheld = config.widths[-1] + 3
        self.attention = nn.Conv2d(beheld, config.regions, 1)
        self.gather = nn.Linear(config.regions * beheld, config.temporal)
        self.times = nn.ModuleList(_TimeStage(config.temporal, step) for step in config.dilations)
        self.head = nn.Linear(config.temporal, 1)

    def forward(self, clip: Tensor) -> Tensor:
        """Estimate the pulse wave.

        Args:
            clip: RGB face crops in [0, 1], evenly spaced in time. Shape (B, T, 3, S, S).

        Returns:
            Pulse wave; its sample t belongs to frame t - lag. Shape (B, T).
        """
        return self.run(clip, self.start(clip[:, 0]))[0]

    def start(self, frame: Tensor) -> StudentState:
        """Return the state of a camera that has shown nothing but `frame`. Shape (B, 3, S, S)."""
        frames = frame.unsqueeze(1).expand(-1, self.config.reach, -1, -1, -1)
        past = frame.new_zeros(len(frame), self.config.temporal, sum(self._remembered()))
        return StudentState(frames, past)

    def run(self, clip: Tensor, state: StudentState) -> tuple[Tensor, StudentState]:
        """Go on from a state.

        Args:
            clip: The next frames, in [0, 1]. Shape (B, T, 3, S, S), T >= 1.
            state: What the frames before left behind.

        Returns:
            The wave, shape (B, T), and the state after it.
        """
        seen = self.describe(clip, state)
        return seen.wave, seen.state

    def describe(self, clip: Tensor, state: StudentState | None = None) -> StudentDescription:
        """Estimate the wave, and show what a teacher's maps and features compare with.

        Args:
            clip: As for `run`.
            state: As for `run`; that of a fresh start unless given.

        Returns:
            The wave, what led to it, and the state after it.
        """
        state = state or self.start(clip[:, 0])
        frames = torch.cat([state.frames, clip], 1)
        maps, plain = self.see(frames)
        traits, past = self._follow(torch.cat([maps, plain], 2), state)
        after = StudentState(frames[:, -self.config.reach :], past)
        return StudentDescription(self._wave(traits), maps, traits, after)

    def see(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Learned maps of each frame but the first `reach`, and the plain change of colour.

        Args:
            frames: Frames in [0, 1]. Shape (B, reach + T, 3, S, S).

        Returns:
            Maps, shape (B, T, C, S / cell, S / cell), and the relative change of the mean red,
            green and blue of each cell of pixels, shape (B, T, 3, S / cell, S / cell).
        """
        reach, cell = self.config.reach, self.config.cell
        now, before = frames[:, reach:], frames[:, :-reach]
        change = _relative_change(now, before).clamp(-3, 3)
        plain = _relative_change(cell_means(now, cell), cell_means(before, cell)).clamp(-10, 10)
        look = now - now.mean((3, 4), keepdim=True)
        x = torch.cat([change, 4 * look], 2).flatten(0, 1)  #                      (B*T, 6, S, S)
        if self.training and torch.is_autocast_enabled("cpu"):
            # A step is a fifth faster; its sums err by 1e-3, which only half precision may ignore.
            x = x.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        return x.unflatten(0, now.shape[:2]), plain

    def look(self, maps: Tensor) -> Tensor:
        """Where each attention map looks, summing to 1. Shape (B, T, regions, H, W)."""
        score = self.attention(maps.flatten(0, 1))
        share = score.flatten(2).softmax(2).view_as(score)
        return share.unflatten(0, maps.shape[:2])

    def pool(self, maps: Tensor) -> Tensor:
        """Mean of the maps under each attention map. Shape (B, T, regions, C)."""
        return self.look(maps).flatten(3) @ maps.flatten(3).transpose(2, 3)

    def _follow(self, maps: Tensor, state: StudentState) -> tuple[Tensor, Tensor]:
        """Features over time, shape (B, C, T), and what the next call must know of them."""
        signal = self.gather(self.pool(maps).flatten(2)).transpose(1, 2)  #       (B, C, T)
        kept = []
        pasts = state.features.split(self._remembered(), 2)
        for stage, past in zip(self.times, pasts, strict=True):
            signal, past = stage(signal, past)
            kept.append(past)
        return signal, torch.cat(kept, 2)

    def _remembered(self) -> list[int]:
        """How many columns of the state belong to each stage over time."""
        return [cast(_TimeStage, stage).remembers for stage in self.times]

    def _wave(self, traits: Tensor) -> Tensor:
        return self.head(traits.transpose(1, 2)).squeeze(2)


CHANGE_GAIN = 100.0  # brings a pulse of 0.5 % to about 0.5


def _relative_change(now: Tensor, before: Tensor) -> Tensor:
    return CHANGE_GAIN * (now - before) / (now + before + 0.02)


def _space_stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


class _TimeStage(nn.Module):
    """Causal dilated convolution with a gate and a residual."""

    def __init__(self, width: int, step: int) -> None:
        super().__init__()
        self.remembers = 2 * step
        self.mix = nn.Conv1d(width, 2 * width, 3, dilation=step, bias=False)
        self.norm = nn.BatchNorm1d(2 * width)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, signal: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Add what the past says to a signal.

        Args:
            signal: Shape (B, C, T).
            past: The last `remembers` samples before it. Shape (B, C, remembers).

        Returns:
            The new signal, and what is past after it.
        """
        padded = torch.cat([past, signal], 2)
        said = self.out(F.glu(self.norm(self.mix(padded)), 1))
        return signal + said, padded[:, :, -self.remembers :]
