"""What many scores come to: errors of all and of readings, by heart rate, skin and confidence."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdphys.metrics import (
    confidence_interval,
    interval_of_ratio,
    mae,
    mean_ratio,
    pearson,
    rmse,
    within,
    worst_over_best,
)
from kdphys.vitals import LEAST_QUALITY
from train.datasets import ClipStore
from train.scores import Array, Scores

BANDS = {"below 60": (0.0, 60.0), "60 to 120": (60.0, 120.0), "above 120": (120.0, 999.0)}
TOOLBOX_RATES = (48.0, 130.0)  # of clips whose rate the toolbox's band holds with room around it
SKINS = {"light": (0.0, 1 / 3), "medium": (1 / 3, 2 / 3), "dark": (2 / 3, 1.01)}
SURE = (LEAST_QUALITY, 0.6, 0.7, 0.8, 0.9)  # confidences from which readings are counted
RIGHT_BPM = 3.0  # that a rate may be off
UNLIKE = ("worst over best", "dark over light", "95 %")


def summary(
    scores: Scores,
    silent: Scores,
    store: ClipStore,
    sure: NDArray[np.bool_],
    lenders: Sequence[str | None],
) -> dict[str, object]:
    """What the readings of one model come to: all of them, by rate, by skin, by confidence.

    Args:
        scores: Of clips with a pulse.
        silent: Of clips without one.
        store: The clips with a pulse.
        sure: For which of them the first of the models that are compared gives a reading.
        lenders: Whose portrait lent each its looks, if any: those of one are not independent.

    Returns:
        Tables and figures by name, as JSON has them.
    """
    true = store.bpm.astype(np.float64)
    melanin = np.array([float(str(truth["melanin"])) for truth in store.truths])
    groups = {"all": np.ones(len(true), bool), "where the first reads": sure}
    groups |= {name: (true >= low) & (true < high) for name, (low, high) in BANDS.items()}
    groups |= {name: (melanin >= low) & (melanin < high) for name, (low, high) in SKINS.items()}
    whose = people(lenders)
    table: dict[str, object] = {
        name: _line(scores, true, whose, chosen) | {"portraits": _portraits(lenders, chosen)}
        for name, chosen in groups.items()
    }
    skin = np.digitize(melanin, [low for low, _ in SKINS.values()]) - 1
    table["skin"] = _unlike(scores, true, skin, whose)
    table["by confidence"] = [how_right(scores, true, skin, least) for least in SURE]
    slow = true < 60
    doubled = np.abs(scores.bpm - 2 * true) <= 6
    table["by the highest peak"] = _by_peak(scores, true)
    table["wrong readings"] = _wrong(scores, true)
    table["doubled below 60"] = f"{int((doubled & slow).sum())} of {int(slow.sum())}"
    table["no reading without a pulse"] = round(float(np.isnan(silent.given).mean()), 3)
    return table


def people(lenders: Sequence[str | None]) -> NDArray[np.int64]:
    """Who each clip is of: the same number for one portrait, another for each drawn head. (N,)."""
    names = [lender or f"drawn {place}" for place, lender in enumerate(lenders)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _portraits(lenders: Sequence[str | None], chosen: NDArray[np.bool_]) -> int:
    """How many portraits lent some clips their looks."""
    return len({lender for lender, one in zip(lenders, chosen, strict=True) if one and lender})


def _unlike(
    scores: Scores, true: Array, group: NDArray[np.int64], whose: NDArray[np.int64]
) -> dict[str, object]:
    """How unlike the readings of several skins are, by their places in `SKINS`."""
    given = np.isfinite(scores.given)
    errors, group = np.abs(scores.given - true)[given], group[given]
    names = list(SKINS)
    pair = names.index("dark"), names.index("light")
    ends = interval_of_ratio(errors, group, pair, whose[given], np.random.default_rng(0))
    values = (
        _round(worst_over_best(errors, group)),
        _round(mean_ratio(errors, group, pair)),
        [_round(end) for end in ends],
    )
    return dict(zip(UNLIKE, values, strict=True))


def how_right(
    scores: Scores, true: Array, skin: NDArray[np.int64], least: float
) -> dict[str, float | None]:
    """How many readings have some confidence or more, and how right those are.

    Args:
        scores: Of clips with a pulse.
        true: Their rates in bpm. Shape (N,).
        skin: Which group of skins each is of. Shape (N,).
        least: The confidence.
    """
    chosen = np.isfinite(scores.given) & (scores.quality >= least)
    errors = np.abs(scores.given - true)[chosen]
    return {
        "confidence": least,
        "readings": len(errors),
        "share": _round(float(chosen.mean())),
        "MAE": _round(float(errors.mean())) if len(errors) else None,
        "wrong": int((errors > RIGHT_BPM).sum()),
        "worst skin over best": _round(worst_over_best(errors, skin[chosen])),
    }


def _by_peak(scores: Scores, true: Array) -> dict[str, float | None]:
    """Errors of the signal stage and of the highest peak, on the clips that both can read."""
    inside = (true >= TOOLBOX_RATES[0]) & (true <= TOOLBOX_RATES[1])
    staged, peaked, true = scores.bpm[inside], scores.peak[inside], true[inside]
    return {
        "n": len(true),
        "MAE": _round(mae(staged, true)),
        "within 3": _round(within(staged, true, RIGHT_BPM)),
        "MAE by peak": _round(mae(peaked, true)),
        "within 3 by peak": _round(within(peaked, true, RIGHT_BPM)),
    }


def _wrong(scores: Scores, true: Array) -> list[dict[str, float]]:
    """The readings that were given and are off by more than 3 bpm."""
    return [
        {
            "true": round(float(true[at]), 1),
            "given": round(float(scores.given[at]), 1),
            "confidence": round(float(scores.quality[at]), 2),
        }
        for at in np.flatnonzero(np.abs(scores.given - true) > RIGHT_BPM)
    ]


def _line(
    scores: Scores, true: Array, whose: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> dict[str, object]:
    """Errors of some clips, with 95 % intervals for which people are drawn anew."""
    bpm, given, true = scores.bpm[chosen], scores.given[chosen], true[chosen]
    if not len(true):
        return {"n": 0}
    rng = np.random.default_rng(0)
    of_all, of_given = (
        [_round(end) for end in confidence_interval(mae, read, true, rng, whose=whose[chosen])]
        for read in (bpm, given)
    )
    return {
        "n": len(true),
        "median error": _round(float(np.nanmedian(np.abs(bpm - true)))),
        "MAE": _round(mae(bpm, true)),
        "MAE 95 %": of_all,
        "RMSE": _round(rmse(bpm, true)),
        "r": _round(pearson(bpm, true)),
        "within 3": _round(within(bpm, true, RIGHT_BPM)),
        "readings": _round(float(np.isfinite(given).mean())),
        "number of readings": int(np.isfinite(given).sum()),
        "median error of readings": _median(np.abs(given - true)),
        "MAE of readings": _round(mae(given, true)),
        "MAE of readings 95 %": of_given,
    }


def _median(errors: Array) -> float | None:
    kept = errors[np.isfinite(errors)]
    return _round(float(np.median(kept))) if len(kept) else None


def _round(value: float) -> float | None:
    """A figure for a table; None, as JSON has it, where there is none."""
    return round(value, 3) if math.isfinite(value) else None
