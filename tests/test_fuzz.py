"""A few damaged files of every container; `python -m tests.fuzz_files` damages thousands."""

import numpy as np
import pytest

from tests.fuzz_files import CODECS, DAMAGES, damaged, fuzz

LASTING = (".webm", ".avi", ".mkv")  # of which a third or more can still be read


@pytest.mark.slow
@pytest.mark.parametrize("suffix", CODECS)
def test_a_damaged_file_is_measured_or_refused_with_a_sentence(suffix):
    found = fuzz(suffix, files=25)
    assert found["files"] == 25
    assert found["measured"] < 25  # some are damaged beyond reading
    assert found["measured"] > 0 or suffix not in LASTING


def test_damage_is_a_function_of_the_seed():
    whole = np.arange(5000, dtype=np.uint32).view(np.uint8)
    files = [damaged(whole, seed).tobytes() for seed in range(30)]
    assert files == [damaged(whole, seed).tobytes() for seed in range(30)]
    assert len(set(files) | {whole.tobytes()}) == 31
    assert len({len(file) for file in files}) > 10


@pytest.mark.parametrize("damage", DAMAGES)
def test_even_a_single_byte_can_be_damaged(damage):
    damage(np.array([7], np.uint8), np.random.default_rng(0))
