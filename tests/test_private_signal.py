"""The private mode reads the same from a wave and from a face's colours as the server does."""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest
from playwright.sync_api import Error

from kdphys.flicker import ANY_LIGHT, flickers, follows_light, is_light
from kdphys.pulse import (
    WAVE_BAND_HZ,
    bandpass,
    bandpass_runs,
    longest_run_s,
    reading_window_s,
    track_rate,
    window_spectra,
)
from kdphys.sparse import PictureSteps
from kdphys.sway import sways
from kdphys.vitals import (
    DEFAULT,
    LEAST_SECONDS,
    NO_BREATHING,
    NO_WAVE,
    NOISY_BEATS,
    RIVALS,
    UNITS,
    WANDERS,
    Calibration,
    Context,
    Vitals,
    measure_vitals,
    read_rate,
)
from tests._private import Scripts, scripts
from tests._waves import beside_movement, noise, pulse_wave

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("private")]

FPS = 30.0
SAME = 1e-6  # both calculate in float64; only the order of sums differs
SKIN = np.array([150.0, 110.0, 90.0])
BLOOD = np.array([0.43, 1.0, 0.69])  # of R, G, B, relative to green
LOUD = Calibration(
    *(-4.0, 0.1, 0.3), log_amplitude=0.5, log_standing=0.7, slope_ms=0.0
)  # as of a network


@pytest.fixture(scope="module")
def private() -> Iterator[Scripts]:
    with scripts() as asked:
        yield asked


def pulse(bpm: float, seconds: float, *, loud: float = 0.0, seed: int = 0, **more: float):
    """Pulse in noise of the spread `loud`."""
    wave, _ = pulse_wave(bpm, FPS, seconds, **more)
    return wave + loud * noise(np.random.default_rng(seed), len(wave))


def breathing_pulse() -> np.ndarray:
    """A minute whose beats sway with breath in rate and strength, and by how much is clear."""
    wave = pulse(64, 60, sway=0.03, loud=0.02)
    return wave * (1 + 0.2 * np.sin(2 * np.pi * 0.23 * np.arange(len(wave)) / FPS))


def without(wave: np.ndarray, *gaps: tuple[float, float]) -> np.ndarray:
    """A wave with gaps, in seconds."""
    wave = wave.copy()
    for start, stop in gaps:
        wave[round(start * FPS) : round(stop * FPS)] = np.nan
    return wave


def bursting() -> np.ndarray:
    """A faint slow rhythm, and a few loud seconds at about twice its rate, which win."""
    time_s = np.arange(round(60 * FPS)) / FPS
    burst = 6.8 * np.exp(-0.5 * ((time_s - 30) / 2.4) ** 2)
    wave = np.sin(2 * np.pi * 48.4 / 60 * time_s)
    wave += burst * np.sin(2 * np.pi * 95.5 / 60 * time_s)
    return wave + 0.3 * noise(np.random.default_rng(3), len(wave))


def wandering() -> np.ndarray:
    """A loud rhythm whose rate goes to and fro by 20 bpm within seconds."""
    time_s = np.arange(round(30 * FPS)) / FPS
    turns = np.cumsum(90 + 20 * np.sin(2 * np.pi * 0.08 * time_s)) / 60 / FPS
    return np.sin(2 * np.pi * turns) + 0.1 * noise(np.random.default_rng(0), len(time_s))


def rising(first: float, last: float, seconds: float) -> np.ndarray:
    """Beats with a second rise each, of a rate that goes evenly from one to another."""
    turns = np.cumsum(np.linspace(first, last, round(seconds * FPS))) / 60 / FPS
    wave = np.cos(2 * np.pi * turns) + 0.4 * np.cos(4 * np.pi * turns - 1.2)
    return wave + 0.1 * np.random.default_rng(0).standard_normal(len(wave))


def two_tones() -> np.ndarray:
    """Two rhythms alike, of which neither is an overtone."""
    return sum(
        (np.sin(2 * np.pi * bpm / 60 * np.arange(240) / FPS) for bpm in (71.0, 117.0)),
        np.zeros(240),
    )


WAVES = {
    "50 bpm": pulse(50, 12, loud=0.3),
    "72 bpm": pulse(72, 12, loud=0.1),
    "120 bpm": pulse(120, 20, loud=0.3, sway=0.01),
    "170 bpm": pulse(170, 12, loud=0.3),
    "slow with a loud overtone": pulse(46, 30, overtone=5, loud=0.2),
    "beside a movement": beside_movement(1, 130, FPS, 30.0, 0.8),
    "either of two": beside_movement(2, 130, FPS, 12.0, 0.8),
    "doubled": noise(np.random.default_rng(4), 900),
    "adrift": bursting(),
    "jumping": np.concatenate([pulse(60, 30, loud=0.05), pulse(130, 30, loud=0.05)]),
    "noise": noise(np.random.default_rng(1), 600, slope=0.5),
    "noise of a minute": noise(np.random.default_rng(2), 1800),
    "wandering": wandering(),
    "two tones": two_tones(),
    "climbing": pulse(90, 60, ramp=0.4, loud=0.3),
    "drowned": pulse(72, 30, loud=3),
    "noisy beats": pulse(80, 60, loud=0.28, seed=1),
    "irregular beats": pulse(66, 60, loud=0.3),
    "too slow": pulse(35, 30, overtone=2, loud=0.1),
    "beside a slow rhythm": pulse(60, 60, loud=0.1) + 0.5 * pulse(28, 60, overtone=0, seed=1),
    "rising far": rising(60, 150, 60),
    "breath of two rates": pulse(48, 60, loud=0.02)
    * (1 + 0.3 * np.sin(2.9 * np.arange(1800) / FPS)),
    "a line in rounding noise": np.r_[np.full(300, 1.0), np.nan, np.full(300, 2.0)],
    "breathing": breathing_pulse(),
    "a minute": pulse(72, 60, loud=0.3, sway=0.02),
    "5 s": pulse(72, 5, loud=0.1),
    "6.7 s": pulse(97, 6.7, loud=0.1),
    "gaps": without(pulse(72, 60, loud=0.2), (0, 2), (14, 14.5), (40, 47)),
    "short stretches": without(pulse(97, 30, loud=0.1), (7, 9), (12, 12.1), (20.3, 24)),
    "mostly gaps": without(pulse(97, 30, loud=0.1), (4, 5), (9, 10), (14.1, 30)),
    "lost often": without(pulse(72, 60, loud=0.4), *((at, at + 1) for at in range(9, 60, 10))),
    "long and short": without(pulse(72, 40, loud=0.4), (21, 22), (28, 29), (35, 36)),
    "flat": np.full(360, 3.0),
    "4 s": pulse(72, 4),
    "nothing": np.full(360, np.nan),
    "empty": np.empty(0),
    "infinite": np.where(np.arange(600) == 300, np.inf, pulse(97, 20, loud=0.1)),
}
READ = [name for name, wave in WAVES.items() if longest_run_s(wave, FPS) >= LEAST_SECONDS]


def kept(name: str, fps: float = FPS) -> np.ndarray:
    """What a rate is read from."""
    wave = np.where(np.isfinite(WAVES[name]), WAVES[name], np.nan)
    return bandpass_runs(wave, fps, WAVE_BAND_HZ, LEAST_SECONDS)


def face(name: str, light: float, blood: float, seed: int = 0) -> np.ndarray:
    """Mean colours under light that swings with the wave, and blood that does with another."""
    wave = np.nan_to_num(WAVES[name])[:, None]
    rng = np.random.default_rng(seed)
    change = light * wave + blood * np.roll(wave, 4) * BLOOD
    return SKIN * (1 + change + 2e-4 * rng.standard_normal((len(wave), 3)))


def assert_alike(found: dict, vitals: Vitals) -> None:
    context = found.pop("context")
    assert context == pytest.approx(vitals.context and asdict(vitals.context), abs=SAME)
    assert set(found) == set(UNITS)
    for name, reading in found.items():
        assert reading == pytest.approx(asdict(getattr(vitals, name)), abs=SAME), name


def test_sparse_pictures_are_left_out_alike(private):
    rng = np.random.default_rng(5)
    for steps, waits in (
        (rng.uniform(0.02, 0.3, 100), False),
        (np.r_[np.full(200, 1 / 25), np.full(40, 0.2)], False),
        (np.full(60, 0.2), False),
        (np.full(20, 0.3), False),
        (np.r_[np.full(200, 1 / 25), 0.5], True),
        (np.r_[np.full(200, 1 / 25), 6.0], True),
        (np.r_[np.full(200, 1 / 25), 6.0, np.full(100, 1 / 25)], False),
    ):
        times, pictures = np.cumsum(steps), PictureSteps()
        for time_s, step_s in zip(times, steps, strict=True):
            note = pictures.wait if waits and time_s == times[-1] else pictures.push
            note(float(time_s), float(step_s))
        wave = without(pulse(70, times[-1]), (3.0, 3.4))
        end = len(wave) + 3
        kept, why = pictures.without_sparse(wave, end, FPS, 5.0)
        said, found = private.ask("sparse", "seen", times, steps, wave, end, FPS, 5.0, waits)
        assert said == why
        np.testing.assert_allclose(np.array(found, float), kept, rtol=1e-12)


@pytest.mark.parametrize("name", WAVES)
@pytest.mark.parametrize("calibration", [DEFAULT, LOUD], ids=["default", "loud"])
def test_the_vitals_and_the_words_are_the_same(private: Scripts, name, calibration):
    wave = WAVES[name]
    found = private.ask("vitals", "measureVitals", wave, FPS, asdict(calibration))
    assert_alike(found, measure_vitals(wave, FPS, calibration=calibration))
    now = private.ask("vitals", "measureVitals", wave, FPS, asdict(calibration), {"latestS": 6.0})
    assert_alike(now, measure_vitals(wave, FPS, calibration=calibration, latest_s=6.0))


@pytest.mark.parametrize("name", ["a minute", "gaps", "noisy beats", "noise of a minute", "5 s"])
def test_the_end_of_a_longer_wave_is_read_alike(private: Scripts, name):
    wave, calibration = WAVES[name], asdict(DEFAULT)
    for told in (
        measure_vitals(wave, FPS).context,
        Context(90.0, 0.9),
        Context(72.0, 0.9),
        Context(72.0, 0.1),
        Context(36.0, 0.1, either=True),
    ):
        given = {"latestS": 6.0, "context": told and asdict(told)}
        found = private.ask("vitals", "measureVitals", wave[-360:], FPS, calibration, given)
        assert_alike(found, measure_vitals(wave[-360:], FPS, latest_s=6.0, context=told))


def test_those_waves_have_much_to_say():
    said = [
        getattr(measure_vitals(wave, FPS), name).reason or name
        for wave in WAVES.values()
        for name in UNITS
    ]
    sentences = (NO_WAVE, RIVALS, WANDERS, NOISY_BEATS, NO_BREATHING)
    parts = ("out of the noise", "longest stretch", "clean beats", "RMSSD needs", "SDNN needs")
    parts += ("not found where they are due", "slower than 40 bpm")
    for part in (*sentences, *parts, *UNITS):
        assert any(part in each for each in said), part


@pytest.mark.parametrize("name", READ)
def test_a_rate_rests_on_the_same_features(private: Scripts, name):
    wave = kept(name)
    found = private.ask("vitals", "readRate", wave, FPS, asdict(LOUD))
    rate = read_rate(wave, FPS, LOUD)
    assert found["features"] == pytest.approx(asdict(rate.features), abs=SAME)
    assert found["bpm"] == pytest.approx(rate.bpm, abs=SAME)


@pytest.mark.parametrize(
    ("name", "fps", "window_s"),
    [
        ("72 bpm", 30.0, 10.0),
        ("short stretches", 30.0, 6.0),
        ("5 s", 30.0, 5.0),
        ("72 bpm", 15.0, 10.0),
        ("170 bpm", 20.0, 7.35),
    ],
)
def test_spectra_are_the_same(private: Scripts, name, fps, window_s):
    wave = kept(name, fps)
    found = private.ask("pulse", "windowSpectra", wave, fps, window_s)
    spectra = window_spectra(wave, fps, window_s)
    np.testing.assert_allclose(found["timeS"], spectra.time_s, atol=1e-12)
    np.testing.assert_array_equal(found["bpm"], spectra.bpm)
    close = {"rtol": 1e-9, "atol": 1e-9 * spectra.power.max()}
    np.testing.assert_allclose(found["power"], spectra.power, **close)
    np.testing.assert_allclose(found["real"], spectra.phasor.real, **close)
    np.testing.assert_allclose(found["imaginary"], spectra.phasor.imag, **close)


def test_a_frame_rate_that_does_not_fit_the_grid_is_refused(private: Scripts):
    with pytest.raises(Error, match="not whole"):
        private.ask("pulse", "windowSpectra", WAVES["72 bpm"], 29.97)


@pytest.mark.parametrize("name", [name for name in READ if name != "flat"])
def test_the_path_through_the_spectra_is_the_same(private: Scripts, name):
    wave = kept(name)
    spectra = window_spectra(wave, FPS, reading_window_s(wave, FPS))
    given = {
        "timeS": spectra.time_s.tolist(),
        "bpm": spectra.bpm.tolist(),
        "power": spectra.power.tolist(),
        "real": spectra.phasor.real.tolist(),
        "imaginary": spectra.phasor.imag.tolist(),
    }
    found = private.ask("pulse", "trackRate", given)
    track = track_rate(spectra)
    np.testing.assert_array_equal(found["timeS"], track.time_s)
    np.testing.assert_allclose(found["bpm"], track.bpm, atol=SAME)
    np.testing.assert_allclose(found["evidence"], track.evidence, atol=SAME)
    np.testing.assert_allclose(found["rival"], track.rival, atol=SAME)
    np.testing.assert_allclose(found["aloneBpm"], track.alone_bpm, atol=SAME)
    np.testing.assert_allclose(found["snrDb"], track.snr_db, atol=SAME)
    np.testing.assert_allclose(found["overtone"], track.overtone, rtol=SAME)
    np.testing.assert_allclose(found["locked"], track.locked, atol=SAME)


@pytest.mark.parametrize("name", ["72 bpm", "a minute", "gaps", "6.7 s", "lost often"])
@pytest.mark.parametrize("light", [0.0, 0.02])
def test_light_in_the_rhythm_of_the_wave_is_told_alike(private: Scripts, name, light):
    colours = face(name, light, 0.008 if light == 0 else 0.0)
    colours[np.isnan(WAVES[name])] = np.nan
    colours[10] = np.nan
    vitals = measure_vitals(WAVES[name], FPS, colours=colours)
    found = private.ask(
        "vitals",
        "measureVitals",
        WAVES[name],
        FPS,
        asdict(DEFAULT),
        {"colours": colours.ravel().tolist()},
    )
    assert_alike(found, vitals)
    assert (vitals.heart_rate.reason == ANY_LIGHT) == (light > 0)


def test_a_rhythm_of_the_light_is_told_alike_however_loud(private: Scripts):
    rng = np.random.default_rng(0)
    grey, shaking = [], []
    for seed in range(40):
        light, blood = rng.uniform(0, 0.01), rng.choice([0.0, 0.001, 0.004])
        colours = face(["72 bpm", "120 bpm", "climbing", "6.7 s"][seed % 4], light, blood, seed)
        bpm = (72.0, 120.0, 90.0, 97.0)[seed % 4]
        if seed % 5 == 4:  # glare that lies over the picture
            colours = SKIN + 100 * (colours / SKIN - 1)
        if seed % 5 == 3:  # light of a colour of its own
            colours = SKIN + rng.uniform(0.3, 2.0, 3) * (colours - SKIN)
        if seed % 5 == 2:  # a head that shakes for a moment
            colours[60:150] *= 1 + 0.05 * np.sin(0.3 * np.arange(90))[:, None]
        grey.append(is_light(colours, FPS, bpm))
        shaking.append(flickers(colours, FPS))
        assert private.ask("flicker", "isLight", colours.ravel(), FPS, bpm) == grey[-1], seed
        assert private.ask("flicker", "flickers", colours.ravel(), FPS) == shaking[-1], seed
    assert 10 <= sum(grey) <= 30
    assert 5 <= sum(shaking) <= 30


def test_a_wave_that_follows_the_light_is_told_alike(private: Scripts):
    rng = np.random.default_rng(0)
    told = []
    for seed in range(30):
        walk = 0.001 * np.cumsum(rng.standard_normal(600))[:, None]
        beat = 0.002 * np.sin(2 * np.pi * 1.2 * np.arange(600) / FPS)[:, None]
        colours = SKIN * (1 + rng.uniform(0, 1) * walk + rng.uniform(0, 1) * beat * [0.4, 1, 0.6])
        wave = bandpass(colours[:, 1] + rng.uniform(0, 1) * colours[:, 0], FPS, WAVE_BAND_HZ)
        if seed % 3 == 2:
            wave[200:280] = np.nan
            colours[300:350] = np.nan
        told.append(follows_light(wave, colours[: 600 - seed], FPS, 72))
        given = colours[: 600 - seed].ravel()
        assert private.ask("flicker", "followsLight", wave, given, FPS, 72) == told[-1], seed
    assert 5 <= sum(told) <= 25
    few, seen = np.full(600, np.nan), np.tile(SKIN, 600)
    assert not private.ask("flicker", "followsLight", few, seen, FPS, 72)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("isLight", "in all colours"),
        ("isLight", "as glare"),
        ("isLight", "in moving light"),
        ("flickers", "in all colours"),
        ("flickers", "in moving light"),
    ],
)
def test_light_is_noticed_from_the_same_strength_on(private: Scripts, name, kind):
    rng = np.random.default_rng(0)
    rhythm = np.sin(2 * np.pi * 97 / 60 * np.arange(450) / FPS)[:, None]
    walk = 0.008 * np.cumsum(rng.standard_normal(450))[:, None] * (kind == "in moving light")
    level = 110.0 if kind == "as glare" else SKIN

    def lit(strength: float) -> np.ndarray:
        return SKIN + level * (strength * rhythm + walk)

    def is_told(strength: float) -> bool:
        told = lit(strength)
        return is_light(told, FPS, 97) if name == "isLight" else flickers(told, FPS)

    below, above = 0.001, 0.1
    assert is_told(above)
    assert not is_told(below)
    while above - below > 1e-8:
        middle = (below + above) / 2
        below, above = (below, middle) if is_told(middle) else (middle, above)
    rate = (97.0,) if name == "isLight" else ()
    assert private.ask("flicker", name, lit(above + 1e-8).ravel(), FPS, *rate)
    assert not private.ask("flicker", name, lit(below - 1e-8).ravel(), FPS, *rate)


@pytest.mark.parametrize("lost", [slice(0, 0), slice(0, 10), slice(290, 300), slice(None)])
def test_nothing_is_told_of_colours_that_are_not_there(private: Scripts, lost):
    colours = face("120 bpm", 0.02, 0.0)
    colours[lost] = np.nan
    for seen in (colours, colours[:1], colours[:0], colours[:200], 0 * colours):
        flat = seen.ravel()
        assert private.ask("flicker", "isLight", flat, FPS, 120) == is_light(seen, FPS, 120)
        assert private.ask("flicker", "flickers", flat, FPS) == flickers(seen, FPS)


def test_a_head_that_moves_in_the_rhythm_is_told_alike(private: Scripts):
    rng = np.random.default_rng(0)
    told = []
    for seed in range(30):
        count = (150, 300, 450, 900)[seed % 4]
        steps = rng.uniform(0.002, 0.03) * np.sin(2 * np.pi * 97 / 60 * np.arange(count) / FPS)
        places = rng.uniform(0, 0.004) * np.cumsum(rng.standard_normal((count, 3)), axis=0)
        places[:, seed % 3] += steps
        places = 120 * (np.array([3.0, 2.0, 1.0]) + places)
        if seed % 5 == 4:
            places[60:90] = np.nan
        told.append(sways(places, FPS, 97))
        assert private.ask("sway", "sways", places.ravel(), FPS, 97) == told[-1], seed
        assert private.ask("sway", "swayOf", places.ravel(), FPS, 194) == (97 if told[-1] else None)
    assert 8 <= sum(told) <= 22


def test_a_rate_at_which_the_head_moves_is_refused_alike(private: Scripts):
    wave = WAVES["72 bpm"]
    steps = 0.02 * np.sin(2 * np.pi * 72 / 60 * np.arange(len(wave)) / FPS)
    places = 120 * np.stack([3 + 0 * steps, 2 + steps, 1 + 0 * steps], 1)
    vitals = measure_vitals(wave, FPS, places=places)
    asked = {"places": places.ravel().tolist()}
    found = private.ask("vitals", "measureVitals", wave, FPS, asdict(DEFAULT), asked)
    assert_alike(found, vitals)
    assert "the head moves" in str(vitals.heart_rate.reason)
