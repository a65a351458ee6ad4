import json
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import asdict, astuple, replace
from functools import cache
from pathlib import Path
from typing import NoReturn, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdphys.classical import pos, skin_mean
from kdphys.face import FaceFinder, FaceTracker
from kdphys.pulse import WAVE_BAND_HZ, bandpass
from kdphys.video import read_frames
from kdphys.vitals import read_rate
from train import pulses, world
from train.datasets import read_store
from train.mimics import MOST_PULL
from train.script import JobError
from train.streams import Streams
from train.synthetic import (
    CODECS,
    KEY_FRAME_EVERY,
    NETWORK_FPS,
    OTHER_CODECS,
    OTHER_KEY_FRAME_EVERY,
    SyntheticConfig,
    SyntheticJob,
    _claim,
    _draw_codec,
    _find_boxes,
    _frame_times,
    _write_shard,
    make_clip,
    make_film,
    save_film,
    write_dataset,
)

SHORT = SyntheticConfig(seconds=2.0, side=64)
ALL = frozenset(world.FACTORS)
OF_TIME = world.BUNDLES["timing"] | {"timing"}
OF_PULSE = ("variability", "breath", "ectopic", "pause", "beats", "dicrotic")
SEEDS = (0, 7, 9)  # between them they show most factors; the others, which are rarer:
SHOWN_BY = {
    "ectopic": 31, "pause": 29, "mask": 16, "flicker": 6, "exposure": 6, "gain": 6, "balance": 4,
    "drops": 3, "blink": 1,
}  # fmt: skip


def test_a_clip_is_a_pure_function_of_its_seed():
    first = make_clip(7, SHORT)
    np.random.default_rng(1).standard_normal(5)
    make_clip(8, SHORT)  # what is drawn in between does not matter
    again = make_clip(7, SHORT)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.wave.tobytes() == again.wave.tobytes()
    assert first.key_times_s.tobytes() == again.key_times_s.tobytes()
    assert first.truth == again.truth


def test_a_codec_is_part_of_the_pure_function():
    seeds = [seed for seed in range(12) if make_film(seed, SHORT).truth.codec][:2]
    for seed in seeds:
        one, other = make_clip(seed, SHORT), make_clip(seed, SHORT)
        assert one.pixels.tobytes() == other.pixels.tobytes()
    assert seeds


def test_other_seeds_are_other_people():
    clips = [make_clip(seed, SHORT) for seed in (1, 2)]
    assert clips[0].truth.melanin != clips[1].truth.melanin
    assert clips[0].pixels.tobytes() != clips[1].pixels.tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_a_clip_is_a_small_even_movie_with_a_wave(seed):
    clip = make_clip(seed, SHORT)
    assert clip.pixels.shape == (round(2 * NETWORK_FPS), 36, 36, 3)
    assert clip.pixels.dtype == np.uint8
    assert clip.wave.shape == (60,)
    assert np.isfinite(clip.wave).all()
    assert (np.diff(clip.key_times_s) > 0).all()
    assert clip.places.shape == (60, 3)
    assert (clip.places[:, 2] > 0).all()
    json.dumps(asdict(clip.truth))


def test_a_face_can_be_cut_out_where_the_program_finds_it():
    calm = replace(SHORT, side=128, difficulty=0.3, fps=30.0, off=("codec", "timing"))
    film = make_film(3, replace(calm, boxes="found"))
    tracker = FaceTracker(FaceFinder())
    found = [
        tracker.update(rgb, float(at)) for rgb, at in zip(film.pictures, film.time_s, strict=True)
    ]
    assert film.boxes == found
    assert film.truth.found == 1
    assert film.boxes != make_film(3, calm).boxes
    clip = make_clip(3, replace(calm, boxes="found"))
    assert clip.wave.tobytes() == make_clip(3, calm).wave.tobytes()
    assert clip.pixels.tobytes() == make_clip(3, replace(calm, boxes="found")).pixels.tobytes()


def test_frames_without_a_face_keep_the_box_before_them_and_are_counted():
    film = make_film(3, replace(SHORT, side=128, difficulty=0.3, fps=30.0, off=("codec", "timing")))
    empty = np.full_like(film.pictures[0], 90)
    drawn, at = film.boxes, film.time_s
    late, found = _find_boxes([empty] * 20 + film.pictures[20:], at, drawn)
    assert found == pytest.approx(1 - 20 / len(at), abs=0.15)  # looked for now and then
    assert late[:20] == [late[20]] * 20
    assert late[20] != drawn[20]
    assert _find_boxes([empty] * len(at), at, drawn) == (drawn, 0.0)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    seconds=st.floats(5, 40),
    variability=st.floats(0, 1),
    bpm=st.none() | st.floats(40, 180),
)
def test_a_pulse_is_what_it_says_it_is(seed, seconds, variability, bpm):
    pulse = pulses.draw_pulse(np.random.default_rng(seed), seconds, variability, bpm)
    # Fewer beats than a whole number fit into the recording, and the rate drifts by 8 % at most.
    assert 0.85 * 40 <= pulse.bpm <= 1.15 * 180
    if bpm is not None:
        assert pulse.bpm == pytest.approx(bpm, rel=0.15 * variability + 1e-3)
    # The beats alone have unit standard deviation; they ride on a sway of at most 0.6.
    assert abs(pulse.values.mean()) <= 0.6 * variability + 1e-9
    assert 0.5 < pulse.values.std() < 1.5
    assert abs(pulse.target.mean()) < 1e-9
    assert pulse.target.std() == pytest.approx(1.0)
    assert (np.diff(pulse.beats_s) > 0.2).all()
    assert pulse.beats_s[0] >= 0
    assert pulse.beats_s[-1] <= seconds
    assert pulse.time_s[-1] >= seconds


def test_drawn_rates_cover_40_to_180():
    rates = [pulses.draw_pulse(np.random.default_rng(seed), 10, 0).bpm for seed in range(150)]
    # 150 uniform draws miss a tenth of the range at either end once in 7 million.
    assert 39.9 < min(rates) < 54
    assert 166 < max(rates) < 180.1


def test_a_clip_without_a_pulse_has_a_wave_of_zeros():
    for seed in range(3):
        clip = make_clip(seed, replace(SHORT, negatives=1.0))
        assert clip.truth.bpm is None
        assert clip.truth.strength == 0
        assert not clip.wave.any()
        assert make_clip(seed, replace(SHORT, negatives=0.0)).truth.bpm is not None


def test_the_share_of_negatives_is_the_one_asked_for():
    config = SyntheticConfig(seconds=2.0, side=16, off=("codec",))
    negatives = sum(make_film(seed, config).truth.bpm is None for seed in range(100))
    # Binomial, 100 draws at 0.12: three standard deviations are 10.
    assert 2 <= negatives <= 22


def test_with_every_factor_off_a_face_without_a_pulse_is_a_still():
    config = replace(SHORT, negatives=1.0, off=world.FACTORS, difficulty=0.5)
    pictures = make_film(4, config).pictures
    assert all(np.array_equal(picture, pictures[0]) for picture in pictures)


def test_with_every_factor_off_only_the_pulse_changes_a_face():
    config = replace(SHORT, negatives=0.0, off=world.FACTORS, difficulty=0.0, seconds=6.0)
    film = make_film(4, config)
    stack = np.stack(film.pictures).astype(np.float64)
    light = stack[:, 24:48, 20:44, 1].mean((1, 2))
    wave = film.pulse.at(film.time_s)
    # Blood darkens. The green mean of a whole face follows the wave but for a delay of 30 ms.
    assert np.corrcoef(light, -wave)[0, 1] > 0.8
    assert stack[:, 0, 0].std(0).max() == 0  # the wall behind does not pulse


@pytest.mark.parametrize("seed", range(8))
def test_one_who_makes_faces_pulls_more_and_is_one_who_makes_none_otherwise(seed):
    time_s = np.arange(0, 20, 1 / 30)

    def drawn(acts: bool, *off: str) -> world.Motion:
        return world.draw_motion(Streams(seed), time_s, 1.0, frozenset(off), acts=acts)

    acting, plain = drawn(True), drawn(False)
    assert acting.muscles.min() >= 0
    assert 1 < acting.muscles.max() <= MOST_PULL
    assert (acting.muscles >= plain.muscles).all()
    assert plain.muscles.max() <= 1
    assert (acting.yaw != plain.yaw).any()  # the head goes along
    assert abs(acting.yaw - plain.yaw).max() < 0.35  # no further than it turns otherwise
    np.testing.assert_array_equal(acting.eyes, plain.eyes)
    np.testing.assert_array_equal(drawn(True, "motion", "rhythm").scale, 1)
    np.testing.assert_array_equal(drawn(True, "express").muscles, 0)


def test_as_many_make_faces_as_are_asked_for_and_no_photo_does():
    config = SyntheticConfig(seconds=2.0, side=32, off=("codec",), difficulty=0.0)
    plain = [make_clip(seed, config).pixels for seed in range(12)]
    for share, least, most in ((1.0, 10, 12), (0.5, 1, 11)):
        acting = replace(config, acting=share)
        changed = sum(
            not np.array_equal(make_clip(seed, acting).pixels, pixels)
            for seed, pixels in enumerate(plain)
        )
        assert least <= changed <= most
    photos = replace(config, negatives=1.0)
    same = [
        np.array_equal(make_clip(seed, replace(photos, acting=1.0)).pixels, clip.pixels)
        for seed in range(12)
        for clip in [make_clip(seed, photos)]
    ]
    assert 2 <= sum(same) <= 10  # half of those without a pulse are photos


@pytest.mark.parametrize("seed", range(8))
def test_a_factor_that_is_off_leaves_no_trace(seed):
    time_s = np.arange(0, 10, 1 / 30)

    def drawn(*off: str) -> tuple[world.Motion, world.Light]:
        streams, names = Streams(seed), frozenset(off)
        motion = world.draw_motion(streams, time_s, 1.0, names)
        return motion, world.draw_light(streams, time_s, 1.0, names)

    motion, light = drawn(*ALL)
    for name in ("x", "y", "roll", "yaw", "pitch", "mouth", "eyes"):
        assert not getattr(motion, name).any()
    assert (motion.scale == 1).all()
    assert (light.face == light.face[0]).all()
    assert (light.room == light.room[0]).all()
    assert (light.shadow == light.shadow[0]).all()
    moving, changing = drawn()
    assert moving.x.std() > 0
    assert moving.eyes.max() > 0
    assert (changing.face != changing.face[0]).any()
    assert not drawn("blink")[0].eyes.any()
    assert not drawn("talk")[0].mouth.any()
    # What is left is what it was: the streams of the other parts are not shifted.
    np.testing.assert_array_equal(drawn("blink", "rhythm")[0].mouth, moving.mouth)
    np.testing.assert_array_equal(drawn("flicker", "light")[1].shadow, changing.shadow)
    np.testing.assert_array_equal(drawn("motion", "rhythm", "talk")[0].eyes, moving.eyes)


@pytest.mark.parametrize("factor", sorted(ALL - OF_TIME - set(OF_PULSE)))
def test_films_with_and_without_a_factor_are_a_pair(factor):
    config = replace(SHORT, difficulty=2.0, negatives=0.5)
    for seed in range(4):
        one, other = (make_film(seed, replace(config, off=off)) for off in ((), (factor,)))
        assert (one.truth.bpm, one.truth.melanin) == (other.truth.bpm, other.truth.melanin)
        assert one.truth.strength == other.truth.strength
        np.testing.assert_array_equal(one.pulse.at(one.time_s), other.pulse.at(one.time_s))
        np.testing.assert_array_equal(one.time_s, other.time_s)


@cache
def told(seed: int, off: frozenset[str], negatives: float = 0.0) -> tuple[bytes, ...]:
    """All of a small difficult film: its pictures, stamps, boxes and pulse."""
    small = replace(SHORT, side=32, fps=15.0, difficulty=2.0, negatives=negatives)
    film = make_film(seed, replace(small, off=tuple(sorted(off))))
    pictures, boxes = np.stack(film.pictures), np.array([astuple(box) for box in film.boxes])
    parts = (pictures, film.time_s, boxes, film.pulse.values, film.pulse.beats_s)
    return tuple(part.tobytes() for part in parts)


def needed(factor: str) -> frozenset[str]:
    """What must be on for a factor to show: itself, the bundle that it is of, and its parts."""
    bundles = {name for name, parts in world.BUNDLES.items() if factor in parts}
    beside = {"breath": {"variability"}}.get(factor, set())
    return world.BUNDLES.get(factor, frozenset()) | bundles | beside | {factor}


@pytest.mark.parametrize("factor", world.FACTORS)
def test_a_factor_switched_off_changes_the_films_in_which_it_was_drawn_and_no_others(factor):
    one, shown = frozenset({factor}), 0
    seeds = (*SEEDS, SHOWN_BY[factor]) if factor in SHOWN_BY else SEEDS
    for seed in seeds:
        # Frames at other times have other movements; and noise brings small changes to a level.
        others = ALL - needed(factor) - OF_TIME - {"noise"}
        drawn = told(seed, others) != told(seed, others | one)
        changed = told(seed, frozenset()) != told(seed, one)
        assert drawn or not changed
        shown += drawn and changed
    assert shown


@pytest.mark.parametrize("bundle", world.BUNDLES)
def test_a_bundle_is_its_parts(bundle):
    for seed in SEEDS:
        assert told(seed, frozenset({bundle})) == told(seed, world.BUNDLES[bundle])


@pytest.mark.parametrize("factor", OF_PULSE)
def test_what_a_pulse_is_without_changes_nothing_else(factor):
    """In one without a pulse, that is, whose pictures would show it."""
    for seed in (*SEEDS, SHOWN_BY.get(factor, 0)):
        assert told(seed, frozenset(), 1.0)[:3] == told(seed, frozenset({factor}), 1.0)[:3]


@pytest.mark.parametrize("seed", range(20))
def test_with_all_of_it_off_a_pulse_is_a_metronome_of_equal_beats(seed):
    def drawn(*off: str) -> pulses.Pulse:
        rng = np.random.default_rng(seed)
        return pulses.draw_pulse(rng, 20.0, 1.0, off=frozenset(off))

    steady, lively = drawn(*OF_PULSE), drawn()
    lengths = np.diff(steady.beats_s)
    assert np.ptp(lengths) < 1e-9
    assert np.ptp(np.diff(lively.beats_s)) > 1e-3
    assert steady.bpm == pytest.approx(60 / lengths[0])
    # Its rate is the mean one with which the other's beats were drawn, over 27 s around it.
    assert steady.bpm == pytest.approx(lively.bpm, rel=0.1)
    steps = round(pulses.WAVE_HZ * 60 / steady.bpm)
    beats = [steady.at(onset + np.arange(steps) / pulses.WAVE_HZ) for onset in steady.beats_s[:5]]
    assert np.ptp(np.stack(beats), axis=0).max() < 0.05  # of 1, between samples at 240 Hz
    assert len(drawn("pause").beats_s) - len(lively.beats_s) in (0, 1)


@pytest.mark.parametrize("shoulder", [0.0, 0.5, 0.99])
def test_a_curve_with_a_shoulder_shows_skin_as_bright_and_its_middle_as_steep(shoulder):
    light, gamma = 0.4, 2.2
    curve = world.curve_through(light, gamma, shoulder)
    shown = light ** (1 / gamma)
    assert curve.of(np.array([light])) == pytest.approx(shown)

    def slope(level: float) -> float:
        """Slope in logarithms where the picture has `level`."""
        grid = np.exp(np.linspace(np.log(1e-3), 0, 20_001))
        picture = np.log(curve.of(grid))
        at = np.searchsorted(picture, np.log(level))
        return float((picture[at + 1] - picture[at - 1]) / np.log(grid[at + 1] / grid[at - 1]))

    assert slope(world.MIDDLE * shown) == pytest.approx(1 / gamma, rel=1e-3)
    # In a logarithm of light, red makes of shade what is left of white, beside what green has left.
    bright, dark = shown, 0.5 * shown
    expected = (1 - shoulder * bright) / (1 - shoulder * dark)
    assert slope(bright) / slope(dark) == pytest.approx(expected, rel=1e-3)


def test_a_vivid_camera_takes_colours_away_from_grey_and_leaves_grey():
    config = replace(SHORT, difficulty=0.0, negatives=1.0, off=ALL - {"saturation"})
    for seed in range(4):
        vivid = make_film(seed, replace(config, off=tuple(config.off))).pictures[0].astype(float)
        plain = make_film(seed, replace(config, off=tuple(ALL))).pictures[0].astype(float)
        inside = ((vivid > 2) & (vivid < 253)).all(2)
        away = [picture - (picture @ world.LUMA)[..., None] for picture in (vivid, plain)]
        gain = (away[0] * away[1])[inside].sum() / (away[1] ** 2)[inside].sum()
        assert world.SATURATION[0] - 0.02 < gain < world.SATURATION[1] + 0.02
        assert np.abs(away[0] - gain * away[1])[inside].max() < 3  # rounded to whole levels
        assert np.abs((vivid - plain) @ world.LUMA)[inside].max() < 2


def test_what_goes_through_a_codec_is_filmed_larger():
    films = [make_film(seed, SyntheticConfig(seconds=2.0, difficulty=2.0)) for seed in range(8)]
    widths = {True: [], False: []}
    for film in films:
        widths[film.truth.codec is not None].append(film.pictures[0].shape[1])
        height = film.boxes[0].y1 - film.boxes[0].y0
        assert 0.4 < height / film.pictures[0].shape[0] < 0.9
    assert min(widths[True]) >= 128 >= max(widths[False]) >= 64


def codec_of(seed: int, config: SyntheticConfig) -> tuple[str | None, dict[str, str]]:
    return _draw_codec(Streams(seed).of("codec"), config, 0.15, still=False)


def test_other_codecs_are_none_that_training_draws():
    config = replace(SHORT, codecs="others")
    found = [codec_of(seed, config) for seed in range(99)]
    assert {codec for codec, _ in found} == set(OTHER_CODECS)  # and never none
    assert not set(OTHER_CODECS) & set(CODECS)
    intervals = {int(options["g"]) for _, options in found}
    assert intervals == set(OTHER_KEY_FRAME_EVERY)
    assert not intervals & set(KEY_FRAME_EVERY)
    assert {codec for codec, _ in (codec_of(seed, SHORT) for seed in range(99))} == {None, *CODECS}
    assert codec_of(1, replace(config, off=("codec",))) == (None, {})


@pytest.mark.parametrize("codec", OTHER_CODECS)
def test_a_film_goes_through_its_other_codec(codec):
    config = replace(SHORT, side=128, difficulty=0.5, fps=15.0, codecs="others")
    seed = next(seed for seed in range(99) if codec_of(seed, config)[0] == codec)
    film, plain = (make_film(seed, replace(config, off=off)) for off in ((), ("codec",)))
    assert (film.truth.codec, plain.truth.codec) == (codec, None)
    keys = np.arange(len(film.pictures)) % (film.truth.key_every or 0) == 0
    np.testing.assert_array_equal(film.key_frame, keys)
    errors = np.stack(film.pictures).astype(float) - np.stack(plain.pictures)
    assert 0 < np.abs(errors).mean() < 6  # levels: another picture, and yet the same
    again = make_film(seed, config)
    np.testing.assert_array_equal(again.pictures, film.pictures)


@pytest.mark.parametrize(
    "wrong",
    [
        {"off": ("nods",)},
        {"seconds": 1.0},
        {"difficulty": 2.5},
        {"side": 48, "codecs": "others"},
    ],
)
def test_a_configuration_that_can_t_be_drawn_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SyntheticConfig(**wrong)


@pytest.mark.parametrize("fps", [15.0, 60.0])
def test_stamps_always_increase(fps):
    for seed in range(60):
        _, stamps = _frame_times(np.random.default_rng(seed), 60.0, fps, 1.0, frozenset())
        assert (np.diff(stamps) > 0).all()


def test_pos_reads_easy_uncompressed_clips():
    errors = []
    for seed in range(9):
        config = SyntheticConfig(
            seconds=12.0, side=72, difficulty=0.0, negatives=0.0, off=("codec",)
        )
        clip = make_clip(seed, config)
        wave = pos(skin_mean(clip.pixels), NETWORK_FPS)
        found = read_rate(bandpass(wave, NETWORK_FPS, WAVE_BAND_HZ), NETWORK_FPS).bpm
        assert clip.truth.bpm is not None
        errors.append(abs(found - clip.truth.bpm))
    # 12 s resolve 5 bpm; a clean peak is known to a fraction of that.
    assert np.median(errors) <= 2


def test_an_example_video_shows_one_face_and_keeps_its_stamps(tmp_path):
    config = SyntheticConfig(seconds=2.0, side=320, difficulty=0.15, negatives=0.0)
    path = tmp_path / "folder" / "example.mp4"
    save_film(path, SyntheticJob(video=path, seed=5, config=config))
    frames = list(read_frames(path))
    film = make_film(5, replace(config, view=2.2))
    found = np.array([frame.time_s for frame in frames])
    # H.264 keeps stamps in ticks of a ninetieth of a millisecond.
    assert np.abs(found - (film.time_s - film.time_s[0])).max() < 2e-5
    assert len(FaceFinder().find(frames[0].rgb)) == 1
    truth = json.loads(path.with_suffix(".json").read_text())
    assert truth["bpm"] == film.truth.bpm
    assert truth["seed"] == 5


def test_raw_frames_are_kept_as_they_are(tmp_path):
    path = tmp_path / "example.npz"
    config = SyntheticConfig(seconds=2.0, side=48, fps=15.0)
    save_film(path, SyntheticJob(video=path, seed=6, config=config))
    film = make_film(6, replace(config, view=2.2))
    for frame, picture in zip(read_frames(path), film.pictures, strict=True):
        np.testing.assert_array_equal(frame.rgb, picture)


@pytest.mark.slow
def test_a_stopped_data_set_goes_on_where_it_was(tmp_path: Path):
    job = SyntheticJob(out=tmp_path / "a", clips=2, workers=1, seed=3, config=SHORT)
    write_dataset(job)
    shard = tmp_path / "a" / "0000.npz"
    made = shard.stat().st_mtime_ns
    write_dataset(job)
    assert shard.stat().st_mtime_ns == made
    with np.load(shard) as kept:
        np.testing.assert_array_equal(kept["pixels"][1], make_clip(4, SHORT).pixels)
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert (manifest["seed"], manifest["clips"]) == (3, 2)


@pytest.mark.slow
def test_clips_of_two_configurations_never_mix_in_one_folder(tmp_path: Path):
    job = SyntheticJob(out=tmp_path, clips=2, workers=1, seed=3, config=SHORT)
    write_dataset(job)
    for other in (
        replace(job, config=replace(SHORT, negatives=1.0)),
        replace(job, seed=4),
    ):
        with pytest.raises(ValueError, match="another configuration"):
            write_dataset(other)
    assert len(read_store(tmp_path, 1)) == 1
    assert len(read_store(tmp_path)) == 2


@pytest.mark.parametrize(
    ("field", "then", "since"), [("boxes", "drawn", "found"), ("codecs", "usual", "others")]
)
def test_a_folder_from_before_there_was_a_choice_goes_on(tmp_path: Path, field, then, since):
    job = SyntheticJob(tmp_path, clips=2, seed=5, workers=1, config=SHORT)
    write_dataset(job)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["config"].pop(field) == then
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    write_dataset(job)
    with pytest.raises(ValueError, match="another configuration"):
        write_dataset(replace(job, config=replace(SHORT, **{field: since})))


@pytest.mark.parametrize(
    "manifest", [{"config": {"dataset": "folder"}, "people": []}, {"seed": 3, "clips": 2}]
)
def test_no_clips_are_drawn_into_a_folder_of_others(tmp_path: Path, manifest):
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(JobError, match="another configuration"):
        write_dataset(SyntheticJob(tmp_path, clips=1, workers=1, config=SHORT))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_clips_do_not_go_on_with_other_people(tmp_path: Path):
    """People are split by their place in the list, so one more moves some from side to side."""
    faces = tmp_path / "faces"
    faces.mkdir()
    (faces / "b.png").touch()
    config = replace(SHORT, faces=faces, portrait_share=0.0)
    job = SyntheticJob(out=tmp_path / "out", clips=1, workers=1, config=config)
    write_dataset(job)
    write_dataset(job)
    by_another_way = replace(job.config, faces=faces / ".." / "faces")
    write_dataset(replace(job, config=by_another_way))
    (faces / "a.png").touch()
    with pytest.raises(ValueError, match="another configuration"):
        write_dataset(job)


def test_a_shard_that_a_smaller_request_left_short_is_drawn_whole(tmp_path, monkeypatch):
    """It was taken for whole, for ever."""
    monkeypatch.setattr("train.synthetic.SHARD", 4)
    config = SyntheticConfig(seconds=2.0)
    job = SyntheticJob(out=tmp_path, clips=8, workers=1, config=config)
    _claim(job)
    _write_shard(job, 0)  # and stopped
    whole = (tmp_path / "0000.npz").stat()
    write_dataset(replace(job, clips=6))
    assert len(read_store(tmp_path)) == 6
    write_dataset(job)
    assert len(read_store(tmp_path)) == 8
    assert (tmp_path / "0000.npz").stat() == whole, "what was there was drawn again"
    short = tmp_path / "short"
    write_dataset(replace(job, out=short, clips=3))
    before = read_store(short)
    write_dataset(replace(job, out=short, clips=4))  # more than were asked for at first
    assert len(read_store(short)) == 4
    assert read_store(short, 3).sha256 == before.sha256


def test_a_process_that_is_killed_while_it_draws_is_told_in_a_sentence(tmp_path, monkeypatch):
    class Pool(nullcontext):
        def __enter__(self) -> Self:
            return self

        def map(self, *_: object) -> NoReturn:
            raise BrokenProcessPool("terminated abruptly")

    monkeypatch.setattr("train.synthetic.SHARD", 1)
    monkeypatch.setattr("train.script.ProcessPoolExecutor", lambda *_: Pool())
    job = SyntheticJob(out=tmp_path, clips=2, config=SyntheticConfig(seconds=2.0))
    with pytest.raises(JobError, match=r"was ended from outside.*with fewer --workers"):
        write_dataset(job)
