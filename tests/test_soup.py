"""The mean of several runs' weights, and what it says of where they came from."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from kdphys.hub import sha256
from train.card import all_learned, count_clips, model_card, training_of
from train.script import JobError
from train.soup import SoupJob, main, mean_of


def run_in(folder: Path, seed: int, data: str, size: int = 36) -> Path:
    """A finished run of a small network, as the training loop leaves one."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model(torch.randn(8, 3))
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"size": size}))
    recipe = {"seed": seed, "clips": 10 * seed}
    record = {"data_sha256": data, "data": [recipe], "clips": 10 * seed}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_weights_are_averaged_and_whole_numbers_are_not(tmp_path: Path):
    runs = [run_in(tmp_path / name, seed, name) for seed, name in enumerate("abc", 1)]
    main(SoupJob(runs=(*runs, runs[0]), out=tmp_path / "soup"))
    weights = [load_file(run / "model.safetensors") for run in (*runs, runs[0])]
    found = load_file(tmp_path / "soup" / "model.safetensors")
    assert found.keys() == weights[0].keys()
    for name in ("0.weight", "0.bias", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(found[name], sum(one[name] for one in weights) / 4)
    assert found["1.num_batches_tracked"] == 1
    assert json.loads((tmp_path / "soup" / "config.json").read_text()) == {"size": 36}


def test_one_network_is_its_own_mean(tmp_path: Path):
    weights = load_file(run_in(tmp_path / "a", 1, "a") / "model.safetensors")
    for name, found in mean_of([weights, weights]).items():
        torch.testing.assert_close(found, weights[name], rtol=0, atol=0)


def test_it_tells_of_each_run_and_counts_clips_once(tmp_path: Path):
    first, again, other = (
        run_in(tmp_path / name, seed, data)
        for name, seed, data in (("first", 1, "x"), ("again", 2, "y"), ("other", 2, "y"))
    )
    shipped = tmp_path / "shipped"  # a folder of weights has its run in its manifest
    first.rename(shipped)
    record = json.loads((shipped / "run.json").read_text())
    (shipped / "run.json").unlink()
    digests = {"model.safetensors": sha256(shipped / "model.safetensors")}
    (shipped / "manifest.json").write_text(json.dumps({"run": record, "sha256": digests}))
    main(SoupJob(runs=(shipped, again, other), out=tmp_path / "soup"))
    told = json.loads((tmp_path / "soup" / "run.json").read_text())
    assert told["clips"] == 30
    assert told["data"] == [{"seed": 1, "clips": 10}, {"seed": 2, "clips": 20}]
    assert [one["sha256"] for one in told["mean_of"]] == [
        sha256(run / "model.safetensors") for run in (shipped, again, other)
    ]
    assert told["mean_of"][0]["run"] == record


def test_the_card_of_a_mean_counts_all_clips():
    recipe: dict[str, object] = {"config": {"faces": "DIR", "portrait_share": 0.6, "pulses": None}}
    card = card_of(recipe, recipe, clips=4000, mean_of=[{}, {}, {}])
    assert "4000 synthetic clips" in card
    assert "The weights are the mean of those of 3 runs" in card
    assert card.count("60 % of the heads") == 1


def card_of(*recipes: dict[str, object], **run: object) -> str:
    manifest: dict[str, object] = {
        "name": "kdphys-student",
        "model": "student",
        "cost": {"parameters": 1, "macs_per_frame": 1.0},
        "run": {"clips": 214, "data": list(recipes), **run},
    }
    return " ".join(model_card(manifest).split())


DRAWN: dict[str, object] = {"config": {"faces": None, "pulses": None}}
OWN: dict[str, object] = {"config": {"dataset": "folder"}, "people": 2}
UBFC: dict[str, object] = {"config": {"dataset": "ubfc"}, "people": ["ubfc/subject1"]}


def test_a_card_says_that_real_people_were_filmed():
    assert training_of({"data": [DRAWN]}) == "synthetic faces made by KDPhys"
    assert training_of({"data": [OWN]}) == "recordings of real people: folder"
    both = "synthetic faces made by KDPhys and recordings of real people: folder, ubfc"
    assert training_of({"data": [DRAWN, OWN, UBFC]}) == both
    assert "214 synthetic clips" in card_of(DRAWN)
    assert "no person was filmed" in card_of(DRAWN)
    for recipes in ((OWN,), (DRAWN, OWN), (DRAWN, OWN, UBFC)):
        card = card_of(*recipes)
        assert "folder (2 people)" in card
        assert "was filmed" not in card
        assert "synthetic clips drawn" not in card
        assert "MIT, code and weights" not in card
    assert "ubfc (1 people)" in card_of(DRAWN, UBFC)


def test_a_card_counts_what_the_start_had_learned_from():
    start = {"clips": 100, "data": [OWN], "data_sha256": "b"}
    card = card_of(DRAWN, start=start, data_sha256="a")
    assert "314 clips" in card
    assert "folder (2 people)" in card


def test_clips_that_several_runs_saw_are_counted_once():
    first, second, third = ({"seed": seed, "clips": 100 + seed} for seed in (1, 2, 3))
    start = {"clips": 101, "data": [first], "data_sha256": "a"}
    again = {"clips": 102, "data": [second], "data_sha256": "b", "start": start}
    both = {"clips": 205, "data": [second, third], "data_sha256": "c", "start": again}
    assert count_clips(all_learned(both)) == 101 + 102 + 103
    assert count_clips([both, again, start, both]) == 101 + 102 + 103
    few = {**both, "clips": 50}  # not all of them were taken: which ones is not known
    assert count_clips([few, again, start]) == 50 + 102 + 101


def test_networks_of_other_shapes_are_refused(tmp_path: Path):
    runs = run_in(tmp_path / "a", 1, "a"), run_in(tmp_path / "b", 2, "b", size=18)
    with pytest.raises(JobError, match="different configurations"):
        main(SoupJob(runs=runs, out=tmp_path / "soup"))
    assert not (tmp_path / "soup").exists()
    with pytest.raises(ValueError, match="at least one"):
        SoupJob(runs=())
