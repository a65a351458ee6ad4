"""What the private mode needs of the server: its numbers and sentences, and where the weights lie.

In private mode everything happens in the browser (`static/private`), by the same rules as on the
server. No rule has a number of its own there: they are read from here once, before anything runs.
"""

from collections.abc import Mapping
from dataclasses import asdict
from types import ModuleType
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse

from kdphys import (
    beats,
    classical,
    clip,
    crop,
    face,
    flicker,
    pulse,
    rhythm,
    runtime,
    sparse,
    stream,
    sway,
    view,
    vitals,
)
from kdphys.hub import load_weights
from kdphys.runtime import StudentModel, TeacherModel, open_model
from webapp import live, texts

Plain = str | int | float | list["Plain"] | dict[str, "Plain"]

MODULES = (
    beats, classical, clip, crop, face, flicker, live, pulse, rhythm, runtime, sparse, stream, sway,
    texts, view, vitals,
)  # fmt: skip
router = APIRouter(prefix="/private")


@router.get("/{network}.onnx")
def weights(network: Literal["student", "teacher"]) -> FileResponse:
    """The network itself."""
    return FileResponse(load_weights(network).onnx)


@router.get("/constants.json", response_model=None)
def constants() -> dict[str, Plain]:
    """Numbers and sentences of the server by module and name, and what the networks need to run."""
    student, teacher = open_model("student"), open_model("teacher")
    if not (isinstance(student, StudentModel) and isinstance(teacher, TeacherModel)):
        raise TypeError(f"{type(student).__name__} and {type(teacher).__name__} are no pair")
    found: dict[str, Plain] = {
        module.__name__.rpartition(".")[2]: _public(module) for module in MODULES
    }
    found["student"] = {
        "lag": student.lag,
        "reach": student.reach,
        "past": list(student.past),
        "calibration": asdict(student.calibration),
    }
    found["teacher"] = {"frames": teacher.frames, "calibration": asdict(teacher.calibration)}
    return found


def _public(module: ModuleType) -> Plain:
    return {
        name: plain
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and (plain := _plain(value)) is not None
    }


def _plain(value: object) -> Plain | None:
    """A constant as JSON has it; None for what is none."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        items = {str(key): _plain(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not None}
    if isinstance(value, tuple | list):
        parts = [_plain(part) for part in value]
        return None if None in parts else [part for part in parts if part is not None]
    return None
