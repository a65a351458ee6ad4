from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.pulses import Pulse, draw_pulse
from train.recorded_pulses import Recording, Stretch, draw_recorded_pulse, read_pulses

PPG = Path(__file__).parents[1] / "../shared/data/ppg"
NO_PPG = pytest.mark.skipif(not PPG.is_dir(), reason="../shared/data/ppg is not here")
SECONDS = 40.0


def finger(seed: int, time_s: np.ndarray, bpm: float) -> tuple[np.ndarray, Pulse]:
    """Colours of a finger on a camera, whose green says most and whose blue says nothing."""
    rng = np.random.default_rng(seed)
    pulse = draw_pulse(rng, SECONDS, 0.3, bpm)
    volume = pulse.at(time_s)
    noise = rng.standard_normal((len(time_s), 2)) * [0.2, 0.05]
    red_green = [240.0, 60.0] * (1 - 0.01 * (volume[:, None] + noise))
    return np.column_stack([red_green, np.zeros(len(time_s))]), pulse


def write_hand(folder: Path, hand: str, person: int, rgb: np.ndarray) -> None:
    path = folder / "uw_oximetry" / hand / f"{person}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rgb, delimiter=",", header="R,G,B", comments="")


def write_strap(
    folder: Path, number: int, time_s: np.ndarray, rgb: np.ndarray, beats_s: np.ndarray
) -> None:
    path = folder / "welltory" / "data" / f"subject_{number:02d}"
    path.mkdir(parents=True)
    table = np.column_stack([np.round(1000 * time_s), rgb])
    np.savetxt(path / "PPG.csv", table, delimiter=",", header="time,R,G,B", comments="")
    gaps_ms = np.diff(beats_s, prepend=0.0) * 1000
    (path / "RR.txt").write_text(" ".join(f"{gap:.0f}" for gap in gaps_ms))


def write_tree(folder: Path) -> dict[str, Pulse]:
    """Two people's hands, and three recordings of at most two people beside a strap."""
    even_s = np.arange(0, SECONDS - 0.1, 1 / 30)
    uneven_s = np.sort(even_s + np.random.default_rng(0).uniform(0, 0.02, len(even_s)))
    truth = {}
    for person, bpm in ((11, 58), (12, 91)):
        for seed, hand in enumerate(("Left", "Right")):
            rgb, truth[f"{hand} {person}"] = finger(100 * person + seed, even_s, bpm)
            write_hand(folder, hand, person, rgb)
    for number, bpm in ((2, 66), (3, 72), (4, 80)):
        rgb, pulse = finger(number, uneven_s, bpm)
        write_strap(folder, number, uneven_s, rgb, pulse.beats_s)
        truth[f"subject {number}"] = pulse
    return truth


def test_both_layouts_are_read_and_split_by_person(tmp_path):
    truth = write_tree(tmp_path)
    learn, test = read_pulses(tmp_path, "train"), read_pulses(tmp_path, "test")
    assert [one.person for one in learn] == ["uw 11", "uw 11", "uw 12", "uw 12", "welltory 2"]
    assert [one.person for one in test] == ["welltory 1", "welltory 1"]
    true_bpm = {one: pulse.bpm for one, pulse in truth.items()}
    order = ["Left 11", "Right 11", "Left 12", "Right 12", "subject 4", "subject 2", "subject 3"]
    for name, recording in zip(order, learn + test, strict=True):
        heard_s = sum(stretch.seconds for stretch in recording.stretches)
        # Beats at the edges are left out, and an ectopic beat may cut a recording in two.
        assert heard_s > 0.6 * SECONDS, name
        rates = [stretch.bpm for stretch in recording.stretches]
        # The rate drifts by up to 2.4 % over a recording of which a part may be left out.
        assert np.mean(rates) == pytest.approx(true_bpm[name], rel=0.03), name
    assert read_pulses(tmp_path, "train") is learn  # once a process


def test_blood_goes_up_and_beats_begin_where_it_rises(tmp_path):
    truth = write_tree(tmp_path)["Left 11"]
    (stretch, *_) = read_pulses(tmp_path, "train")[0].stretches
    at = np.arange(len(stretch.wave)) / 30
    lags = np.arange(0, SECONDS - at[-1], 1 / 240)
    likeness = [np.corrcoef(truth.at(at + lag), stretch.wave)[0, 1] for lag in lags]
    # What the band-pass takes away, and noise 26 dB below.
    assert max(likeness) > 0.97
    onsets = stretch.onsets_s + lags[int(np.argmax(likeness))]
    nearest = np.abs(onsets[:, None] - truth.beats_s).argmin(1)
    late = onsets - truth.beats_s[nearest]
    # A drawn beat is marked within 0.15 of its length of its foot, the same share in every beat.
    assert abs(np.median(late)) < 0.15 * 60 / 58
    assert late.std() < 0.02  # noise 26 dB below moves the level before the rise


def test_what_is_not_clean_is_cut_out(tmp_path):
    even_s = np.arange(0, SECONDS - 0.1, 1 / 30)
    rgb, _ = finger(5, even_s, 70)
    moved = (even_s > 18) & (even_s < 22)
    rgb[moved] *= 1 + 0.05 * np.random.default_rng(0).standard_normal((moved.sum(), 1))
    write_hand(tmp_path, "Left", 1, rgb)
    (recording,) = read_pulses(tmp_path, "train")
    assert 20 < sum(stretch.seconds for stretch in recording.stretches) < SECONDS - 4
    assert len(recording.stretches) == 2


def test_a_recording_that_its_strap_contradicts_is_refused(tmp_path):
    even_s = np.arange(0, SECONDS - 0.1, 1 / 30)
    rgb, pulse = finger(6, even_s, 70)
    write_strap(tmp_path, 2, even_s, rgb, pulse.beats_s)
    write_strap(tmp_path, 4, even_s, rgb, pulse.beats_s * 1.1)
    assert [one.person for one in read_pulses(tmp_path, "train")] == ["welltory 1"]


def test_noise_and_an_empty_folder_give_no_pulses(tmp_path):
    with pytest.raises(FileNotFoundError, match="uw_oximetry"):
        read_pulses(tmp_path / "nowhere", "train")
    write_hand(tmp_path, "Left", 1, 100 + np.random.default_rng(0).standard_normal((900, 3)))
    with pytest.raises(FileNotFoundError, match="no clean pulses for train"):
        read_pulses(tmp_path, "train")


def drawn_recording(seed: int, bpm: float) -> Recording:
    pulse = draw_pulse(np.random.default_rng(seed), 60.0, 0.2, bpm)
    wave = pulse.at(np.arange(0, 60.0, 1 / 30))
    return Recording("someone", (Stretch(wave, pulse.beats_s[:-1]),))


RECORDINGS = tuple(drawn_recording(seed, bpm) for seed, bpm in enumerate((55, 70, 95)))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**31), seconds=st.floats(6, 30), bpm=st.none() | st.floats(40, 140))
def test_a_recorded_pulse_is_what_it_says_it_is(seed, seconds, bpm):
    pulse = draw_recorded_pulse(np.random.default_rng(seed), RECORDINGS, seconds, bpm)
    assert pulse is not None
    # As many beats as the rate has, but for the parts of beats at both ends.
    assert pulse.bpm == pytest.approx(bpm or pulse.bpm, rel=0.05)
    for wave in (pulse.values, pulse.target):
        assert abs(wave.mean()) < 1e-9
        assert wave.std() == pytest.approx(1.0)
    assert np.corrcoef(pulse.values, pulse.target)[0, 1] > 0.7
    assert np.allclose(np.diff(pulse.time_s), 1 / 240)
    assert pulse.time_s[-1] >= seconds
    assert (np.diff(pulse.beats_s) > 0.2).all()
    assert pulse.beats_s[0] >= 0
    assert pulse.beats_s[-1] <= seconds


def test_a_recorded_pulse_is_a_pure_function_of_its_seed():
    one, other, third = (
        draw_recorded_pulse(np.random.default_rng(seed), RECORDINGS, 10.0, 70) for seed in (1, 1, 2)
    )
    assert one is not None
    assert other is not None
    assert third is not None
    assert one.values.tobytes() == other.values.tobytes()
    assert one.values.tobytes() != third.values.tobytes()


def test_a_rate_or_a_length_that_no_recording_reaches_gives_no_pulse():
    rng = np.random.default_rng(0)
    assert draw_recorded_pulse(rng, RECORDINGS, 10.0, 180) is None  # 95 times 1.7 is 162
    assert draw_recorded_pulse(rng, RECORDINGS, 10.0, 30) is None
    assert draw_recorded_pulse(rng, RECORDINGS, 70.0) is None
    assert draw_recorded_pulse(rng, RECORDINGS, 50.0, 130) is None  # more beats than were heard


@NO_PPG
def test_real_fingers_give_an_hour_and_a_half_of_pulses_and_test_people_of_both_sets():
    learn, test = read_pulses(PPG, "train"), read_pulses(PPG, "test")
    assert not {one.person for one in learn} & {one.person for one in test}
    assert {one.person.split()[0] for one in test} == {"uw", "welltory"}
    heard_s = [sum(stretch.seconds for stretch in one.stretches) for one in learn + test]
    assert len(heard_s) >= 23  # of 27; 25 measured
    assert sum(heard_s) > 90 * 60  # of 139 min; 120 measured
    for seed in range(30):
        pulse = draw_recorded_pulse(np.random.default_rng(seed), learn, 11.5, 40 + 3.5 * seed)
        assert pulse is not None
        assert pulse.bpm == pytest.approx(40 + 3.5 * seed, rel=0.05)
        slope = np.diff(pulse.values)
        assert (slope**3).mean() > 0  # systole is up: blood rises faster than it falls
