"""Every figure says where it comes from, and nothing of whose machine that was."""

import getpass
import json
import platform
import re
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from kdphys import bench
from tests.probe_live import tell
from train import origin as module
from train.origin import Origin, origin

ROOT = Path(__file__).parent.parent


def git(*words: str, cwd: Path) -> None:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", *who, *words], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout of one commit, in the place of this project's."""
    (tmp_path / "docs").mkdir()
    for name in ("code.py", "docs/table.md"):
        (tmp_path / name).write_text("as committed")
    git("init", "--quiet", cwd=tmp_path)
    git("add", ".", cwd=tmp_path)
    git("commit", "--quiet", "--message", "first", cwd=tmp_path)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


def test_a_figure_says_its_machine_day_commit_and_versions():
    found = origin()
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", found.date)
    assert re.search(r"\d+ cores$", found.machine)
    assert found.python == platform.python_version()
    assert {"numpy", "onnxruntime", "torch"} <= set(found.versions)
    for part in (found.machine, found.date, found.python, found.versions["onnxruntime"]):
        assert part in str(found)
    assert Origin(**json.loads(json.dumps(asdict(found)))) == found


def test_it_names_no_host_no_person_and_no_folder():
    said = json.dumps(asdict(origin()))
    assert "/" not in said
    for name in (platform.node(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(name)}\b", said)


def test_the_processor_is_named_as_it_names_itself(tmp_path, monkeypatch):
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nmodel name\t: Quick Chip 9\nprocessor\t: 1\n")
    monkeypatch.setattr(bench, "CPUINFO", told)
    assert bench.machine_name().startswith(f"Quick Chip 9, {platform.machine()}, ")
    monkeypatch.setattr(bench, "CPUINFO", tmp_path / "none")  # as where there is no /proc
    assert platform.machine() in bench.machine_name()


def test_code_that_differs_from_its_commit_is_said_and_new_tables_are_not(checkout):
    commit = origin().commit
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{7,}", commit)
    (checkout / "docs" / "table.md").write_text("anew")
    assert origin().commit == commit
    (checkout / "code.py").write_text("changed")
    assert origin().commit == f"{commit}-dirty"


def test_outside_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert origin().commit is None
    assert "no commit" in str(origin())


def test_what_the_probe_tells_is_kept_with_where_it_comes_from(tmp_path, capsys):
    out = tmp_path / "new" / "live.json"
    tell({"lag_p95_ms": 21.5, **asdict(origin())}, out, as_json=True)
    found = json.loads(out.read_text())
    assert found == json.loads(capsys.readouterr().out)
    assert found["machine"] == origin().machine
    tell({"lag_p95_ms": 21.5}, None, as_json=False)
    assert capsys.readouterr().out.split() == ["lag_p95_ms", "21.5"]
