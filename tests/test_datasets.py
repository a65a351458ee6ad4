import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kdphys.pulse import bandpass
from train import datasets
from train.datasets import FPS, ClipStore, draw_batch, read_store, wandering, whole_batch
from train.script import JobError
from train.synthetic import SyntheticConfig, make_clip, make_film

FRAMES = 300
RATES = (48.0, 72.0, 0.0, 110.0, 150.0)


def store_of_tones() -> ClipStore:
    """Clips whose brightness is the wave itself: a tone at the rate, the left half brighter."""
    time_s = np.arange(FRAMES) / FPS
    waves = np.stack([np.sin(2 * np.pi * bpm / 60 * time_s) for bpm in RATES])
    side = np.array([120.0, 120.0, 100.0, 100.0])[:, None]
    pixels = waves[:, :, None, None, None] * 20 + side
    pixels = np.broadcast_to(np.rint(pixels), (len(RATES), FRAMES, 4, 4, 3)).astype(np.uint8)
    shards = tuple(map(torch.from_numpy, (pixels[:2], pixels[2:4], pixels[4:])))
    truths: tuple[dict[str, object], ...] = tuple({"bpm": bpm or None} for bpm in RATES)
    bpm = np.array(RATES, np.float32)
    return ClipStore(shards, waves.astype(np.float32), bpm, truths, "0" * 64)


STORE = store_of_tones()


def draw(seed: int, clips: int = 12, frames: int = 240, *, vary: bool = True):
    return draw_batch(STORE, np.random.default_rng(seed), clips, frames, vary=vary)


def tone_bpm(wave: Tensor) -> float:
    """Rate of a tone, from a zero-padded spectrum on a grid of 0.05 bpm."""
    points = round(60 * FPS / 0.05)
    tapered = (wave - wave.mean()) * torch.hann_window(len(wave))
    return float(torch.fft.rfft(tapered, points).abs().argmax()) * 0.05


def test_a_batch_is_a_function_of_its_seed():
    one, other, different = draw(3), draw(3), draw(4)
    for name in ("clip", "wave", "bpm", "alive"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert not torch.equal(one.clip, different.clip)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_clips_on_a_gpu_are_drawn_there_and_are_the_same():
    near = STORE.near(torch.device("cuda"))
    assert near.pixels[0].is_cuda
    drawn = draw_batch(near, np.random.default_rng(3), 12, 240, vary=True)
    assert drawn.clip.is_cuda
    apart = (drawn.clip.cpu() - draw(3).clip).abs()  # but for noise of 0.004 at most
    assert 0 < float(apart.max()) < 0.05
    assert float(apart.median()) < 1e-6
    assert torch.equal(torch.from_numpy(near.clip(2)), torch.from_numpy(STORE.clip(2)))


def test_clips_stay_where_no_gpu_is():
    assert STORE.near(torch.device("cpu")) is STORE


def test_a_batch_does_not_touch_the_store():
    before = [shard.clone() for shard in STORE.pixels]
    draw(0)
    for shard, kept in zip(STORE.pixels, before, strict=True):
        assert torch.equal(shard, kept)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), frames=st.sampled_from((96, 240, 296)))
def test_what_is_drawn_has_the_shapes_and_ranges_that_the_networks_take(seed, frames):
    batch = draw(seed, clips=3, frames=frames)
    assert batch.clip.shape == (3, frames, 3, 4, 4)
    assert batch.clip.dtype == torch.float32
    assert batch.wave.shape == (3, frames)
    assert float(batch.clip.min()) > -0.03  # sensor noise may go a little below black
    assert float(batch.clip.max()) < 1.03
    assert set(batch.alive.tolist()) <= {0.0, 1.0}


def test_playing_a_clip_faster_raises_its_rate_as_much():
    speeds = []
    for seed in range(12):
        batch = draw(seed)
        for wave, bpm in zip(batch.wave, batch.bpm.tolist(), strict=True):
            if bpm:
                # 8 s of a tone under a Hann window: the peak is off by the leakage of the
                # negative frequency, below 0.5 bpm above 40.
                assert tone_bpm(wave) == pytest.approx(bpm, abs=0.5)
                speeds.append(
                    bpm / min(RATES, key=lambda rate: abs(np.log(rate / bpm)) if rate else 9)
                )
    assert len({round(speed, 4) for speed in speeds}) > 20


def test_rates_stay_between_40_and_180():
    rates = torch.cat([draw(seed, clips=40, frames=96).bpm for seed in range(10)])
    alive = rates[rates > 0]
    assert 40 <= float(alive.min()) < 47
    assert 165 < float(alive.max()) <= 180


def test_the_wave_stays_with_the_pictures():
    batch = draw(5)
    light = batch.clip.mean((2, 3, 4))
    for clip, wave in zip(light, batch.wave, strict=True):
        if wave.abs().max() > 0:
            # 8-bit rounding of a swing of 20 grey levels, and noise that averages over 48 values.
            assert float(torch.corrcoef(torch.stack([clip, wave]))[0, 1]) > 0.99


def test_clips_without_a_pulse_have_no_rate_and_are_not_alive():
    batch = draw(1, clips=40)
    dead = batch.bpm == 0
    assert dead.any()
    assert (batch.alive[dead] == 0).all()
    assert (batch.alive[~dead] == 1).all()
    assert (batch.wave[dead] == 0).all()


def test_a_clip_is_mirrored_as_a_whole_or_not_at_all():
    seen = set()
    for seed in range(6):
        for clip in draw(seed, clips=4, frames=96).clip:
            brighter = clip[..., :2].mean((1, 2, 3)) > clip[..., 2:].mean((1, 2, 3))
            assert brighter.all() or not brighter.any()
            seen.add(bool(brighter[0]))
    assert seen == {True, False}


def test_without_variation_clips_are_only_cut():
    batch = draw(2, clips=6, frames=100, vary=False)
    for clip, bpm in zip(batch.clip, batch.bpm.tolist(), strict=True):
        whole = STORE.clip(RATES.index(bpm)).astype(np.float32) / 255
        starts = [s for s in range(201) if np.array_equal(whole[s], clip[0].permute(1, 2, 0))]
        assert any(
            np.array_equal(whole[s : s + 100], clip.permute(0, 2, 3, 1).numpy()) for s in starts
        )


def test_whole_clips_come_in_order_and_are_a_multiple_of_four():
    batch = whole_batch(STORE, range(1, 4))
    assert batch.bpm.tolist() == [72.0, 0.0, 110.0]
    assert batch.clip.shape[1] % 4 == 0
    np.testing.assert_array_equal(batch.wave.numpy(), STORE.waves[1:4])


def write_shard(folder, number: int, rates: list[float | None]) -> None:
    np.savez(
        folder / f"{number:04d}.npz",
        pixels=np.full((len(rates), 8, 2, 2, 3), number, np.uint8),
        wave=np.full((len(rates), 8), number, np.float32),
        truth=np.array([json.dumps({"bpm": bpm}) for bpm in rates]),
    )


def test_shards_are_read_in_order(tmp_path):
    write_shard(tmp_path, 1, [90.0])
    write_shard(tmp_path, 0, [60.0, None])
    store = read_store(tmp_path)
    assert store.bpm.tolist() == [60.0, 0.0, 90.0]
    assert [int(store.clip(index)[0, 0, 0, 0]) for index in range(3)] == [0, 0, 1]
    assert len(read_store(tmp_path, most=2)) == 2


def test_what_the_program_sees_beside_crops_is_kept_and_clips_from_before_have_none(tmp_path):
    config = SyntheticConfig(seconds=2.0, side=64, negatives=0.0, difficulty=2.0)
    coded = [seed for seed in range(40) if make_film(seed, config).truth.codec][:2]
    clips = [make_clip(seed, config) for seed in coded]
    pixels, waves = [clip.pixels for clip in clips], [clip.wave for clip in clips]
    truths = [asdict(clip.truth) for clip in clips]
    places, keys = [clip.places for clip in clips], [clip.key_times_s for clip in clips]
    datasets.write_shard(tmp_path / "0000.npz", pixels, waves, truths, places, keys)
    store = read_store(tmp_path)
    for clip, seen in zip(clips, store.seen, strict=True):
        np.testing.assert_array_equal(seen.places, clip.places)
        np.testing.assert_array_equal(seen.key_times_s, clip.key_times_s)
        assert seen.key_times_s[0] == 0  # a film begins with one
    assert len(read_store(tmp_path, most=1).seen) == 1
    datasets.write_shard(tmp_path / "0000.npz", pixels, waves, truths)
    assert read_store(tmp_path).seen == ()
    assert read_store(tmp_path).sha256 == store.sha256


def test_unfinished_shards_are_left_out(tmp_path):
    write_shard(tmp_path, 0, [60.0])
    (tmp_path / "0001.part.npz").write_bytes(b"half a shard")
    assert len(read_store(tmp_path)) == 1


def test_other_clips_have_another_digest(tmp_path):
    digests = []
    for name, bpm in (("a", 60.0), ("b", 60.0), ("c", 61.0)):
        (tmp_path / name).mkdir()
        write_shard(tmp_path / name, 0, [bpm])
        digests.append(read_store(tmp_path / name).sha256)
    assert digests[0] == digests[1] != digests[2]


def test_a_part_of_a_folder_is_the_same_data_when_more_comes_behind_it(tmp_path):
    write_shard(tmp_path, 0, [60.0, 70.0])
    whole = read_store(tmp_path).sha256
    assert read_store(tmp_path, most=2).sha256 == whole
    part = read_store(tmp_path, most=1)
    assert (len(part), len(part.pixels[0])) == (1, 1)
    write_shard(tmp_path, 0, [60.0, 90.0])
    write_shard(tmp_path, 1, [80.0])
    assert read_store(tmp_path, most=1).sha256 == part.sha256
    assert read_store(tmp_path, most=2).sha256 != whole


def test_people_are_known_by_all_clips_there_are_however_few_are_read(tmp_path):
    write_shard(tmp_path, 0, [60.0, 70.0])
    write_shard(tmp_path, 1, [80.0])
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"config": {"dataset": "folder"}, "people": ["folder/anna"]}))
    whole = read_store(tmp_path)
    assert whole.recipes[0]["sha256"] == whole.sha256
    for most in (1, 2, 3):
        assert read_store(tmp_path, most).recipes == whole.recipes
    manifest.write_text(json.dumps({"config": {}}))
    assert "sha256" not in read_store(tmp_path).recipes[0]


@pytest.mark.parametrize("text", ["{", "[]", '{"config": 3}', "[" * 10**5])
def test_a_damaged_manifest_is_named(tmp_path, text):
    write_shard(tmp_path, 0, [60.0])
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(JobError, match=r"manifest\.json .*: delete it, and run the command again"):
        read_store(tmp_path)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no clips.*train/synthetic\.py"):
        read_store(tmp_path)


def test_light_that_wanders_changes_frames_by_little_and_no_mean():
    """In the band of a pulse it moves each colour by ten-thousandths."""
    still = torch.full((600, 4, 4, 3), 100.0)
    for seed in range(20):
        clip = wandering(still, np.random.default_rng(seed)).numpy() / 100
        assert clip.shape == still.shape
        assert np.abs(clip.mean(0) - 1).max() < 1e-5
        colours = clip.mean((1, 2)).astype(float)
        swing = np.std([bandpass(colour, FPS, (0.7, 3.0)) for colour in colours.T], axis=1)
        assert (swing > 3e-5).all()
        assert (swing < 3e-3).all()
