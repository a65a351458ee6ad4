import errno
import json
import math
import shutil
import socket
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from kdphys.errors import HubUnreachableError, WeightsError
from kdphys.hub import SHIPPED, check_against_manifest, load_named, load_weights, sha256
from kdphys.runtime import StudentModel, _opened, open_model
from kdphys.vitals import DEFAULT
from train.distill import read_teacher
from train.export import read_model
from train.loop import read_weights
from train.script import JobError

FITTED = dict.fromkeys(asdict(DEFAULT), 1.0)
COMMIT = "0123456789" * 4
TOO_LONG = 300 * "x"  # for any file system, so that not even root may look for it


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the student's weights that may be broken."""
    return Path(shutil.copytree(SHIPPED / "student", tmp_path / "copy"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("weights that are here must not be looked for on the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def sign_again(folder: Path) -> None:
    """Let the manifest name the files as they are now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {name: sha256(folder / name) for name in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_the_shipped_weights_are_those_of_their_manifest(name):
    found = load_weights(name)
    digests = found.manifest["sha256"]
    assert isinstance(digests, dict)
    assert set(digests) >= {"model.onnx", "model.safetensors", "config.json"}
    for file, digest in digests.items():
        assert sha256(SHIPPED / name / file) == digest


def test_a_folder_gives_the_same_weights_as_the_name(copied):
    assert load_weights(copied).config == load_weights("student").config
    assert load_weights(str(copied)).manifest == load_weights("student").manifest


@pytest.mark.parametrize("file", ["model.onnx", "config.json", "manifest.json"])
def test_a_missing_file_is_named_with_what_to_do(copied, file):
    (copied / file).unlink()
    with pytest.raises(WeightsError, match=rf"{file} is missing.*export it again, or name"):
        load_weights(copied)


def test_damaged_weights_that_came_with_kdphys_are_to_be_installed_again(copied, monkeypatch):
    folder = copied.rename(copied.with_name("student"))
    (folder / "model.onnx").write_bytes(b"something else")
    monkeypatch.setattr("kdphys.hub.SHIPPED", folder.parent)
    with pytest.raises(WeightsError, match="was replaced; install the weights again"):
        load_weights("student")


@pytest.mark.parametrize("file", ["model.onnx", "config.json", "manifest.json"])
def test_a_folder_in_the_place_of_a_file_is_refused(copied, file):
    (copied / file).unlink()
    (copied / file).mkdir()
    with pytest.raises(WeightsError, match=rf"{file} can't be read \(Is a directory\); export it"):
        load_weights(copied)


def test_a_file_that_is_closed_to_this_user_is_refused(copied, monkeypatch):
    def refuse(*_args: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("kdphys.hub.sha256", refuse)
    with pytest.raises(WeightsError, match=r"model\.onnx can't be read \(Permission denied\)"):
        load_weights(copied)


def test_a_name_that_can_t_be_looked_for_is_refused():
    for load in (load_weights, load_named, open_model):
        with pytest.raises(WeightsError, match=r"can't be opened \(File name too long\): name a"):
            load(TOO_LONG)


@pytest.mark.parametrize("file", ["model.onnx", "config.json"])
def test_a_file_that_was_changed_is_refused(copied, file):
    with (copied / file).open("ab") as changed:
        changed.write(b"\0")
    with pytest.raises(WeightsError, match=rf"{file} has sha256 .* damaged or was replaced"):
        load_weights(copied)


@pytest.mark.parametrize("text", ["", "{", "not json", '{"sha256": '])
def test_a_manifest_that_is_no_json_is_refused(copied, text):
    (copied / "manifest.json").write_text(text)
    with pytest.raises(WeightsError, match=r"manifest\.json is damaged"):
        load_weights(copied)


def test_a_manifest_of_bytes_that_are_no_text_is_refused(copied):
    (copied / "manifest.json").write_bytes(bytes(range(128, 256)))
    with pytest.raises(WeightsError, match=r"manifest\.json is damaged"):
        load_weights(copied)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_a_manifest_that_is_no_record_is_refused(copied, text):
    (copied / "manifest.json").write_text(text)
    with pytest.raises(WeightsError, match=r"manifest\.json holds no record"):
        load_weights(copied)


@pytest.mark.parametrize("digests", [None, [], "abc"])
def test_a_manifest_without_digests_is_refused(copied, digests):
    (copied / "manifest.json").write_text(json.dumps({"sha256": digests}))
    with pytest.raises(WeightsError, match=r"manifest\.json names no sha256"):
        load_weights(copied)


@pytest.mark.parametrize("file", ["model.onnx", "config.json"])
def test_a_file_that_the_manifest_does_not_name_is_refused(copied, file):
    manifest = json.loads((copied / "manifest.json").read_text())
    del manifest["sha256"][file]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match=f"{file} has sha256"):
        load_weights(copied)


def test_a_configuration_without_the_lag_is_refused(copied):
    config = json.loads((copied / "config.json").read_text())
    del config["lag"]
    (copied / "config.json").write_text(json.dumps(config))
    sign_again(copied)
    with pytest.raises(WeightsError, match=r"config\.json has lag=None, and a whole number"):
        StudentModel(load_weights(copied))


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("name", ["student", "teacher"])
def test_training_refuses_files_that_the_manifest_beside_them_does_not_name(tmp_path, name, file):
    copied = Path(shutil.copytree(SHIPPED / name, tmp_path / name))
    with (copied / file).open("ab") as changed:
        changed.write(b" ")
    with pytest.raises(WeightsError, match=rf"{file} has sha256 .*; export it again, or name"):
        read_model(copied, name)
    if name == "teacher":
        with pytest.raises(WeightsError, match=rf"{file} has sha256"):
            read_teacher(copied)
    (copied / "manifest.json").unlink()  # as in the folder of a run, which has none
    check_against_manifest(copied / file)


def test_weights_without_a_manifest_are_those_of_a_run(tmp_path):
    save_file({"weight": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    assert list(read_weights(tmp_path)) == ["weight"]
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(WeightsError, match="names no sha256"):
        read_weights(tmp_path)


def test_weights_with_a_missing_tensor_are_refused(copied):
    tensors = load_file(copied / "model.safetensors")
    del tensors["head.weight"]
    save_file(tensors, copied / "model.safetensors")
    sign_again(copied)
    with pytest.raises(JobError, match=r"head\.weight"):
        read_model(copied, "student")


def test_a_name_that_is_nowhere_says_what_to_give():
    with pytest.raises(WeightsError, match=r"no weights at nobody.*'student'.*owner/name"):
        load_weights("nobody")


def test_the_hub_is_not_asked_without_a_revision():
    with pytest.raises(WeightsError, match="owner/name needs a revision"):
        load_weights("owner/name")


def test_a_folder_that_is_named_like_a_repository_never_stands_in_for_it(copied, monkeypatch):
    (copied.parent / "owner").mkdir()
    copied.rename(copied.parent / "owner" / "name")
    monkeypatch.chdir(copied.parent)
    assert load_weights("owner/name").config == load_weights("student").config
    with pytest.raises(HubUnreachableError, match=f"owner/name at {COMMIT} could not be fetched"):
        load_weights("owner/name", COMMIT)


def test_a_hub_that_can_t_be_reached_is_one_sentence():
    with pytest.raises(HubUnreachableError, match=r"not in its cache; check the connection, or"):
        open_model(f"owner/name@{COMMIT}")


def test_a_token_that_can_t_be_sent_is_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_ümlaut")
    with pytest.raises(WeightsError, match="holds letters that no token has: copy it again"):
        load_weights("owner/name", COMMIT, fallback="student")


def test_a_name_of_bytes_that_are_no_text_is_no_name_on_the_hub():
    with pytest.raises(WeightsError, match="is no name on the Hub"):
        load_weights("owner/n\udce9me", COMMIT, fallback="student")


def test_a_cache_that_can_t_be_written_is_no_missing_connection(monkeypatch):
    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.get_hf_file_metadata", full)
    with pytest.raises(WeightsError, match=r"cache \(No space left on device\): make room"):
        load_weights("owner/name", COMMIT, fallback="student")


def test_a_damaged_file_that_can_t_be_deleted_is_named(copied, monkeypatch):
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (copied / "model.onnx").write_bytes(b"something else")
    monkeypatch.setattr("kdphys.hub._fetch", lambda *_: copied)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(WeightsError, match=r"can't be deleted \(Permission denied\): delete it by"):
        load_weights("owner/name", COMMIT)


@pytest.mark.parametrize(
    ("model", "manifest", "config"),
    [
        ("student", {"cost": None}, {}),
        ("student", {"cost": {}}, {}),
        ("student", {"cost": "nothing"}, {}),
        ("student", {"cost": {"parameters": None, "macs_per_frame": 1.0}}, {}),
        ("student", {"cost": {"parameters": 1, "macs_per_frame": math.inf}}, {}),
        ("student", {"calibration": None}, {}),
        ("student", {"calibration": {}}, {}),
        ("student", {"calibration": {"evidence": 1.0}}, {}),
        ("student", {"calibration": FITTED | {"charm": 1.0}}, {}),
        ("student", {"calibration": FITTED | {"log_standing": "1"}}, {}),
        ("student", {"calibration": FITTED | {"evidence": "1"}}, {}),
        ("student", {"calibration": FITTED | {"evidence": math.nan}}, {}),
        ("student", {"calibration": FITTED | {"evidence": math.inf}}, {}),
        ("student", {"calibration": FITTED | {"evidence": 10**400}}, {}),
        ("teacher", {"calibration": FITTED | {"evidence": True}}, {}),
        ("student", {}, {"lag": -5}),
        ("student", {}, {"lag": True}),
        ("student", {}, {"lag": 10**9}),
        ("student", {}, {"reach": 0}),
        ("student", {}, {"reach": 9}),
        ("teacher", {}, {"frames": 10**9}),
    ],
)
def test_weights_that_say_what_can_t_be_are_refused_in_a_sentence(
    tmp_path, monkeypatch, model, manifest, config
):
    folder = tmp_path / model
    shutil.copytree(SHIPPED / model, folder)
    changed = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(changed))
    told = json.loads((folder / "manifest.json").read_text()) | manifest
    (folder / "manifest.json").write_text(json.dumps(told))
    sign_again(folder)
    monkeypatch.setattr("kdphys.hub.SHIPPED", tmp_path)
    _opened.cache_clear()
    with pytest.raises(WeightsError, match=f"^{model} is no {model} that can be run"):
        open_model(model)


def test_weights_from_before_a_number_of_the_confidence_are_read_without_it(copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    calibration = FITTED | {"evidence": 0.5}
    (copied / "manifest.json").write_text(json.dumps(manifest | {"calibration": calibration}))
    assert StudentModel(load_weights(copied)).calibration.log_standing == 1
    del calibration["log_standing"]
    (copied / "manifest.json").write_text(json.dumps(manifest | {"calibration": calibration}))
    found = StudentModel(load_weights(copied)).calibration
    assert (found.evidence, found.log_standing) == (0.5, 0)


def test_a_number_that_is_none_is_named(copied):
    """It made a pulse of a photo, with a confidence of 100 %."""
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["calibration"] = FITTED | {"evidence": math.nan}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="its manifest has evidence=nan, and a number is needed"):
        StudentModel(load_weights(copied))


@pytest.mark.parametrize("network", [b"", b"no network", "teacher"])
def test_another_file_is_no_student(tmp_path, monkeypatch, network):
    folder = tmp_path / "student"
    shutil.copytree(SHIPPED / "student", folder)
    other = (
        network if isinstance(network, bytes) else (SHIPPED / network / "model.onnx").read_bytes()
    )
    (folder / "model.onnx").write_bytes(other)
    sign_again(folder)
    monkeypatch.setattr("kdphys.hub.SHIPPED", tmp_path)
    _opened.cache_clear()
    with pytest.raises(WeightsError, match="is no student that can be run"):
        open_model("student")


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_a_network_whose_wave_is_no_numbers_is_refused(tmp_path, name):
    folder = Path(shutil.copytree(SHIPPED / name, tmp_path / name))
    network = onnx.load(folder / "model.onnx")
    for weights in network.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT and len(weights.dims) > 2:
            nothing = np.full(weights.dims, np.nan, np.float32)
            weights.CopyFrom(onnx.numpy_helper.from_array(nothing, weights.name))
    onnx.save(network, folder / "model.onnx")
    sign_again(folder)
    words = rf"is no {name} that can be run \(its wave holds values that are no numbers\): export"
    with pytest.raises(WeightsError, match=words):
        open_model(str(folder))


def test_a_manifest_without_end_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(WeightsError, match="is damaged"):
        load_weights(tmp_path)
