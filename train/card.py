"""The model card that goes with the weights, filled from their manifest."""

from typing import cast

CARD = """---
license: mit
library_name: kdphys
pipeline_tag: video-classification
tags: [rppg, remote-photoplethysmography, heart-rate, knowledge-distillation]
---
# KDPhys {model}

{what}

- **Parameters**: {parameters:,}
- **Multiply-accumulates a frame**: {macs:,.0f}
- **Input**: RGB face crops, 36 x 36, 30 a second, in [0, 1]
- **Output**: blood-volume wave, one sample a frame; its amplitude shrinks where there is no pulse
- **Trained on**: {clips} synthetic clips drawn by KDPhys' own generator; no person was filmed
- **Licence**: MIT, code and weights

## Results

Tables for both networks and three classical methods, with the commands that made them, are in
`docs/results/README.md` of the project. {reliability}

Accuracy on real faces against a contact sensor has **not been measured**.

## Limits

Not a medical device. Strong head motion in the pulse's own rhythm, very dark pictures, flickering
light and video compression can hide the pulse or imitate it; the confidence that comes with every
reading is fitted on synthetic clips. Skin tones are equally likely in training; what that is worth
on real faces of every tone has not been measured. After the paper KDPhys (arXiv 2601.00714), whose
layers, losses' weights and recipe are not published: those here are our own.
"""

WHAT = {
    "student": "A streaming 2D CNN with causal dilated convolutions over time: one face crop in, "
    "one sample of the pulse out, 0.4 s late, in constant memory. Distilled from the teacher.",
    "teacher": "A 3D CNN with attention over all of a clip's time, from which the student was "
    "distilled. It works on clips of 10 s.",
}


def model_card(manifest: dict[str, object]) -> str:
    """Write the card of a model.

    Args:
        manifest: As `train/export.py` writes it.

    Returns:
        Markdown with the Hub's front matter.
    """
    cost = cast(dict[str, float], manifest["cost"])
    run = cast(dict[str, object], manifest["run"])
    table = manifest.get("reliability")
    return CARD.format(
        model=manifest["model"],
        what=WHAT[str(manifest["model"])],
        parameters=int(cost["parameters"]),
        macs=cost["macs_per_frame"],
        clips=run.get("clips", "no"),
        reliability=_reliability(table) if isinstance(table, list) else "",
    )


def _reliability(table: list[list[float]]) -> str:
    lines = [
        "How far its confidence can be believed, on",
        "synthetic clips kept back (confidence, share of rates right to 3 bpm, number of waves):",
        "",
        "| confidence | right | waves |",
        "|---|---|---|",
    ]
    return "\n".join(lines + [f"| {c:.2f} | {r:.2f} | {n:.0f} |" for c, r, n in table])
