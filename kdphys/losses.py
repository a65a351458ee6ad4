"""What training minimises. Each loss is a function of a batch and returns one value a clip, (B,).

DILATE is that of Le Guen & Thome (2019, NeurIPS, arXiv 1909.09020) with soft-DTW after Cuturi &
Blondel (2017, arXiv 1703.01541). Their shape term grows with the length of the wave while their
time term does not; at the lengths of a pulse wave the first is thousands of times larger. Both are
normalised here: shape per sample, time in units of a tolerated delay.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

BAND_BPM = (40.0, 180.0)  # rates that compete with the true one
UNREACHABLE = 1e6  # cost of a cell outside the table; far above any alignment


class Dilate(NamedTuple):
    """The two parts of DILATE, each of shape (B,)."""

    shape: Tensor
    """Soft-DTW cost per sample."""
    time: Tensor
    """Expected squared delay along the alignment per sample, in units of the tolerance."""


def negative_pearson(wave: Tensor, target: Tensor) -> Tensor:
    """One minus the correlation over time: 0 for the same shape, 2 for the opposite.

    Args:
        wave: Estimated wave. Shape (B, T).
        target: True wave. Shape (B, T).

    Returns:
        Loss in [0, 2]. Shape (B,).
    """
    return 1 - F.cosine_similarity(_centred(wave), _centred(target), dim=1, eps=1e-6)


def squared_error(wave: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the centred waves.

    The wave that minimises it shrinks where the pulse is uncertain: with a target of unit standard
    deviation, its amplitude is then evidence of a pulse.

    Args:
        wave: Estimated wave. Shape (B, T).
        target: True wave. Shape (B, T).

    Returns:
        Loss, at least 0. Shape (B,).
    """
    return (_centred(wave) - _centred(target)).square().mean(1)


def spectral_cross_entropy(wave: Tensor, bpm: Tensor, fps: float) -> Tensor:
    """Score the power spectrum against the true rate by cross entropy.

    After Niu et al. (2020, arXiv 1910.11515) and Yu et al. (2022, arXiv 2111.12082).

    Args:
        wave: Estimated wave. Shape (B, T).
        bpm: True heart rate in beats a minute. Shape (B,).
        fps: Samples a second.

    Returns:
        Loss, at least 0: the share of the in-band power within 2 bpm or so of the truth, as
        -log. Shape (B,).
    """
    frames = wave.shape[1]
    rates = torch.arange(*BAND_BPM, 1.0, device=wave.device, dtype=wave.dtype)
    time_s = torch.arange(frames, device=wave.device, dtype=wave.dtype) / fps
    angle = 2 * torch.pi * time_s[:, None] * rates / 60  #                        (T, F)
    hann = torch.hann_window(frames, device=wave.device, dtype=wave.dtype)
    tapered = _centred(wave) * hann
    power = (tapered @ angle.cos()).square() + (tapered @ angle.sin()).square()
    share = power / power.sum(1, keepdim=True).clamp_min(1e-9)
    near = torch.exp(-0.5 * ((rates - bpm[:, None]) / 2.0).square())
    near = near / near.sum(1, keepdim=True).clamp_min(1e-9)
    return -(near * share.clamp_min(1e-6).log()).sum(1)


def dilate(wave: Tensor, target: Tensor, *, tolerance: float, gamma: float = 0.01) -> Dilate:
    """DILATE: how unlike the shapes are once aligned, and how far that shifts them in time.

    Both waves should be standardised. The time term is the derivative of soft-DTW along the
    penalty, carried forward beside the soft-DTW recursion one anti-diagonal at a time, so that one
    ordinary backward pass gives the exact gradient of both.

    Args:
        wave: Estimated wave. Shape (B, T).
        target: True wave. Shape (B, T).
        tolerance: Delay in samples that costs 1.
        gamma: Softness of the minimum over alignments.

    Returns:
        Shape and time terms per sample, each of shape (B,).
    """
    frames = wave.shape[1]
    costs = (wave[:, :, None] - target[:, None, :]).square()
    index = torch.arange(frames, device=wave.device, dtype=wave.dtype)
    delay = ((index[:, None] - index) / tolerance).square().expand_as(costs)
    shape, time = _soft_alignment(_skew(costs, UNREACHABLE), _skew(delay, 0.0), gamma)
    return Dilate(shape / frames, time / frames)


def attention_transfer(student: Tensor, teacher: Tensor) -> Tensor:
    """Distance between where two networks look, frame by frame.

    A network's look is the sum over channels of its squared features, of unit length over space
    (attention transfer; Zagoruyko & Komodakis, 2017, arXiv 1612.03928).

    Args:
        student: Features. Shape (B, T, C, H, W).
        teacher: Looks, at least 0, at the same frame rate and size. Shape (B, T, H, W).

    Returns:
        Loss in [0, 2]: neither look has negative parts. Shape (B,).
    """
    own = F.normalize(student.square().sum(2).flatten(2), dim=2)
    theirs = F.normalize(teacher.flatten(2), dim=2)
    return (own - theirs).square().sum(2).mean(1)


def feature_transfer(student: Tensor, teacher: Tensor) -> Tensor:
    """Distance between the features of two networks (Romero et al. 2015, arXiv 1412.6550).

    Args:
        student: Features. Shape (B, C, T).
        teacher: Features to have. Shape (B, C, T).

    Returns:
        Mean squared difference. Shape (B,).
    """
    return (student - teacher).square().mean((1, 2))


def standardise(wave: Tensor) -> Tensor:
    """Zero mean and unit standard deviation over time. Shape (B, T)."""
    centred = _centred(wave)
    # Clamped before the root, whose slope at 0 is infinite: a flat wave would make all weights NaN.
    return centred / centred.square().mean(1, keepdim=True).clamp_min(1e-8).sqrt()


def _centred(wave: Tensor) -> Tensor:
    return wave - wave.mean(1, keepdim=True)


def _soft_alignment(costs: Tensor, delays: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Soft-DTW and its expected delay from skewed tables of shape (2T - 1, B, T). Two of (B,)."""
    total, charged = costs[0], delays[0]
    total_before, charged_before = torch.full_like(total, UNREACHABLE), torch.zeros_like(total)
    for step, charge in zip(costs[1:], delays[1:], strict=True):
        via = torch.stack(
            [
                total,
                _one_down(total, UNREACHABLE),
                _one_down(total_before, UNREACHABLE),
            ]
        )
        paid = torch.stack([charged, _one_down(charged, 0.0), _one_down(charged_before, 0.0)])
        via = via / -gamma
        total_before, total = total, step - gamma * via.logsumexp(0)
        charged_before, charged = charged, charge + (via.softmax(0) * paid).sum(0)
    return total[:, -1], charged[:, -1]


def _skew(table: Tensor, outside: float) -> Tensor:
    """Turn a table (B, T, T) into its anti-diagonals: row s, place i is cell (i, s - i)."""
    frames = table.shape[1]
    wide = F.pad(table, (0, frames), value=outside).flatten(1)[:, : frames * (2 * frames - 1)]
    return wide.view(-1, frames, 2 * frames - 1).permute(2, 0, 1)


def _one_down(line: Tensor, outside: float) -> Tensor:
    return F.pad(line[:, :-1], (1, 0), value=outside)
