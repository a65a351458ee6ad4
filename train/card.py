"""The model card that goes with the weights, filled from their manifest and their evaluation."""

import json
from collections.abc import Sequence
from typing import cast

from huggingface_hub import EvalResult, ModelCardData

CARD = """---
{front}
---
# KDPhys {model}

{what}

- **Parameters**: {parameters:,}
- **Multiply-accumulates a frame**: {macs:,.0f}
- **Input**: RGB face crops, 36 x 36, 30 a second, in [0, 1]
- **Output**: blood-volume wave, one sample a frame; its amplitude shrinks where there is no pulse
- **Licence**: {licence}
- **Files**: model.onnx, which KDPhys runs; model.safetensors, the same numbers for PyTorch;
  config.json; manifest.json with the sha256 of each, the training run, the confidence's fit and
  what was measured

## How to load it

{load}

## Data and training

{clips}{taught}{mean} Schedule, losses' weights, seed, recipe and sha256 of the data, and versions
of the run that ended in these weights are in manifest.json under `run`, and what any run before it
learned from.

## Results

{results}

{reliability}

Accuracy on real faces against a contact sensor has **not been measured**.

## Skin tones

{tones}{skins}What that is worth on real faces of every tone has not been measured.

## Limits

**Not a medical device**: not for diagnosis, nor for watching over anyone. Strong head motion in the
pulse's own rhythm, very dark pictures, flickering light and video compression can hide the pulse or
imitate it; the confidence that comes with every reading {confidence}. A pulse is health data:
film only people who agreed to it. After the paper KDPhys (arXiv 2601.00714), whose
layers, losses' weights and recipe are not published: those here are our own.
"""

METRICS = "metrics"  # of a manifest: what train/evaluate.py found, and by which command
SYNTHETIC = "synthetic faces made by KDPhys"
DRAWN = """drawn by KDPhys' own generator: heads with a known pulse, seen through changing light,
motion, camera noise and video compression"""
FREE = "MIT, code and weights"
BOUND = "MIT, the code; the weights learned from data sets too whose own terms bind them"

WHAT = {
    "student": "A streaming 2D CNN with causal dilated convolutions over time: one face crop in, "
    "one sample of the pulse out, in constant memory, as many frames late as `lag` in config.json "
    "says (30 are 1 s).",
    "teacher": "A 3D CNN with attention over all of a clip's time, from which the student was "
    "distilled. It works on clips of 10 s.",
}

DISTILLED = " Distilled from the teacher."

TAUGHT = {
    True: "The {model} learnt from the clips' true waves and from the teacher's waves, attention "
    "and features.",
    False: "The {model} learnt from the clips' true waves.",
}

FITTED = "is fitted on synthetic clips of people of training"
UNFITTED = "is not fitted to these weights, but on simulated waves"

HERE = """It comes with KDPhys, in `weights/{model}`:

```python
from kdphys import measure

found = measure("face.mp4", "{model}")
```"""

ON_THE_HUB = """With KDPhys installed, at a commit that you trust; its full hash stands in this
repository's history. Each file is checked against manifest.json.

```sh
python -m kdphys measure VIDEO --model {repository} --revision COMMIT
```

```python
from kdphys import measure

found = measure("face.mp4", "{repository}@COMMIT")
```"""

ELSEWHERE = """Tables for both networks and three classical methods, with the commands that made
them, are in `docs/results/README.md` of the project, by skin tone and heart rate too."""

SCORES = """On {n} synthetic clips of seeds that training never saw, errors in bpm:

| | |
|---|---|
| median error, whatever the confidence | {median} |
| mean absolute error, whatever the confidence | {mae} (95 %: {low} to {high}) |
| share of clips within 3 bpm, whatever the confidence | {within} |
| share of clips for which a reading is given | {readings} |
| mean absolute error of the readings given | {given} |
| share of clips without a pulse that give no reading | {silent} |
"""


def model_card(
    manifest: dict[str, object],
    repository: str | None = None,
) -> str:
    """Write the card of a model.

    Args:
        manifest: As `train/export.py` writes it, with what `train/confidence.py` and
            `train/evaluate.py --note` found for these weights, if they did.
        repository: Where it is published on the Hub, as owner/name, if it is.

    Returns:
        Markdown with the Hub's front matter.
    """
    cost = cast(dict[str, float], manifest["cost"])
    run = cast(dict[str, object], manifest["run"])
    model = str(manifest["model"])
    table = manifest.get("reliability")
    load = ON_THE_HUB if repository else HERE
    kept = manifest.get(METRICS)
    scores = kept["synthetic"] if isinstance(kept, dict) else None
    is_taught = bool(taught_by(all_learned(run)))
    return CARD.format(
        front=_front(str(manifest["name"]), scores),
        model=model,
        what=WHAT[model] + (DISTILLED if is_taught else ""),
        parameters=int(cost["parameters"]),
        macs=cost["macs_per_frame"],
        load=load.format(model=model, repository=repository),
        licence=BOUND if _recorded(run) else FREE,
        clips=_clips(run, str(manifest.get("sources", ""))),
        taught=TAUGHT[is_taught].format(model=model),
        mean=_mean(run),
        results=f"{_scores(scores)}\n{ELSEWHERE}" if scores else ELSEWHERE,
        reliability=_reliability(table) if isinstance(table, list) else "",
        tones=_tones(run),
        skins=_skins(scores) if scores else "",
        confidence=FITTED if "calibration" in manifest else UNFITTED,
    )


def training_of(run: dict[str, object]) -> str:
    """What a network learned from, in a few words for its manifest."""
    sets = sorted({str(recipe["config"]["dataset"]) for recipe in _recorded(run)})
    drawn = len(_recorded(run)) < len(_recipes(run))
    return " and ".join(
        ([SYNTHETIC] if drawn or not sets else [])
        + ([f"recordings of real people: {', '.join(sets)}"] if sets else [])
    )


def all_learned(run: dict[str, object]) -> list[dict[str, object]]:
    """What says which clips a run learned from: of itself, and of those from which it went on."""
    start = run.get("start")
    return [run, *all_learned(start)] if isinstance(start, dict) else [run]


def all_recipes(run: dict[str, object]) -> list[dict[str, dict[str, object]]]:
    """Recipes of all clips behind a run: those it learned from, and its teachers' too."""
    learned = all_learned(run)
    return recipes_of([*learned, {"data": taught_by(learned)}])


def taught_by(learned: Sequence[dict[str, object]]) -> list[dict[str, dict[str, object]]]:
    """Recipes of the clips that the teachers of runs learned from."""
    return recipes_of([{"data": one.get("taught_by") or []} for one in learned])


def count_clips(learned: Sequence[dict[str, object]]) -> int:
    """How many different clips were learned from, all runs together.

    Args:
        learned: Of each run, its `data_sha256`, `clips` and `data`, the recipes of its folders.
    """
    counted = [(one, _known_counts(one)) for one in learned]
    if all(counts is not None for _, counts in counted):
        return sum(
            {name: n for _, counts in counted for name, n in (counts or {}).items()}.values()
        )
    by_digest = {str(one.get("data_sha256")): cast(int, one.get("clips", 0)) for one in learned}
    return sum(by_digest.values())


def _known_counts(learned: dict[str, object]) -> dict[str, int] | None:
    """Clips of each folder by its recipe; None where recipes do not tell, or not all were taken."""
    recipes = cast(list[dict[str, object]], learned.get("data", []))
    if not all(isinstance(recipe.get("clips"), int) for recipe in recipes):
        return None
    counts = {json.dumps(recipe, sort_keys=True): cast(int, recipe["clips"]) for recipe in recipes}
    return counts if sum(counts.values()) == learned.get("clips") else None


def recipes_of(learned: Sequence[dict[str, object]]) -> list[dict[str, dict[str, object]]]:
    """What made each folder of clips of several runs, once each."""
    every = [
        recipe
        for one in learned
        for recipe in cast(list[dict[str, dict[str, object]]], one.get("data", []))
    ]
    return list({json.dumps(recipe, sort_keys=True): recipe for recipe in every}.values())


def _recipes(run: dict[str, object]) -> list[dict[str, dict[str, object]]]:
    return recipes_of(all_learned(run))


def _recorded(run: dict[str, object]) -> list[dict[str, dict[str, object]]]:
    """Of those, the ones of real people with a contact sensor."""
    return [recipe for recipe in _recipes(run) if recipe.get("config", {}).get("dataset")]


def _clips(run: dict[str, object], sources: str) -> str:
    """How many clips there were, and of what."""
    count = count_clips(all_learned(run))
    recorded = _recorded(run)
    if not recorded:
        return f"{count} synthetic clips {DRAWN}. {_lent(run, sources)}"
    sets = []
    for recipe in recorded:
        people = cast(object, recipe.get("people", ()))
        known = people if isinstance(people, int) else len(cast(list[str], people))
        sets.append(f"{recipe['config']['dataset']} ({known} people)")
    kept = f"cut from recordings of real people beside a contact sensor: {', '.join(sets)}. "
    if len(recorded) == len(_recipes(run)):
        return f"{count} clips {kept}"
    return f"{count} clips, some {DRAWN}, the others {kept}{_lent(run, sources)}"


def _lent(run: dict[str, object], sources: str) -> str:
    """What the drawn clips took from portraits and recordings, and where those came from."""
    recipes = _recipes(run)
    taken = []
    for folder, share, words in (
        ("faces", "portrait_share", "of the heads take their looks from portraits"),
        ("pulses", "pulse_share", "of the pulses are recordings of fingers"),
    ):
        shares = [
            float(str(recipe["config"][share]))
            for recipe in recipes
            if recipe.get("config", {}).get(folder)
        ]
        taken += [f"{100 * max(shares):.0f} % {words}"] if shares else []
    told = f"{sources} " if sources else ""
    if _recorded(run):
        return f"Of those drawn, {' and '.join(taken)}. {told}" if taken else ""
    if not taken:
        return "All heads and pulses are drawn; no person was filmed. "
    return f"{' and '.join(taken)}; no person's face was filmed. {told}"


def _mean(run: dict[str, object]) -> str:
    """That the weights are a mean of several runs', where they are (train/soup.py)."""
    runs = cast(list[object], run.get("mean_of", []))
    return f" The weights are the mean of those of {len(runs)} runs." if runs else ""


def _front(name: str, scores: dict[str, object] | None) -> str:
    """What the Hub reads, as YAML; figures are said to be of synthetic clips."""
    found = []
    if scores:
        row = _row(scores, "all")
        found = [
            EvalResult(
                task_type="video-classification",
                task_name="Heart rate from a video of a face",
                dataset_type="synthetic",
                dataset_name=f"{row['n']} synthetic faces drawn by KDPhys",
                metric_type="mae",
                metric_name="Mean absolute error in bpm, whatever the confidence (synthetic)",
                metric_value=row["MAE"],
                verified=False,
            )
        ]
    return ModelCardData(
        license="mit",
        library_name="kdphys",
        pipeline_tag="video-classification",
        tags=["rppg", "remote-photoplethysmography", "heart-rate", "knowledge-distillation"],
        model_name=name,
        eval_results=found or None,
    ).to_yaml()


def _scores(scores: dict[str, object]) -> str:
    row = _row(scores, "all")
    low, high = cast(list[float], row["MAE 95 %"])
    return SCORES.format(
        n=row["n"],
        median=row["median error"],
        mae=row["MAE"],
        low=low,
        high=high,
        within=row["within 3"],
        readings=row["readings"],
        given=row["MAE of readings"],
        silent=scores["no reading without a pulse"],
    )


def _tones(run: dict[str, object]) -> str:
    """How skin tones came into the clips."""
    drawn = [recipe for recipe in _recipes(run) if not recipe.get("config", {}).get("dataset")]
    if not drawn:
        return "Skin tones are those of the people of the recordings. "
    rare = any(recipe.get("config", {}).get("faces") for recipe in drawn)
    but = ", but the darkest are rare among the portraits" if rare else ""
    return f"Skin tones are drawn alike in training{but}. "


def _skins(scores: dict[str, object]) -> str:
    """Mean absolute errors by skin."""
    rows = {skin: _row(scores, skin) for skin in ("light", "medium", "dark")}
    parts = [f"{row['MAE']} bpm on {skin} skin" for skin, row in rows.items() if row["n"]]
    return (
        f"On the synthetic clips above, the mean absolute error is {', '.join(parts)}, whatever "
        "the confidence. "
    )


def _row(scores: dict[str, object], group: str) -> dict[str, object]:
    return cast(dict[str, object], scores[group])


def _reliability(table: list[list[float]]) -> str:
    lines = [
        "How far its confidence can be believed: of one fitted on half of the synthetic clips, on",
        "waves of the other half, of the same people (confidence, share of rates right to 3 bpm,",
        "in which waves without a pulse count as in the fit, number of waves):",
        "",
        "| confidence | right | waves |",
        "|---|---|---|",
    ]
    return "\n".join(lines + [f"| {c:.2f} | {r:.2f} | {n:.0f} |" for c, r, n in table])
