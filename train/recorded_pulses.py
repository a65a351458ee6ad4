"""Real pulses for the synthetic faces: finger videos of people, cut to what is clean.

A folder holds either or both of two public sets in their own layout: `uw_oximetry/{Left,Right}`
(MIT), finger colours at 30 Hz of both hands (Hoffman et al. 2022, doi 10.1038/s41746-022-00665-y),
and `welltory/data` (CC0 1.0), finger colours with time stamps beside the RR intervals of a chest
strap (Neshitov et al. 2021, doi 10.3390/s21206798).

A finger darkens as blood fills it, so a wave is turned over. A beat is clean if it looks like its
neighbours (the template match of Orphanidou et al. 2015, doi 10.1109/JBHI.2014.2338351), is about
as long and as high, rises faster than it falls, and goes with the rate of the spectrum around it;
what is between unclean beats is cut out, and where there is a strap, it must tell the same rate.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, ndimage

from kdphys.beats import find_beats
from kdphys.pulse import bandpass
from kdphys.vitals import read_rate
from train.portraits import People
from train.pulses import WAVE_HZ, Pulse, pulse_of

FINGER_HZ = 30.0
BAND_HZ = (0.5, 8.0)
LONGEST_GAP_S = 0.2  # between two frames of one stretch
LEAST_S = 10.0  # shorter stretches are of no use
LOOK_S = 120.0  # of a recording, to find its best colour
NEIGHBOURS = 15  # beats that tell what is usual
LEAST_LIKENESS = 0.9  # correlation of a beat with the median of its neighbours
MOST_CHANGE = 0.2  # of the usual length
MOST_GROWTH = 1.8  # of the usual height, up or down
AGREE_BPM = 5.0  # beats and spectrum, whose window is 10 s
STRAP_AGREE_BPM = 3.0
MOST_SLOWING, MOST_SPEEDING = 0.6, 1.7
TEST_EVERY, FIRST_TEST = 5, 2  # of the people; so the test has some of either set

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """Clean beats in a row."""

    wave: Array
    """Blood volume at `FINGER_HZ` in units of the recording; systole is up. Shape (N,)."""
    onsets_s: Array
    """Onsets of the beats, counted from the first sample. Shape (M,)."""

    @property
    def seconds(self) -> float:
        """From the first onset to the last."""
        return float(self.onsets_s[-1] - self.onsets_s[0])

    @property
    def bpm(self) -> float:
        """Mean heart rate."""
        return 60 * (len(self.onsets_s) - 1) / self.seconds


@dataclass(frozen=True)
class Recording:
    """What is clean of one finger video."""

    person: str
    """Whose finger; recordings that may be one person's share this name."""
    stretches: tuple[Stretch, ...]


@cache
def read_pulses(folder: Path, people: People) -> tuple[Recording, ...]:
    """Read the recordings of one part of the people; the parts share nobody. A folder is read once.

    Args:
        folder: Holds `uw_oximetry` or `welltory` or both.
        people: Those for training, or the fifth of them that is kept for tests.

    Returns:
        The recordings that have a clean stretch.

    Raises:
        FileNotFoundError: There is none.
    """
    files = people_of(folder)
    names = list(dict.fromkeys(files.values()))
    test = set(names[FIRST_TEST::TEST_EVERY])
    chosen = [path for path, person in files.items() if (person in test) == (people == "test")]
    found = [Recording(files[path], tuple(_read_stretches(path))) for path in chosen]
    kept = tuple(recording for recording in found if recording.stretches)
    if not kept:
        raise FileNotFoundError(
            f"{folder} holds no clean pulses for {people}; it needs uw_oximetry/Left/*.csv, "
            "uw_oximetry/Right/*.csv or welltory/data/subject_*/PPG.csv"
        )
    return kept


def check_pulses(folder: Path) -> None:
    """Check that a folder holds recordings, clean or not.

    Raises:
        FileNotFoundError: It holds none.
    """
    if not people_of(folder):
        raise FileNotFoundError(
            f"{folder} holds no recordings of pulses: give the folder that has uw_oximetry and "
            "welltory as --pulses"
        )


def people_of(folder: Path) -> dict[Path, str]:
    """Files of finger colours in a folder of either set or both, and whose they are."""
    return {**_uw_files(folder), **_welltory_files(folder)}


def draw_recorded_pulse(
    rng: np.random.Generator,
    recordings: tuple[Recording, ...],
    seconds: float,
    bpm: float | None = None,
) -> Pulse | None:
    """Draw a piece of a recording, played faster or slower to have the wanted rate.

    Args:
        rng: Source of randomness.
        recordings: From `read_pulses`; each is as likely, whatever its length.
        seconds: Length of the pulse.
        bpm: Mean heart rate; none keeps the recording's own.

    Returns:
        The pulse, `seconds` long; None where no recording has a piece that is long enough and is
        brought to the rate by 0.6 to 1.7 times its speed.
    """
    for place in rng.permutation(len(recordings)):
        pieces = [
            (stretch, start, end)
            for stretch in recordings[place].stretches
            for start, end in _pieces(rng, stretch, seconds, bpm)
        ]
        if pieces:
            return _play(*pieces[int(rng.integers(len(pieces)))], seconds)
    return None


def _pieces(
    rng: np.random.Generator, stretch: Stretch, seconds: float, bpm: float | None
) -> list[tuple[float, float]]:
    """Starts and ends of pieces that last `seconds` at the wanted rate, one a beat."""
    beats = np.arange(len(stretch.onsets_s))
    first = beats[:-1] + rng.uniform()
    start = np.interp(first, beats, stretch.onsets_s)
    if bpm is None:
        end = start + seconds
        fits = end <= stretch.onsets_s[-1]
    else:  # as many beats as the wanted rate has in that time
        last = first + bpm / 60 * seconds
        end = np.interp(last, beats, stretch.onsets_s)
        speed = (end - start) / seconds
        fits = (last <= beats[-1]) & (speed >= MOST_SLOWING) & (speed <= MOST_SPEEDING)
    return list(zip(start[fits].tolist(), end[fits].tolist(), strict=True))


def _play(stretch: Stretch, start: float, end: float, seconds: float) -> Pulse:
    """Play a piece so that it lasts `seconds`."""
    speed = (end - start) / seconds
    time_s = np.arange(0.0, seconds + 1 / WAVE_HZ, 1 / WAVE_HZ)
    spline = interpolate.CubicSpline(np.arange(len(stretch.wave)) / FINGER_HZ, stretch.wave)
    return pulse_of(
        time_s, spline(start + speed * time_s), (stretch.onsets_s - start) / speed, seconds
    )


# Reading ------------------------------------------------------------------------------------------


def _uw_files(folder: Path) -> dict[Path, str]:
    """Files of the oximeter set and whose they are; a person's file has one name in both hands."""
    files = [
        path for hand in ("Left", "Right") for path in folder.glob(f"uw_oximetry/{hand}/*.csv")
    ]
    return {path: f"uw {path.stem}" for path in sorted(files, key=lambda path: path.stem)}


def _welltory_files(folder: Path) -> dict[Path, str]:
    """Files of the strap set and whose they may be.

    21 recordings are of 13 people; whose is whose is not published. Those that share a phone, by
    its colours and clock, are neighbours 2n and 2n + 1, so such two count as one person.
    """
    files = sorted(folder.glob("welltory/data/subject_*/PPG.csv"))
    return {path: f"welltory {int(path.parent.name.split('_')[1]) // 2}" for path in files}


def _read_stretches(path: Path) -> list[Stretch]:
    """Clean stretches of one recording of either set."""
    table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    if table.shape[1] == 3:
        found = _colour_stretches(np.arange(len(table)) / FINGER_HZ, table)
        return [stretch for _, stretch in found]
    beats_s = np.cumsum(np.loadtxt(path.parent / "RR.txt", ndmin=1)) / 1000
    found = _colour_stretches((table[:, 0] - table[0, 0]) / 1000, table[:, 1:])
    return [stretch for start_s, stretch in found if _strap_agrees(start_s, stretch, beats_s)]


def _colour_stretches(time_s: Array, rgb: Array) -> list[tuple[float, Stretch]]:
    """Clean stretches of the clearest colour, and when they begin."""
    gaps = np.flatnonzero(np.diff(time_s) > LONGEST_GAP_S) + 1
    found = []
    for frames in np.split(np.arange(len(time_s)), gaps):
        start_s, end_s = time_s[frames[[0, -1]]]
        if end_s - start_s < LEAST_S:
            continue
        even_s = np.arange(start_s, end_s, 1 / FINGER_HZ)
        waves = [
            bandpass(-np.interp(even_s, time_s[frames], rgb[frames, colour]), FINGER_HZ, BAND_HZ)
            for colour in range(3)
            if np.ptp(rgb[frames, colour]) > 0  # some phones leave a colour empty
        ]
        if waves:
            clean = _clean_stretches(max(waves, key=_clearness))
            found += [(start_s + begin_s, stretch) for begin_s, stretch in clean]
    return found


def _clearness(wave: Array) -> float:
    """How far the pulse stands out at the start of a recording, in dB."""
    return read_rate(wave[: round(LOOK_S * FINGER_HZ)], FINGER_HZ).features.snr_db


def _clean_stretches(wave: Array) -> list[tuple[float, Stretch]]:
    """Runs of clean beats that last `LEAST_S`, and when they begin."""
    rate = read_rate(wave, FINGER_HZ)
    onsets = _onsets(wave, find_beats(wave, FINGER_HZ, rate.bpm).rise_s, rate.bpm)
    if len(onsets) < NEIGHBOURS:
        return []
    spectral = np.interp(onsets[:-1], rate.track.time_s, rate.track.bpm)
    clean = np.concatenate([[False], _clean_beats(wave, onsets, spectral), [False]])
    edges = np.flatnonzero(clean[1:] != clean[:-1]).reshape(-1, 2)
    found = []
    for first, last in edges:
        start, end = int(onsets[first] * FINGER_HZ), int(onsets[last] * FINGER_HZ) + 2
        begin_s = start / FINGER_HZ
        stretch = Stretch(wave[start:end], onsets[first : last + 1] - begin_s)
        if stretch.seconds >= LEAST_S:
            found.append((begin_s, stretch))
    return found


def _onsets(wave: Array, rise_s: Array, bpm: float) -> Array:
    """Feet of the beats: where the tangent of the steepest rise meets the level before it. (M,)."""
    spline = interpolate.CubicSpline(np.arange(len(wave)) / FINGER_HZ, wave)
    reach = 0.3 * 60 / bpm
    before = rise_s[:, None] - np.linspace(0, reach, 64)
    ahead = (spline(rise_s) - spline(before).min(1)) / np.maximum(spline(rise_s, 1), 1e-12)
    onsets = rise_s - np.minimum(ahead, reach)
    onsets = onsets[(onsets >= 0) & (onsets < (len(wave) - 2) / FINGER_HZ)]
    return onsets[np.concatenate([[True], np.diff(onsets) > 0])] if len(onsets) else onsets


def _clean_beats(wave: Array, onsets: Array, spectral_bpm: Array) -> NDArray[np.bool_]:
    """Which beats are clean; beat k lasts from onset k to onset k + 1. Shape (M - 1,)."""
    length = np.diff(onsets)
    phase = np.linspace(0, 1, 64)
    at = (onsets[:-1, None] + phase * length[:, None]) * FINGER_HZ
    shape = np.interp(at, np.arange(len(wave)), wave)
    height = np.ptp(shape, axis=1)
    shape = (shape - shape.mean(1, keepdims=True)) / (shape.std(1, keepdims=True) + 1e-12)
    usual = ndimage.median_filter(shape, (NEIGHBOURS, 1), mode="nearest")
    usual = (usual - usual.mean(1, keepdims=True)) / (usual.std(1, keepdims=True) + 1e-12)
    growth = height / ndimage.median_filter(height, NEIGHBOURS, mode="nearest")
    change = length / ndimage.median_filter(length, 5, mode="nearest") - 1
    rate = 60 / ndimage.uniform_filter1d(length, round(10 / np.median(length)), mode="nearest")
    return (
        ((shape * usual).mean(1) >= LEAST_LIKENESS)
        & (abs(change) <= MOST_CHANGE)
        & (abs(np.log(growth)) <= np.log(MOST_GROWTH))
        & (phase[shape.argmax(1)] < 0.5)
        & (abs(rate - spectral_bpm) <= AGREE_BPM)
    )


def _strap_agrees(start_s: float, stretch: Stretch, beats_s: Array) -> bool:
    """Tell whether a chest strap counts the same rate over the time of a stretch."""
    return abs(stretch.bpm - _strap_bpm(start_s, stretch, beats_s)) <= STRAP_AGREE_BPM


def _strap_bpm(start_s: float, stretch: Stretch, beats_s: Array) -> float:
    """Mean rate of a chest strap over the time of a stretch, 0 where it says nothing."""
    edges = np.clip(start_s + stretch.onsets_s[[0, -1]], beats_s[0], beats_s[-1])
    beats = np.interp(edges, beats_s, np.arange(len(beats_s)))
    return float(60 * np.diff(beats)[0] / max(np.diff(edges)[0], 1e-9))
