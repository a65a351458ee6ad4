"""Compare the synthetic world with the real one: `python train/realism.py --real DIR`.

Three looks at it, written to docs/results/realism.md. How far methods that learn nothing err as the
difficulty rises, beside what the literature reports for them on public sets, with heart rates as
people at rest have them; the literature takes the highest peak of the spectrum for the rate, which
is shown beside what the signal stage reads. Which factors of the world cost them most, each
switched off alone. And how lively the colour of real crops is at each frequency, on the face and in
the background at their corners, and how far red and blue follow green on the face, beside those of
drawn ones.
"""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.errors import KDPhysError
from kdphys.runtime import FPS, open_model
from kdphys.video import find_videos, read_frames
from train.aside import aside
from train.benchmark import markdown_table, toolbox_bpm
from train.origin import Origin, origin
from train.recordings import face_stretches
from train.scores import raw_bpm, wave_of
from train.script import run_script
from train.synthetic import SyntheticClip, SyntheticConfig, check_lent, make_clip

logger = logging.getLogger(__name__)

SEED = 4_000_000  # of clips that neither training nor tests take
DIFFICULTIES = (0.0, 0.5, 1.0, 2.0)
METHODS = ("pos", "chrom", "green")
STAGE, PEAK = "signal stage", "highest peak"  # how a wave is read
RESTING_BPM = (78.0, 14.0, 48.0, 130.0)  # mean, spread, least and most
PUBLIC = {  # mean error of POS and CHROM in bpm, as compiled by Liu et al. (2023, arXiv 2210.00716)
    "PURE": (3.67, 5.77),
    "UBFC-rPPG": (4.00, 3.98),
    "MMPD": (12.4, 13.7),
}
FAMILIES = {
    "nothing": (),
    "motion, talking, expressions, the box": ("motion", "rhythm", "talk", "express", "box"),
    "blinking and hands": ("blink", "hand"),
    "light": ("light", "flicker", "shadow", "exposure"),
    "the camera's curve and colours": ("curve", "saturation"),
    "sensor noise, blur": ("noise", "blur"),
    "Bayer and halved colour": ("bayer", "chroma"),
    "codec": ("codec",),
    "uneven frame times": ("timing",),
}
BANDS_HZ = ((0.1, 0.7), (0.7, 3.0), (3.0, 8.0), (8.0, 14.0))
PIECE_S = 10.0
LEAST_LIGHT = 1.0  # of 255; a black background has no relative change

Array = NDArray[np.float64]
Colours = tuple[list[float], list[float], list[float]]


@dataclass(frozen=True)
class RealismJob:
    """Compare the synthetic world with the real one."""

    out: Path = Path("docs/results")
    """Folder for realism.md and realism.json."""
    clips: int = 60
    """Clips of 30 s at each difficulty."""
    faces: Path | None = None
    """Folder of portraits, as for train/synthetic.py."""
    pulses: Path | None = None
    """Folder of pulse recordings, as for train/synthetic.py."""
    real: Path | None = None
    """Folder of real clips; left out unless given."""
    workers: int = 2
    """Processes."""
    smoke: bool = False
    """A few short clips, to see that it runs to its end."""


def main(job: RealismJob) -> None:
    """Compare as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = SyntheticConfig(
        seconds=30.0, negatives=0.0, faces=job.faces, pulses=job.pulses, people="test"
    )
    if job.smoke:
        job = replace(aside(job, "out"), clips=1, workers=1)
        config = replace(config, seconds=6.0, side=64)
    check_lent(config)
    seeds = range(SEED, SEED + job.clips)
    made = origin()
    report: dict[str, object] = {"origin": asdict(made), "clips": job.clips}
    with ProcessPoolExecutor(job.workers, get_context("spawn")) as pool:
        report["difficulty"] = {
            level: _errors(pool, seeds, replace(config, difficulty=level)) for level in DIFFICULTIES
        }
        logger.info("%s", report["difficulty"])
        at_full = replace(config, difficulty=1.0)
        report["without"] = {
            name: _errors(pool, seeds, replace(at_full, off=off)) for name, off in FAMILIES.items()
        }
        logger.info("%s", report["without"])
        drawn = pool.map(partial(_drawn_colours, replace(at_full, seconds=PIECE_S)), seeds)
        colours = {"drawn": list(drawn)}
    if job.real and not job.smoke:
        colours |= {
            path.name: found for path in find_videos(job.real) if (found := _real_colours(path))
        }
    report["liveliness"], report["followed"], report["background"] = (
        {name: _percentiles([row[look] for row in rows]) for name, rows in colours.items()}
        for look in range(3)
    )
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "realism.json").write_text(json.dumps(report, indent=1) + "\n")
    (job.out / "realism.md").write_text(_page(report, job, made))


def _errors(
    pool: ProcessPoolExecutor, seeds: Sequence[int], config: SyntheticConfig
) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and median error of each method in bpm, and the share of clips within 3 bpm.

    By the way in which its wave is read, then by method.
    """
    found = np.array(list(pool.map(partial(_clip_errors, config), seeds)))  # (N, ways, methods)
    return {
        way: {
            method: {
                "MAE": round(float(errors.mean()), 2),
                "median": round(float(np.median(errors)), 2),
                "within 3": round(float((errors <= 3).mean()), 3),
            }
            for method, errors in zip(METHODS, of_way.T, strict=True)
        }
        for way, of_way in zip((STAGE, PEAK), found.swapaxes(0, 1), strict=True)
    }


def _clip_errors(config: SyntheticConfig, seed: int) -> list[list[float]]:
    """Error of each way and method on one clip, whose rate is that of a person at rest."""
    cv2.setNumThreads(1)
    mean, spread, least, most = RESTING_BPM
    bpm = float(np.clip(np.random.default_rng(seed).normal(mean, spread), least, most))
    clip = make_clip(seed, replace(config, bpm=bpm))
    waves = [wave_of(open_model(method), clip.pixels) for method in METHODS]
    truth = float(clip.truth.bpm or 0)
    return [
        [abs(raw_bpm(wave) - truth) for wave in waves],
        [abs(toolbox_bpm(wave, FPS) - truth) for wave in waves],
    ]


def _drawn_colours(config: SyntheticConfig, seed: int) -> Colours:
    clip: SyntheticClip = make_clip(seed, config)
    return _colours(clip.pixels)


def _colours(pixels: NDArray[np.uint8]) -> Colours:
    return liveliness(pixels), followed(pixels), liveliness(pixels, behind=True)


def _real_colours(path: Path) -> list[Colours]:
    """Of each 10 s of a real clip; empty where no face stays that long, or it can't be read."""
    try:
        stretches = face_stretches(read_frames(path))
    except KDPhysError as error:
        logger.info("%s", error)
        return []
    frames = round(PIECE_S * FPS)
    pieces = (
        stretch[start : start + frames]
        for _, stretch in stretches
        for start in range(0, len(stretch) - frames + 1, frames)
    )
    return [_colours(piece) for piece in pieces]


def liveliness(pixels: NDArray[np.uint8], *, behind: bool = False) -> list[float]:
    """How much the colour of cells of 6 x 6 crop pixels changes.

    Args:
        pixels: Face crops at 30 Hz, 0..255. Shape (T, S, S, 3).
        behind: Of what is behind the face, at the corners, instead of the middle of the face.

    Returns:
        Relative root mean square in percent in each band: first of green, then of green minus red,
        the median over cells.
    """
    spectra, rates, weight = _cell_spectra(_corners(pixels) if behind else _middle(pixels))
    values = []
    for spectrum in (spectra[..., 1], spectra[..., 1] - spectra[..., 0]):
        power = np.abs(spectrum) ** 2 / weight
        for low, high in BANDS_HZ:
            inside = (rates >= low) & (rates < high)
            share = 2 * power[inside].sum(0) / len(pixels)
            values.append(float(np.median(np.sqrt(share))))
    return values


def followed(pixels: NDArray[np.uint8]) -> list[float]:
    """How much of a relative change of green red and blue make along with it, in those cells.

    A camera whose picture is a power of the light has them change alike under any shade.

    Args:
        pixels: Face crops at 30 Hz, 0..255. Shape (T, S, S, 3).

    Returns:
        Slopes of red, then of blue on green in each of the two slower bands, the median over cells.
    """
    spectra, rates, _ = _cell_spectra(_middle(pixels))
    values = []
    for colour in (0, 2):
        for low, high in BANDS_HZ[:2]:
            inside = spectra[(rates >= low) & (rates < high)]
            green = inside[..., 1]
            both = (inside[..., colour] * green.conj()).real.sum(0)
            values.append(float(np.median(both / (np.abs(green) ** 2).sum(0))))
    return values


def _middle(pixels: NDArray[np.uint8]) -> Array:
    """Means of 16 cells in the middle of the face. Shape (T, 16, 3)."""
    middle = pixels[:, 6:30, 6:30].astype(np.float64)
    return middle.reshape(len(middle), 4, 6, 4, 6, 3).mean((2, 4)).reshape(len(middle), 16, 3)


def _corners(pixels: NDArray[np.uint8]) -> Array:
    """Means of the cells at the four corners. Shape (T, 4, 3)."""
    ends = (slice(None, 6), slice(-6, None))
    corners = [pixels[:, down, across].mean((1, 2)) for down in ends for across in ends]
    return np.maximum(np.stack(corners, 1), LEAST_LIGHT)


def _cell_spectra(cells: Array) -> tuple[NDArray[np.complex128], Array, float]:
    """Spectra of the relative change of cells in percent, (F, C, 3), rates in Hz, taper's power.

    The cells are of shape (T, C, 3).
    """
    change = 100 * (cells / cells.mean(0) - 1)
    taper = np.hanning(len(change))
    spectra = np.fft.rfft(change * taper[:, None, None], axis=0)
    return spectra, np.fft.rfftfreq(len(change), 1 / FPS), float((taper**2).sum())


def _percentiles(rows: list[list[float]]) -> list[list[float]]:
    """10th, 50th and 90th percentile of each column."""
    return np.percentile(np.array(rows), (10, 50, 90), axis=0).round(3).tolist()


def _page(report: dict, job: RealismJob, made: Origin) -> str:
    extra = "".join(f" --{n} DIR" for n in ("faces", "pulses", "real") if getattr(job, n))
    lines = [
        "# How real the synthetic world is",
        "",
        f"Made by `python train/realism.py --clips {job.clips}{extra}` on {made}.",
        "",
        f"{job.clips} clips of 30 s a row, people, pulses and seeds of the test side, rates of",
        "people at rest (78 ± 14 bpm). The figures of public sets are those of other authors, not",
        "ours; they take the highest peak of a whole video's spectrum for the rate.",
        "",
        "## Difficulty: mean error in bpm (share within 3 bpm)",
        "",
    ]
    rows = [
        [f"difficulty {level:g}", *_cells(found[STAGE]), *_cells(found[PEAK])]
        for level, found in report["difficulty"].items()
    ]
    lines += markdown_table(["clips", *_heads((STAGE, PEAK))], rows)
    lines += [f"| {name}, published | | | | {p} | {c} | |" for name, (p, c) in PUBLIC.items()]
    lines += ["", "## At difficulty 1, without", ""]
    rows = [[name, *_cells(found[STAGE])] for name, found in report["without"].items()]
    lines += markdown_table(["without", *_heads((STAGE,))], rows)
    lines += [
        "",
        "## Liveliness of colour",
        "",
        "Relative root mean square in percent of cells of the face, by frequency: 10th, 50th, 90th",
        "percentile of drawn clips of difficulty 1 and of each 10 s of a real one.",
        "",
    ]
    bands = [f"{low:g} to {high:g} Hz" for low, high in BANDS_HZ]
    lines += _ranges(("green", "green minus red"), bands, report["liveliness"])
    lines += ["", "The same of the background, in cells at the corners of the crop:", ""]
    lines += _ranges(("green", "green minus red"), bands, report["background"])
    lines += [
        "",
        "## What red and blue make of a change of green",
        "",
        "Slope of the relative change of red and of blue on that of green in the same cells: 10th,",
        "50th, 90th percentile. In a picture that is a power of the light, shade has a slope of 1.",
        "",
    ]
    lines += _ranges(("red", "blue"), bands[:2], report["followed"])
    return "\n".join(lines) + "\n"


def _ranges(
    colours: Sequence[str], bands: Sequence[str], found: dict[str, list[list[float]]]
) -> list[str]:
    """Lines of a table of percentiles, a row for each clip."""
    head = [f"{colour}, {band}" for colour in colours for band in bands]
    rows = [
        [name, *(" / ".join(f"{value:.2f}" for value in cell) for cell in zip(*three, strict=True))]
        for name, three in found.items()
    ]
    return markdown_table(["clip", *head], rows)


def _heads(ways: Sequence[str]) -> list[str]:
    return [f"{name.upper()}, {way}" for way in ways for name in METHODS]


def _cells(found: dict[str, dict[str, float]]) -> list[str]:
    return [f"{found[m]['MAE']:.1f} ({100 * found[m]['within 3']:.0f} %)" for m in METHODS]


if __name__ == "__main__":
    run_script(main, RealismJob)
