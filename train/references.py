"""The signal stage beside contact sensors: `python train/references.py --pulses DIR`.

Fingers before a phone's camera, whose waves go through the same stages as those of faces: rates
beside oximeters (Hoffman et al. 2022, doi 10.1038/s41746-022-00665-y), and rates, variability and
single intervals beside a chest strap (Neshitov et al. 2021, doi 10.3390/s21206798). Where
NeuroKit2 is installed (Makowski et al. 2021, doi 10.3758/s13428-020-01516-y; `pip install
'.[peers]'`), it reads the very same waves, brought to 240 Hz by a spline, as it is meant to.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate

from kdphys.beats import (
    RMSSD_NOISE,
    SDNN_NOISE,
    intervals,
    rmssd_ms,
    sdnn_ms,
    timing_noise_ms,
    without_noise,
)
from kdphys.pulse import WAVE_BAND_HZ, bandpass
from kdphys.vitals import DEFAULT, read_rate
from train.benchmark import markdown_table
from train.origin import Origin, origin
from train.recorded_pulses import FINGER_HZ, check_pulses, people_of
from train.script import run_script

logger = logging.getLogger(__name__)

SMOOTH_HZ = 240.0
PIECE_S = 60.0  # of the long recordings beside oximeters
SHIFTS_S = np.arange(-6.0, 6.01, 0.05)  # by which the clocks of phone and strap may differ
USUAL_CHANGE = 0.2  # of an interval from the one before; more is an artefact of the strap

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReferencesJob:
    """Compare with contact sensors."""

    pulses: Path
    """Folder that holds uw_oximetry or welltory or both."""
    out: Path = Path("docs/results")
    """Folder for references.json and references.md."""


class Beats(NamedTuple):
    """What was read from a wave."""

    bpm: float
    rmssd: float
    """In ms."""
    sdnn: float
    """In ms."""
    at_s: Array
    """When each interval between beats ends, in seconds. Shape (N,)."""
    interval_ms: Array
    """Its length. Shape (N,)."""


Reader = Callable[[Array], Beats]
Error = Callable[[dict[str, Any]], float]
"""Of one recording."""


def main(job: ReferencesJob) -> None:
    """Compare, and write the tables."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    check_pulses(job.pulses)
    readers: dict[str, Reader] = {"KDPhys": by_kdphys}
    neurokit = _neurokit()
    if neurokit:
        readers[f"NeuroKit2 {neurokit.__version__}"] = lambda wave: by_neurokit(neurokit, wave)
    else:
        logger.info("NeuroKit2 is not installed, so it is not compared")
    found = {
        "origin": asdict(origin()),
        "oximeters": {
            name: list(_beside_oximeters(job.pulses, read)) for name, read in readers.items()
        },
        "strap": {name: list(_beside_strap(job.pulses, read)) for name, read in readers.items()},
    }
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "references.json").write_text(json.dumps(found, indent=1) + "\n")
    text = page(found)
    (job.out / "references.md").write_text(text)
    logger.info("%s", text)


def by_kdphys(wave: Array) -> Beats:
    """Read a wave at `FINGER_HZ`, systole up, as KDPhys reads those of faces."""
    rate = read_rate(wave, FINGER_HZ)
    found = intervals(rate.beats)
    at_s, lengths = found.end_s[found.clean], 1000 * found.seconds[found.clean]
    noise_ms = timing_noise_ms(found, rate.beats, DEFAULT.slope_ms)
    rmssd = without_noise(rmssd_ms(found)[0], RMSSD_NOISE, noise_ms)
    sdnn = without_noise(sdnn_ms(found)[0], SDNN_NOISE, noise_ms)
    return Beats(rate.bpm, rmssd, sdnn, at_s, lengths)


def by_neurokit(neurokit: Any, wave: Array) -> Beats:
    """Read a wave as NeuroKit2 does: its peaks, with its correction of artefacts."""
    at = np.arange(len(wave)) / FINGER_HZ
    fine_s = np.arange(0, at[-1], 1 / SMOOTH_HZ)
    fine = interpolate.CubicSpline(at, wave)(fine_s)
    clean = neurokit.ppg_clean(fine, sampling_rate=SMOOTH_HZ)
    _, told = neurokit.ppg_peaks(clean, sampling_rate=SMOOTH_HZ, correct_artifacts=True)
    peaks_s: Array = np.asarray(told["PPG_Peaks"], np.float64) / SMOOTH_HZ
    lengths = 1000 * np.diff(peaks_s).astype(np.float64)
    if len(lengths) < 3:
        return Beats(np.nan, np.nan, np.nan, peaks_s[1:], lengths)
    rmssd = float(np.sqrt(np.mean(np.diff(lengths) ** 2)))
    return Beats(60_000 / lengths.mean(), rmssd, float(lengths.std(ddof=1)), peaks_s[1:], lengths)


def _beside_oximeters(folder: Path, read: Reader) -> Iterator[dict[str, object]]:
    """Rates of a minute of finger video each, beside the mean of the oximeter's in that minute."""
    for path, person in people_of(folder).items():
        truth = folder / "uw_oximetry" / "gt" / path.name
        if not truth.exists():
            continue
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        true = rates_of(truth)
        wave = bandpass(-table[:, 1], FINGER_HZ, WAVE_BAND_HZ)
        for start_s in range(0, int(len(wave) / FINGER_HZ - PIECE_S), int(PIECE_S)):
            told = true[start_s : start_s + int(PIECE_S)]
            if len(told) < PIECE_S or not (told > 0).all():
                continue
            piece = wave[round(start_s * FINGER_HZ) : round((start_s + PIECE_S) * FINGER_HZ)]
            yield {
                "person": person,
                "hand": path.parent.name,
                "true": float(told.mean()),
                "bpm": read(piece).bpm,
            }


def rates_of(path: Path) -> Array:
    """The first oximeter's rate at each second; 0 where it told none."""
    with path.open(encoding="utf-8-sig") as file:
        column = file.readline().split(",").index("Pulse 1")
        return np.array([float(line.split(",")[column] or 0) for line in file])


def _beside_strap(folder: Path, read: Reader) -> Iterator[dict[str, object]]:
    for path, person in people_of(folder).items():
        strap = path.parent / "RR.txt"
        if not strap.exists():
            continue
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        rr_ms = np.loadtxt(strap, ndmin=1)
        found = read(clearest(table))
        steps = np.diff(rr_ms)
        usual = np.abs(steps) < USUAL_CHANGE * rr_ms[:-1]
        yield {
            "person": person,
            "true": float(60_000 / rr_ms.mean()),
            "bpm": found.bpm,
            "true rmssd": float(np.sqrt(np.mean(steps[usual] ** 2))),
            "rmssd": found.rmssd,
            "true sdnn": float(rr_ms[1:][usual].std(ddof=1)),
            "sdnn": found.sdnn,
            "interval error": interval_error_ms(found, rr_ms),
        }


def clearest(table: Array) -> Array:
    """Wave of the colour with the best signal, on an even grid. Shape (T,)."""
    time_s = (table[:, 0] - table[0, 0]) / 1000
    even_s = np.arange(0, time_s[-1], 1 / FINGER_HZ)
    waves = [
        bandpass(-np.interp(even_s, time_s, channel), FINGER_HZ, WAVE_BAND_HZ)
        for channel in table[:, 1:].T
        if channel.std() > 1e-3  # some phones leave a colour empty
    ]
    return max(waves, key=lambda wave: read_rate(wave, FINGER_HZ).features.snr_db)


def interval_error_ms(found: Beats, rr_ms: Array) -> float:
    """Median difference of intervals between beats and those of a strap, at the best shift.

    Args:
        found: Beats of a wave.
        rr_ms: Intervals of the strap, in a row. Shape (M,).

    Returns:
        In ms; NaN where fewer than ten intervals can be compared.
    """
    ends_s = np.cumsum(rr_ms) / 1000
    best = np.nan
    for shift in SHIFTS_S:
        at = found.at_s + shift
        inside = (at > ends_s[0]) & (at < ends_s[-1])
        if inside.sum() < 10:
            continue
        nearest = np.abs(at[inside, None] - ends_s).argmin(1)
        error = float(np.median(np.abs(found.interval_ms[inside] - rr_ms[nearest])))
        best = np.nanmin([best, error])
    return best


def page(found: dict[str, Any]) -> str:
    """Write the tables of what references.json holds, as Markdown."""
    made = "before machine, day and commit were kept"
    if "origin" in found:
        made = f"on {Origin(**found['origin'])}"
    lines = [
        "# The signal stage beside contact sensors",
        "",
        f"Made by `python train/references.py --pulses DIR` {made}.",
        "",
        "Fingers on phone cameras, no faces. Nothing is refused here, whatever its confidence.",
        "Mean absolute errors; n is pieces of a minute for the oximeters, which average and lag by",
        "seconds themselves, and recordings of 68 to 112 s for the strap. Recordings that may be",
        "one person's count as one person.",
        "",
        "## Heart rate beside oximeters, bpm",
        "",
        *_by_person(found["oximeters"], _off("bpm", "true")),
        "",
        "## Beside a chest strap",
        "",
    ]
    rows = []
    for name, recordings in found["strap"].items():
        cells = [
            _mean(recordings, _off("bpm", "true"), "bpm"),
            _mean(recordings, _off("rmssd", "true rmssd"), "ms"),
            _mean(recordings, _off("sdnn", "true sdnn"), "ms"),
            _mean(recordings, lambda row: row["interval error"], "ms"),
        ]
        rows.append([name, str(len(recordings)), *cells])
    lines += markdown_table(
        ["", "n", "heart rate", "RMSSD", "SDNN", "single intervals (median of each)"], rows
    )
    for title, name, true in (
        ("Heart rate by person, bpm", "bpm", "true"),
        ("RMSSD by person, ms", "rmssd", "true rmssd"),
        ("SDNN by person, ms", "sdnn", "true sdnn"),
    ):
        lines += ["", f"### {title}", ""]
        lines += _by_person(found["strap"], _off(name, true))
    return "\n".join(lines) + "\n"


def _off(figure: str, truth: str) -> Error:
    """How far a figure is from its truth."""
    return lambda row: row[figure] - row[truth]


def _by_person(rows: dict[str, list[dict[str, Any]]], error: Error) -> list[str]:
    """Lines of a table of mean errors, a column for each person."""
    people = list(dict.fromkeys(row["person"] for row in next(iter(rows.values()), [])))
    cells = []
    for name, pieces in rows.items():
        each = [[row for row in pieces if row["person"] == person] for person in people]
        cells.append([name, *(_mean(own, error, "") for own in each), _mean(pieces, error, "")])
    counts = [
        sum(row["person"] == person for row in next(iter(rows.values()))) for person in people
    ]
    head = [f"{person} (n {count})" for person, count in zip(people, counts, strict=True)]
    return markdown_table(["", *head, "all"], cells)


def _mean(rows: list[dict[str, Any]], error: Error, unit: str) -> str:
    errors = np.array([error(row) for row in rows], float)
    said = f"{np.nanmean(np.abs(errors)):.2f} {unit}".strip()
    missing = int(np.isnan(errors).sum())
    return f"{said}, {missing} without" if missing else said


def _neurokit() -> Any:
    """NeuroKit2, or none where it is not installed."""
    try:
        return import_module("neurokit2")
    except ImportError:
        return None


if __name__ == "__main__":
    run_script(main, ReferencesJob)
