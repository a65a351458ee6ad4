"""What all tests share: quiet threads, and one film of a synthetic face a session."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two cores are not made faster by eight threads
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach the network

from pathlib import Path

import pytest
from hypothesis import settings

from tests._films import Recording, easy_config, record, write_npz

settings.register_profile("kdphys", deadline=None, derandomize=True)
settings.load_profile("kdphys")


@pytest.fixture(scope="session")
def recording() -> Recording:
    """Twelve seconds of an easy synthetic face at 72 bpm, not compressed."""
    return record(10, easy_config())


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one's own: two drawn people, 11 s each."""
    from train.recordings import draw_folder  # with torch, which few tests need

    folder = tmp_path_factory.mktemp("drawn")
    draw_folder(folder, ("anna", "ben"), 11.0)
    return folder


@pytest.fixture(scope="session")
def npz(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("films") / "easy.npz"
    return write_npz(path, recording.pictures, recording.time_s)
