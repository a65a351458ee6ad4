"""The teacher: a 3D CNN over a whole clip, with attention over all of its time.

Not causal: every sample of the wave may depend on every frame. The encoder over space and time
follows Yu et al. (2019, PhysNet, arXiv 1905.02419) in spirit; the global temporal layers are our
design, since KDPhys (arXiv 2601.00714) does not publish its own.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdphys.models.cells import cell_means


@dataclass(frozen=True)
class TeacherConfig:
    """Everything needed to build the teacher; stored as config.json beside its weights."""

    size: int = 36
    """Side of the face crop in pixels."""
    fps: float = 30.0
    """Frames a second."""
    frames: int = 300
    """Length of the clips it is meant for; others work, with less context or more."""
    widths: tuple[int, ...] = (16, 32, 48)
    """Channels of the stages; each halves the side, the last two halve time as well."""
    heads: int = 4
    """Heads of the attention over time."""
    baseline: int = 61
    """Frames whose mean is taken as the skin's steady colour."""

    def __post_init__(self) -> None:
        """Check what the layers rely on."""
        if self.widths[-1] % self.heads:
            raise ValueError(f"widths={self.widths} must end in a multiple of heads={self.heads}")
        if self.baseline % 2 == 0:
            raise ValueError(f"baseline={self.baseline} must be odd")


class Description(NamedTuple):
    """What the teacher makes of a clip, and how it came to it."""

    wave: Tensor
    """Pulse wave. Shape (B, T)."""
    maps: Tensor
    """Early feature maps at full frame rate. Shape (B, C, T, S / 4, S / 4)."""
    share: Tensor
    """Where the attention over space looks, summing to 1. Shape (B, T / 4, H, W)."""
    traits: Tensor
    """Features after the attention over time. Shape (B, C, T / 4)."""


class Teacher(nn.Module):
    """Clip in, pulse wave out, as long as the clip is (a multiple of 4 frames)."""

    def __init__(self, config: TeacherConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TeacherConfig()
        first, second, third = config.widths
        self.stem = _block(6, first, (1, 5, 5), (1, 2, 2))
        self.wide = _block(first, second)
        self.early = _block(second + 3, second)
        self.middle = nn.Sequential(_block(second, third), _block(third, third))
        self.late = nn.Sequential(_block(third, third), _block(third, third))
        self.attention = nn.Conv3d(third, 1, 1)
        self.over_time = nn.TransformerEncoderLayer(
            third, config.heads, 2 * third, dropout=0.0, batch_first=True, norm_first=True
        )
        self.smooth = nn.Sequential(
            nn.Conv1d(third, third, 5, padding=2, bias=False), nn.BatchNorm1d(third), nn.ReLU()
        )
        self.head = nn.Conv1d(third + second, 1, 5, padding=2)

    def forward(self, clip: Tensor) -> Tensor:
        """Estimate the pulse wave.

        Args:
            clip: RGB face crops in [0, 1], evenly spaced in time. Shape (B, T, 3, S, S), T a
                multiple of 4.

        Returns:
            Pulse wave, about unit standard deviation where the pulse is clear. Shape (B, T).
        """
        return self.describe(clip).wave

    def describe(self, clip: Tensor) -> Description:
        """Estimate the wave, and show what a student may learn from.

        Args:
            clip: As for `forward`.

        Returns:
            The wave and what led to it.
        """
        steady = self._steady(clip)
        x = self.wide(self.stem(_normalised(clip, steady)))  #           (B, C2, T, S/2, S/2)
        x = torch.cat([F.avg_pool3d(x, (1, 2, 2)), _plain(clip, steady)], 1)
        early = self.early(x)  #                                         (B, C2, T, S/4, S/4)
        x = self.middle(F.avg_pool3d(early, (2, 1, 1)))  #               (B, C3, T/2, S/4, S/4)
        x = self.late(F.avg_pool3d(x, (2, 2, 2)))  #                     (B, C3, T/4, S/8, S/8)
        share = self.attention(x).flatten(3).softmax(3)  #               (B, 1, T/4, H*W)
        signal = (x.flatten(3) * share).sum(3)  #                        (B, C3, T/4)
        traits = self.over_time(signal.transpose(1, 2)).transpose(1, 2)
        signal = F.interpolate(traits, scale_factor=4.0, mode="linear")
        fine = torch.cat([self.smooth(signal), early.mean((3, 4))], 1)
        wave = self.head(fine).squeeze(1)
        return Description(wave, early, share.squeeze(1).unflatten(2, x.shape[3:]), traits)

    def _steady(self, clip: Tensor) -> Tensor:
        """Mean of each pixel over the frames around. Shape (B, T, 3, S, S)."""
        reach, side = self.config.baseline, self.config.baseline // 2
        first, last = (clip[:, at].unsqueeze(1).expand(-1, side, -1, -1, -1) for at in (0, -1))
        summed = torch.cat([first, clip, last], 1).cumsum(1)
        steady = torch.cat(
            [summed[:, reach - 1 : reach], summed[:, reach:] - summed[:, :-reach]], 1
        )
        return steady / reach


CHANGE_GAIN = 100.0  # brings a pulse of 0.5 % to about 0.5
CELL = 4  # side of the squares of pixels whose plain colour stands beside the early maps


def _normalised(clip: Tensor, steady: Tensor) -> Tensor:
    """Relative change of each pixel, and the look of the face. Shape (B, 6, T, S, S)."""
    change = _relative_change(clip, steady).clamp(-3, 3)
    look = 4 * (clip - clip.mean((3, 4), keepdim=True))
    return torch.cat([change, look], 2).transpose(1, 2)


def _plain(clip: Tensor, steady: Tensor) -> Tensor:
    """Relative change of the mean colour of each cell of pixels. Shape (B, 3, T, S/4, S/4)."""
    now, before = cell_means(clip, CELL), cell_means(steady, CELL)
    return _relative_change(now, before).clamp(-10, 10).transpose(1, 2)


def _relative_change(now: Tensor, steady: Tensor) -> Tensor:
    return CHANGE_GAIN * (now - steady) / (steady + 0.01)


def _block(
    before: int,
    after: int,
    kernel: tuple[int, int, int] = (3, 3, 3),
    stride: tuple[int, int, int] = (1, 1, 1),
) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Sequential(
        nn.Conv3d(before, after, kernel, stride, padding, bias=False),
        nn.BatchNorm3d(after),
        nn.ReLU(),
    )
