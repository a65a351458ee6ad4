"""Numbers for a person from a pulse wave: each with a unit, a quality, and a reason if missing.

Quality estimates a probability: of a heart rate within 3 bpm (fitted by `train/calibrate.py`), of
an RMSSD or SDNN within 10 ms or 20 %, and of a breathing rate within 2 a minute (these set by hand
and checked in simulation only). Below one half there is no number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from kdphys.beats import (
    BREATHING_PER_MIN,
    RMSSD_NOISE,
    SDNN_NOISE,
    Beats,
    Intervals,
    breathing,
    find_beats,
    intervals,
    rmssd_ms,
    sdnn_ms,
    timing_noise_ms,
    without_noise,
)
from kdphys.cadence import Cadence, find_cadence, remove_locked, wander
from kdphys.flicker import ANY_LIGHT, WANDERING_LIGHT, follows_light, is_light
from kdphys.pulse import (
    ADRIFT,
    HEART_BAND_HZ,
    WAVE_BAND_HZ,
    WINDOW_S,
    RateTrack,
    bandpass_runs,
    longest_run_s,
    looked_at_s,
    reading_window_s,
    runs,
    standing,
    track_rate,
    window_spectra,
)
from kdphys.sway import SWAYS, sway_of

LEAST_QUALITY = 0.5
LEAST_SECONDS = 5.0
RMSSD_SECONDS, RMSSD_STEPS = 20.0, 15
SDNN_SECONDS, SDNN_BEATS = 30.0, 20  # two or three breaths, or its slower swings are missed
BREATHING_SECONDS = 30.0
SPARE_SECONDS = 3.0  # of those that may be missing: the ends of a wave give no intervals
BREATHING_SHARE, BREATHING_STEEPNESS = 0.6, 12.0  # of a logistic function; set by hand
TOLERANCE_MS, TOLERANCE = 10.0, 0.2  # of variability, whichever is more
LEAST_CLEAN = 0.9  # of the beats, that come when they are due, for variability and breathing
MOST_NOISE_MS = 25.0  # of a beat's time, for variability
TAKEN_OFF = 2.0  # tolerances, at which the noise that is taken off halves the trust; set by hand
MUCH_NOISE = 3.4  # tolerances, at which a network's noise does; from drawn faces
LEAST_WANDER = 0.04  # a rhythm that strays less than this from the key frames is theirs
LEAST_LEFT = 0.15  # of a wave's power, when the key frames' part is out, to be more than misfit
LIGHT_ORDERS = (1, 2)  # of a rate, at which light may be that a network reads as it
STEADY = 0.9  # quality that light which wanders without a rhythm does not reach
LOUD_OVERTONE = 0.5  # of a rate's power, beyond which the heart may beat twice as fast: below
# STEADY 10 of 16 such readings of 2,100 drawn faces were wrong
DISTRUST = 4.0  # what a quality is divided by where something speaks against any reading
SWINGING_BPM = 2.0  # between where a rate dwells and its mean, from which the mean is given
COUNTED, ALIKE = 0.98, 0.25  # share of clean intervals, and spread of the beats' slopes over their
# mean, by which beats are so sure that counting them is the best reading
LEAST_COUNTED = 4  # intervals
MOST_RISE = 1.6  # of the fastest rate over the slowest, beyond which beats are missed or seen twice
NOTED_RISE = 1.2  # of the fastest rate over the slowest, from which one number does not say all
MOST_HEIGHT = 0.1  # decimal logarithm of the loudest wave of a face: louder is no surer
LEAST_STANDING = 0.01  # of a wave's power in the line of its rate: noise has more
LEAST_WEIGHT = 0.02  # of a window in the mean rate, whatever its quality
MOST_ODDS = 30.0  # logarithm of the odds that a confidence goes up or down to
BEND_WINDOWS = 3  # to both sides, that a rate's line is drawn through
MOST_WANDERING_BPM, MUCH_EVIDENCE = 4.0, 8.0  # beyond, there is a rhythm that can be named
AGREE_BPM = 4.0  # between what a window reads by itself and the path through all of them
CONTEXT_WINDOWS = 3  # at the end of a longer wave: what a reading of 12 s looks at
CONTEXT_SHARE = 0.65  # of the log odds that a longer wave has, beside a reading's own
FLAT = 1e-9
SPECTRUM_BPM, SPECTRUM_STEP_BPM, SPECTRUM_WINDOW_S = (30.0, 240.0), 0.25, 20.0
UNITS = {"heart_rate": "bpm", "rmssd": "ms", "sdnn": "ms", "respiration": "breaths/min"}

TOO_SHORT = (
    "The longest stretch without a gap has {found:.1f} s of pulse wave; a heart rate needs "
    "{needed:.0f} s. Record for longer, and keep the face in view."
)
NO_WAVE = "No steady pulse was found: the wave is flat."
NO_PULSE = "No steady pulse was found: {why}. Hold still, in even light, for longer."
WANDERS = "the strongest rhythm wanders, as movement does"
RIVALS = "more than one rhythm could be it"
EITHER = "{bpm:.0f} and {twice:.0f} beats a minute stand out alike"
DROWNED = "nothing stands out of the noise"
TOO_SLOW = (
    "No pulse was found that can be read: what is there may be one slower than {slowest:.0f} bpm, "
    "which is not read."
)
IRREGULAR = (
    "{share:.0f} % of the beats were not found where they are due, as the pulse is uneven or too "
    "noisy, so variability and breathing can't be told."
)
UNSTEADY = "Beat-to-beat variability needs a steady pulse."
UNEVEN = (
    "The heart rate moved between about {slowest:.0f} and {fastest:.0f} bpm; variability and "
    "breathing need a steadier one. Rest before you record."
)
CHANGED = (
    "The heart rate moved between about {slowest:.0f} and {fastest:.0f} bpm; the one number is its "
    "mean."
)
FEW_STEPS = (
    "RMSSD needs {needed:.0f} s of beats with {least} clean differences; "
    "{found:.0f} s with {count} were found."
)
FEW_INTERVALS = (
    "SDNN needs {needed:.0f} s of beats with {least} clean intervals; "
    "{found:.0f} s with {count} were found."
)
NOISY_BEATS = "The beats are too noisy to be timed to milliseconds."
UNSTEADY_BREATHING = "A breathing rate needs a steady pulse."
FEW_BEATS = "{found:.0f} s of clean beats were found; a breathing rate needs {needed:.0f} s."
ALIASED = (
    "At a heart rate of {bpm:.0f} bpm, {value:.0f} and {other:.0f} breaths a minute sway the beats "
    "alike."
)
NO_BREATHING = (
    "No steady breathing of 8 to 30 a minute shows in the beats; what is slower can't be told from "
    "waves of blood pressure."
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """One number for a person, or the reason why there is none."""

    value: float | None
    """The number; None where it can't be trusted."""
    unit: str
    """Unit of the value."""
    quality: float
    """Confidence in [0, 1]."""
    reason: str | None
    """In words, why there is no number."""
    is_early: bool = False
    """Whether there is none only as too little was seen yet."""


@dataclass(frozen=True)
class WindowRate:
    """Heart rate of one 10 s window."""

    time_s: float
    """Centre of the window."""
    heart_rate_bpm: float | None
    """Beats a minute; None where they can't be trusted."""
    quality: float
    """Confidence in [0, 1]."""


@dataclass(frozen=True)
class Spectrum:
    """Where the power of a wave lies."""

    bpm: Array
    """Frequencies in cycles a minute. Shape (F,)."""
    power: Array
    """Power, 1 at its highest. Shape (F,)."""


@dataclass(frozen=True)
class Context:
    """What a longer wave says of the heart rate at its end, whether it is to be shown or not."""

    bpm: float
    """Mean of its last windows."""
    quality: float
    """Confidence in the whole of it, in [0, 1]."""
    either: bool = False
    """Whether it is low as the heart may as well beat twice as fast."""


@dataclass(frozen=True)
class Vitals:
    """Everything that is read from a pulse wave."""

    heart_rate: Reading
    """Mean heart rate of the recording, in bpm."""
    rmssd: Reading
    """Beat-to-beat variability, in ms."""
    sdnn: Reading
    """Spread of the beat-to-beat intervals over the recording, in ms."""
    respiration: Reading
    """Breathing rate, in breaths a minute."""
    windows: tuple[WindowRate, ...]
    """Heart rate over time, a window each second."""
    beats_s: Array
    """Times of the beats; none where there is no heart rate. Shape (N,)."""
    spectrum: Spectrum
    """Of the wave that was read."""
    context: Context | None
    """For a reading of the end of this wave; None where nothing can be read, or nothing may be."""


@dataclass(frozen=True)
class QualityFeatures:
    """What the confidence in a heart rate rests on."""

    snr_db: float
    """Power at the rate and its harmonics over the rest, in dB; mean of the windows."""
    evidence: float
    """How far lines at the rate and its harmonics stand out of the noise floor, in nats."""
    margin: float
    """Evidence over that for the most credible other rate, in nats."""
    wandering: float
    """Natural logarithm of 1 + twice how far the rate usually is off a line over 6 s, in bpm."""
    agreement: float
    """Share of the windows that read the same rate by themselves."""
    log_seconds: float
    """Decimal logarithm of the usable seconds."""
    log_amplitude: float
    """Decimal logarithm of the standard deviation of the wave in the heart band, up to a height
    from which on it tells nothing more."""
    log_standing: float
    """Decimal logarithm of how much of the wave stays in the line of its rate for half a minute."""


@dataclass(frozen=True)
class Calibration:
    """Logistic function from features to the probability that a rate is within 3 bpm.

    The default is for waves of any amplitude; `train/calibrate.py` fits it.
    """

    intercept: float = -4.7086
    """Log odds when every feature is 0."""
    snr_db: float = 0.0329
    """Log odds a dB."""
    evidence: float = 0.0885
    """Log odds a nat."""
    margin: float = 0.3115
    """Log odds a nat."""
    wandering: float = -1.237
    """Log odds a unit."""
    agreement: float = 0.3347
    """Log odds between no window and all."""
    log_seconds: float = 2.0318
    """Log odds for ten times the length."""
    log_amplitude: float = 0.0
    """Log odds for ten times the amplitude; 0 where amplitude means nothing."""
    log_standing: float = 0.0
    """Log odds for ten times as much of the wave in a line that stays; 0 but for networks."""
    slope_ms: float = 100.0
    """Noise of a beat's time that a change of slopes from beat to beat by their own size tells, in
    ms; 0 for networks, which draw all beats alike. From 21 finger waves beside a chest strap."""

    def quality(self, features: QualityFeatures) -> float:
        """Probability in [0, 1] that the heart rate is right to 3 bpm."""
        odds = self.intercept + sum(
            getattr(self, field.name) * getattr(features, field.name) for field in fields(features)
        )
        return _chance(odds)


DEFAULT = Calibration()


def measure_vitals(  # noqa: PLR0913  (each is known to another stage)
    wave: Array,
    fps: float,
    *,
    calibration: Calibration = DEFAULT,
    key_times_s: Array | None = None,
    colours: Array | None = None,
    places: Array | None = None,
    distrust: str | None = None,
    latest_s: float | None = None,
    context: Context | None = None,
) -> Vitals:
    """Read heart rate, variability and breathing from a pulse wave.

    Args:
        wave: Pulse wave that rises with blood volume, NaN where there is no face. Shape (T,).
        fps: Sampling rate in Hz.
        calibration: From features to confidence; the default ignores the amplitude of the wave.
        key_times_s: Times of the video's key frames, on the axis of the wave. Shape (K,).
        colours: Mean red, green and blue of the face at the same rate, NaN where there is none; a
            rhythm in colours that blood has not is that of the light. Shape (N, 3).
        places: Where the face is, as `kdphys.sway` takes it; a rhythm in which the head moves may
            be that of steps. Shape (N, 3).
        distrust: What else speaks against any reading, in words for a person.
        latest_s: Count beats of so many seconds at the end only, for a rate as it is now; the mean
            of the whole wave unless given.
        context: Of the vitals of a longer wave with this one at its end; both have a say in how
            sure the rate is, unless it has just changed or is one of the two between which the
            longer wave could not choose.

    Returns:
        The vitals; each number has a reason where it is missing.

    Raises:
        ValueError: The wave is not of shape (T,), or `fps` too low for the heart band.
    """
    wave = np.array(wave, np.float64)
    if wave.ndim != 1 or not fps > 0:
        raise ValueError(f"wave has shape {wave.shape} at fps={fps}; it must be (T,) at fps > 0")
    wave[~np.isfinite(wave)] = np.nan
    if unusable := _unusable(wave, fps, distrust):
        return unusable
    kept = bandpass_runs(wave, fps, WAVE_BAND_HZ, LEAST_SECONDS)
    if np.nanstd(kept) <= FLAT:
        return _nothing(distrust or NO_WAVE)
    rate, blame = read_rate(kept, fps, calibration, latest_s), None
    if cadence := find_cadence(key_times_s, len(wave) / fps):
        kept, rate, blame = _beside_cadence(kept, fps, calibration, cadence, rate, latest_s)
    if context:
        rate = _in_context(rate, context)
    if not distrust and rate.quality >= LEAST_QUALITY:
        distrust = _no_heart(rate, wave, fps, colours, places)
    either = None if distrust else _either(rate)
    if doubt := distrust or either:
        rate = replace(rate, quality=rate.quality / DISTRUST, qualities=rate.qualities / DISTRUST)
        blame = doubt
    sure = rate.quality >= LEAST_QUALITY
    beats = rate.beats
    found = intervals(beats)
    noise_ms = timing_noise_ms(found, beats, calibration.slope_ms)
    return Vitals(
        Reading(
            rate.bpm if sure else None,
            UNITS["heart_rate"],
            rate.quality,
            None if sure else blame or _doubt(rate),
        ),
        _read_variability(RMSSD, found, rate, noise_ms, calibration),
        _read_variability(SDNN, found, rate, noise_ms, calibration),
        _read_breathing(found, beats, rate),
        tuple(
            WindowRate(float(at), float(bpm) if good >= LEAST_QUALITY else None, float(good))
            for at, bpm, good in zip(rate.track.time_s, rate.track.bpm, rate.qualities, strict=True)
        ),
        beats.peak_s if sure else np.empty(0),
        _spectrum(kept, fps),
        None if distrust else _context_of(rate, either=either is not None),
    )


def change(vitals: Vitals) -> str | None:
    """Say between which rates a heart moved, where one number does not say all; else None."""
    given = [window.heart_rate_bpm for window in vitals.windows if window.heart_rate_bpm]
    if vitals.heart_rate.value is None or not given or max(given) < NOTED_RISE * min(given):
        return None
    return CHANGED.format(slowest=min(given), fastest=max(given))


def _no_heart(
    rate: "Rate", wave: Array, fps: float, colours: Array | None, places: Array | None
) -> str | None:
    """Why what has this rate is not a heart that beats so, or None."""
    if slow := _too_slow(rate):
        return slow
    if places is not None and (sway := sway_of(places, fps, rate.bpm)):
        return SWAYS.format(bpm=sway)
    if colours is None:
        return None
    if any(is_light(colours, fps, order * rate.bpm) for order in LIGHT_ORDERS):
        return ANY_LIGHT
    if rate.quality < STEADY and follows_light(wave, colours, fps, rate.bpm):
        return WANDERING_LIGHT
    return None


def _either(rate: "Rate") -> str | None:
    """Why the heart may as well beat twice as fast, or None."""
    is_sure = rate.quality >= STEADY and rate.track.locked >= ADRIFT
    if rate.quality < LEAST_QUALITY or rate.track.overtone <= LOUD_OVERTONE or is_sure:
        return None
    return NO_PULSE.format(why=EITHER.format(bpm=rate.bpm, twice=2 * rate.bpm))


@dataclass(frozen=True)
class Rate:
    """A heart rate before anyone decides whether to show it."""

    bpm: float
    """By counting beats where they are sure, else the mean of the windows, weighted by quality."""
    beats: Beats
    """Beats at this rate."""
    features: QualityFeatures
    """Of the whole recording."""
    quality: float
    """Of the whole recording."""
    track: RateTrack
    """Rate of each window."""
    qualities: Array
    """Quality of each window. Shape (N,)."""


def read_rate(
    wave: Array, fps: float, calibration: Calibration = DEFAULT, latest_s: float | None = None
) -> Rate:
    """Heart rate of a wave, whatever its quality.

    Args:
        wave: Wave in `WAVE_BAND_HZ`, NaN in gaps, a gapless stretch of `LEAST_SECONDS`. Shape (T,).
        fps: Sampling rate in Hz.
        calibration: From features to confidence.
        latest_s: As for `measure_vitals`.
    """
    window_s = reading_window_s(wave, fps)
    track = track_rate(window_spectra(wave, fps, window_s))
    change = _bends(track.bpm)
    margin = track.evidence - track.rival
    agrees = (np.abs(track.alone_bpm - track.bpm) < AGREE_BPM).astype(float)
    usable_s = looked_at_s(wave, fps, window_s)
    spread = np.nanstd(bandpass_runs(wave, fps, HEART_BAND_HZ, LEAST_SECONDS))
    height = min(math.log10(spread + FLAT), MOST_HEIGHT)
    stands = np.maximum(standing(wave, fps, track), LEAST_STANDING)
    window_log_s = math.log10(min(usable_s, WINDOW_S))
    qualities = np.array(
        [
            calibration.quality(
                QualityFeatures(snr, nats, ahead, log_bend, alike, window_log_s, height, stays)
            )
            for snr, nats, ahead, log_bend, alike, stays in zip(
                track.snr_db,
                track.evidence,
                margin,
                np.log1p(change),
                agrees,
                np.log10(stands),
                strict=True,
            )
        ]
    )
    features = QualityFeatures(
        snr_db=float(track.snr_db.mean()),
        evidence=float(track.evidence.mean()),
        margin=float(margin.mean()),
        wandering=math.log1p(change.mean()),
        agreement=float(agrees.mean()),
        log_seconds=math.log10(usable_s),
        log_amplitude=height,
        log_standing=math.log10(stands.mean()),
    )
    bpm = float(np.average(track.bpm, weights=qualities + LEAST_WEIGHT))
    middle = float(track.middle_bpm.mean())
    if latest_s is None and abs(middle - bpm) > SWINGING_BPM:
        bpm = middle
    beats = find_beats(wave, fps, bpm)
    since_s = -math.inf if latest_s is None else len(wave) / fps - latest_s
    if not _rises_far(track):
        bpm = _counted(beats, since_s) or bpm
    return Rate(bpm, beats, features, calibration.quality(features), track, qualities)


def _context_of(rate: Rate, *, either: bool) -> Context:
    """What a reading of the end of a wave is to know of the whole."""
    return Context(float(rate.track.bpm[-CONTEXT_WINDOWS:].mean()), rate.quality, either)


def _in_context(rate: Rate, context: Context) -> Rate:
    """The rate with the confidence that it has in a longer wave."""
    if context.either and abs(rate.bpm - 2 * context.bpm) <= 2 * AGREE_BPM:
        return rate  # it tells which of the two it is
    if context.quality >= LEAST_QUALITY and abs(rate.bpm - context.bpm) > AGREE_BPM:
        return rate  # it has just changed
    own, longer = (_odds(quality) for quality in (rate.quality, context.quality))
    return replace(rate, quality=_chance(own + CONTEXT_SHARE * (longer - own)))


def _odds(chance: float) -> float:
    """Logarithm of the odds of a probability."""
    chance = min(max(chance, math.exp(-MOST_ODDS)), 1 - math.exp(-MOST_ODDS))
    return math.log(chance / (1 - chance))


def _chance(odds: float) -> float:
    """Probability from the logarithm of its odds; none where there are no such odds."""
    return 0.0 if math.isnan(odds) else 1 / (1 + math.exp(-max(-MOST_ODDS, min(MOST_ODDS, odds))))


def _counted(beats: Beats, since_s: float) -> float | None:
    """Mean rate of beats since a time, where they are surely all of them and nothing else."""
    found = intervals(beats)
    latest = found.end_s - found.seconds >= since_s
    if latest.sum() < LEAST_COUNTED or found.clean.mean() < COUNTED:
        return None
    if np.std(beats.slope) > ALIKE * np.mean(beats.slope):
        return None
    return 60 / float(found.seconds[latest].mean())


def _bends(bpm: Array) -> Array:
    """Twice how far each rate is off the line through those 3 s before and after, in bpm. (N,)."""
    reach = BEND_WINDOWS
    if len(bpm) <= 2 * reach:
        return np.zeros(len(bpm))
    off = np.abs(bpm[2 * reach :] - 2 * bpm[reach:-reach] + bpm[: -2 * reach])
    return np.pad(off, reach, mode="edge")


def _beside_cadence(
    wave: Array,
    fps: float,
    calibration: Calibration,
    cadence: Cadence,
    raw: Rate,
    latest_s: float | None,
) -> tuple[Array, Rate, str | None]:
    """The wave and rate that are not the key frames' doing, and words to blame those if none."""
    how_often = (
        f"come {cadence.per_min:.0f} times a minute" if cadence.steady else "come irregularly"
    )
    blame = (
        f"No steady pulse was found: the video's key frames {how_often}, and what pulses follows "
        "them. Record without compression, or with rarer key frames."
    )
    strays = wander(wave, fps, cadence, raw.bpm)
    if strays is not None and strays > LEAST_WANDER and raw.quality >= LEAST_QUALITY:
        return wave, raw, None  # a heart at the rate of the key frames
    clean = remove_locked(wave, fps, cadence)
    rate = read_rate(clean, fps, calibration, latest_s)
    strays = wander(wave, fps, cadence, rate.bpm)
    left = float(np.nanvar(clean) / max(np.nanvar(wave), np.finfo(float).tiny))
    doubt = min(1.0, left / LEAST_LEFT)
    if strays is not None:  # the removal itself may leave the key frames' beat behind
        known = raw.quality >= LEAST_QUALITY
        doubt = min(doubt, max(strays, 0.0) / LEAST_WANDER) if known else 0.0
    if doubt < 1:  # a remainder of what the key frames do
        rate = replace(rate, quality=0.5 * rate.quality * doubt)
    elif raw.quality < LEAST_QUALITY:
        return clean, rate, None
    if rate.quality < LEAST_QUALITY:
        rate = replace(rate, qualities=np.minimum(rate.qualities, rate.quality))
    return clean, rate, blame


@dataclass(frozen=True)
class _Figure:
    """A figure of beat-to-beat variability, and what it needs."""

    of: Callable[[Intervals], tuple[float, int]]
    """Gives it in ms, and from how many clean parts."""
    unit: str
    noise: float
    """Variances of a beat's noise that its square has."""
    seconds: float
    count: int
    few: str
    """What is said where there are fewer."""


RMSSD = _Figure(rmssd_ms, UNITS["rmssd"], RMSSD_NOISE, RMSSD_SECONDS, RMSSD_STEPS, FEW_STEPS)
SDNN = _Figure(sdnn_ms, UNITS["sdnn"], SDNN_NOISE, SDNN_SECONDS, SDNN_BEATS, FEW_INTERVALS)


def _read_variability(
    figure: _Figure, found: Intervals, rate: Rate, noise_ms: float, calibration: Calibration
) -> Reading:
    """A figure of variability without noise, when the beats are timed well enough."""
    if why := _why_no_beats(rate, UNSTEADY):
        return Reading(None, figure.unit, 0.0, why)
    (raw, count), heard_s = figure.of(found), found.seconds.sum()
    if heard_s < figure.seconds - SPARE_SECONDS or count < figure.count:
        reason = figure.few.format(
            found=heard_s, count=count, needed=figure.seconds, least=figure.count
        )
        return Reading(None, figure.unit, 0.0, reason)
    if why := _why_irregular(found):
        return Reading(None, figure.unit, 0.0, why)
    value = without_noise(raw, figure.noise, noise_ms)
    tolerance = max(TOLERANCE_MS, TOLERANCE * value)
    if calibration.slope_ms:
        doubt = ((raw - value) / tolerance / TAKEN_OFF) ** 2
    else:  # a network's noise goes on from beat to beat, so that some is left
        doubt = (noise_ms / tolerance / MUCH_NOISE) ** 2 * figure.noise
    trust = rate.quality * float(found.clean.mean()) / (1 + doubt)
    trust = trust if noise_ms <= MOST_NOISE_MS else 0.0  # NaN where the noise is not known
    if trust < LEAST_QUALITY:
        return Reading(None, figure.unit, trust, NOISY_BEATS)
    return Reading(value, figure.unit, trust, None)


def _read_breathing(found: Intervals, beats: Beats, rate: Rate) -> Reading:
    """Breathing rate, when it sways the beats clearly."""
    unit = UNITS["respiration"]
    if why := _why_no_beats(rate, UNSTEADY_BREATHING):
        return Reading(None, unit, 0.0, why)
    heard_s = float(found.seconds[found.clean].sum())
    if heard_s < BREATHING_SECONDS - SPARE_SECONDS:
        reason = FEW_BEATS.format(found=heard_s, needed=BREATHING_SECONDS)
        return Reading(None, unit, 0.0, reason)
    if why := _why_irregular(found):
        return Reading(None, unit, 0.0, why)
    value, share = breathing(found, beats)
    trust = rate.quality / (1 + math.exp(-BREATHING_STEEPNESS * (share - BREATHING_SHARE)))
    if trust < LEAST_QUALITY:
        return Reading(None, unit, trust, NO_BREATHING)
    if value < (other := rate.bpm - value) <= BREATHING_PER_MIN[1]:  # beats sample it once each
        reason = ALIASED.format(bpm=rate.bpm, value=value, other=other)
        return Reading(None, unit, 0.0, reason)
    return Reading(value, unit, trust, None)


def _why_no_beats(rate: Rate, unsteady: str) -> str | None:
    """Why single beats can't be told: as `unsteady` says, or as the rate changes much; or None."""
    if rate.quality < LEAST_QUALITY:
        return unsteady
    if not _rises_far(rate.track):
        return None
    return UNEVEN.format(slowest=rate.track.bpm.min(), fastest=rate.track.bpm.max())


def _rises_far(track: RateTrack) -> bool:
    """Whether beats that are found with one rate for all would be missed or seen twice."""
    return bool(track.bpm.max() > MOST_RISE * track.bpm.min())


def _why_irregular(found: Intervals) -> str | None:
    """Why normal beats can't be told from others; None where they can."""
    share = float(found.clean.mean())
    return None if share >= LEAST_CLEAN else IRREGULAR.format(share=100 * (1 - share))


def _unusable(wave: Array, fps: float, distrust: str | None) -> Vitals | None:
    """What is said of a wave that can't be read at all; None of one that can."""
    found_s = longest_run_s(wave, fps)
    if found_s >= LEAST_SECONDS:
        return _nothing(distrust or NO_WAVE) if np.nanstd(wave) <= FLAT else None
    found_s = math.floor(10 * found_s) / 10
    return _nothing(TOO_SHORT.format(found=found_s, needed=LEAST_SECONDS), is_early=True)


def _doubt(rate: Rate) -> str:
    """Why a rate is not trusted, in words."""
    if math.expm1(rate.features.wandering) > MOST_WANDERING_BPM:
        return NO_PULSE.format(why=WANDERS)
    if rate.features.evidence <= MUCH_EVIDENCE:
        return NO_PULSE.format(why=DROWNED)
    return _too_slow(rate) or NO_PULSE.format(why=RIVALS)


def _too_slow(rate: Rate) -> str | None:
    """That a heart beats at half the rate, which is not read, or None."""
    return TOO_SLOW.format(slowest=60 * HEART_BAND_HZ[0]) if rate.track.is_doubled else None


def _nothing(reason: str, *, is_early: bool = False) -> Vitals:
    """Vitals without a number."""
    grid = np.arange(*SPECTRUM_BPM, SPECTRUM_STEP_BPM)
    heart_rate, rmssd, sdnn, respiration = (
        Reading(None, unit, 0.0, reason, is_early) for unit in UNITS.values()
    )
    spectrum = Spectrum(grid, np.zeros_like(grid))
    return Vitals(heart_rate, rmssd, sdnn, respiration, (), np.empty(0), spectrum, None)


def _spectrum(wave: Array, fps: float) -> Spectrum:
    """Mean spectrum of 20 s windows, for a picture."""
    grid = np.arange(*SPECTRUM_BPM, SPECTRUM_STEP_BPM)
    length = round(min(SPECTRUM_WINDOW_S, longest_run_s(wave, fps)) * fps)
    hop = max(1, length // 2)
    starts = np.concatenate(
        [np.arange(r.start, r.stop - length + 1, hop) for r in runs(wave, fps, length / fps)]
    )
    windows = np.lib.stride_tricks.sliding_window_view(wave, length)[starts]
    windows = windows * signal.get_window("hann", length)
    points = max(length, round(60 * fps / SPECTRUM_STEP_BPM))
    power = (np.abs(np.fft.rfft(windows, points, axis=1)) ** 2).mean(0)
    shown = np.interp(grid, np.arange(len(power)) * 60 * fps / points, power)
    return Spectrum(grid, shown / max(shown.max(), np.finfo(float).tiny))
