"""The lists of packages agree, pin exact versions, and name no host."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from train.rivals import RivalsJob

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
LOCK = (ROOT / "requirements.lock").read_text()


def listed(name: str) -> list[str]:
    """Requirements named in a file, without comments and options."""
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


@pytest.mark.parametrize(
    "requirement",
    [
        *listed("requirements.txt"),
        *listed("requirements-train.txt"),
        *(one for one in GROUPS["dev"] if isinstance(one, str)),
        *GROUPS["release"],
        *GROUPS["rivals"],
    ],
)
def test_every_package_is_pinned_to_one_version(requirement):
    assert re.fullmatch(r"[a-z0-9-]+(\[[a-z]+\])?==\d+(\.\d+)*", requirement)


def test_torch_comes_first_for_training_and_not_at_all_for_the_page():
    assert listed("requirements-train.txt")[0].startswith("torch==")
    assert not [one for one in listed("requirements.txt") if one.startswith("torch")]


def test_the_training_group_is_the_training_list():
    assert GROUPS["train"] == listed("requirements-train.txt")
    assert {"include-group": "train"} in GROUPS["dev"]


def test_what_needs_other_versions_has_an_environment_of_its_own():
    """No list for .venv asks for it, so that nothing there is asked for in two versions."""
    theirs = [one for one in GROUPS["rivals"] if one.startswith(("open-rppg=", "vitallens="))]
    assert len(theirs) == 2
    for name, group in (GROUPS | PROJECT["project"]["optional-dependencies"]).items():
        assert name == "rivals" or not any(one in group for one in theirs)
    made = f"{RivalsJob.python} -m pip install --quiet --group rivals"
    assert made in (ROOT / "Makefile").read_text()


def test_the_lock_holds_all_pins_and_a_digest_of_everything():
    locked = re.findall(
        r"^([\w.-]+==\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", LOCK, re.M
    )
    names = {name for name, _ in locked}
    assert set(listed("requirements.txt")) <= names
    assert len(names) == LOCK.count("==")


def test_nothing_says_where_packages_come_from():
    for name in (
        "requirements.txt",
        "requirements-train.txt",
        "pyproject.toml",
        "Makefile",
        "requirements.lock",
    ):
        text = (ROOT / name).read_text()
        assert "index-url" not in text
        assert "find-links" not in text
        assert not re.search(r"https?://(?!127\.0\.0\.1)", text)


def test_every_locked_package_has_its_licence_listed():
    locked = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    rows = (ROOT / "docs" / "licences.md").read_text().splitlines()
    listed = [[cell.strip() for cell in row.split("|")[1:4]] for row in rows if row.startswith("|")]
    names = {(re.sub("[-_.]+", "-", name).lower(), version) for name, version, _ in listed[2:]}
    assert names == {(name, version) for name, version in locked}
    assert not [name for name, _, licence in listed if licence in ("", "UNKNOWN")]


def test_continuous_integration_runs_what_a_person_runs():
    script = ROOT / ".ci" / "run"
    assert "make test" in script.read_text()
    assert script.stat().st_mode & 0o100


@pytest.mark.slow
def test_an_installed_kdphys_brings_its_weights_and_measures(tmp_path: Path):
    source, wheels, installed = (tmp_path / name for name in ("source", "wheels", "installed"))
    for folder in ("kdphys", "weights"):  # a copy: building leaves files behind
        shutil.copytree(ROOT / folder, source / folder)
    for file in ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", str(source)]
    _run(tmp_path, *build, "--wheel-dir", str(wheels))
    (wheel,) = wheels.glob("kdphys-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
        held = archive.namelist()
    assert "kdphys/py.typed" in held
    assert not [name for name in held if name.startswith(("train", "webapp", "tests", "build"))]
    example = ROOT / "docs" / "examples" / "synthetic_face_72bpm.mp4"
    where = "import kdphys, sys; sys.stdout.write(kdphys.__file__)"
    assert _run(installed, "-c", where).startswith(str(installed))
    found = json.loads(_run(installed, "-m", "kdphys", "measure", "--json", str(example)))
    assert abs(found["heart_rate_bpm"] - 72) < 3  # as the project promises


def _run(folder: Path, *arguments: str) -> str:
    """What Python prints in a folder, whose packages come first."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout
