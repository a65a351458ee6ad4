"""What is to be known of a recording beside its pulse, and what it comes to in words.

Frames and crops are shown to it as they go by; afterwards it says what speaks against a reading,
refuses what can't hold a pulse, and writes the notes.
"""

import math
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kdphys.cadence import STILL, Stillness
from kdphys.clip import MAX_GAP_S
from kdphys.errors import NoFaceError, TooShortError, VideoError
from kdphys.faint import without_faint
from kdphys.repeats import Repeats
from kdphys.runtime import FPS, Model
from kdphys.sparse import COPIES, LEAST_FPS, SPARSE, SPARSE_FPS, Pauses, PictureSteps
from kdphys.stream import FaceCrops, FaceStream
from kdphys.video import READABLE, Frame, Unread
from kdphys.vitals import LEAST_SECONDS as LEAST_STRETCH_S
from kdphys.vitals import measure_vitals

LEAST_SECONDS = 6.0  # of a recording
CLOCK_S = 1e-3  # by which the clocks of files are rounded
OTHER_BPM = 8.0  # between faces that were found one after the other, beyond which they are two
DARK = 12.0  # mean grey level below which a picture is called black
BRIGHTNESS_EVERY = 30  # frames
LOST = 0.02  # share of the frames without a face, above which it is said
COLOURLESS = 2.0  # grey levels between a pixel's colours, as rounding and coding leave them of grey
BLACK_AND_WHITE = "The video is black and white, and a pulse is read from colour: film in colour."
FEW_FPS = 14.0  # below which fast pulses are hard to tell


class Noticed:
    """What was noticed of a recording.

    Args:
        name: Of the recording, for a person.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.unread = Unread()
        self.frames = self.with_face = 0
        self.last_s = self._missing_s = 0.0
        self._gaps = 0
        self._faces_seen = 0
        self._pictures, self._pauses = PictureSteps(), Pauses()
        self._sparse_s = self._faint_s = 0.0
        self._found_again: list[int] = []
        self._keys: list[float] = []
        self._has_codec = False
        self._stillness = Stillness()
        self._repeats = Repeats()
        self._brightness = 0.0
        self._has_colour = False

    def frame(self, frame: Frame) -> None:
        """Take the next frame."""
        self.frames += 1
        if (step_s := frame.time_s - self.last_s) > MAX_GAP_S:
            self._missing_s += step_s
            self._gaps += 1
        self.last_s = frame.time_s
        self._has_codec |= frame.key_frame is not None
        if frame.key_frame:
            self._keys.append(frame.time_s)
        if self.frames % BRIGHTNESS_EVERY == 1:
            self._brightness = max(self._brightness, float(frame.rgb[::8, ::8].mean()))

    def face(self, frame: Frame, crops: FaceCrops, faces: FaceStream) -> None:
        """Take what the latest frame shows of a face, and who followed it there."""
        self._faces_seen = faces.faces_seen
        if faces.box and faces.is_seen:
            self.with_face += 1
            self._repeats.push(frame.rgb, frame.time_s, faces.box, frame.view)
            self._has_colour = self._has_colour or _is_coloured(crops.crop)
        if frame.key_frame is not None:
            self._stillness.push(crops.crop, key_frame=frame.key_frame, opens=crops.opens)
        crops.tell(self._pictures)
        self._pauses.push(crops.step_s, crops.held_s, is_seen=faces.is_seen)
        if crops.is_another:
            self._found_again.append(crops.first_step)

    @property
    def steps(self) -> int:
        """Steps of the even grid so far."""
        return int(self.last_s * FPS) + 1

    @property
    def fps(self) -> float:
        """Mean frame rate of the source outside its gaps in Hz."""
        steps, seen_s = self.frames - 1 - self._gaps, self.last_s - self._missing_s
        if steps <= 0:
            steps, seen_s = self.frames - 1, self.last_s
        return steps / seen_s if seen_s else 0.0

    @property
    def face_fraction(self) -> float:
        """Share of the frames in which the face was found."""
        return self.with_face / max(self.frames, 1)

    @property
    def key_times_s(self) -> NDArray[np.float64] | None:
        """Times of the key frames, shape (K,); None where there is no codec."""
        return np.array(self._keys) if self._has_codec else None

    @cached_property
    def distrust(self) -> str | None:
        """What speaks against reading these pictures at all, in words."""
        return STILL if self._stillness.is_still else self._repeats.why

    def without_sparse(self, wave: NDArray[np.float32]) -> tuple[NDArray[np.float32], str | None]:
        """Leave out of a wave what too few pictures tell.

        Args:
            wave: At 30 Hz, NaN in gaps. Shape (T,).

        Returns:
            The wave with more gaps, and None; or, where that would leave nothing to read, the wave
            as it was and why. Shape (T,).
        """
        whole = wave.astype(np.float64)
        words = self._pauses.words if self.fps >= LEAST_FPS else SPARSE
        if words == COPIES and not self._has_codec:  # nothing was compressed
            words = SPARSE
        kept, why = self._pictures.without_sparse(whole, self.steps, FPS, LEAST_STRETCH_S, words)
        self._sparse_s = _left_out_s(wave, kept)
        return kept.astype(np.float32), why

    def without_faint(self, wave: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
        """Leave out of a network's wave (T,) where it is far fainter than elsewhere. Shape (T,)."""
        kept = wave
        if model.calibration.log_amplitude:  # else how loud it is says nothing
            kept = without_faint(wave.astype(np.float64), FPS, LEAST_STRETCH_S).astype(np.float32)
        self._faint_s = _left_out_s(wave, kept)
        return kept

    def other_face(self, wave: NDArray[np.float32], model: Model) -> str | None:
        """Say that a face which was found again is another person's, by its rate; None if not.

        Args:
            wave: At 30 Hz, NaN in gaps. Shape (T,).
            model: Whose wave it is.
        """
        edges = [0, *self._found_again, len(wave)]
        stretches = [wave[start:stop].astype(np.float64) for start, stop in pairwise(edges)]
        if len(stretches) < 2:
            return None
        read = (measure_vitals(each, FPS, calibration=model.calibration) for each in stretches)
        rates = [found.heart_rate.value for found in read if found.heart_rate.value is not None]
        if not rates or max(rates) - min(rates) <= OTHER_BPM:
            return None
        told = " and ".join(f"{rate:.0f}" for rate in (min(rates), max(rates)))
        return (
            f"A face was lost and one was found again, and between them are rates of {told} bpm: "
            "they may be two people. Film one at a time."
        )

    def check(self) -> None:
        """Refuse what can't hold a pulse.

        Raises:
            VideoError: The pictures are black, too few a second, or without colour.
            NoFaceError: There was no face at all.
            TooShortError: The recording is too short.
        """
        name = self.name
        if not self.frames:
            raise VideoError(f"{name} holds no picture; give {READABLE}.")
        if self._brightness < DARK:
            raise VideoError(
                f"The pictures in {name} are black or nearly so; record with light on the face."
            )
        lasts_s = self.last_s + (1 / self.fps if self.fps else 0.0)  # the last picture is seen too
        if lasts_s < LEAST_SECONDS - CLOCK_S:
            lasts_s = math.floor(10 * lasts_s) / 10
            raise TooShortError(
                f"{name} is {lasts_s:.1f} s long; a heart rate needs {LEAST_SECONDS:.0f} s. "
                "Record for longer, and keep the face in view."
            )
        if self.fps < SPARSE_FPS:
            raise VideoError(
                f"{name} has {self.fps:.1f} pictures a second; a pulse needs at least "
                f"{LEAST_FPS:.0f}. Record with a higher frame rate (times are in seconds)."
            )
        if not self.with_face:
            raise NoFaceError(
                f"No face was found in {name}; film a face from the front, well lit and at least "
                f"a tenth of the picture wide.{self._said_of_other_streams()}"
            )
        if not self._has_colour:
            raise VideoError(BLACK_AND_WHITE)

    def notes(self) -> tuple[str, ...]:
        """What else a person should know."""
        notes = []
        if self._faces_seen > 1:
            notes.append(
                f"There are {self._faces_seen} faces in view; the one that was the largest "
                "at first was followed."
            )
        if self._found_again:
            notes.append(
                "A face was lost and one was found again; if that was another person, this reading "
                "is of both."
            )
        lost = 1 - self.face_fraction
        if lost > LOST:
            notes.append(f"The face was out of view for {100 * lost:.0f} % of the time.")
        if self._missing_s:
            notes.append(
                f"The recording has gaps of {self._missing_s:.1f} s in all, which were not read."
            )
        if self._sparse_s:
            notes.append(
                f"For {self._sparse_s:.1f} s pictures came too seldom, which was not read; a pulse "
                f"needs {LEAST_FPS:.0f} a second, pauses counted."
            )
        if self._faint_s:
            notes.append(
                f"For {self._faint_s:.1f} s next to nothing was seen of the pulse, as where a "
                "picture that stands still follows a face; that was not read."
            )
        notes += self._notes_of_the_file()
        if self.fps < FEW_FPS:
            notes.append(
                f"The video has {self.fps:.0f} pictures a second; fast pulses need 15 or more."
            )
        return tuple(notes)

    def _said_of_other_streams(self) -> str:
        """Where else in the file a face may be, in words; empty where there is nothing else."""
        if not self.unread.other_streams:
            return ""
        return (
            f" {self.name} holds {1 + self.unread.other_streams} video streams, and only the first "
            "is looked at: if another one shows the face, give that in a file of its own."
        )

    def _notes_of_the_file(self) -> list[str]:
        """What of the file was not read, in words."""
        notes, unread = [], self.unread
        share = f"{unread.out_of_order} of {self.frames + unread.out_of_order} pictures"
        if unread.out_of_order and unread.is_joined:
            notes.append(
                f"{share} have time stamps that run backwards and were not read; the file may be "
                "several joined into one."
            )
        elif unread.out_of_order:
            notes.append(f"Time stamps are out of order for {share}, which were not read.")
        if unread.damaged:
            notes.append(f"Damaged parts of the video, {unread.damaged} in all, were not read.")
        if unread.is_cut_short:
            notes.append(
                "The file can't be read to its end, as one that was cut off; what comes before "
                "was read."
            )
        return notes


def _is_coloured(crop: NDArray[np.uint8]) -> bool:
    """Tell whether a crop of a face, shape (S, S, 3), is not in shades of grey alone."""
    return float((crop.max(2) - crop.min(2)).mean()) > COLOURLESS


def _left_out_s(wave: NDArray[np.floating], kept: NDArray[np.floating]) -> float:
    """Seconds of a wave that are gaps in what is kept of it."""
    return float(np.isfinite(wave).sum() - np.isfinite(kept).sum()) / FPS
