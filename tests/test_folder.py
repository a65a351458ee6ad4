"""What visitors send lies in the server's own folder, and nothing stays there for long."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import httpx
import pytest

from kdphys.leftovers import temporary_folder
from tests._page import ROOT, changed_app, served
from tests.test_tools import EXAMPLE, ask, data_address
from webapp import texts
from webapp.folder import LOCK, own_folder, remove_old

HOLD = """
from webapp.folder import own_folder
with own_folder() as folder:
    (folder / "face.mp4").write_bytes(b"a face")
    print(folder, flush=True)
    input()
"""
SOON = """
from webapp import folder
folder.KEPT_S, folder.LOOK_EVERY_S = 10.0, 0.5
"""
# A server whose folder lies on a disk of 8 MB of its own, which only it sees.
SMALL_DISK = """
import os
if "SMALL" not in os.environ:
    mount = 'mount -t tmpfs -o size=8m tmpfs "$TMPDIR" && exec "$0" app.py'
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, sys.executable]
    os.execvpe(alone[0], alone, {**os.environ, "SMALL": "yes"})
from webapp import folder
folder.SPARE_MB = 1.0
"""
POLLS, POLL_S = 600, 0.2


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def holder(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a folder in `place` as a server does; give its folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_with_its_server_or_when_the_next_one_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    another = tmp_path / "kdphys-notes"  # of a person, who likes the name too
    another.mkdir()
    live, of_live = holder(tmp_path)
    dead, of_dead = holder(tmp_path)
    with live, dead:
        dead.kill()
        dead.wait()
        assert files_in(of_dead) == {LOCK, "face.mp4"}
        with own_folder() as folder:
            assert {*tmp_path.iterdir()} == {another, of_live, folder}
            assert tempfile.gettempdir() == os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert files_in(of_live) == {LOCK, "face.mp4"}
        live.communicate("\n")
    assert {*tmp_path.iterdir()} == {another}
    assert tempfile.gettempdir() == str(tmp_path)


def test_age_alone_decides_what_is_removed(tmp_path):
    (tmp_path / "old").mkdir()
    for name in (LOCK, "old/face.mp4", f"old/{LOCK}"):
        (tmp_path / name).touch()
    remove_old(tmp_path, 60.0)
    assert files_in(tmp_path) == {LOCK, "old/face.mp4", f"old/{LOCK}"}
    remove_old(tmp_path, -60.0)  # as if a minute had gone by
    assert {*tmp_path.iterdir()} == {tmp_path / LOCK}


def test_what_is_gone_before_it_is_looked_into_does_not_end_the_look(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    (tmp_path / "old.mp4").touch()
    look = os.scandir

    def late(place):
        if Path(place).name == "gone":
            Path(place).rmdir()
        return look(place)

    monkeypatch.setattr(os, "scandir", late)
    remove_old(tmp_path, -60.0)
    assert list(tmp_path.iterdir()) == []


def break_off_an_upload(address: str) -> None:
    """Send the beginning of a file, and leave."""
    host = urlsplit(address)
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: kdphys\r\nContent-Length: 9999999\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="broken.mp4"\r\n\r\n'
    )
    with socket.create_connection((host.hostname, host.port)) as line:
        line.sendall(head.encode() + bytes(100_000))


def has_small_disks() -> bool:
    """Whether this system lets a process mount a disk that nobody else sees."""
    tried = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "x", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(tried, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.slow
@pytest.mark.skipif(not has_small_disks(), reason="needs a disk of its own")
def test_an_upload_that_would_fill_the_disk_is_broken_off_and_keeps_no_room(tmp_path):
    """It left what had come of it, so that nobody else had room, and said Internal Server Error."""
    (tmp_path / "app").mkdir()
    (tmp_path / "tmp").mkdir()
    log = tmp_path / "tmp" / "log.txt"
    with served(log, changed_app(tmp_path / "app", SMALL_DISK)) as address:
        for megabytes, status in ((30, 400), (8, 400), (5, 200), (3, 400)):
            file = (f"{megabytes}.mp4", bytes(megabytes * 2**20))
            answer = httpx.post(f"{address}/gradio_api/upload", files={"files": file}, timeout=60)
            assert answer.status_code == status, answer.text
            assert (answer.text == texts.NO_ROOM) == (status == 400)
        assert httpx.get(address, timeout=60).is_success
    assert "Traceback" not in log.read_text()


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_whatever_came_is_deleted_when_its_time_is_over(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "tmp").mkdir()
    app = changed_app(tmp_path / "app", SOON)
    with served(tmp_path / "tmp" / "log.txt", app, GRADIO_MCP_SERVER="true") as address:
        (folder,) = (tmp_path / "tmp").glob("kdphys-*")
        break_off_an_upload(address)
        asyncio.run(ask(address, data_address(EXAMPLE)))
        kept = httpx.post(f"{address}/gradio_api/upload", files={"files": ("a.mp4", b"a face")})
        assert Path(kept.json()[0]).is_relative_to(folder)
        came = files_in(folder)
        for _ in range(POLLS):
            if files_in(folder) == {LOCK}:
                break
            Event().wait(POLL_S)
        assert {Path(name).name for name in came} >= {LOCK, "a.mp4", "file.mp4"}
        assert files_in(folder) == {LOCK}
        assert not list((tmp_path / "tmp").rglob("*.mp4"))
    assert not folder.exists()


def test_programs_that_start_at_once_share_the_cleaning(tmp_path):
    """One that found another's folder and then not its lock ended with a traceback."""
    failed = []

    def start() -> None:
        try:
            with temporary_folder(tmp_path, "kdphys-"):
                pass
        except OSError as error:
            failed.append(error)

    for _ in range(40):
        for left in range(6):
            (tmp_path / f"kdphys-{left}").mkdir(exist_ok=True)
            (tmp_path / f"kdphys-{left}" / LOCK).touch()
        starts = [Thread(target=start) for _ in range(4)]
        for one in starts:
            one.start()
        for one in starts:
            one.join()
    assert not failed
