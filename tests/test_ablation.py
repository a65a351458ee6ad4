"""What the arms of the study of the distillation are scored on, and how."""

from pathlib import Path

import numpy as np
import pytest

from kdphys.runtime import open_model
from tests._films import easy_config, record, write_npz
from train.ablate import AblationJob, Trials, replayed, score_arm
from train.evaluate import unseen_clips


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic face of 72 bpm, 21 s long."""
    recording = record(10, easy_config(seconds=21.0, fps=15.0))
    path = tmp_path_factory.mktemp("film") / "face.npz"
    return write_npz(path, recording.pictures, recording.time_s)


@pytest.fixture(scope="module")
def pieces(film):
    return replayed(film, 72.0)


@pytest.mark.slow
def test_a_clip_is_replayed_in_pieces_of_20_seconds_at_their_rates(pieces):
    assert [round(bpm, 1) for _, bpm in pieces] == [57.6, 72.0]  # any faster, it ends too soon
    assert {pixels.shape for pixels, _ in pieces} == {(600, 36, 36, 3)}


@pytest.mark.slow
def test_an_arm_is_scored_on_clips_and_pieces_alike(pieces, tmp_path):
    pulsing, silent = unseen_clips(tmp_path, 2, 1, easy_config(seconds=20.0, side=96))
    pos = open_model("pos")
    row = score_arm(pos, Trials(pulsing, silent, pieces))
    assert row["MAE"] < 2
    assert row["within 3"] == row["real within 3"] == row["none without a pulse"] == 1
    of_another = tuple((pixels, bpm * 100 / 72) for pixels, bpm in pieces)
    wrong = score_arm(pos, Trials(pulsing, silent, of_another))
    assert wrong["real within 3"] == 0
    assert "real within 3" not in score_arm(pos, Trials(pulsing, silent, ()))


@pytest.mark.slow
def test_clips_from_before_they_kept_where_the_face_is_are_named(tmp_path, caplog):
    config = easy_config(seconds=2.0, side=64)
    unseen_clips(tmp_path, 1, 1, config)
    assert not caplog.records
    shard = tmp_path / "silent" / "0000.npz"
    with np.load(shard) as found:
        kept = {name: found[name] for name in found if name not in {"places", "keys"}}
    np.savez(shard, **kept)
    unseen_clips(tmp_path, 1, 1, config)
    (said,) = caplog.messages
    assert f"The clips in {shard.parent} were drawn before" in said
    assert "Delete the folder" in said


def test_a_real_clip_needs_its_rate():
    with pytest.raises(ValueError, match="real_bpm"):
        AblationJob(real=Path("clip.mp4"))
    assert replayed(None, None) == ()
