"""What a network costs, as the page says it: per model, as text, and against another model."""

from typing import NamedTuple

from kdphys.pipeline import Measurement
from kdphys.runtime import ModelFacts
from webapp import texts


class Costs(NamedTuple):
    """What running one network takes. The fields are the keys of `texts.COST_NAMES`."""

    parameters: float
    macs: float
    """Multiply-accumulates a frame."""
    bytes: float
    """Size of the weights' file."""
    ms: float
    """Milliseconds of network time a frame, as measured on this clip."""


def costs_of(facts: ModelFacts, measurement: Measurement) -> Costs:
    """Join what is known of a network with what it took on this clip."""
    return Costs(
        facts.parameters, facts.macs_per_frame, facts.file_bytes, ms_per_frame(measurement)
    )


def ms_per_frame(measurement: Measurement) -> float:
    """Network time for one frame of the even grid, in ms."""
    return 1000 * measurement.seconds.network / max(measurement.wave.size, 1)


def cost_texts(costs: Costs) -> tuple[str, str, str, str]:
    """Say each cost with its unit, in the order of `Costs`."""
    return (
        short_count(costs.parameters),
        short_count(costs.macs),
        f"{short_count(costs.bytes)}B",
        milliseconds(costs.ms),
    )


def short_count(count: float) -> str:
    """Three digits and a metric prefix: 213440 becomes '213 k'."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{_three_digits(count / limit)} {prefix}"
    return f"{count:.0f} "


def milliseconds(ms: float) -> str:
    """A duration in ms with two or three digits that matter."""
    return f"{ms:.3f} ms" if ms < 0.1 else f"{_three_digits(ms)} ms"


def times(ratio: float) -> str:
    """A ratio with the digits that matter and a multiplication sign."""
    return f"{ratio:.0f} {texts.TIMES}" if ratio >= 100 else f"{ratio:.1f} {texts.TIMES}"


def _three_digits(number: float) -> str:
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"
