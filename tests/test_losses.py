import cmath
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kdphys.losses import (
    BAND_BPM,
    attention_transfer,
    dilate,
    feature_transfer,
    negative_pearson,
    spectral_cross_entropy,
    squared_error,
    standardise,
)
from train.datasets import Batch
from train.loop import LabelWeights, aligned, label_loss

FPS = 30.0


def waves(clips: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two batches of standardised random waves. Each of shape (B, T), float64."""
    source = torch.Generator().manual_seed(seed)
    both = torch.randn(2, clips, frames, generator=source, dtype=torch.float64)
    return standardise(both[0]), standardise(both[1])


def alignment_paths(frames: int) -> list[list[tuple[int, int]]]:
    """Every monotone path from (0, 0) to (frames - 1, frames - 1)."""
    paths = [[(0, 0)]]
    whole = []
    while paths:
        path = paths.pop()
        row, column = path[-1]
        if (row, column) == (frames - 1, frames - 1):
            whole.append(path)
            continue
        for down, right in ((1, 0), (0, 1), (1, 1)):
            if row + down < frames and column + right < frames:
                paths.append([*path, (row + down, column + right)])
    return whole


def dilate_by_brute_force(
    wave: Tensor, target: Tensor, tolerance: float, gamma: float
) -> tuple[float, float]:
    """Shape and time term of one pair of waves (T,), by summing over all alignments."""
    frames = len(wave)
    costs, delays = [], []
    for path in alignment_paths(frames):
        costs.append(sum(float((wave[row] - target[column]) ** 2) for row, column in path))
        delays.append(sum(((row - column) / tolerance) ** 2 for row, column in path))
    best = min(costs)
    shares = [math.exp(-(cost - best) / gamma) for cost in costs]
    total = sum(shares)
    shape = best - gamma * math.log(total)
    time = sum(share * delay for share, delay in zip(shares, delays, strict=True)) / total
    return shape / frames, time / frames


@pytest.mark.parametrize("gamma", [0.01, 0.1, 1.0])
def test_dilate_equals_the_sum_over_all_alignments(gamma):
    wave, target = waves(clips=3, frames=5)
    found = dilate(wave, target, tolerance=2.0, gamma=gamma)
    for clip in range(3):
        shape, time = dilate_by_brute_force(wave[clip], target[clip], 2.0, gamma)
        # Both are sums of a few hundred float64 terms.
        assert float(found.shape[clip]) == pytest.approx(shape, abs=1e-9)
        assert float(found.time[clip]) == pytest.approx(time, abs=1e-9)


def test_the_gradient_of_both_dilate_terms_is_exact():
    wave, target = waves(clips=2, frames=6)
    wave.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dilate(x, target, tolerance=2.0, gamma=0.5), wave)


def test_the_time_term_is_the_derivative_of_the_shape_term_along_the_delays():
    wave, target = waves(clips=1, frames=5)
    gamma, small = 0.5, 1e-5
    shift = torch.arange(5, dtype=torch.float64)
    omega = ((shift[:, None] - shift) / 2.0).square()

    def soft_dtw(strength: float) -> float:
        costs = (wave[0][:, None] - target[0]).square() + strength * omega
        sums = [sum(float(costs[cell]) for cell in path) for path in alignment_paths(5)]
        return -gamma * math.log(sum(math.exp(-value / gamma) for value in sums))

    slope = (soft_dtw(small) - soft_dtw(-small)) / (2 * small)
    found = dilate(wave, target, tolerance=2.0, gamma=gamma)
    # A central difference of step 1e-5 leaves about 1e-10 of curvature and 1e-10 of rounding.
    assert float(found.time[0]) * 5 == pytest.approx(slope, abs=1e-7)


def test_a_wave_that_comes_late_pays_in_time_and_not_in_shape():
    time_s = torch.arange(90, dtype=torch.float64) / FPS
    target = standardise(torch.sin(2 * torch.pi * 1.2 * time_s)[None])
    late = standardise(torch.sin(2 * torch.pi * 1.2 * (time_s - 0.1))[None])
    other = standardise(torch.sin(2 * torch.pi * 2.0 * time_s)[None])
    shifted, changed = (dilate(x, target, tolerance=3.0) for x in (late, other))
    assert float(shifted.time[0]) > 0.3  # 3 samples late is once the tolerance, at most places
    assert float(shifted.shape[0]) < 0.1 * float(changed.shape[0])


def losses_by_name() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    bpm = torch.tensor([60.0, 90.0, 120.0], dtype=torch.float64)
    return {
        "pearson": negative_pearson,
        "error": squared_error,
        "spectral": lambda wave, _: spectral_cross_entropy(wave, bpm[: len(wave)], FPS),
        "shape": lambda wave, target: dilate(wave, target, tolerance=3.0).shape,
        "time": lambda wave, target: dilate(wave, target, tolerance=3.0).time,
    }


@pytest.mark.parametrize("name", losses_by_name())
def test_each_clip_is_scored_alone(name):
    loss = losses_by_name()[name]
    wave, target = waves(clips=3, frames=48)
    together = loss(wave, target)
    assert together.shape == (3,)
    alone = loss(wave[:1], target[:1])
    changed = wave.clone()
    changed[1:] = torch.randn(2, 48, dtype=torch.float64) * 100
    assert float(loss(changed, target)[0]) == pytest.approx(float(together[0]), abs=1e-12)
    assert float(alone[0]) == pytest.approx(float(together[0]), abs=1e-12)


@pytest.mark.parametrize("name", losses_by_name())
def test_every_loss_has_a_finite_gradient_even_for_silence(name):
    loss = losses_by_name()[name]
    _, target = waves(clips=2, frames=48)
    for wave in (torch.zeros_like(target), torch.ones_like(target), 1e3 * target):
        wave = wave.clone().requires_grad_()
        value = loss(wave, target).sum()
        value.backward()
        assert torch.isfinite(value)
        assert wave.grad is not None
        assert torch.isfinite(wave.grad).all()


def test_a_flat_wave_that_does_not_count_has_a_gradient_of_0():
    """It would make the norm of all gradients NaN, and with it every weight."""
    wave = torch.zeros(2, 40, requires_grad=True)
    target = standardise(torch.sin(torch.arange(80.0)).view(2, 40))
    parts = dilate(standardise(wave), target, tolerance=1.0, gamma=0.1)
    (0 * (parts.shape + parts.time)).sum().backward()
    assert wave.grad is not None
    assert torch.equal(wave.grad, torch.zeros(2, 40))


def test_attention_transfer_scores_each_clip_alone_and_ignores_strength():
    source = torch.Generator().manual_seed(1)
    student = torch.randn(3, 4, 6, 5, 5, generator=source, dtype=torch.float64)
    teacher = torch.rand(3, 4, 5, 5, generator=source, dtype=torch.float64)
    found = attention_transfer(student, teacher)
    assert found.shape == (3,)
    assert ((found > 0) & (found <= 2)).all()
    assert torch.allclose(attention_transfer(7 * student, teacher), found, rtol=0, atol=1e-12)
    assert torch.allclose(attention_transfer(student[:1], teacher[:1]), found[:1])
    same = attention_transfer(student, student.square().sum(2))
    assert torch.allclose(same, torch.zeros_like(same), rtol=0, atol=1e-12)


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_attention_and_feature_transfer_are_what_they_are_by_hand():
    student, looks = features(2, 3, 4, 2, 2), features(2, 3, 2, 2, seed=1).abs()
    for clip, found in enumerate(attention_transfer(student, looks)):
        apart = []
        for frame in range(3):
            own = [
                sum(float(student[clip, frame, channel, down, across]) ** 2 for channel in range(4))
                for down in range(2)
                for across in range(2)
            ]
            theirs = looks[clip, frame].flatten().tolist()
            pairs = zip(own, theirs, strict=True)
            apart.append(
                sum((a / math.hypot(*own) - b / math.hypot(*theirs)) ** 2 for a, b in pairs)
            )
        assert float(found) == pytest.approx(sum(apart) / 3)
    mine, wanted = features(2, 3, 5), features(2, 3, 5, seed=1)
    for clip, found in enumerate(feature_transfer(mine, wanted)):
        pairs = zip(mine[clip].flatten().tolist(), wanted[clip].flatten().tolist(), strict=True)
        assert float(found) == pytest.approx(sum((a - b) ** 2 for a, b in pairs) / 15)


def test_the_spectral_loss_is_what_it_is_by_hand():
    wave, bpm = waves(clips=2, frames=60)[0], torch.tensor([72.0, 130.0], dtype=torch.float64)
    low, high = (int(edge) for edge in BAND_BPM)
    for one, true, found in zip(wave, bpm, spectral_cross_entropy(wave, bpm, FPS), strict=True):
        hann = [0.5 - 0.5 * math.cos(2 * math.pi * frame / 60) for frame in range(60)]
        tapered = [float(x - one.mean()) * weight for x, weight in zip(one, hann, strict=True)]
        power = {
            rate: abs(
                sum(
                    x * cmath.exp(2j * math.pi * rate / 60 * k / FPS) for k, x in enumerate(tapered)
                )
            )
            ** 2
            for rate in range(low, high)
        }
        near = {rate: math.exp(-0.5 * ((rate - float(true)) / 2) ** 2) for rate in power}
        shares = (near[rate] * math.log(power[rate] / sum(power.values())) for rate in power)
        assert float(found) == pytest.approx(-sum(shares) / sum(near.values()))


@pytest.mark.parametrize(
    "loss",
    [
        lambda wave: negative_pearson(wave, features(2, 12, seed=1)),
        lambda wave: squared_error(wave, features(2, 12, seed=1)),
        lambda wave: spectral_cross_entropy(wave, torch.tensor([70.0, 140.0]).double(), FPS),
        lambda wave: attention_transfer(
            wave.view(2, 3, 2, 1, 2), features(2, 3, 1, 2, seed=1).abs() + 0.1
        ),
        lambda wave: feature_transfer(wave.view(2, 3, 4), features(2, 3, 4, seed=1)),
        standardise,
    ],
    ids=["pearson", "squared error", "spectral", "attention", "features", "standardise"],
)
def test_the_slope_of_each_loss_is_that_of_its_value(loss):
    assert torch.autograd.gradcheck(loss, features(2, 12).requires_grad_())


def test_pearson_is_0_for_the_same_shape_and_2_for_the_opposite():
    wave, _ = waves(clips=2, frames=64)
    assert negative_pearson(3 * wave + 5, wave).abs().max() < 1e-9
    assert (negative_pearson(-wave, wave) - 2).abs().max() < 1e-9


def test_the_squared_error_of_an_uncertain_wave_is_least_where_it_is_small():
    source = torch.Generator().manual_seed(2)
    target = standardise(torch.randn(400, 64, generator=source, dtype=torch.float64))
    half_right = 0.5 * target + 0.75**0.5 * standardise(torch.randn(target.shape).double())
    gains = torch.linspace(0, 1.5, 31, dtype=torch.float64)
    costs = [float(squared_error(gain * half_right, target).mean()) for gain in gains]
    # A wave that correlates by 0.5 with the truth has least error at amplitude 0.5; 400 clips of
    # 64 samples leave a standard error below 0.01, the grid has steps of 0.05.
    assert float(gains[costs.index(min(costs))]) == pytest.approx(0.5, abs=0.051)


def test_the_spectral_loss_prefers_the_true_rate():
    time_s = torch.arange(300) / FPS
    rates = torch.tensor([60.0, 63.0, 80.0, 120.0, 30.0])
    tones = torch.sin(2 * torch.pi * rates[:, None] / 60 * time_s)
    costs = spectral_cross_entropy(tones, torch.full((5,), 60.0), FPS)
    assert costs.argmin() == 0
    assert (costs[2:] > 2 * costs[0]).all()


def batch_of(wave: Tensor, bpm: Tensor) -> Batch:
    return Batch(torch.zeros(len(wave), wave.shape[1], 3, 1, 1), wave, bpm, (bpm > 0).float())


def test_clips_without_a_pulse_are_scored_by_their_power_alone():
    true = torch.randn(4, 90, generator=torch.Generator().manual_seed(3))
    bpm = torch.tensor([70.0, 0.0, 90.0, 0.0])
    batch = batch_of(true * (bpm > 0)[:, None], bpm)
    said = torch.randn(4, 90, generator=torch.Generator().manual_seed(4))
    parts = label_loss(said, batch, lag=3, warm_up=10, weights=LabelWeights())
    for name in ("pearson", "spectral", "error"):
        assert parts[name].shape == (4,)
        assert (parts[name][bpm == 0] == 0).all()
        assert (parts[name][bpm > 0] > 0).all()
    assert (parts["silence"][bpm > 0] == 0).all()
    power = said[:, 13:].square().mean(1)[bpm == 0]
    assert torch.allclose(parts["silence"][bpm == 0], power)


@pytest.mark.parametrize(("lag", "warm_up"), [(0, 0), (0, 30), (12, 0), (12, 30)])
def test_a_late_wave_is_compared_with_the_frames_it_belongs_to(lag, warm_up):
    true = torch.arange(100.0)[None]
    said = true - lag  # sample t belongs to frame t - lag
    left, right = aligned(said, true, lag, warm_up)
    assert left.shape == right.shape == (1, 100 - lag - warm_up)
    assert torch.equal(left, right)
