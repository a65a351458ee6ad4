"""The Space as it would be pushed: it starts by itself, and a dry run sends nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from tests._hub import ROOT, TOKEN, FakeHub, environment, serve
from tests._page import served
from train.push import PushError
from train.space import MARK, lay_out

LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")  # to a file, in Markdown


def space(folder: Path, endpoint: str, *words: str, token: str = TOKEN) -> tuple[int, str]:
    """Run the script against a Hub; its exit status and all that it said."""
    done = subprocess.run(
        [sys.executable, "train/space.py", "--out", str(folder / "space"), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(endpoint, folder / "home") | {"HF_TOKEN": token},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_dry_run_sends_nothing_and_a_push_sends_all_in_one_commit(tmp_path):
    hub = FakeHub()
    server = serve(hub)
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        status, said = space(tmp_path, endpoint)
        assert (status, hub.asked) == (0, [])
        assert "Nothing was sent" in said
        status, said = space(tmp_path, endpoint, "--push", "kd/page")
        assert status == 0, said
        ((commit, files),) = hub.repositories["kd/page"].items()
        assert f"kd/page is at commit {commit}" in said
        whole = {path: path.read_bytes() for path in lay_out(tmp_path / "again")}
        assert files == {
            str(path.relative_to(tmp_path / "again")): content for path, content in whole.items()
        }
        status, said = space(tmp_path, endpoint, "--push", "kd/page", token="wrong")
        assert status == 1
        assert said.splitlines()[-1].startswith("The Hub does not let this token write to kd/page")
    finally:
        server.shutdown()
        server.server_close()


def test_a_space_holds_what_it_needs_and_no_more(tmp_path):
    files = {str(path.relative_to(tmp_path / "s")) for path in lay_out(tmp_path / "s")}
    assert {"app.py", "requirements.txt", "README.md", "weights/student/model.onnx"} <= files
    assert not [name for name in files if "__pycache__" in name or name.endswith("safetensors")]
    assert [name for name in files if name.startswith(("train", "tests"))] == ["train/LOG.md"]
    lay_out(tmp_path / "s")  # again, over its own


def test_what_a_space_says_leads_nowhere_else(tmp_path):
    """Its README.md led to files that were not there."""
    for file in lay_out(tmp_path):
        for link in LINK.findall(file.read_text()) if file.suffix == ".md" else ():
            assert (file.parent / link).exists(), f"{file.name} leads to {link}"


@pytest.mark.parametrize("name", ["thesis.txt", "app.py"])
def test_a_folder_of_something_else_is_not_touched(name, tmp_path):
    (tmp_path / name).write_text("three years of work")
    with pytest.raises(PushError, match="holds other files"):
        lay_out(tmp_path)
    assert (tmp_path / name).exists()


def test_the_project_itself_is_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text("")
    (tmp_path / MARK).write_text("")
    monkeypatch.setattr("train.space.ROOT", tmp_path)
    with pytest.raises(PushError, match="holds other files"):
        lay_out(tmp_path)
    assert (tmp_path / "app.py").exists()


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_space_measures_by_itself(tmp_path):
    lay_out(tmp_path / "space")
    example = tmp_path / "space" / "docs" / "examples" / "synthetic_face_72bpm.mp4"
    (tmp_path / "log").mkdir()
    with served(tmp_path / "log" / "log.txt", tmp_path / "space", SPACE_ID="kd/page") as address:
        found = Client(address, verbose=False).predict(
            handle_file(example), "student", api_name="/measure"
        )
    assert found["heart_rate_bpm"] == pytest.approx(72, abs=3)  # as the project promises


def test_a_space_is_not_laid_out_inside_of_what_it_copies():
    with pytest.raises(PushError, match="copied into itself"):
        lay_out(ROOT / "docs" / "space")
