"""Several processes learn what one does."""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kdphys.models.teacher import Teacher
from tests._page import free_port
from tests._scripts import finished
from tests._tiny_run import train_student
from tests._warm import run
from train.processes import SharedBatchNorm, mean_over_processes, share_batch_norms
from train.synthetic import SyntheticConfig, SyntheticJob, write_dataset

ROOT = Path(__file__).parent.parent
# For --multi_gpu accelerate starts torchrun, on GPUs or none; for --cpu it starts one process.
TWO = (
    *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
    *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
    *("--main_process_port", "0"),
)
BOUND_S = 280
TOGETHER = pytest.mark.xdist_group("processes")  # what they share is made once


def launched(*words: object) -> subprocess.CompletedProcess[str]:
    """Two processes that accelerate starts, each of which imports all by itself."""
    return subprocess.run(
        [*TWO, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=BOUND_S,
    )


def two(script: str, *words: object) -> list[subprocess.CompletedProcess[str]]:
    """What two processes say that are told of each other as accelerate tells them."""
    told = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    told |= {"MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}

    def begin(rank: str) -> subprocess.CompletedProcess[str]:
        env = told | {"RANK": rank, "LOCAL_RANK": rank}
        return run(ROOT / script, [*map(str, words)], BOUND_S, env=env)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(begin, ("0", "1")))


def read_log(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [
        {name: math.nan if value is None else value for name, value in line.items() if name != "s"}
        for line in lines
    ]


def weights(out: Path) -> dict[str, Tensor]:
    return load_file(out / "model.safetensors")


def assert_same_run(one: Path, two: Path) -> None:
    """Compare logs and weights of two runs."""
    assert json.loads((two / "run.json").read_text())["processes"] == 2
    logs = read_log(one), read_log(two)
    assert [line.keys() for line in logs[0]] == [line.keys() for line in logs[1]]
    for line, other in zip(*logs, strict=True):
        # Sums in another order differ in the last bits of float32, and each step adds to that;
        # what is rounded to three digits may then fall to either side.
        assert other == pytest.approx(line, rel=1e-3, abs=2e-3, nan_ok=True)
    found, other = weights(one), weights(two)
    assert found.keys() == other.keys()
    away = torch.cat([(found[name] - other[name]).abs().flatten() for name in found])
    # AdamW makes whole steps, here of up to 3e-3, of a gradient that is nothing but rounding noise,
    # as that of a bias before a softmax is. Without shared batch norms 87 % of the weights differ.
    assert away.max() < 3e-3
    assert (away > 1e-4).float().mean() < 1e-3


@pytest.fixture(scope="module")
def of_two(tmp_path_factory) -> Path:
    """What two processes learn together."""
    out = tmp_path_factory.mktemp("two")
    done = launched("-m", "tests._tiny_run", out)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@TOGETHER
def test_what_shares_is_run_by_one_worker(request):
    """With some versions of pytest groups are not heard, and each worker makes what they share."""
    grouped = getattr(request.config.option, "loadgroup", False)  # what xdist tells its workers
    assert request.node.nodeid.endswith("@processes") == grouped


@pytest.mark.slow
@TOGETHER
def test_two_processes_learn_what_one_does(of_two, tmp_path):
    train_student(tmp_path)
    assert_same_run(tmp_path, of_two)


@pytest.mark.slow
@TOGETHER
def test_a_resumed_run_of_two_processes_ends_exactly_where_an_unbroken_one_does(of_two, tmp_path):
    stopped = two("tests/_tiny_run.py", tmp_path / "broken", 3)
    assert "PlugPulledError" in stopped[0].stderr
    done = json.loads((tmp_path / "broken" / "progress.json").read_text())
    assert done == {"step": 2, "seconds": ANY}
    ended = two("tests/_tiny_run.py", tmp_path / "broken")
    assert [done.returncode for done in ended] == [0, 0], ended[0].stderr[-2000:]
    one, other = weights(of_two), weights(tmp_path / "broken")
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.fixture(scope="module")
def distilling(tmp_path_factory) -> tuple[object, ...]:
    """Command to distill four steps on four clips from a teacher that has learned nothing."""
    folder = tmp_path_factory.mktemp("distilling")
    data, teacher = folder / "data", folder / "teacher"
    config = SyntheticConfig(seconds=4.0, side=64)
    write_dataset(SyntheticJob(out=data, clips=4, workers=1, config=config))
    teacher.mkdir()
    torch.manual_seed(0)
    save_file(Teacher().state_dict(), teacher / "model.safetensors")
    (teacher / "config.json").write_text(json.dumps(asdict(Teacher().config)))
    (teacher / "run.json").write_text(json.dumps({"data": []}))
    return (
        *("--data", data, "--check", data, "--teacher", teacher),
        *("--schedule.steps", 4, "--schedule.frames", 96, "--schedule.log-every", 1),
        *("--schedule.threads", 1, "--schedule.precision", "float32"),
        # With seeds 0, 1 and 3 some steps follow gradients that are nothing but rounding.
        *("--schedule.seed", 2),
    )


@pytest.mark.slow
@TOGETHER
def test_two_processes_distill_what_one_does(distilling, tmp_path):
    words = (*distilling, "--schedule.batch", 4, "--out")
    for done in (
        finished("distill", *words, tmp_path / "one"),
        *two("train/distill.py", *words, tmp_path / "two"),
    ):
        assert done.returncode == 0, done.stderr[-2000:]
    assert_same_run(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two" / "config.json").exists()


@pytest.mark.slow
@TOGETHER
def test_a_batch_that_two_processes_can_t_share_evenly_is_refused(distilling, tmp_path):
    for done in two("train/distill.py", *distilling, "--schedule.batch", 3, "--out", tmp_path):
        assert done.returncode != 0
        assert "batch=3 must be a multiple of the 2 processes" in done.stderr


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d(3), (4, 3, 5)),
        (nn.BatchNorm2d(3), (4, 3, 5, 2)),
        (nn.BatchNorm3d(3, momentum=0.3), (4, 3, 2, 5, 2)),
    ],
)
def test_a_shared_batch_norm_alone_is_a_batch_norm(norm, shape):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(10 + rng.standard_normal(shape).astype(np.float32))
    wanted = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    shared = SharedBatchNorm(norm)
    plain = type(norm)(3, momentum=norm.momentum)
    for layer in (plain, shared):
        ((layer(x) - wanted) ** 2).mean().backward()
    # A few last bits of float32, of values about 10 before and 1 after.
    assert torch.allclose(shared(x), plain(x), rtol=0, atol=1e-5)
    assert shared.weight.grad == pytest.approx(plain.weight.grad, abs=1e-6)
    assert shared.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        assert torch.allclose(shared.state_dict()[name], value, rtol=1e-6, atol=1e-6), name
    assert torch.allclose(shared.eval()(x), plain.eval()(x), rtol=0, atol=1e-5)


def test_one_process_keeps_its_batch_norms_and_its_means():
    model = nn.Sequential(nn.BatchNorm1d(3))
    share_batch_norms(model)
    assert isinstance(model[0], nn.BatchNorm1d)
    value = torch.arange(3.0)
    assert mean_over_processes(value) is value
