"""What a face does of itself: it talks, blinks and changes its expression; some make faces.

Movements of its muscles shift, crease and blanch the skin in places, at the rates of a pulse too.
"""

from dataclasses import dataclass

import numpy as np

from train.streams import Streams, Track, smooth_noise

MUSCLES = 3  # groups that move and crease the face: a smile, raised brows, a frown
MOST_PULL = 2.0  # of one who makes faces, where 1 is the most of ordinary expressions
ACT_EVERY_S = (0.35, 5.0)  # from the beginning of a grimace to that of the next
LEAST_RAMP_S = 0.08


@dataclass(frozen=True)
class Mimics:
    """What a face does at every frame."""

    muscles: Track
    """Pull of each group of muscles, 0 to 1, or to `MOST_PULL`. Shape (T, MUSCLES)."""
    mouth: Track
    """0 closed to 1 wide open. Shape (T,)."""
    eyes: Track
    """0 open to 1 shut. Shape (T,)."""
    effort: Track
    """How far the head goes along with grimaces, about -`MOST_PULL` to it; 0 in those who make
    none. Shape (T,)."""


def draw_mimics(
    streams: Streams,
    time_s: Track,
    difficulty: float,
    off: frozenset[str],
    *,
    acts: bool = False,
) -> Mimics:
    """Draw talking, expressions and blinking, and grimaces if it `acts`."""
    frames = len(time_s)
    step = float(np.median(np.diff(time_s)))
    muscles, mouth, eyes = np.zeros((frames, MUSCLES)), np.zeros(frames), np.zeros(frames)
    effort = np.zeros(frames)
    rng = streams.of("talk")
    if "talk" not in off and rng.uniform() < 0.2 + 0.4 * difficulty:
        speaking = smooth_noise(rng, frames, step, 0.15) > rng.uniform(-1.0, 0.5)
        mouth = np.clip(0.6 * smooth_noise(rng, frames, step, 3.0), 0, 1) * speaking
    rng = streams.of("express")
    if "express" not in off and rng.uniform() < 0.2 + 0.6 * difficulty:
        for muscle in range(MUSCLES):
            pull = smooth_noise(rng, frames, step, rng.uniform(0.2, 1.5))
            muscles[:, muscle] = np.clip(pull - rng.uniform(-0.2, 1.5), 0, 1)
    if acts and "express" not in off:
        rng = streams.of("act")
        grimaces = np.stack([_draw_grimaces(rng, time_s) for _ in range(MUSCLES + 1)], 1)
        muscles = np.maximum(muscles, grimaces[:, :MUSCLES])
        mouth = np.maximum(mouth, rng.uniform() ** 2 * grimaces[:, MUSCLES] / MOST_PULL)
        effort = grimaces @ rng.uniform(-1, 1, MUSCLES + 1) / 2
    rng = streams.of("blink")
    if "blink" not in off:
        for moment in np.cumsum(rng.uniform(1.0, 6.0, 1 + int(time_s[-1] / 2))):
            eyes = np.maximum(eyes, np.clip(1.3 - abs(time_s - moment) / 0.09, 0, 1))
    return Mimics(muscles, mouth, eyes, effort)


def _draw_grimaces(rng: np.random.Generator, time_s: Track) -> Track:
    """Pull of one group of muscles that acts, holds and lets go, from now and then to a rhythm.

    Returns:
        0 to `MOST_PULL`. Shape (T,).
    """
    every_s = float(np.exp(rng.uniform(*np.log(ACT_EVERY_S))))
    uneven, held = rng.uniform(0, 0.5), rng.uniform(0.1, 0.5)
    ramp_s = max(LEAST_RAMP_S, rng.uniform(0.1, 0.4) * min(every_s, 1.5))
    begins_s = rng.uniform(-every_s, 0)
    count = int((time_s[-1] - begins_s) / every_s) + 2
    moments = begins_s + every_s * (np.arange(count) + uneven * rng.uniform(-1, 1, count))
    heights = rng.uniform(0.3, 1.0) * MOST_PULL * rng.uniform(0.5, 1.0, count)
    pull = np.zeros(len(time_s))
    for moment, height in zip(moments, heights, strict=True):
        near = np.clip(1 + (held * every_s / 2 - abs(time_s - moment)) / ramp_s, 0, 1)
        pull = np.maximum(pull, height * (0.5 - 0.5 * np.cos(np.pi * near)))
    step = float(np.median(np.diff(time_s)))
    at_it = smooth_noise(rng, len(time_s), step, 0.15) > rng.uniform(-2.0, 0.3)
    return np.where(at_it, pull, 0.0)
