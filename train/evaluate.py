"""How well each model reads the pulse: `python train/evaluate.py` writes docs/results/.

Synthetic clips of seeds that training never sees carry their truth. Real clips without a contact
sensor are replayed at several speeds instead: an estimate that is right scales with the speed, a
constant or a harmonic does not. Clips without a pulse must give no reading. `--dataset ubfc --root
DIR` tests on a real data set with a contact sensor instead (train/benchmark.py).
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import cast

import numpy as np

from kdphys.errors import KDPhysError
from kdphys.hub import Weights, is_folder, load_named
from kdphys.pipeline import MODELS, compare
from kdphys.runtime import CLASSICAL, NETWORKS, Model, open_model
from kdphys.vitals import LEAST_QUALITY
from train.aside import aside
from train.benchmark import (
    BenchmarkJob,
    digests_of,
    markdown_table,
    recipes_behind,
    run_benchmark,
)
from train.card import METRICS
from train.datasets import ClipStore, read_store
from train.figures import BANDS, SKINS, SURE, TOOLBOX_RATES, UNLIKE, summary
from train.noted import note
from train.origin import Origin, origin
from train.recordings import Dataset
from train.report import Evidence, write_report
from train.scores import Array, Scores, score, score_shared, write_rows
from train.script import JobError, run_script
from train.synthetic import (
    OTHER_CODECS,
    Boxes,
    Codecs,
    SyntheticConfig,
    SyntheticJob,
    lender,
    lent_digest,
    write_dataset,
)

logger = logging.getLogger(__name__)

TEST_SEED = 8_000_000  # others: training 0, validation 900,000; 2, 3, 6 and 7 million were scored
STUDY_SEED = 9_000_000  # of clips by which something may be chosen
PARTS = (1 / 3, 2 / 3, 1.0)  # of the clips' length, for the report
EASIER, EASIER_CLIPS = (0.0, 0.25, 0.5, 0.75), 30
SPEEDS = (0.8, 1.0, 1.25, 1.5, 1.75)
OLDER = (
    "The clips in %s were drawn before clips kept where their face is, so readings in the rhythm "
    "of a moving head are not refused, as the program does. Delete the folder to draw them anew."
)
STRANGE = (
    "The portraits and recordings of this test are not, by their names, the very ones that %s "
    "learned beside: it may have learned from some of these people."
)


@dataclass(frozen=True)
class EvaluateJob:
    """Measure every model and write tables."""

    out: Path = Path("docs/results")
    """Folder for results.json, README.md, and clips.csv with what was read of each clip."""
    data: Path = Path("data/test")
    """Where the test clips are kept; drawn if they are not there."""
    clips: int = 100
    """Synthetic clips of 30 s."""
    difficulty: float = 1.0
    """Their difficulty, up to 2; the tables say how hard that is for POS and others."""
    negatives: int = 60
    """Synthetic clips without a pulse."""
    boxes: Boxes = "found"
    """Where their faces are cut out: where the program finds them, or where they were drawn."""
    codecs: Codecs = "usual"
    """Which codecs they go through: up to half of them those of training; or each of them others,
    which training never draws. Others need a folder of clips of their own, as --data."""
    models: tuple[str, ...] = MODELS
    """Which models."""
    faces: Path | None = None
    """Folder of portraits: three in five heads then take their looks from people that training
    never saw."""
    pulses: Path | None = None
    """Folder of pulse recordings; two in five pulses then come from people that training never
    saw."""
    real: Path | None = None
    """Folder of real clips; left out unless given."""
    dataset: Dataset | None = None
    """Real data set with a contact sensor to test on instead; its tables go to `out` too."""
    root: Path | None = None
    """Where the data set lies."""
    people: Path | None = None
    """Folder of clips, written by train/recordings.py, whose people are tested; all otherwise."""
    trained_on: tuple[Path, ...] = ()
    """Folders of clips that the models have learned from; nobody in them may be tested."""
    note: bool = False
    """Write what was found into the manifest and card beside each network's weights too, for the
    evaluation that is to go with them."""
    workers: int = 2
    """Processes that read the clips."""
    report: Path | None = None
    """HTML page to write as well: plots, groups, and the clips that go worst. It draws clips of
    lower difficulty for it; not of a data set."""
    smoke: bool = False
    """Three short clips only, to see that it runs to its end; two recordings of a data set."""

    def __post_init__(self) -> None:
        """Check that what belongs to a data set comes with one, and nothing else does."""
        if self.dataset is None and (self.root or self.people or self.trained_on):
            raise ValueError("root, people and trained_on belong to a data set: name it as dataset")
        if self.dataset and self.report:
            raise ValueError("report is a page about synthetic clips: leave it out with a dataset")
        if self.note and (self.dataset or self.smoke):
            raise ValueError("note is of synthetic clips, all of them: no dataset, no smoke")
        if min(self.clips, self.negatives, self.workers) < 1:
            raise ValueError(
                f"clips={self.clips}, negatives={self.negatives} and workers={self.workers} must "
                "be at least 1"
            )
        if not 0 <= self.difficulty <= 2:
            raise ValueError(f"difficulty={self.difficulty} must be 0 to 2")


def main(job: EvaluateJob) -> None:
    """Evaluate as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = aside(job, "out", "data")
    _check(job)
    beside = _weights_beside(job) if job.note else {}
    if job.dataset:
        most = 2 if job.smoke else None
        run_benchmark(
            BenchmarkJob(
                job.dataset,
                job.root,
                job.out,
                job.models,
                job.people,
                job.trained_on,
                most,
                _command(job),
            )
        )
        return
    seconds, clips, negatives = 30.0, job.clips, job.negatives
    if job.smoke:
        seconds, clips, negatives = 8.0, 3, 2
    config = SyntheticConfig(
        seconds=seconds,
        difficulty=job.difficulty,
        negatives=0.0,
        faces=job.faces,
        pulses=job.pulses,
        people="test",
        boxes=job.boxes,
        codecs=job.codecs,
    )
    job.out.mkdir(parents=True, exist_ok=True)
    pulsing, silent = unseen_clips(job.data, clips, negatives, config)
    whose, of_silent = (
        [lender(int(str(truth["seed"])), config) for truth in store.truths]
        for store in (pulsing, silent)
    )
    synthetic, read, unread = {}, {}, {}
    for name in job.models:
        read[name], unread[name] = (
            score_shared(name, store, job.workers) for store in (pulsing, silent)
        )
        sure = np.isfinite(read[job.models[0]].given)
        synthetic[name] = summary(read[name], unread[name], pulsing, sure, whose)
        logger.info("%s: %s", name, synthetic[name]["all"])
    made = origin()
    report: dict[str, object] = {
        "command": _command(job),
        "origin": asdict(made),
        "weights": digests_of(job.models),
        "lent_sha256": lent_digest(config),
        "may know people": _knowing(job, config),
        "synthetic": synthetic,
    }
    replayed = replay(job.real, job.models) if job.real and not job.smoke else []
    if replayed:
        report["real"] = replayed
    (job.out / "results.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    (job.out / "README.md").write_text(_page(report, job, made))
    write_rows(job.out / "clips.csv", [(pulsing, whose, read), (silent, of_silent, unread)])
    for name, weights in beside.items():
        told = {"command": report["command"], "on": str(made), "synthetic": synthetic[name]}
        note(weights.onnx.parent, weights, {METRICS: told})
    if job.report:
        first = open_model(job.models[0], threads=2)
        parts = [share * seconds for share in PARTS]
        shorter = {part: score(first, pulsing, part) for part in parts}
        evidence = Evidence(
            _command(job), made, digests_of(job.models), pulsing, read, unread, shorter,
            _easier(job, config, first), replayed,
        )  # fmt: skip
        write_report(evidence, job.report)
        logger.info("wrote %s", job.report)


def _check(job: EvaluateJob) -> None:
    """Find what would end an evaluation before much is drawn for it.

    Raises:
        JobError: There is no such model, or no folder of real clips.
        WeightsError: A model's weights are missing or damaged.
    """
    if not job.models:
        raise JobError("--models names none: name at least one.")
    for name in job.models:
        try:
            open_model(name, threads=2)
        except ValueError as error:
            raise JobError(f"--models {name} is not known: {error}.") from error
    if job.real and not job.real.is_dir():
        raise JobError(f"--real {job.real} is no folder: give the folder of the real clips.")


def _knowing(job: EvaluateJob, config: SyntheticConfig) -> list[str]:
    """Networks that may have learned from people of the test, as these are told by their place.

    They are those that learned from portraits or recordings of pulses, and not from the training
    part of these very ones, by their names.
    """
    here, nobody = lent_digest(config), lent_digest(SyntheticConfig())
    lent = {
        name: {str(recipe.get("lent_sha256", nobody)) for recipe in recipes_behind(name)} - {nobody}
        for name in job.models
        if here != nobody
    }
    known = [name for name, learned in lent.items() if learned and here not in learned]
    for name in known:
        logger.warning(STRANGE, name)
    return known


def _weights_beside(job: EvaluateJob) -> dict[str, Weights]:
    """Weights of each network, which must lie on this machine to be written beside.

    Raises:
        JobError: Those of one lie on the Hub.
    """
    networks = [name for name in job.models if name not in CLASSICAL]
    for name in networks:
        if name not in NETWORKS and not is_folder(name):
            raise JobError(
                f"--note writes beside weights on this machine, and {name} is on the Hub: name a "
                "folder, or leave --note out."
            )
    return {name: load_named(name) for name in networks}


def _easier(
    job: EvaluateJob, config: SyntheticConfig, model: Model
) -> dict[float, tuple[Array, Scores]]:
    """True rates and scores of a model on clips of several difficulties, other seeds for each."""
    found = {}
    for step, share in enumerate(EASIER):
        difficulty = share * job.difficulty
        clips = 2 if job.smoke else EASIER_CLIPS
        easier = replace(config, difficulty=difficulty)
        folder = job.data / f"difficulty-{difficulty:g}"
        store = _scored_clips(folder, clips, TEST_SEED + 20_000 + 1_000 * step, easier)
        found[difficulty] = store.bpm.astype(np.float64), score(model, store)
    return found


def check_real(real: Path | None, bpm: float | None) -> None:
    """Check that a real clip comes with its rate.

    Raises:
        ValueError: There is only one of them.
    """
    if (real is None) != (bpm is None):
        raise ValueError("real=CLIP must come with real_bpm, its heart rate, and the reverse")


def replay(folder: Path, models: Sequence[str]) -> list[dict[str, object]]:
    """Measure real clips at several speeds."""
    rows: list[dict[str, object]] = []
    for path in sorted(folder.iterdir()):
        for speed in SPEEDS:
            row: dict[str, object] = {"clip": path.name, "speed": speed}
            try:
                found = compare(path, models, speed=speed)
            except KDPhysError as error:
                rows.append(row | {"refused": str(error)})
                break
            for name, measurement in found.items():
                heart = measurement.vitals.heart_rate
                row[name] = None if heart.value is None else round(heart.value, 1)
                row[f"{name} quality"] = round(heart.quality, 2)
            rows.append(row)
            logger.info("%s", row)
    return rows


def unseen_clips(
    folder: Path, clips: int, negatives: int, config: SyntheticConfig, seed: int = TEST_SEED
) -> tuple[ClipStore, ClipStore]:
    """Clips with and without a pulse, of seeds that nothing else takes: these, or a study's."""
    pulsing = _scored_clips(folder / "pulsing", clips, seed, config)
    silent = replace(config, negatives=1.0)
    return pulsing, _scored_clips(folder / "silent", negatives, seed + 10_000, silent)


def drawn_clips(folder: Path, clips: int, seed: int, config: SyntheticConfig) -> ClipStore:
    """Read the clips of a folder, drawing first those that are not there yet."""
    write_dataset(SyntheticJob(out=folder, clips=clips, seed=seed, config=config))
    return read_store(folder, clips)


def _scored_clips(folder: Path, clips: int, seed: int, config: SyntheticConfig) -> ClipStore:
    store = drawn_clips(folder, clips, seed, config)
    if not store.seen:
        logger.warning(OLDER, folder)
    return store


def _command(job: EvaluateJob) -> str:
    """The command line that does this job, but for where folders are."""
    words = ["python train/evaluate.py"]
    for part in fields(job):
        value = getattr(job, part.name)
        if value == part.default or part.name in ("out", "data", "report", "note", "workers"):
            continue
        shown = "DIR" if isinstance(value, Path) else value
        if isinstance(value, tuple):
            shown = " ".join("DIR" if isinstance(one, Path) else str(one) for one in value)
        words.append(f"--{part.name} {shown}")
    return " ".join(words)


CUT_OUT = {
    "drawn": [
        "Faces are cut out where they were drawn, late and unsteadily as by a plain detector, one",
        "in five at the same place throughout.",
    ],
    "found": ["Faces are found, followed and cut out by the program itself, as from a file."],
}
CODED = {
    "usual": [],
    "others": [
        f"Each is coded by an encoder that training never draws: {', '.join(OTHER_CODECS)}."
    ],
}
COLUMNS = ("n", "median error", "MAE", "RMSE", "r", "within 3", "readings", "MAE of readings")


def _page(report: dict[str, object], job: EvaluateJob, made: Origin) -> str:
    """The tables as Markdown."""
    synthetic = report["synthetic"]
    lines = [
        "# Results",
        "",
        f"Made by `{report['command']}` on {made} (results.json beside this has more, clips.csv",
        "what was read of each clip).",
        "Accuracy on real faces against a contact sensor is **not measured**.",
        "",
        f"## Synthetic: {job.clips} clips of 30 s, difficulty {job.difficulty:g}, unseen seeds"
        + (", other codecs" if job.codecs == "others" else ""),
        "",
        *CUT_OUT[job.boxes],
        *CODED[job.codecs],
        *(STRANGE % name for name in cast(list[str], report.get("may know people", []))),
        "",
        "Errors in bpm, whatever the confidence; the last two columns are the clips for which a",
        "reading was given, and their error.",
        "",
    ]
    if not isinstance(synthetic, dict):
        raise ValueError("report['synthetic'] must be a table")
    lines += markdown_table(
        ["model", *COLUMNS], [[name, *_cells(rows["all"])] for name, rows in synthetic.items()]
    )
    lines += ["", f"### By heart rate and skin, and where {job.models[0]} gives a reading"]
    lines += ["", "MAE, whatever the confidence.", ""]
    groups = [*BANDS, *SKINS, "where the first reads"]
    lines += markdown_table(
        ["model", *groups],
        [
            [name, *(f"{rows[group].get('MAE', '')} (n {rows[group]['n']})" for group in groups)]
            for name, rows in synthetic.items()
        ],
    )
    lines += ["", "Readings given, and their median and mean error (95 %, people drawn anew: all"]
    lines += ["clips of one portrait together).", ""]
    lines += markdown_table(
        ["model", *groups],
        [[name, *(_given(rows[group]) for group in groups)] for name, rows in synthetic.items()],
    )
    lines += [
        "",
        "Mean error of the readings of the skin that goes worst over that of the one that",
        "goes best; and that of dark skin over that of light skin, with its 95 % interval for",
        f"which people are drawn anew.{_lent(synthetic)}",
        "",
    ]
    lines += markdown_table(
        ["model", *UNLIKE],
        [
            [name, *(_shown(rows["skin"][what]) for what in UNLIKE)]
            for name, rows in synthetic.items()
        ],
    )
    lines += ["", "### By confidence", ""]
    lines += [
        "Readings of at least this confidence "
        f"(the program gives those from {LEAST_QUALITY} on): their",
        "share of all clips, mean error, how many are off by more than 3 bpm, and mean error on",
        "the skin that goes worst over that on the one that goes best.",
        "",
    ]
    lines += markdown_table(
        ["model", *(f"{least:g}" for least in SURE)],
        [
            [name, *(_shown_right(row) for row in rows["by confidence"])]
            for name, rows in synthetic.items()
        ],
    )
    low, high = (f"{rate:g}" for rate in TOOLBOX_RATES)
    lines += ["", "### Read by the highest peak of a spectrum", ""]
    lines += [
        "Beside the project's own signal stage, as the literature reads waves (0.75 to 2.5 Hz,",
        f"train/benchmark.py); clips of {low} to {high} bpm, whatever the confidence.",
        "",
    ]
    columns = ("n", "MAE", "MAE by peak", "within 3", "within 3 by peak")
    lines += markdown_table(
        ["model", *columns],
        [
            [name, *(str(rows["by the highest peak"][column]) for column in columns)]
            for name, rows in synthetic.items()
        ],
    )
    lines += ["", "### Readings that are off by more than 3 bpm", ""]
    lines += markdown_table(
        ["model", "given for true (confidence)"],
        [[name, _told(rows["wrong readings"])] for name, rows in synthetic.items()],
    )
    lines += ["", f"### Doubled rates, and {job.negatives} clips without a pulse", ""]
    extra = ("doubled below 60", "no reading without a pulse")
    lines += markdown_table(
        ["model", *extra],
        [[name, *(str(rows[e]) for e in extra)] for name, rows in synthetic.items()],
    )
    real = report.get("real")
    if isinstance(real, list):
        lines += ["", "## Real clips, replayed at several speeds", ""]
        lines += ["Rate in bpm divided by the speed (confidence); 'none' is no reading.", ""]
        lines += _real_table(real, job.models)
    return "\n".join(lines) + "\n"


def _real_table(rows: list[dict[str, object]], models: Sequence[str]) -> list[str]:
    cells = []
    for row in rows:
        if "refused" in row:
            cells.append([str(row["clip"]), str(row["speed"]), str(row["refused"])])
            continue
        line = [str(row["clip"]), str(row["speed"])]
        for name in models:
            value = row[name]
            shown = f"{value / row['speed']:.1f}" if isinstance(value, float) else "none"  # type: ignore[operator]
            line.append(f"{shown} ({row[f'{name} quality']})")
        cells.append(line)
    return markdown_table(["clip", "speed", *models], cells)


def _shown_right(row: dict[str, float | None]) -> str:
    if row["MAE"] is None:
        return "none"
    ratio = "" if row["worst skin over best"] is None else f", {row['worst skin over best']} times"
    return f"{100 * (row['share'] or 0):.0f} %, {row['MAE']}, {row['wrong']}{ratio}"


def _given(row: dict[str, object]) -> str:
    if not row["n"]:
        return "none of 0"
    told = f"{row['number of readings']} of {row['n']}"
    if row["MAE of readings"] is None:
        return told
    low, high = cast(list[float], row["MAE of readings 95 %"])
    median, mean = row["median error of readings"], row["MAE of readings"]
    return f"{told}, {median}, {mean} ({low} to {high})"


def _told(wrong: list[dict[str, float]]) -> str:
    found = [f"{row['given']} for {row['true']} ({row['confidence']})" for row in wrong]
    return ", ".join(found) or "none"


def _cells(row: dict[str, object]) -> list[str]:
    return [_shown(row.get(column)) for column in COLUMNS]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " to ".join(map(_shown, value))
    return "" if value is None else str(value)


def _lent(synthetic: dict[str, dict[str, dict[str, object]]]) -> str:
    """How few portraits lent clips of each skin their looks; nothing where all heads are drawn."""
    rows = next(iter(synthetic.values()), {})
    told = [
        f"{name} {rows[name]['portraits']}" for name in SKINS if rows and rows["all"]["portraits"]
    ]
    return f" Portraits of each skin, beside drawn heads: {', '.join(told)}." if told else ""


if __name__ == "__main__":
    run_script(main, EvaluateJob)
