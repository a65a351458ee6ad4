"""What the client's process does: a line of JSON comes in, it loads or pushes, a line goes out."""

import json
import logging
import os
import sys
from pathlib import Path

import numpy as np

from kdphys.errors import KDPhysError
from kdphys.hub import load_weights, sha256
from kdphys.runtime import open_model
from train.push import push

CROPS = np.random.default_rng(0).integers(0, 256, (90, 36, 36, 3), np.uint8)


class Kept(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def load(repository: str, revision: str, fallback: str | None = None) -> dict[str, str]:
    found = load_weights(repository, revision, fallback)
    return {"onnx": str(found.onnx), "sha256": sha256(found.onnx)}


def run(name: str) -> dict[str, str]:
    session = open_model(name).start()
    return {"wave": np.concatenate([session.push(CROPS), session.finish()]).tobytes().hex()}


def publish(folder: str, repository: str, token: str) -> dict[str, str]:
    os.environ["HF_TOKEN"] = token
    return {"commit": push(Path(folder), repository)}


def main() -> None:
    kept = Kept()
    logging.getLogger("kdphys").addHandler(kept)
    for line in sys.stdin:
        words = json.loads(line)
        found, error = {}, ""
        try:
            found = {"load": load, "run": run, "push": publish}[words.pop("do")](**words)
        except KDPhysError as refusal:
            error = f"{type(refusal).__name__}: {refusal}"
        said = {"found": found, "error": error, "warnings": kept.texts}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        kept.texts = []


if __name__ == "__main__":
    main()
