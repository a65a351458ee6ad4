"""Pushing to and loading from a Hub that is on this machine and fails in the ways a Hub does."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from kdphys.hub import SHIPPED, load_weights, sha256
from tests._hub import ROOT, TOKEN, Client, FakeHub, Said, environment, serve
from train.noted import note

STUDENT = SHIPPED / "student"
RESULTS = ROOT / "docs" / "results" / "results.json"
ONNX = sha256(STUDENT / "model.onnx")
NO_COMMIT = "0" * 40


@pytest.fixture(scope="module")
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture(scope="module")
def endpoint(hub: FakeHub) -> Iterator[str]:
    server = serve(hub)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def client(endpoint: str, home: Path) -> Iterator[Client]:
    """One process for all tests, each with a repository of its own, as it takes long to start."""
    started = Client(endpoint, home)
    yield started
    started.close()


@pytest.fixture(scope="module")
def offline(client: Client, home: Path) -> Iterator[Client]:
    """The same cache where nothing answers."""
    assert client
    with socket.socket() as free:  # bound, but never listening: connections are refused
        free.bind(("127.0.0.1", 0))
        started = Client(f"http://127.0.0.1:{free.getsockname()[1]}", home)
        yield started
        started.close()


def cached(home: Path, repository: str) -> list[Path]:
    """Files that the cache keeps of a repository, whole or not."""
    folder = home / "hub" / f"models--{repository.replace('/', '--')}" / "blobs"
    return [path for path in folder.glob("*") if path.stat().st_size > 1e5]


def push(
    client: Client,
    repository: str,
    folder: Path = STUDENT,
    token: str = TOKEN,
) -> Said:
    return client.ask("push", repository=repository, folder=str(folder), token=token)


def test_what_was_pushed_loads_as_the_same_bytes_and_gives_the_same_wave(client, hub):
    said = push(client, "kd/whole")
    assert said.error == ""
    commit = said.found["commit"]
    stored = hub.repositories["kd/whole"][commit]
    files = {"model.safetensors", "model.onnx", "config.json", "manifest.json", "README.md"}
    assert set(stored) == files
    for name in files - {"README.md"}:
        assert stored[name] == (STUDENT / name).read_bytes(), name
    loaded = client.ask("load", repository="kd/whole", revision=commit)
    assert loaded.found["sha256"] == ONNX
    assert commit in loaded.found["onnx"]
    one = client.ask("run", name=f"kd/whole@{commit}")
    assert one.found["wave"] == client.ask("run", name="student").found["wave"]


def test_a_push_is_one_commit_and_a_second_one_goes_to_the_same_repository(client, hub):
    first = push(client, "kd/twice").found["commit"]
    assert len([p for p in hub.asked_for("kd/twice", "POST") if "/commit/" in p]) == 1
    teacher = push(client, "kd/twice", SHIPPED / "teacher").found["commit"]
    assert list(hub.repositories["kd/twice"]) == [first, teacher]
    assert client.ask("load", repository="kd/twice", revision=first).found["sha256"] == ONNX
    one = client.ask("run", name=f"kd/twice@{teacher}")
    assert one.found["wave"] == client.ask("run", name="teacher").found["wave"]


def test_the_published_card_says_how_to_load_it_and_what_it_is_worth(client, hub):
    commit = push(client, "kd/card").found["commit"]
    text = hub.repositories["kd/card"][commit]["README.md"].decode()
    assert "--model kd/card --revision COMMIT" in text
    assert "**Not a medical device**" in text
    assert "on dark skin" in text
    front = ModelCard(text).data.to_dict()
    assert front["license"] == "mit"
    ((metric,),) = [result["metrics"] for result in front["model-index"][0]["results"]]
    scores = json.loads(RESULTS.read_text())["synthetic"]["student"]
    assert metric["value"] == scores["all"]["MAE"]
    assert "synthetic" in metric["name"]


def test_a_card_quotes_no_evaluation_that_is_not_of_these_weights_and_their_confidence(
    client, hub, tmp_path
):
    """Fitting the confidence anew takes out of the manifest what was measured before."""
    student = Path(shutil.copytree(STUDENT, tmp_path / "student"))
    weights = load_weights(student)
    note(student, weights, {"calibration": {"intercept": -99.0}})
    commit = push(client, "kd/other", student).found["commit"]
    text = hub.repositories["kd/other"][commit]["README.md"].decode()
    assert "model-index" not in ModelCard(text).data.to_dict()
    assert "mean absolute error" not in text


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "config.json"])
def test_weights_that_are_not_those_of_their_manifest_are_not_pushed(client, hub, name, tmp_path):
    folder = Path(shutil.copytree(STUDENT, tmp_path / "copy"))
    with (folder / name).open("ab") as changed:
        changed.write(b"\0")
    before = len(hub.asked)
    said = push(client, "kd/changed", folder)
    assert said.error.startswith(f"PushError: Nothing was pushed: {name} in ")
    (folder / name).unlink()
    assert "holds no finished weights" in push(client, "kd/changed", folder).error
    assert len(hub.asked) == before


def test_a_push_without_a_token_is_one_sentence_and_asks_nothing(client, hub):
    before = len(hub.asked)
    said = push(client, "kd/no-token", token="")
    assert said.error.startswith("PushError: There is no token for the Hub: set HF_TOKEN")
    assert len(hub.asked) == before


def test_a_token_that_the_hub_refuses_is_one_sentence(client, hub):
    said = push(client, "kd/refused", token="a-token-that-may-not")
    assert said.error.startswith("PushError: The Hub does not let this token write to kd/refused")
    assert "(401)" in said.error
    assert "\n" not in said.error
    assert "kd/refused" not in hub.repositories


def test_a_name_that_the_hub_can_t_have_is_one_sentence(client):
    said = push(client, "kd/a name")
    assert said.error == "PushError: kd/a name is no name for the Hub; give owner/name."
    said = client.ask("load", repository="a/b/c", revision=NO_COMMIT)
    assert said.error == "WeightsError: a/b/c is no name on the Hub; give owner/name."


def test_a_push_to_a_hub_that_does_not_answer_is_one_sentence(offline):
    assert push(offline, "kd/away").error.startswith("PushError: The Hub could not be reached")


def test_a_download_that_breaks_off_is_begun_again(client, hub):
    commit = hub.publish("kd/cut", STUDENT)
    hub.faults["kd/cut"] = "cut once"
    said = client.ask("load", repository="kd/cut", revision=commit)
    assert said.found["sha256"] == ONNX
    assert len([path for path in hub.asked_for("kd/cut", "GET") if "model.onnx" in path]) == 2


def test_half_a_file_is_not_kept_and_the_next_load_fetches_all_of_it(client, hub, home):
    commit = hub.publish("kd/short", STUDENT)
    hub.faults["kd/short"] = "short"
    said = client.ask("load", repository="kd/short", revision=commit)
    assert said.error.startswith("HubUnreachableError: kd/short")
    assert cached(home, "kd/short") == []
    del hub.faults["kd/short"]
    said = client.ask("load", repository="kd/short", revision=commit)
    assert said.found["sha256"] == ONNX


def test_a_corrupted_download_is_refused_and_does_not_spoil_the_next(client, hub, home):
    commit = hub.publish("kd/altered", STUDENT)
    hub.faults["kd/altered"] = "altered"
    # A fallback is for a Hub that does not answer, never for weights that are wrong.
    said = client.ask("load", repository="kd/altered", revision=commit, fallback="student")
    assert said.error.startswith("WeightsError: ")
    assert "model.onnx has sha256" in said.error
    assert said.error.endswith("it has been deleted, so load the model again.")
    assert cached(home, "kd/altered") == []
    del hub.faults["kd/altered"]
    said = client.ask("load", repository="kd/altered", revision=commit)
    assert said.found["sha256"] == ONNX


@pytest.mark.parametrize("name", ["model.onnx", "config.json", "manifest.json"])
def test_a_cached_file_that_went_bad_is_refused_once(client, hub, name):
    repository = f"kd/rotten-{name}"
    commit = hub.publish(repository, STUDENT)
    said = client.ask("load", repository=repository, revision=commit)
    (Path(said.found["onnx"]).parent / name).resolve().write_bytes(b"{")
    said = client.ask("load", repository=repository, revision=commit)
    assert name in said.error
    assert said.error.endswith("it has been deleted, so load the model again.")
    said = client.ask("load", repository=repository, revision=commit)
    assert said.found["sha256"] == ONNX


def test_what_is_in_the_cache_needs_no_hub(client, offline, hub):
    commit = hub.publish("kd/kept", STUDENT)
    said = client.ask("load", repository="kd/kept", revision=commit)
    before = len(hub.asked)
    assert client.ask("load", repository="kd/kept", revision=commit) == said
    assert offline.ask("load", repository="kd/kept", revision=commit) == said
    assert len(hub.asked) == before


def test_without_hub_and_cache_one_sentence_says_so(offline):
    said = offline.ask("load", repository="kd/nowhere", revision=NO_COMMIT)
    assert said.error.startswith(f"HubUnreachableError: kd/nowhere at {NO_COMMIT} could not be")
    assert "\n" not in said.error


@pytest.mark.parametrize("fault", ["busy", "gone"])
def test_a_hub_that_is_down_is_told_from_one_that_refuses(client, hub, fault):
    commit = hub.publish(f"kd/{fault}", STUDENT)
    hub.faults[f"kd/{fault}"] = fault
    said = client.ask("load", repository=f"kd/{fault}", revision=commit)
    assert said.error.startswith("HubUnreachableError: ")
    assert len(hub.asked_for(f"kd/{fault}")) == 1


def test_a_fallback_is_taken_with_a_warning_only_where_the_hub_does_not_answer(offline, client):
    words = {"repository": "kd/nowhere", "revision": NO_COMMIT, "fallback": "student"}
    said = offline.ask("load", **words)
    assert said.found["onnx"] == str(STUDENT / "model.onnx")
    (warning,) = said.warnings
    assert "kd/nowhere" in warning
    assert "Using the weights student instead, which may be others." in warning
    said = client.ask("load", **words)
    assert said.error.startswith("WeightsError: The Hub has no model kd/nowhere, or it is private")
    assert said.warnings == []


def test_a_commit_that_is_not_there_is_one_sentence(client, hub):
    hub.publish("kd/young", STUDENT)
    said = client.ask("load", repository="kd/young", revision=NO_COMMIT, fallback="student")
    assert said.error.startswith(f"WeightsError: kd/young has no commit {NO_COMMIT}: copy")


def test_a_hub_that_gives_another_commit_is_not_believed(client, hub):
    commit = hub.publish("kd/mirror", STUDENT)
    hub.faults["kd/mirror"] = "other"
    said = client.ask("load", repository="kd/mirror", revision=commit)
    assert said.error.startswith(f"WeightsError: The Hub gave commit {commit[::-1]} of kd/mirror")


@pytest.mark.parametrize("revision", ["main", "v1.0", "0123abc", "", "F" * 40, "refs/pr/1"])
def test_a_name_that_can_move_is_refused_before_the_hub_is_asked(client, hub, revision):
    hub.publish("kd/moving", STUDENT)
    said = client.ask("load", repository="kd/moving", revision=revision, fallback="student")
    assert said.error.startswith(f"WeightsError: {revision} is no full commit hash")
    assert hub.asked_for("kd/moving") == []


def test_a_repository_that_lacks_a_file_is_named(client, hub, tmp_path):
    folder = Path(shutil.copytree(STUDENT, tmp_path / "copy"))
    (folder / "model.onnx").unlink()
    commit = hub.publish("kd/part", folder)
    said = client.ask("load", repository="kd/part", revision=commit)
    assert said.error.startswith(f"WeightsError: kd/part at {commit} lacks one of manifest.json")


def test_a_repository_of_something_else_is_refused(client, hub, tmp_path):
    folder = Path(shutil.copytree(STUDENT, tmp_path / "copy"))
    manifest = json.loads((folder / "manifest.json").read_text()) | {"model": "poem"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    commit = hub.publish("kd/poem", folder)
    said = client.ask("run", name=f"kd/poem@{commit}")
    assert said.error.endswith("is neither a student nor a teacher of KDPhys, but poem.")


def script(endpoint: str, home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(endpoint, home) | {"HF_TOKEN": TOKEN},
    )


@pytest.mark.slow
def test_export_pushes_and_prints_the_line_that_measures_with_it(endpoint, hub, tmp_path, npz):
    run, out = tmp_path / "run", tmp_path / "weights"
    run.mkdir()
    for name in ("model.safetensors", "config.json"):
        shutil.copy(STUDENT / name, run)
    manifest = json.loads((STUDENT / "manifest.json").read_text())
    (run / "run.json").write_text(json.dumps(manifest["run"]))
    words = ("train/export.py", "--run", run, "--out", out, "--push", "kd/script")
    done = script(endpoint, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    told, line = done.stdout.splitlines()
    ((commit, stored),) = hub.repositories["kd/script"].items()
    assert told == f"kd/script is at commit {commit}"
    assert stored["model.onnx"] == (out / "model.onnx").read_bytes()
    measured = script(endpoint, tmp_path, *line.replace("VIDEO", str(npz)).split()[1:], "--json")
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout)["model"] == f"kd/script@{commit}"
    assert json.loads(measured.stdout)["heart_rate_bpm"] == pytest.approx(72, abs=3)
    done = script(endpoint, tmp_path, *words, "--push-only")  # nothing has changed
    assert done.stdout.splitlines() == [told, line], done.stderr


@pytest.mark.slow
def test_a_push_that_fails_ends_with_one_sentence(endpoint, tmp_path):
    words = ("train/export.py", "--push", "kd/empty", "--push-only", "--out", tmp_path)
    done = script(endpoint, tmp_path, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"{tmp_path} holds no finished weights")
    assert done.stderr.count("\n") == 1
