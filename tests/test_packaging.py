"""The lists of packages agree, pin exact versions, and name no host."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

from train.rivals import RivalsJob

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
LOCK = (ROOT / "requirements.lock").read_text()


def listed(name: str) -> list[str]:
    """Requirements named in a file, without comments and options."""
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def names_of(requirements: list[str]) -> list[str]:
    """Distributions that are asked for, without extras and versions."""
    return [re.split(r"[\[=]", one)[0] for one in requirements]


def normal(name: str) -> str:
    """A distribution's name as lists have it."""
    return re.sub("[-_.]+", "-", name).lower()


def imported(path: Path) -> set[str]:
    """Top-level names of what a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


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
    assert not set(names_of(GROUPS["train"])) & set(names_of(listed("requirements.txt")))


def test_whatever_the_library_and_the_page_import_is_pinned_to_a_version():
    """What only comes along with another package could change with the next install."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    named = {*names_of(listed("requirements.txt")), *names_of([*chain.from_iterable(extras)])}
    brings = packages_distributions()
    missing = {}
    for path in (*(ROOT / "kdphys").rglob("*.py"), *(ROOT / "webapp").rglob("*.py")):
        for module in imported(path) - sys.stdlib_module_names - {"kdphys", "webapp"}:
            if not named & {normal(name) for name in brings.get(module, ())}:
                missing.setdefault(module, set()).add(path.relative_to(ROOT).parts[:2])
    # for training, which has a list of its own
    assert missing == {"torch": {("kdphys", "losses.py"), ("kdphys", "models")}}


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
    names = {(normal(name), version) for name, version, _ in listed[2:]}
    assert names == {(name, version) for name, version in locked}
    assert not [name for name, _, licence in listed if licence in ("", "UNKNOWN")]


def test_continuous_integration_runs_what_a_person_runs():
    script = ROOT / ".ci" / "run"
    assert "make test" in script.read_text()
    assert script.stat().st_mode & 0o100


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` makes of the project."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("kdphys", "weights"):  # a copy: building leaves files behind
        shutil.copytree(ROOT / name, source / name)
    for file in ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", source)
    _run(folder, sys.executable, "-m", "pip", *build, "--wheel-dir", folder)
    (made,) = folder.glob("kdphys-*.whl")
    return made


@pytest.mark.slow
def test_a_wheel_holds_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
    assert "kdphys/py.typed" in held
    assert not [name for name in held if name.startswith(("train", "webapp", "tests", "build"))]


@pytest.mark.slow
def test_the_installed_command_brings_its_weights_and_measures_from_any_folder(wheel, tmp_path):
    home, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    _run(tmp_path, sys.executable, "-m", "venv", "--without-pip", home)
    pip = (sys.executable, "-m", "pip", "--python", home / "bin" / "python")
    _run(tmp_path, *pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "outer.pth").write_text(sysconfig.get_path("purelib"))  # what it needs is there
    where = "import kdphys, sys; sys.stdout.write(kdphys.__file__)"
    assert _run(elsewhere, home / "bin" / "python", "-c", where).startswith(str(packages))
    kdphys, example = home / "bin" / "kdphys", EXAMPLES / "synthetic_face_72bpm.mp4"
    assert "usage: kdphys" in _run(elsewhere, kdphys, "--help")
    found = json.loads(_run(elsewhere, kdphys, "measure", "--json", example))
    assert abs(found["heart_rate_bpm"] - 72) < 3  # as the project promises
    said = _run(elsewhere, kdphys, "batch", example, "--model", "pos")
    assert said.startswith("kdphys.csv: 1 new rows; 0 could not be read")
    assert (elsewhere / "kdphys.csv").exists()


# What pip-audit says and ends with where all is well, where something is wrong with a package,
# where its database does not answer, and where what answers does not know the package.
CLEAN = "echo 'No known vulnerabilities found' >&2"
FOUND = "echo 'Found 1 known vulnerability in 1 package' >&2; exit 1"
UNREACHABLE = "echo 'Traceback (most recent call last):' >&2; exit 1"
UNKNOWN = f"""case "$*" in *--strict*) echo 'ERROR: could not be audited: av' >&2; exit 1;; esac
{CLEAN}"""


@pytest.mark.parametrize(
    ("says", "status", "told"),
    [
        (CLEAN, 0, "No known vulnerabilities found"),
        (FOUND, 2, "Found 1 known vulnerability in 1 package"),
        (UNREACHABLE, 2, "The public database could not be reached"),
        (UNKNOWN, 2, "The public database could not be reached"),
    ],
    ids=["clean", "found", "unreachable", "unknown"],
)
def test_an_audit_without_an_answer_is_a_sentence_and_no_success(tmp_path, says, status, told):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    programs = tmp_path / ".venv" / "release" / "bin"
    programs.mkdir(parents=True)
    (programs / "pip-audit").write_text(f"#!/bin/sh\n{says}\n")
    (programs / "pip-audit").chmod(0o755)
    for stamp in (".base", ".release"):  # set up
        (tmp_path / ".venv" / stamp).touch()
    done = subprocess.run(
        ["make", "--silent", "audit"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    first, *more = done.stderr.splitlines()
    assert first.startswith(told)
    assert [line for line in more if not line.startswith("make")] == []  # its own last word


def _run(folder: Path, *command: str | Path) -> str:
    """What a command prints in a folder, where nothing points to the source."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=outside, capture_output=True, text=True, check=True
    )
    return done.stdout
