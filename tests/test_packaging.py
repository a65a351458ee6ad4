"""The lists of packages agree, pin exact versions, and name no host."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]


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


def test_nothing_says_where_packages_come_from():
    for name in ("requirements.txt", "requirements-train.txt", "pyproject.toml", "Makefile"):
        text = (ROOT / name).read_text()
        assert "index-url" not in text
        assert "find-links" not in text
        assert not re.search(r"https?://(?!127\.0\.0\.1)", text)


def test_continuous_integration_runs_what_a_person_runs():
    script = ROOT / ".ci" / "run"
    assert "make test" in script.read_text()
    assert script.stat().st_mode & 0o100
