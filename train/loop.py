"""The training loop that teacher and student share: draw, learn, check, save, go on."""

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from kdphys.bench import machine_name
from kdphys.errors import WeightsError
from kdphys.hub import check_against_manifest, sha256
from kdphys.losses import negative_pearson, spectral_cross_entropy, squared_error
from train.card import all_recipes
from train.datasets import FPS, Batch, ClipStore, draw_batch, unplaced, whole_batch
from train.origin import origin
from train.processes import mean_over_processes, share_batch_norms
from train.room import NoRoomError, held, room_for, written
from train.script import JobError, read_json

logger = logging.getLogger(__name__)

Loss = Callable[[nn.Module, Batch, float], Mapping[str, Tensor]]
"""What to lessen, each part of shape (B,): of the learner, a batch, and the share of the schedule
that is done, in [0, 1)."""
WEIGHTS = "model.safetensors"
MAY_CHANGE = ("save_every", "check_every", "log_every", "threads")  # in a run that goes on
BESIDE = (
    "data", "check", "dataset", "root", "cut_to", "teacher", "out", "start", "runs", "arms",
    "seeds",
)  # fmt: skip
"""Of a configuration: where files lie, and what else is run."""
WHAT_IT_LEARNS_FROM = ("data_sha256", "clips", "start_sha256", "teacher_sha256")
LEARNED = ("data_sha256", "data", "clips", "start", "taught_by")


@dataclass(frozen=True)
class LabelWeights:
    """How much each part of the loss against the true pulse counts."""

    pearson: float = 1.0
    """Negative Pearson correlation with the blood volume."""
    spectral: float = 0.1
    """Cross entropy of the spectrum against the heart rate."""
    error: float = 0.3
    """Squared error: teaches the amplitude to tell how sure the network is."""
    silence: float = 1.0
    """Power of the wave where there is no pulse."""
    slack_s: float = 0.0
    """By how much labels may be early or late, as where camera and contact sensor have clocks of
    their own: each counts at the shift, up to this, at which it fits best."""


CHECKED = "within_3"  # stands in lines of the log that tell of a check, which ends a step
LEAST_HEARD = 15  # frames of a clip that a loss must hear
AT_LEAST_ONE = (
    "steps", "batch", "average_every", "save_every", "check_every", "log_every", "threads",
)  # fmt: skip


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn, and which weights to keep.

    Those that are kept are the mean of many on the way (Izmailov et al., 2018, arXiv 1803.05407):
    it reads drawn clips as well as the last ones do and misleads less on real faces, as Cha et al.
    (2021, arXiv 2102.08604) found for pictures of other domains.
    """

    steps: int = 1500
    """Batches."""
    batch: int = 8
    """Clips a batch, all processes together."""
    frames: int = 240
    """Length of the clips cut for training; a multiple of 4."""
    rate: float = 2e-3
    """Highest learning rate of AdamW, under one cosine cycle."""
    average_from: float = 0.2
    """Share of the schedule after which the weights on the way are averaged; 1 keeps the last."""
    average_every: int = 25
    """Steps between the weights that are averaged."""
    seed: int = 0
    """Of the weights, the batches and the variations."""
    save_every: int = 100
    """Steps between checkpoints."""
    check_every: int = 250
    """Steps between checks on the validation clips."""
    log_every: int = 20
    """Steps between lines of log.jsonl."""
    threads: int = 2
    """Threads of torch in each process."""
    precision: Literal["auto", "float32"] = "auto"
    """Auto multiplies in bfloat16 where the machine computes in it, which is faster and rounds."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.frames < 4 or self.frames % 4:
            raise ValueError(f"schedule.frames={self.frames} must be a multiple of 4")
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"schedule.{name}={getattr(self, name)} must be at least 1")


@dataclass(frozen=True)
class Run:
    """What one training run needs."""

    model: nn.Module
    loss: Loss
    store: ClipStore
    check: ClipStore
    schedule: Schedule
    out: Path
    config: object
    """The command's whole configuration, a dataclass, kept in run.json."""
    lag: int = 0
    """Frames by which the model's wave comes late."""
    warm_up: int = 0
    """First frames of a clip that the loss leaves out."""
    slack_s: float = 0.0
    """By how much a label may be early or late; so much at each end is left out too."""
    start: Path | None = None
    """Folder whose model.safetensors the model begins with; none begins with random weights."""
    teacher: Path | None = None
    """Folder of the teacher that the loss listens to, if there is one."""
    learner: nn.Module | None = None
    """The model with layers that only training needs, for the loss; none is the model."""


def label_loss(
    wave: Tensor, batch: Batch, lag: int, warm_up: int, weights: LabelWeights
) -> dict[str, Tensor]:
    """Loss of a wave against the truth, each part of shape (B,) and already weighed.

    Args:
        wave: What the model said; its sample t belongs to frame t - lag. Shape (B, T).
        batch: The truth.
        lag: Frames by which the wave comes late.
        warm_up: First frames that do not count.
        weights: How much each part counts.

    Returns:
        The parts by name.
    """
    said, true = aligned(wave, batch.wave, lag, warm_up)
    if weights.slack_s:
        said, true = in_step(said, true, round(weights.slack_s * FPS))
    alive = batch.alive
    scale = alive / mean_over_processes(alive.mean()).clamp_min(0.125)
    return {
        "pearson": weights.pearson * scale * negative_pearson(said, true),
        "spectral": weights.spectral * scale * spectral_cross_entropy(said, batch.bpm, FPS),
        "error": weights.error * scale * squared_error(said, true),
        "silence": weights.silence * (1 - alive) * said.square().mean(1),
    }


def aligned(wave: Tensor, true: Tensor, lag: int, warm_up: int) -> tuple[Tensor, Tensor]:
    """Cut a late wave and the truth to the samples that belong together. Two of shape (B, T')."""
    frames = wave.shape[1]
    return wave[:, lag + warm_up :].float(), true[:, warm_up : frames - lag]


def in_step(said: Tensor, true: Tensor, slack: int) -> tuple[Tensor, Tensor]:
    """Shift each label to where it fits best.

    Args:
        said: Waves. Shape (B, T).
        true: Labels. Shape (B, T).
        slack: Frames by which a label may be early or late.

    Returns:
        Both, as far as they overlap at any shift. Two of shape (B, T - 2 * slack).
    """
    frames = said.shape[1] - 2 * slack
    inside = said[:, slack : slack + frames]
    shifted = torch.stack([true[:, start : start + frames] for start in range(2 * slack + 1)])
    with torch.no_grad():
        best = torch.stack([negative_pearson(inside, one) for one in shifted]).argmin(0)
    return inside, shifted[best, torch.arange(len(said), device=best.device)]


def train(run: Run) -> None:
    """Train to the end of the schedule, from the last checkpoint if there is one.

    Every batch is a function of seed and step (on a GPU also of whether it has room for all clips,
    as noise comes from where they lie), so a resumed run sees what an unbroken one would,
    and each process takes its share of it, so several processes learn what one would. The loss
    must be a mean over clips, each scored alone.

    The folder `run.out` then holds run.json, log.jsonl, the latest checkpoint and
    model.safetensors.

    Raises:
        ValueError: The folder holds a run with other settings, data or start, or the clips are
            shorter than the schedule's.
        NoRoomError: The disk has no room for what is to be kept; nothing half written is.
    """
    plan = run.schedule
    _check_length(run)
    torch.set_num_threads(plan.threads)
    set_seed(plan.seed)
    accelerator = _accelerator(plan)
    if run.start:
        fill(run.model, run.start)
    busy = f"Another command is training in {run.out}: wait for its end, or give another folder"
    with held(run.out, busy) if accelerator.is_main_process else nullcontext():
        _train(run, accelerator)


def _train(run: Run, accelerator: Accelerator) -> None:
    """Train in a folder that no other command works in."""
    plan = run.schedule
    learner = run.learner or run.model
    optimizer = torch.optim.AdamW(learner.parameters(), lr=plan.rate, weight_decay=0.01)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=plan.steps + 1, pct_start=0.15
    )
    share_batch_norms(learner)
    averaged = AveragedModel(run.model, accelerator.device, avg_fn=_mean, use_buffers=True)
    accelerator.register_for_checkpointing(averaged)
    learner, optimizer, cycle = accelerator.prepare(learner, optimizer, cycle)
    start = _open(run, accelerator)
    store = run.store.near(accelerator.device)
    began = time.monotonic() - _seconds(run.out)
    for step in range(start, plan.steps):
        learner.train()
        drawn = np.random.default_rng((plan.seed, step))
        batch = draw_batch(store, drawn, plan.batch, plan.frames)
        parts = run.loss(learner, _share(batch, accelerator), step / plan.steps)
        loss = torch.stack([part.mean() for part in parts.values()]).sum()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        cycle.step()
        optimizer.zero_grad()
        if step % plan.log_every == 0:
            facts = {"step": step, **_averaged(parts)}
            _log(run.out, {**facts, "s": round(time.monotonic() - began, 1)}, accelerator)
        last = step + 1 == plan.steps
        if last or _counts(step + 1, plan):
            averaged.update_parameters(run.model)
        if accelerator.is_main_process and (last or (step + 1) % plan.check_every == 0):
            kept = averaged.module if averaged.n_averaged else run.model
            facts = {"step": step + 1, **check(kept, run.check, run.lag)}
            _log(run.out, facts, accelerator)
        if last or (step + 1) % plan.save_every == 0:
            _save(run, accelerator, step + 1, time.monotonic() - began)
    if accelerator.is_main_process:
        write_weights(averaged.module.state_dict(), run.out)
        with written(run.out / "run.json") as file:
            record = read_record(run.out / "run.json") | {"seconds": _seconds(run.out) or None}
            file.write_text(json.dumps(record, indent=1) + "\n")


def check_size(size: int, *stores: ClipStore) -> None:
    """Check that clips are of the size that a network's weights will be used with.

    Raises:
        JobError: Those of one are not.
    """
    for store in stores:
        side = store.pixels[0].shape[2]
        if side != size:
            raise JobError(
                f"The clips are of {side} x {side} pixels, and the network takes {size} x {size}: "
                f"draw clips of --config.size {size}, or name others"
            )


def _check_length(run: Run) -> None:
    store, plan = run.store, run.schedule
    frames = store.waves.shape[1]
    if frames < plan.frames:
        raise JobError(
            f"schedule.frames={plan.frames} must be at most the {frames} frames of the clips"
        )
    slack = 2 * round(run.slack_s * FPS)
    least = run.lag + run.warm_up + slack + LEAST_HEARD
    if plan.frames < least:
        uses = [f"{run.lag} are looked ahead", f"{run.warm_up} at the start do not count"]
        uses += [f"{slack} are for a label that is early or late"] if slack else []
        raise JobError(
            f"schedule.frames={plan.frames} must be at least {least}: {', '.join(uses)}, and "
            f"{LEAST_HEARD} are to be learned from"
        )


def _mean(so_far: Tensor, one: Tensor, counted: Tensor | int) -> Tensor:
    """Mean of weights with one more; of whole numbers, such as how many batches came, the last."""
    return so_far + (one - so_far) / (counted + 1) if so_far.is_floating_point() else one


def _counts(step: int, plan: Schedule) -> bool:
    """Tell whether the weights after so many steps are among those that are averaged."""
    return step % plan.average_every == 0 and step >= plan.average_from * plan.steps


def _accelerator(plan: Schedule) -> Accelerator:
    """Join the other processes, if there are any."""
    accelerator = Accelerator(
        mixed_precision="bf16" if plan.precision == "auto" and bf16_is_native() else "no",
        cpu=not torch.cuda.is_available(),
        dataloader_config=DataLoaderConfiguration(split_batches=True),  # else the cycle runs faster
    )
    if plan.batch % accelerator.num_processes:
        raise JobError(
            f"batch={plan.batch} must be a multiple of the {accelerator.num_processes} processes"
        )
    return accelerator


def _open(run: Run, accelerator: Accelerator) -> int:
    """Begin the folder of a run, or go on from its checkpoint. Returns the step to begin with."""
    with accelerator.main_process_first():
        step = _claim(run, accelerator) if accelerator.is_main_process else _progress(run.out)
        if accelerator.is_main_process:
            _remove_left(run.out, step)
            _cut_log(run.out / "log.jsonl", step)
    if mean_over_processes(torch.tensor(float(step), device=accelerator.device)) != step:
        raise JobError(f"out={run.out} must be one folder that all machines share")
    if step:
        accelerator.load_state(str(_checkpoint(run.out, step)))
    return step


def _claim(run: Run, accelerator: Accelerator) -> int:
    """Find the step from which to go on in a folder; write run.json where none was begun.

    Raises:
        ValueError: What was begun there is another run, or finished weights are there.
    """
    run.out.mkdir(parents=True, exist_ok=True)
    facts = describe_run(run, accelerator.num_processes)
    path = run.out / "run.json"
    there = json.loads(path.read_text()) if path.exists() and _progress(run.out) else {}
    is_finished = (run.out / WEIGHTS).exists() and not _progress(run.out)
    if is_finished and not is_of_smoke(record_in(run.out)):  # a mean of runs, or exported
        raise JobError(
            f"{run.out} holds finished weights; move that folder, or give another as --out"
        )
    if is_of_smoke(there) or is_finished:  # which must not pass for what this run learns
        for left in ("progress.json", "log.jsonl", WEIGHTS):
            (run.out / left).unlink(missing_ok=True)
        there = {}
    if not there:
        with written(path) as file:
            file.write_text(json.dumps(facts, indent=1) + "\n")
        return 0
    before, now = _identity(there), _identity(facts)
    other = [name for name in now if before.get(name) != now[name]]
    if other:
        name = other[0]
        raise JobError(
            f"{run.out} holds another run: its {name} is {before.get(name)}, not {now[name]}; "
            "remove that folder, or give another as --out"
        )
    return _progress(run.out)


def _progress(out: Path) -> int:
    """How many steps are done in a folder."""
    return _done(out).get("step", 0)


def _seconds(out: Path) -> float:
    """Seconds that the steps done in a folder took, without what came before the first of them."""
    return _done(out).get("seconds", 0.0)


def _done(out: Path) -> dict[str, Any]:
    """What progress.json tells of a folder; nothing where no step is done."""
    path = out / "progress.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _identity(facts: Mapping[str, object]) -> dict[str, object]:
    """What makes a run the run that it is: not where its files lie, nor what machine does it."""
    flat: dict[str, object] = {}
    for part, value in cast(dict[str, object], facts["config"]).items():
        if isinstance(value, dict):
            flat |= {f"{part}.{name}": inner for name, inner in value.items()}
        elif part not in BESIDE:
            flat[part] = value
    for name in MAY_CHANGE:
        flat.pop(f"schedule.{name}", None)
    kept = {name: facts.get(name) for name in WHAT_IT_LEARNS_FROM}
    return kept | flat


def _save(run: Run, accelerator: Accelerator, step: int, seconds: float) -> None:
    """Write a checkpoint, then that it is there, then remove the one before.

    However this is cut short, a whole checkpoint is left, and progress.json names it.
    """
    checkpoint = _checkpoint(run.out, step)
    try:
        with room_for(checkpoint):
            accelerator.save_state(str(checkpoint))
    except NoRoomError:
        shutil.rmtree(checkpoint, ignore_errors=True)
        raise
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        before = _progress(run.out)
        with written(run.out / "progress.json") as file:
            file.write_text(json.dumps({"step": step, "seconds": round(seconds, 1)}))
        if before != step:
            shutil.rmtree(_checkpoint(run.out, before), ignore_errors=True)


def _remove_left(out: Path, step: int) -> None:
    """Remove the checkpoints that killed runs left, half written or already followed by another."""
    for left in out.glob("checkpoint-[0-9]*"):
        if left != _checkpoint(out, step):
            shutil.rmtree(left)


def _cut_log(path: Path, step: int) -> None:
    """Take the lines off a log that a run which goes on from a step will write again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        with suppress(ValueError):  # half of a line, as of a killed run
            told = json.loads(line)
            if told["step"] < step or (told["step"] == step and CHECKED in told):
                kept.append(line + "\n")
    with written(path) as file:
        file.write_text("".join(kept))


def _checkpoint(out: Path, step: int) -> Path:
    return out / f"checkpoint-{step}"


def _share(batch: Batch, accelerator: Accelerator) -> Batch:
    """This process's part of a batch, on its device."""
    clips = len(batch.bpm) // accelerator.num_processes
    mine = slice(clips * accelerator.process_index, clips * (accelerator.process_index + 1))
    clip, wave, bpm, alive = (
        whole[mine].to(accelerator.device)
        for whole in (batch.clip, batch.wave, batch.bpm, batch.alive)
    )
    return Batch(clip, wave, bpm, alive, batch.cuts[mine])


def _averaged(parts: Mapping[str, Tensor]) -> dict[str, float]:
    """The loss and its parts, each averaged over the clips of all processes."""
    means = mean_over_processes(torch.stack([part.detach().mean() for part in parts.values()]))
    return {"loss": float(means.sum()), **dict(zip(parts, means.tolist(), strict=True))}


def bf16_is_native() -> bool:
    """Tell whether this machine computes in bfloat16.

    One that only emulates it took 4 times as long for the student, 17 times for the teacher.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


@torch.no_grad()
def check(model: nn.Module, store: ClipStore, lag: int) -> dict[str, float]:
    """Score a model on validation clips by a plain spectral peak.

    Returns:
        Mean absolute error in bpm, share within 3 bpm, mean correlation, and the root mean square
        of the wave with and without a pulse.
    """
    model.eval()
    device = next(model.parameters()).device
    errors, likeness, loud, silent = [], [], [], []
    for start in range(0, len(store), 8):
        batch = whole_batch(store, range(start, min(start + 8, len(store))))
        said, true = aligned(model(batch.clip.to(device)).cpu(), batch.wave, lag, int(FPS))
        power = said.square().mean(1).sqrt()
        alive = batch.alive.bool()
        errors.append((_peak_bpm(said) - batch.bpm)[alive].abs())
        likeness.append(1 - negative_pearson(said, true)[alive])
        loud.append(power[alive])
        silent.append(power[~alive])
    error = torch.cat(errors)
    return {
        "mae_bpm": round(float(error.mean()), 3),
        "within_3": round(float((error <= 3).float().mean()), 3),
        "pearson": round(float(torch.cat(likeness).mean()), 4),
        "rms_alive": round(float(torch.cat(loud).mean()), 3),
        "rms_none": round(float(torch.cat(silent).mean()), 3),
    }


def _peak_bpm(wave: Tensor) -> Tensor:
    """Rate of the highest spectral peak between 40 and 180 bpm. Shape (B,)."""
    points = 1 << 15
    tapered = (wave - wave.mean(1, keepdim=True)) * torch.hann_window(wave.shape[1])
    power = torch.fft.rfft(tapered, points).abs()
    rates = torch.arange(power.shape[1]) * FPS * 60 / points
    inside = (rates >= 39) & (rates <= 182)
    return rates[inside][power[:, inside].argmax(1)]


def describe_run(run: Run, processes: int) -> dict[str, object]:
    """What run.json holds: everything needed to do the run again in as many processes."""
    if not is_dataclass(run.config) or isinstance(run.config, type):
        raise ValueError(f"config={run.config!r} must be a dataclass instance")
    facts = {
        "config": asdict(run.config),
        "data_sha256": run.store.sha256,
        "data": [without_folders(recipe) for recipe in run.store.recipes],
        "clips": len(run.store),
        "start_sha256": sha256(run.start / WEIGHTS) if run.start else None,
        "teacher_sha256": sha256(run.teacher / WEIGHTS) if run.teacher else None,
        "start": _learned(record_in(run.start)) if run.start else None,
        "taught_by": all_recipes(record_in(run.teacher)) if run.teacher else [],
        "parameters": sum(weight.numel() for weight in run.model.parameters()),
        "processes": processes,
        **asdict(origin()),
        "device": device_name(),
    }
    return json.loads(json.dumps(facts, default=str))


def check_there(path: Path) -> None:
    """Check that a finished run's folder holds a file.

    Raises:
        FileNotFoundError: It doesn't.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: name the folder of a finished run, or of weights."
        )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the trained numbers in the folder of a run, or of exported weights.

    Raises:
        FileNotFoundError: The folder holds none.
        WeightsError: They are damaged, or a manifest beside them names others.
    """
    path = folder / WEIGHTS
    check_against_manifest(path)
    check_there(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is damaged ({error}): name the folder of another run, or train it again."
        ) from error


def fill(model: nn.Module, folder: Path) -> dict[str, Tensor]:
    """Give a model the trained numbers in the folder of a run, or of exported weights.

    Returns:
        Those numbers.

    Raises:
        FileNotFoundError: The folder holds none.
        JobError: They are of another model.
        WeightsError: They are damaged, or a manifest beside them names others.
    """
    weights, own = read_weights(folder), model.state_dict()
    wrong = sorted(
        name
        for name in own.keys() | weights.keys()
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    )
    if wrong:
        raise JobError(
            f"{folder / WEIGHTS} and config.json beside it are of different networks: {len(wrong)} "
            f"tensors are missing in one or have another shape, {wrong[0]} among them. Name a "
            "folder as training or export left it."
        )
    model.load_state_dict(weights, strict=True)
    return weights


def write_weights(weights: dict[str, Tensor], folder: Path) -> None:
    """Write trained numbers to a folder; they are there whole or not at all.

    Raises:
        NoRoomError: There is no room for them.
    """
    with written(folder / WEIGHTS) as file:
        save_file(weights, file)


def record_in(folder: Path) -> dict[str, object]:
    """What was written of a run: in its own folder, or in the manifest of its weights.

    Raises:
        FileNotFoundError: The folder holds neither.
        JobError: It is damaged.
    """
    if (folder / "run.json").exists():
        return read_record(folder / "run.json")
    return read_record(folder / "manifest.json")["run"]


def read_record(path: Path) -> dict[str, Any]:
    """Read a JSON file that was written of a run.

    Raises:
        FileNotFoundError: It is not there.
        JobError: It is damaged.
    """
    return read_json(path, "name the folder of another run, or train it again.")


def is_of_smoke(record: Mapping[str, object]) -> bool:
    """Tell whether a run only was to see that it runs to its end, so that it is worth nothing."""
    config = record.get("config")
    return isinstance(config, dict) and bool(config.get("smoke"))


def _learned(record: Mapping[str, object]) -> dict[str, object]:
    """What of a record says which clips were learned from."""
    return {name: record.get(name) for name in LEARNED}


def device_name() -> str:
    """What learns here: the GPU, or the processor."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else machine_name()


def without_folders(recipe: dict[str, object]) -> dict[str, object]:
    """A recipe that says of a folder that there was one, not where.

    Of a data set of one's own it says how many people are in it, not who: such names may be true
    ones, and weights are published with their recipes.
    """
    config = recipe.get("config")
    if not isinstance(config, dict):
        return recipe
    told = {**recipe, "config": unplaced(config)}
    if config.get("dataset") == "folder":
        for name in ("people", "recordings"):
            told[name] = len(cast(list[str], recipe.get(name, [])))
    return told


def _log(out: Path, facts: dict[str, float], accelerator: Accelerator) -> None:
    if not accelerator.is_main_process:
        return
    path = out / "log.jsonl"
    known = {name: value if math.isfinite(value) else None for name, value in facts.items()}
    length = path.stat().st_size if path.exists() else 0
    try:
        with room_for(path), path.open("a") as log:
            log.write(json.dumps(known) + "\n")
    except NoRoomError:
        if path.exists():
            os.truncate(path, length)  # no half of a line is left
        raise
    logger.info("%s", " ".join(f"{name} {value:.4g}" for name, value in facts.items()))
