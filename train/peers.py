"""Public architectures of the field, for what they cost: written from the papers, never trained.

Their weights are random, so they read nothing; parameters and arithmetic are those of the papers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Peer:
    """An architecture at its usual input."""

    name: str
    build: Callable[[int], nn.Module]
    """For a side of its input in pixels."""
    side: int
    """Of its input in pixels."""
    frames: int
    """That it takes at once."""


class PhysNet(nn.Module):
    """3D encoder and decoder (Yu, Li & Zhao, 2019, arXiv 1905.02419): clip in, wave out."""

    def __init__(self) -> None:
        super().__init__()
        halve, space = nn.MaxPool3d(2), nn.MaxPool3d((1, 2, 2))
        self.encode = nn.Sequential(
            *_volume(3, 16, (1, 5, 5)), space, *_volume(16, 32), *_volume(32, 64), halve,
            *_volume(64, 64), *_volume(64, 64), halve, *_volume(64, 64), *_volume(64, 64), space,
            *_volume(64, 64), *_volume(64, 64),
        )  # fmt: skip
        self.decode = nn.Sequential(*_twice_as_long(64), *_twice_as_long(64))
        self.wave = nn.Conv3d(64, 1, 1)

    def forward(self, clip: Tensor) -> Tensor:
        """Wave (B, T) of a clip (B, 3, T, S, S), T a multiple of 4."""
        found = self.decode(self.encode(clip)).mean((3, 4), keepdim=True)
        return self.wave(found).flatten(1)


class FactorizeLike(nn.Module):
    """Narrow 3D network after FactorizePhys (Joshi, Agaian & Cho, 2024, arXiv 2411.01542).

    Convolutions over space without padding narrow the picture to one place. Its matrix factors,
    which only training needs, are left out; the widths are chosen to give its published size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_narrowing(3, 12), *_narrowing(12, 12, 2), *_narrowing(12, 16), *_narrowing(16, 16, 2),
            *_narrowing(16, 16), *_narrowing(16, 16, 2), *_narrowing(16, 16), *_narrowing(16, 16),
        )  # fmt: skip
        self.wave = nn.Conv3d(16, 1, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, clip: Tensor) -> Tensor:
        """Wave (B, T) of a clip (B, 3, T, S, S)."""
        change = F.pad(clip.diff(dim=2), (0, 0, 0, 0, 1, 0))
        return self.wave(self.body(change).mean((3, 4), keepdim=True)).flatten(1)


class Shifted2D(nn.Module):
    """Frame differences through 2D layers whose channels are shifted in time.

    With a branch for the look of the face it is TS-CAN (Liu et al., 2020, arXiv 2006.03790),
    which looks at the same frames as DeepPhys; without, EfficientPhys (Liu et al., 2023, arXiv
    2110.04447), whose attention is its own.
    """

    def __init__(self, side: int, *, two_branches: bool) -> None:
        super().__init__()
        self.first, self.second = _branch(), _branch() if two_branches else None
        self.norm = None if two_branches else nn.BatchNorm2d(3)
        self.gates = nn.ModuleList([nn.Conv2d(32, 1, 1), nn.Conv2d(64, 1, 1)])
        left = ((side - 2) // 2 - 2) // 2
        self.dense = nn.Sequential(nn.Linear(64 * left * left, 128), nn.Tanh(), nn.Linear(128, 1))

    def forward(self, clip: Tensor) -> Tensor:
        """Wave (B, T) of a clip (B, 3, T, S, S)."""
        frames = clip.transpose(1, 2)
        change = F.pad(frames.diff(dim=1), (0, 0, 0, 0, 0, 0, 1, 0))
        x, look = change.flatten(0, 1), frames.flatten(0, 1)
        if self.norm is not None:
            x = self.norm(x)
        for half, gate in enumerate(self.gates):
            for layer in _pair(self.first, half):
                x = torch.tanh(layer(_shifted(x, clip.shape[2])))
            if self.second is not None:
                for layer in _pair(self.second, half):
                    look = torch.tanh(layer(look))
            mask = torch.sigmoid(gate(x if self.second is None else look))
            share = mask / mask.sum((2, 3), keepdim=True)
            x = F.avg_pool2d(x * share * (0.5 * mask.shape[2] * mask.shape[3]), 2)
            look = F.avg_pool2d(look, 2) if self.second is not None else look
        return self.dense(x.flatten(1)).view(len(clip), -1)


PEERS = (
    Peer("PhysNet", lambda _: PhysNet(), 72, 128),
    Peer("TS-CAN", lambda side: Shifted2D(side, two_branches=True), 36, 180),
    Peer("EfficientPhys", lambda side: Shifted2D(side, two_branches=False), 36, 180),
    Peer("3D like FactorizePhys", lambda _: FactorizeLike(), 72, 160),
)


def _volume(before: int, after: int, kernel: tuple[int, int, int] = (3, 3, 3)) -> list[nn.Module]:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return [nn.Conv3d(before, after, kernel, padding=padding), nn.BatchNorm3d(after), nn.ReLU()]


def _twice_as_long(width: int) -> list[nn.Module]:
    longer = nn.ConvTranspose3d(width, width, (4, 1, 1), (2, 1, 1), (1, 0, 0))
    return [longer, nn.BatchNorm3d(width), nn.ELU()]


def _narrowing(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv3d(before, after, 3, (1, stride, stride), (1, 0, 0), bias=False)
    return [layer, nn.Tanh(), nn.InstanceNorm3d(after)]


def _branch() -> nn.ModuleList:
    """Two pairs of layers, the second of each without padding."""
    return nn.ModuleList(
        nn.ModuleList([nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3)])
        for before, after in ((3, 32), (32, 64))
    )


def _pair(branch: nn.ModuleList, half: int) -> nn.ModuleList:
    return cast(nn.ModuleList, branch[half])


def _shifted(x: Tensor, frames: int) -> Tensor:
    """A third of the channels one frame earlier, a third one frame later. Shape (B*T, C, H, W)."""
    x = x.unflatten(0, (-1, frames))
    third = max(x.shape[2] // 3, 1)
    earlier = F.pad(x[:, 1:, :third], (0, 0, 0, 0, 0, 0, 0, 1))
    later = F.pad(x[:, :-1, third : 2 * third], (0, 0, 0, 0, 0, 0, 1, 0))
    return torch.cat([earlier, later, x[:, :, 2 * third :]], 2).flatten(0, 1)
