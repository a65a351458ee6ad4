"""Real recordings with a contact sensor: read where they lie, and cut into clips for training.

`python train/recordings.py --dataset ubfc --root DIR --out data/ubfc` writes data/ubfc/train and
data/ubfc/test, which train/teacher.py and train/distill.py take like synthetic clips; their own
`--dataset ubfc --root DIR` does the same first (train/sources.py). The sets are not ours to pass
on; their owners hand them out on request:

* UBFC-rPPG: Bobbia et al. (2019), doi 10.1016/j.patrec.2017.10.017
* PURE: Stricker et al. (2014), doi 10.1109/ROMAN.2014.6926392
* COHFACE: Heusch et al. (2017), arXiv 1709.00962
* MMPD: Tang et al. (2023), arXiv 2302.03840
* SCAMPS: McDuff et al. (2022), arXiv 2206.04197

Frames are read one at a time and timed by their own stamps. MMPD and SCAMPS store none: they are a
number of frames, one sample of the wave for each, at the rate that their papers give.
"""

import csv
import json
import logging
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import io
from scipy.io.matlab import MatReadError

from kdphys.clip import MAX_GAP_S
from kdphys.errors import KDPhysError, VideoError
from kdphys.pulse import longest_run_s
from kdphys.runtime import FPS
from kdphys.stream import FaceStream
from kdphys.video import Frame, find_videos, read_frames
from kdphys.vitals import LEAST_SECONDS
from train.aside import aside
from train.datasets import MANIFEST, read_manifest, write_shard
from train.labels import Array, Trace, label_on_grid, rate_between, rate_of
from train.matlab import frames_of, read_v5_video, read_v73_frames
from train.room import held, save_arrays, written
from train.script import JobError, run_script
from train.synthetic import SyntheticConfig, make_film

logger = logging.getLogger(__name__)

Dataset = Literal["ubfc", "pure", "cohface", "mmpd", "scamps", "folder"]

MMPD_FPS = SCAMPS_FPS = 30.0
PURE_ACTIVITIES = {
    "01": "steady",
    "02": "talking",
    "03": "slow translation",
    "04": "fast translation",
    "05": "small rotation",
    "06": "medium rotation",
}
COHFACE_LIGHT = {"0": "lamp", "1": "lamp", "2": "daylight", "3": "daylight"}
NANOSECOND = 1e-9
LEAST_CLIP_S = 6.0
FEW_SAMPLES = 5  # by which the rows of a file may differ, as where its sensor was stopped
UNREAD = (
    LookupError, RuntimeError, ValueError, OSError, TypeError, OverflowError, MemoryError,
    zlib.error, MatReadError,
)  # fmt: skip
"""What reading a damaged file of HDF5 or of MATLAB may end with."""


@dataclass(frozen=True)
class Recording:
    """One video of one person with what a contact sensor said."""

    name: str
    """Unique in its set."""
    subject: str
    """Who it is, unique over all sets."""
    frames: Callable[[], Iterator[Frame]]
    """Reads the video anew; no more than a few frames are held in memory, but for MMPD."""
    wave: Trace | None
    """Contact pulse wave that rises with blood volume, any unit; none where only rates exist."""
    rate: Trace | None = None
    """Heart rate in bpm as the set gives it."""
    activity: str | None = None
    """What the person did."""
    skin_tone: str | None = None
    """As the set labels it."""
    light: str | None = None
    """What light there was."""
    damage: JobError | FileNotFoundError | None = None
    """Why its labels can't be used, if they can't: a damaged file among many must not end the
    others, and who it is of still counts in a split."""

    def check_labels(self) -> None:
        """Check that its labels can be used.

        Raises:
            JobError: They are damaged, or missing.
        """
        if self.damage:
            raise JobError(str(self.damage)) from self.damage

    def watch(self) -> Iterator[Frame]:
        """Yield its frames as the program sees them, each later than the one before.

        Raises:
            JobError: Its labels are damaged.
            VideoError: They can't be read: a damaged file among many must not end the others.
        """
        self.check_labels()
        last_s = -math.inf
        try:
            for frame in self.frames():
                if frame.time_s > last_s:
                    yield frame
                    last_s = frame.time_s
        except UNREAD as error:
            raise VideoError(f"{self.name} can't be read: {error}") from error


# The sets -----------------------------------------------------------------------------------------


def read_ubfc(root: Path) -> list[Recording]:
    """Recordings of UBFC-rPPG: DATASET_1, DATASET_2, or a folder that holds both.

    In DATASET_2, ground_truth.txt has three rows: wave, rate, time in seconds. In DATASET_1,
    gtdump.xmp has four columns: time in milliseconds, rate, oxygen saturation, wave.
    """
    paths = sorted([*root.rglob("ground_truth.txt"), *root.rglob("gtdump.xmp")])
    recordings = [
        _one(_of_ubfc, path, path.parent.name, f"ubfc/{path.parent.name}") for path in paths
    ]
    return _found(recordings, root, "subjectN/ground_truth.txt (or gtdump.xmp) and vid.avi")


def _of_ubfc(path: Path, name: str, subject: str) -> Recording:
    second = path.name == "ground_truth.txt"
    if second:
        wave, rate, time_s = _three_rows(path)
    else:
        time_ms, rate, _, wave = _four_columns(path)
        time_s = time_ms / 1000
    videos = sorted(path.parent.glob("vid*.avi"))
    if len(videos) != 1:
        raise FileNotFoundError(
            f"{path.parent} holds {len(videos)} files vid*.avi beside {path.name}; there must "
            "be one: copy the folder again"
        )
    return Recording(
        name=name,
        subject=subject,
        frames=partial(read_frames, videos[0]),
        wave=Trace.of(time_s, wave),
        rate=Trace.of(time_s, rate),
        activity="game" if second else "still",
    )


def read_pure(root: Path) -> list[Recording]:
    """Recordings of PURE: NN-MM/NN-MM.json, and pictures named by nanoseconds in NN-MM/NN-MM."""
    paths = sorted(root.rglob("[0-9][0-9]-[0-9][0-9].json"))
    recordings = [_one(_of_pure, path, path.stem, f"pure/{path.stem[:2]}") for path in paths]
    return _found(recordings, root, "NN-MM/NN-MM.json and NN-MM/NN-MM/Image*.png")


def _of_pure(path: Path, name: str, subject: str) -> Recording:
    pictures = _pure_pictures(path)
    start = int(pictures[0].stem.removeprefix("Image"))
    try:
        packages = json.loads(path.read_text())["/FullPackage"]
        stamps = [int(package["Timestamp"]) - start for package in packages]
        wave = [float(package["Value"]["waveform"]) for package in packages]
        rate = [float(package["Value"]["pulseRate"]) for package in packages]
        time_s = np.array(stamps) * NANOSECOND
    except UNREAD as error:
        raise JobError(
            f"{path} can't be used ({error!r}); it needs /FullPackage with Timestamp and Value "
            "of waveform and pulseRate: copy it again"
        ) from error
    return Recording(
        name=name,
        subject=subject,
        frames=partial(_read_pictures, pictures),
        wave=Trace.of(time_s, wave),
        rate=Trace.of(time_s, rate),
        activity=PURE_ACTIVITIES.get(name.partition("-")[2]),
    )


def read_cohface(root: Path) -> list[Recording]:
    """Recordings of COHFACE: N/M/data.avi and data.hdf5 with pulse and time."""
    recordings = []
    for path in sorted(root.rglob("data.hdf5")):
        subject, session = path.absolute().parts[-3:-1]
        recordings.append(_one(_of_cohface, path, f"{subject}-{session}", f"cohface/{subject}"))
    return _found(recordings, root, "N/M/data.hdf5 and data.avi")


def _of_cohface(path: Path, name: str, subject: str) -> Recording:
    try:
        with h5py.File(path) as file:
            pulse, time_s = (_dataset(file, name, path) for name in ("pulse", "time"))
        wave = Trace.of(time_s, pulse)
    except JobError:
        raise
    except UNREAD as error:
        raise JobError(f"{path} can't be used ({error}): copy it again") from error
    return Recording(
        name=name,
        subject=subject,
        frames=partial(read_frames, _there(path.with_name("data.avi"))),
        wave=wave,
        activity="still",
        light=COHFACE_LIGHT.get(path.parent.name),
    )


def read_mmpd(root: Path) -> list[Recording]:
    """Recordings of MMPD, full or mini: subjectN/pN_M.mat."""
    recordings = [
        _one(_of_mmpd, path, path.stem, f"mmpd/{path.stem.split('_')[0]}")
        for path in sorted(root.rglob("p*_*.mat"))
    ]
    return _found(recordings, root, "subjectN/pN_M.mat")


def _of_mmpd(path: Path, name: str, subject: str) -> Recording:
    labels = ("GT_ppg", "light", "motion", "skin_color")
    try:
        held = io.loadmat(path, variable_names=labels)
        wave, *others = (_out_of_cells(held[label]) for label in labels)
        light, motion, skin = (one[0] for one in others)
        tone, trace = int(skin), Trace.of(np.arange(len(wave)) / MMPD_FPS, wave)
    except UNREAD as error:
        raise JobError(
            f"{path} can't be used ({error}); it must be a MATLAB file of version 5 with "
            f"video, {', '.join(labels)}: download it again"
        ) from error
    activity = "Walking" if motion == "Watching Videos" else str(motion)
    return Recording(
        name=name,
        subject=subject,
        frames=partial(_read_mmpd_frames, path),
        wave=trace,
        activity=activity.strip().lower(),
        skin_tone=f"Fitzpatrick {tone}",
        light=str(light).strip(),
    )


def _out_of_cells(label: ArrayLike) -> NDArray[np.generic]:
    """A label without the MATLAB cells of one that are around it. Shape (N,)."""
    held = np.asarray(label)
    while held.dtype == object and held.size == 1:
        held = np.asarray(held.item())
    return held.ravel()


def read_scamps(root: Path) -> list[Recording]:
    """Recordings of SCAMPS: PNNNNNN.mat of version 7.3 with Xsub or RawFrames, and d_ppg."""
    paths = sorted(root.rglob("P[0-9]*.mat"))
    recordings = [_one(_of_scamps, path, path.stem, f"scamps/{path.stem}") for path in paths]
    return _found(recordings, root, "PNNNNNN.mat")


def _of_scamps(path: Path, name: str, subject: str) -> Recording:
    try:
        with h5py.File(path) as file:
            wave = _dataset(file, "d_ppg", path)
            video = next((kind for kind in ("RawFrames", "Xsub") if kind in file), None)
    except JobError:
        raise
    except UNREAD as error:
        raise JobError(f"{path} is no MATLAB file of version 7.3; download it again") from error
    if video is None:
        raise JobError(f"{path} holds neither RawFrames nor Xsub; download it again")
    return Recording(
        name=name,
        subject=subject,
        frames=partial(_read_scamps_frames, path, video, len(wave)),
        wave=Trace.of(np.arange(len(wave)) / SCAMPS_FPS, wave),
    )


def read_folder(root: Path) -> list[Recording]:
    """Recordings of one's own: PERSON_ACTIVITY.mp4 with PERSON_ACTIVITY.csv beside it.

    The CSV has a header that names `time_s`, seconds since the first frame, and `wave` or `bpm` or
    both. Everything up to the first underscore is the person; a name without one is a person too.
    """
    recordings = [
        _one(_of_folder, video, video.stem, f"folder/{video.stem.partition('_')[0]}")
        for video in (find_videos(root) if root.is_dir() else ())
    ]
    return _found(recordings, root, "PERSON_ACTIVITY.mp4 and PERSON_ACTIVITY.csv")


def _of_folder(video: Path, name: str, subject: str) -> Recording:
    path = _there(video.with_suffix(".csv"))
    columns = _read_columns(path)
    wave, rate = (_trace(columns, column, path) for column in ("wave", "bpm"))
    return Recording(
        name=name,
        subject=subject,
        frames=partial(read_frames, video),
        wave=wave,
        rate=rate,
        activity=name.partition("_")[2] or None,
    )


LOADERS: dict[Dataset, Callable[[Path], list[Recording]]] = {
    "ubfc": read_ubfc,
    "pure": read_pure,
    "cohface": read_cohface,
    "mmpd": read_mmpd,
    "scamps": read_scamps,
    "folder": read_folder,
}


def _one(
    read: Callable[[Path, str, str], Recording], path: Path, name: str, subject: str
) -> Recording:
    """Read one recording, by its file with the labels; what is wrong with it stays with it."""
    try:
        return read(path, name, subject)
    except (JobError, FileNotFoundError) as error:
        return Recording(name, subject, frames=lambda: iter(()), wave=None, damage=error)


def _found(recordings: list[Recording], root: Path, needed: str) -> list[Recording]:
    """Refuse a folder without a single recording that can be used.

    Raises:
        FileNotFoundError: There is none, or a part of each is missing.
        JobError: One is there twice, or all are damaged.
    """
    if not recordings:
        state = "holds none of them" if root.is_dir() else "is no folder"
        raise FileNotFoundError(
            f"{root} {state}: {needed} are needed; give the folder in which they lie as --root"
        )
    twice = [name for name, count in Counter(one.name for one in recordings).items() if count > 1]
    if twice:
        raise JobError(f"{root} holds {twice[0]} twice; give one copy of the data set as --root")
    damages = [one.damage for one in recordings if one.damage]
    if len(damages) == len(recordings):
        raise damages[0]
    return recordings


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; copy it into {path.parent}")
    return path


def _three_rows(path: Path) -> Array:
    """Read three rows of numbers, of which one may have a few samples more. Shape (3, N)."""
    rows = _read_rows(path, None)
    if len(rows) != 3:
        raise JobError(
            f"{path} holds {_told(rows)}; it must have 3 rows, wave, rate and time: copy it again"
        )
    shortest = min(map(len, rows))
    if max(map(len, rows)) - shortest > FEW_SAMPLES:
        raise JobError(
            f"{path} holds {_told(rows)}; they may differ by {FEW_SAMPLES} at most: copy it again"
        )
    return np.array([row[:shortest] for row in rows])


def _four_columns(path: Path) -> Array:
    """Read four columns of numbers, whatever is beside them. Shape (4, N)."""
    rows = _read_rows(path, ",")
    if min(map(len, rows), default=0) < 4:
        raise JobError(f"{path} holds {_told(rows)}; it must have 4 columns: copy it again")
    return np.array([row[:4] for row in rows]).T


def _told(rows: list[list[float]]) -> str:
    """How many numbers there are, in words."""
    least, most = (find(map(len, rows), default=0) for find in (min, max))
    return f"{len(rows)} rows of {least}{f' to {most}' if most > least else ''} numbers"


def _read_rows(path: Path, delimiter: str | None) -> list[list[float]]:
    """Read lines of numbers; nothing counts that is left empty at the end of a line."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
        kept = [line for line in (line.rstrip(", \t") for line in lines) if line]
        return [[float(cell) for cell in line.split(delimiter)] for line in kept]
    except ValueError as error:
        raise JobError(f"{path} can't be read as numbers ({error}): copy it again") from error


def _read_columns(path: Path) -> dict[str, list[float]]:
    """Read the named columns of a CSV file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark there
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise JobError(
            f"{path} can't be read as text ({error}): save it as CSV in UTF-8"
        ) from error
    names = set(rows[0]) if rows else set()
    if "time_s" not in names or not names & {"wave", "bpm"}:
        raise JobError(
            f"{path} has the columns {sorted(map(str, names))}; it needs a header with time_s, "
            "and wave or bpm"
        )
    try:
        return {
            name: [float(row[name]) for row in rows] for name in names & {"time_s", "wave", "bpm"}
        }
    except (TypeError, ValueError) as error:
        raise JobError(f"{path} holds a value that is no number ({error}): correct it") from error


def _trace(columns: dict[str, list[float]], name: str, path: Path) -> Trace | None:
    """What a sensor said, if it did; samples that can't be used are told."""
    if name not in columns:
        return None
    trace = Trace.of(columns["time_s"], columns[name])
    left_out = len(columns[name]) - len(trace.values)
    if left_out:
        logger.warning(
            "%s: left out %d of %d samples of %s, whose time does not increase or is no number, or "
            "who have no value",
            path, left_out, len(columns[name]), name,
        )  # fmt: skip
    return trace


def _dataset(file: h5py.File, name: str, path: Path) -> Array:
    """Read a wave of an HDF5 file. Shape (N,)."""
    held = file.get(name)
    if not isinstance(held, h5py.Dataset) or held.shape is None:  # or it holds nothing
        raise JobError(f"{path} holds {sorted(file)} and no {name}; copy it again")
    return np.asarray(held, np.float64).ravel()


def _pure_pictures(path: Path) -> tuple[Path, ...]:
    """Pictures that belong to a JSON file of PURE, in the order of their stamps."""
    for folder in (path.with_suffix(""), path.parent):
        named = folder.glob("Image*.png")
        stamped = [picture for picture in named if picture.stem.removeprefix("Image").isdigit()]
        if stamped:
            break
    else:
        raise FileNotFoundError(
            f"{path.with_suffix('')} holds no pictures Image<nanoseconds>.png; unpack them there"
        )
    return tuple(sorted(stamped, key=lambda picture: int(picture.stem.removeprefix("Image"))))


def _read_pictures(pictures: Sequence[Path]) -> Iterator[Frame]:
    """Read pictures one by one, timed by the nanoseconds in their names."""
    start = int(pictures[0].stem.removeprefix("Image"))
    for path in pictures:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise VideoError(f"{path} can't be read as a picture: copy it again.")
        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        yield Frame(rgb, (int(path.stem.removeprefix("Image")) - start) * NANOSECOND, None)


def _read_mmpd_frames(path: Path) -> Iterator[Frame]:
    return _evenly(frames_of(read_v5_video(path, "video")), MMPD_FPS)


def _read_scamps_frames(path: Path, name: str, count: int) -> Iterator[Frame]:
    return _evenly(read_v73_frames(path, name, count), SCAMPS_FPS)


def _evenly(pictures: Iterable[NDArray[np.uint8]], fps: float) -> Iterator[Frame]:
    for index, rgb in enumerate(pictures):
        yield Frame(rgb, index / fps, None)


# People -------------------------------------------------------------------------------------------


def split_people(
    recordings: Sequence[Recording], test_share: float, seed: int
) -> tuple[list[Recording], list[Recording]]:
    """Part recordings into those for training and those for tests, person by person.

    Args:
        recordings: All of them.
        test_share: Share of the people that is kept for tests.
        seed: Which people.

    Returns:
        Both parts, in the order given.

    Raises:
        ValueError: One side would be left without people.
    """
    people = sorted({recording.subject for recording in recordings})
    tested = math.ceil(test_share * len(people) - 1e-9)
    if tested == len(people):
        raise JobError(
            f"{len(people)} people with test_share={test_share} leave nobody to train on; add "
            "people, or set test_share to 0"
        )
    kept = set(np.random.default_rng(seed).permutation(people)[:tested].tolist())
    train = [one for one in recordings if one.subject not in kept]
    test = [one for one in recordings if one.subject in kept]
    check_split({one.subject for one in train}, {one.subject for one in test})
    return train, test


def check_split(train: set[str], test: set[str]) -> None:
    """Refuse a split that has seen its test people in training.

    Raises:
        ValueError: Someone is on both sides.
    """
    both = sorted(train & test)
    if both:
        raise JobError(
            f"{len(both)} people are on both sides of the split ({', '.join(both[:3])}, ...); "
            "test on people that training never saw"
        )


def people_of(folder: Path) -> set[str]:
    """Tell whose clips a folder holds, by its manifest; nobody's for synthetic clips.

    Raises:
        FileNotFoundError: There is no manifest.
    """
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(f"{folder / MANIFEST} is missing; give a folder of clips")
    return set(read_manifest(folder).get("people", ()))


# Clips --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipTruth:
    """What is known about a real clip."""

    bpm: float
    """Heart rate that the contact wave shows in this clip."""
    dataset: str
    subject: str
    recording: str
    start_s: float
    """Time of its first crop in the recording."""
    activity: str | None
    skin_tone: str | None
    light: str | None


@dataclass(frozen=True)
class RealClip:
    """Crops with the contact wave at the same times."""

    pixels: NDArray[np.uint8]
    """Face crops on an even grid of 30 Hz. Shape (T, S, S, 3)."""
    wave: NDArray[np.float32]
    """Contact wave, zero mean and unit standard deviation. Shape (T,)."""
    truth: ClipTruth


def cut_clips(recording: Recording, seconds: float) -> list[RealClip]:
    """Cut a recording into clips as the measuring path sees them.

    Args:
        recording: What to cut.
        seconds: Length of a clip.

    Returns:
        Clips one after the other, of stretches in which the face was in view all the time and the
        sensor shows a steady pulse; a logged warning says why there is none.

    Raises:
        JobError: Its labels are damaged.
        ValueError: The recording has no wave.
        VideoError: Its video can't be read.
    """
    recording.check_labels()
    if recording.wave is None:
        raise ValueError(
            f"{recording.name} has rates but no wave; training needs a wave, train/evaluate.py not"
        )
    frames = round(seconds * FPS)
    stretches = face_stretches(recording.watch())
    steps = max((first + len(pixels) for first, pixels in stretches), default=0)
    label = label_on_grid(recording.wave, steps, FPS)
    rate = rate_of(label, FPS)
    if rate is None:
        logger.warning("%s gives no clip: %s", recording.name, _no_rate(recording.wave, label))
        return []
    clips = []
    for first, pixels in stretches:
        for start in range(0, len(pixels) - frames + 1, frames):
            step = first + start
            wave = label[step : step + frames]
            bpm = rate_between(rate, step / FPS, (step + frames) / FPS)
            if bpm is None or not np.isfinite(wave).all():
                continue
            truth = ClipTruth(
                bpm=bpm,
                dataset=recording.subject.partition("/")[0],
                subject=recording.subject,
                recording=recording.name,
                start_s=step / FPS,
                activity=recording.activity,
                skin_tone=recording.skin_tone,
                light=recording.light,
            )
            standard = ((wave - wave.mean()) / wave.std()).astype(np.float32)
            clips.append(RealClip(pixels[start : start + frames], standard, truth))
    if not clips:
        longest = max(len(pixels) for _, pixels in stretches)
        why = "its wave shows no steady pulse"
        if longest < frames:
            why = f"the face is in view for {longest / FPS:.1f} s in a row, a clip is {seconds:g} s"
        logger.warning("%s gives no clip: %s", recording.name, why)
    return clips


def _no_rate(wave: Trace, label: Array) -> str:
    """Why the contact wave of a video tells no rate."""
    if not len(label):
        return "its video shows no face"
    if longest_run_s(label, FPS) >= LEAST_SECONDS:
        return "its wave is flat"
    if len(wave.time_s) < 2:
        return f"its wave has {len(wave.time_s)} samples that can be used"
    return (
        f"its wave has {len(wave.time_s)} samples from {wave.time_s[0]:.1f} to "
        f"{wave.time_s[-1]:.1f} s, and the face is in view up to {len(label) / FPS:.1f} s; times "
        f"must be seconds since the first frame, with {LEAST_SECONDS:g} s there without a gap of "
        f"more than {MAX_GAP_S:g} s"
    )


def face_stretches(frames: Iterator[Frame]) -> list[tuple[int, NDArray[np.uint8]]]:
    """Crops of each stretch without a gap, with the grid step of the first; shapes (n, S, S, 3).

    The grid begins with the first frame, or, where that shows no face, within half a step of it.
    """
    faces = FaceStream()
    stretches: list[tuple[int, list[NDArray[np.uint8]]]] = []
    for frame in frames:
        crops = faces.push(frame.rgb, frame.time_s, frame.view)
        if crops is None:
            continue
        if crops.opens or not stretches:
            stretches.append((crops.first_step, []))
        stretches[-1][1].extend(crops.pixels)
    return [(first, np.stack(pixels)) for first, pixels in stretches if pixels]


@dataclass(frozen=True)
class RecordingsJob:
    """Cut a real data set into clips for training."""

    dataset: Dataset = "folder"
    """Which set; `folder` is PERSON_ACTIVITY.mp4 with PERSON_ACTIVITY.csv, whose columns are time_s
    and wave."""
    root: Path | None = None
    """Where it lies."""
    out: Path = Path("data/real")
    """Folder for the clips, in train/ and test/; recordings already there are kept, so a stopped
    run goes on."""
    test_share: float = 0.2
    """Share of the people whose clips go to test/; nobody is in both."""
    seed: int = 0
    """Which people."""
    seconds: float = 10.0
    """Length of a clip."""
    smoke: bool = False
    """Two short films of drawn people instead of a data set, to see that it runs to its end."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.test_share < 1:
            raise ValueError(f"test_share={self.test_share} must lie in [0, 1)")
        if self.seconds < LEAST_CLIP_S:
            raise ValueError(
                f"seconds={self.seconds} must be at least {LEAST_CLIP_S:g}, to hold a heart rate"
            )


def read_recordings(dataset: Dataset, root: Path | None) -> list[Recording]:
    """Read what recordings a data set holds; their videos are read later.

    One whose labels are damaged is among them, with what is wrong with it, while another is whole.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is not what it should be.
    """
    if root is None:
        raise JobError(f"dataset={dataset} needs --root, the folder in which it lies")
    return LOADERS[dataset](root)


def write_clips(job: RecordingsJob) -> None:
    """Write a shard for each recording, and a manifest, for each side of the split.

    Raises:
        JobError: The folder holds clips that another command made, or no recording gave a clip.
        NoRoomError: The disk has no room for a shard; those that are there are whole.
    """
    recordings = read_recordings(job.dataset, job.root)
    parts = split_people(recordings, job.test_share, job.seed)
    sides = {job.out / name: part for name, part in zip(("train", "test"), parts, strict=True)}
    for folder, part in sides.items():  # both before any is written: people may change sides
        _check_side(job, folder, part)
    for folder, part in sides.items():
        if part:
            with held(folder):  # against a training run that asks for the same clips
                _write_side(job, folder, part)
    if not (holds_clips(job.out / "train") or holds_clips(job.out / "test")):
        raise JobError(
            f"{job.out} holds no clip: none of {len(recordings)} recordings gave one, and the "
            "lines above say why."
        )


def holds_clips(folder: Path) -> bool:
    """Tell whether a folder holds a shard of clips."""
    return any(folder.glob("[0-9]*.npz"))


def _write_side(job: RecordingsJob, folder: Path, recordings: list[Recording]) -> None:
    """Write the clips of some recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    _claim(job, folder, recordings)
    written = 0
    for index, recording in enumerate(recordings):
        name = folder / f"{index:04d}.npz"
        if name.exists():
            continue
        try:
            clips = cut_clips(recording, job.seconds)
        except (KDPhysError, ValueError) as error:
            logger.warning("%s %s was left out: %s", folder.name, recording.name, error)
            continue
        logger.info("%s %s: %d clips", folder.name, recording.name, len(clips))
        if clips:
            write_shard(
                name,
                [clip.pixels for clip in clips],
                [clip.wave for clip in clips],
                [asdict(clip.truth) for clip in clips],
            )
            written += len(clips)
    logger.info("%s: %d new clips", folder, written)


def _check_side(job: RecordingsJob, folder: Path, recordings: list[Recording]) -> None:
    """Refuse a folder with clips of another command, such as of people who are on the other side.

    Raises:
        JobError: It holds such.
    """
    if not holds_clips(folder) or not (folder / MANIFEST).exists():
        return
    if not recordings or read_manifest(folder) != _manifest_of(job, recordings):
        raise JobError(
            f"{folder} holds clips of another command; remove {job.out} with both sides, or write "
            "to another folder"
        )


def _claim(job: RecordingsJob, folder: Path, recordings: list[Recording]) -> None:
    """Write the manifest first, so that clips of two commands never mix in one folder."""
    with written(folder / MANIFEST) as file:
        file.write_text(json.dumps(_manifest_of(job, recordings), indent=1) + "\n")


def _manifest_of(job: RecordingsJob, recordings: list[Recording]) -> dict[str, object]:
    return {
        "config": {"dataset": job.dataset, "seconds": job.seconds},
        "people": sorted({recording.subject for recording in recordings}),
        "recordings": [recording.name for recording in recordings],
    }


def draw_folder(folder: Path, people: Sequence[str], seconds: float) -> None:
    """Write films of drawn people with their pulse, as a data set of the kind `folder`.

    Args:
        folder: Where to.
        people: Their names.
        seconds: Length of a film.
    """
    folder.mkdir(parents=True, exist_ok=True)
    off = ("codec", "timing", "rhythm", "talk")
    for seed, person in enumerate(people):
        bpm = 60.0 + 17 * seed
        config = SyntheticConfig(
            seconds, difficulty=0.0, negatives=0.0, side=160, view=2.2, fps=25.0, bpm=bpm, off=off
        )
        film = make_film(seed, config)
        arrays = {"frames": np.stack(film.pictures), "time_s": film.time_s}
        save_arrays(folder / f"{person}_sitting.npz", arrays)
        with (folder / f"{person}_sitting.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("time_s", "wave"))
            since = film.pulse.time_s - film.time_s[0]
            heard = since >= 0
            writer.writerows(zip(since[heard][::4], film.pulse.values[heard][::4], strict=True))


def main(job: RecordingsJob) -> None:
    """Do the job."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = aside(job, "out")
        root = job.out / "drawn"
        draw_folder(root, ("anna", "ben"), 11.0)
        job = replace(job, dataset="folder", root=root, test_share=0.5)
    write_clips(job)


if __name__ == "__main__":
    run_script(main, RecordingsJob)
