"""Films without a pulse, window by window: `python train/silent.py --faces DIR --real FILE ...`.

What must not be read: still photos whose codec renews the picture at a steady pace, photos before a
noisy camera, heads that move, talk and are lit as any other but have no blood, and real films in
which no pulse is to be seen, at several speeds. All go through the program as a file does, picture
by picture, as a whole and in pieces that are films of their own.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.errors import KDPhysError
from kdphys.pipeline import compare
from kdphys.video import Frame, find_videos, read_frames
from train.aside import aside
from train.benchmark import markdown_table
from train.evaluate import SPEEDS
from train.origin import Origin, origin
from train.portraits import list_portraits, read_picture
from train.script import JobError, in_processes, run_script
from train.synthetic import SyntheticConfig, check_lent, make_film
from train.world import encode

logger = logging.getLogger(__name__)

SEED = 14_000_000  # of no other films
SECONDS, PIECE_S = 30.0, 10.0
FPS = 30.0
KEY_EVERY = (12, 15, 24, 30, 48, 60)  # pictures: 150 to 30 renewals a minute
QUALITIES = (18, 29)  # constant rate factors of x264, the last left out
CODED_NOISE, BARE_NOISE = (0.0, 3.0), (3.0, 8.0)  # standard deviations, of 255
PHOTOS, NOISES, HEADS = "photo, coded", "photo, noisy camera", "head without a pulse"


@dataclass(frozen=True)
class SilentJob:
    """Read films without a pulse."""

    faces: Path | None = None
    """Folder of portraits: those kept for tests are the photos, and lend heads their looks."""
    real: tuple[Path, ...] = ()
    """Real films in which no pulse is to be seen, or folders of them."""
    out: Path = Path("docs/results")
    """Folder for silent.json and silent.md."""
    models: tuple[str, ...] = ("student", "teacher", "pos", "chrom", "green")
    """Networks and methods."""
    heads: int = 60
    """Heads that are drawn, a part of them photos on a stand."""
    workers: int = 2
    """Processes that read."""
    smoke: bool = False
    """One film of each kind, to see that it runs to its end."""

    def __post_init__(self) -> None:
        if self.heads < 0 or self.workers < 1:
            raise ValueError(f"heads={self.heads} must be 0 or more, workers={self.workers} 1")


@dataclass(frozen=True)
class Case:
    """One film."""

    kind: str
    seed: int
    """Of what is drawn for it."""
    source: Path | None
    """The photo or the film; of a head, the portraits that lend looks."""
    speed: float
    """How much faster it is played."""
    seconds: float
    models: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """What one model made of one film."""

    kind: str
    film: str
    model: str
    windows: int
    """Of it as a whole, one a second."""
    windows_read: int
    """Those for which a rate was given."""
    films: int
    """The whole, and 0 if no face was found there."""
    films_read: int
    pieces: int
    """Of `PIECE_S`, each a film of its own."""
    pieces_read: int


def main(job: SilentJob) -> None:
    """Read and report."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = replace(aside(job, "out"), heads=1, workers=1)
    made, rows = origin(), []
    for found in in_processes(read, list(cases(job)), job.workers, "read a film"):
        rows += found
        logger.info("%s", " ".join(map(_told, found)))
    report = {"origin": asdict(made), "rows": [asdict(row) for row in rows]}
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "silent.json").write_text(json.dumps(report, indent=1) + "\n")
    (job.out / "silent.md").write_text(page(rows, job, made))


def cases(job: SilentJob) -> Iterator[Case]:
    """Give what is to be read.

    Raises:
        JobError: That is nothing.
    """
    seconds = PIECE_S if job.smoke else SECONDS
    if job.faces:
        check_lent(SyntheticConfig(faces=job.faces, people="test"))
    photos = list_portraits(job.faces, "test") if job.faces else ()
    for kind in (PHOTOS, NOISES):
        for number, photo in enumerate(photos[:1] if job.smoke else photos):
            yield Case(kind, SEED + number, photo, 1.0, seconds, job.models)
    for number in range(job.heads):
        yield Case(HEADS, SEED + number, job.faces, 1.0, seconds, job.models)
    films = [film for path in job.real for film in find_videos(path)]
    for film in films:
        for speed in SPEEDS[1:2] if job.smoke else SPEEDS:
            yield Case(film.name, SEED, film, speed, seconds, job.models)
    if not photos and not job.heads and not films:
        raise JobError("There is nothing to read: give --faces DIR, --heads N or --real FILE.")


def read(case: Case) -> list[Read]:
    """Read one film, as a whole and in pieces, with every model."""
    cv2.setNumThreads(1)
    frames = list(film_of(case))
    ends_s = np.arange(PIECE_S, frames[-1].time_s + 0.1, PIECE_S)
    pieces = [
        [
            replace(f, time_s=f.time_s - end_s + PIECE_S)
            for f in frames
            if 0 < end_s - f.time_s <= PIECE_S
        ]
        for end_s in ends_s
    ]
    whole = _given(case, frames)
    apart = [_given(case, piece) for piece in pieces]
    return [
        Read(
            kind=case.kind,
            film=f"{case.source.name if case.source else ''} {case.seed} x{case.speed:g}".strip(),
            model=model,
            windows=whole[model][1] if whole else 0,
            windows_read=whole[model][2] if whole else 0,
            films=bool(whole),
            films_read=whole[model][0] if whole else 0,
            pieces=sum(bool(one) for one in apart),
            pieces_read=sum(one[model][0] for one in apart if one),
        )
        for model in case.models
    ]


def film_of(case: Case) -> Iterator[Frame]:
    """Make or open a film."""
    if case.kind == HEADS:
        yield from _head(case)
    elif case.kind in (PHOTOS, NOISES):
        assert case.source
        yield from _photo(case, case.source)
    else:
        assert case.source
        yield from read_frames(case.source, case.speed)


def _head(case: Case) -> Iterator[Frame]:
    """A drawn head that has no blood."""
    config = SyntheticConfig(
        seconds=case.seconds,
        difficulty=1.0,
        negatives=1.0,
        view=2.2,
        faces=case.source,
        people="test",
    )
    film = make_film(case.seed, config)
    times = film.time_s - film.time_s[0]
    for rgb, time_s, key in zip(film.pictures, times, film.key_frame, strict=True):
        yield Frame(rgb, float(time_s), bool(key) if film.truth.codec else None)


def _photo(case: Case, path: Path) -> Iterator[Frame]:
    """A photo before a camera with noise, through a codec or not."""
    rng = np.random.default_rng(case.seed)
    photo = read_picture(path).astype(np.float32)
    photo = photo[: len(photo) // 2 * 2, : photo.shape[1] // 2 * 2]
    count = round(case.seconds * FPS)
    noise = rng.uniform(*(CODED_NOISE if case.kind == PHOTOS else BARE_NOISE))
    pictures: list[NDArray[np.uint8]] = [
        np.clip(photo + noise * rng.standard_normal(photo.shape, np.float32), 0, 255).astype(
            np.uint8
        )
        for _ in range(count)
    ]
    keys = None
    if case.kind == PHOTOS:
        options = {"g": str(rng.choice(KEY_EVERY)), "crf": str(rng.integers(*QUALITIES))}
        pictures, keys = encode(pictures, FPS, "libx264", options | {"sc_threshold": "0"})
    for number, rgb in enumerate(pictures):
        yield Frame(rgb, number / FPS, None if keys is None else bool(keys[number]))


def _given(case: Case, frames: Sequence[Frame]) -> dict[str, tuple[int, int, int]] | None:
    """Of each model: whether it gave a reading, its windows and those read; None: no face."""
    try:
        found = compare(case.source or case.kind, case.models, frames=iter(frames))
    except KDPhysError as error:
        logger.info("%s", error)
        return None
    return {
        name: (
            int(one.vitals.heart_rate.value is not None),
            len(one.vitals.windows),
            sum(window.heart_rate_bpm is not None for window in one.vitals.windows),
        )
        for name, one in found.items()
    }


def _told(row: Read) -> str:
    return f"[{row.kind}, {row.film}, {row.model}: {row.films_read}, {row.pieces_read} pieces]"


def page(rows: Sequence[Read], job: SilentJob, made: Origin) -> str:
    """The table as Markdown."""
    words = " --faces DIR" if job.faces else ""
    words += f" --heads {job.heads}" if job.heads != SilentJob.heads else ""
    words += " --real FILE ..." if job.real else ""
    lines = [
        "# Films without a pulse",
        "",
        f"Made by `python train/silent.py{words}` on {made}.",
        "",
        "Without a reading or a rate, of how many: whole films, their windows (one a second, as",
        "the history of a film shows them), and their pieces of",
        f"{PIECE_S:g} s as films of their own.",
        f"Photos are portraits kept for tests, {SECONDS:g} s each: through H.264 with",
        f"{min(KEY_EVERY)} to {max(KEY_EVERY)} pictures between two that are coded anew, and",
        "before a noisy camera without a codec. Heads are drawn at difficulty 1, half of them",
        "photos on a stand. Real films are played at",
        f"{', '.join(map(str, SPEEDS))} times their speed.",
        "",
    ]
    table = []
    kinds = list(dict.fromkeys(row.kind for row in rows))
    groups = [(kind, [row for row in rows if row.kind == kind]) for kind in kinds]
    groups.append(("all", list(rows)))
    for kind, group in groups:
        for model in dict.fromkeys(row.model for row in group):
            own = [row for row in group if row.model == model]
            cells = [
                _silent(
                    sum(getattr(row, f"{what}_read") for row in own),
                    sum(getattr(row, what) for row in own),
                )
                for what in ("films", "windows", "pieces")
            ]
            table.append([kind, model, *cells])
    lines += markdown_table(["what", "model", "films", "windows", "pieces"], table)
    return "\n".join(lines) + "\n"


def _silent(given: int, count: int) -> str:
    share = f" ({100 * (1 - given / count):.1f} %)" if count else ""
    return f"{count - given} of {count}{share}"


if __name__ == "__main__":
    run_script(main, SilentJob)
