"""What comes over the live socket is read exactly, or refused in one sentence."""

import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdphys.view import FOLLOW_PX, SEARCH_PX, View
from webapp.wire import (
    MOST_BYTES,
    MOST_PICTURES,
    MOST_TEXT,
    Hello,
    Shot,
    WireError,
    read_batch,
    read_text,
    write_batch,
)

GREETING = {"width": 640, "height": 480, "visit": "a-visit-1"}


def shot(time_s: float = 1.5, pixels: int = FOLLOW_PX, x: int = -3, side: int = 200) -> Shot:
    rgb = np.random.default_rng(0).integers(0, 256, (pixels, pixels, 3), np.uint8)
    return Shot(time_s, View(x, 7, side, pixels), rgb)


@given(
    st.lists(
        st.builds(
            shot,
            st.floats(0, 1e9),
            st.sampled_from((FOLLOW_PX, SEARCH_PX)),
            st.integers(-8000, 8000),
            st.integers(16, 8192),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_batch_is_read_as_it_was_written(shots):
    found = read_batch(write_batch(shots))
    assert [(one.time_s, one.view) for one in found] == [(one.time_s, one.view) for one in shots]
    for one, other in zip(found, shots, strict=True):
        np.testing.assert_array_equal(one.rgb, other.rgb)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(message):
    with pytest.raises(WireError):
        read_batch(message)


@given(st.data())
def test_a_damaged_batch_is_read_or_refused(data):
    message = bytearray(write_batch([shot()]))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, 40))] = data.draw(st.integers(0, 255))
    message = message[: data.draw(st.integers(0, len(message)))]
    with suppress(WireError):
        assert len(read_batch(bytes(message))) == 1


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"KD", "too short"),
        (b"XX\x01\x01" + bytes(100), "another kind"),
        (b"KD\x02\x01" + bytes(100), "another kind"),
        (struct.pack("<2sBB", b"KD", 1, 0), "0 pictures"),
        (struct.pack("<2sBB", b"KD", 1, MOST_PICTURES + 1), "33 pictures"),
        (write_batch([shot()])[:-1], "ended within"),
        (write_batch([shot()])[:10], "ended within"),
        (write_batch([shot()]) + b"x", "1 bytes too many"),
        (write_batch([shot(time_s=float("nan"))]), "no time"),
        (write_batch([shot(time_s=float("inf"))]), "no time"),
        (write_batch([shot(time_s=1e11)]), "no time"),
        (write_batch([shot(pixels=50)]), "nobody asked"),
        (write_batch([shot(side=9)]), "nobody asked"),
        (bytes(MOST_BYTES + 1), "at most"),
    ],
)
def test_a_batch_that_is_wrong_is_refused_with_what_was_found(message, said):
    with pytest.raises(WireError, match=said):
        read_batch(message)


def test_a_full_batch_of_faces_fits():
    assert len(write_batch([shot()] * MOST_PICTURES)) <= MOST_BYTES


def test_a_greeting_names_the_camera_and_the_visit():
    assert read_text(json.dumps(GREETING)) == Hello(640, 480, "a-visit-1")
    assert read_text('{"ask": "compare"}') == "compare"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": 0}, "0 x 480"),
        ({"width": True}, "pixels"),
        ({"width": "640"}, "pixels"),
        ({"height": 1e9}, "pixels"),
        ({"height": None}, "pixels"),
        ({"visit": "short"}, "name"),
        ({"visit": 12345678}, "name"),
        ({"visit": "x" * 65}, "name"),
        ({"ask": "everything", "width": None}, "'everything' was asked for"),
        ({"ask": None, "width": None}, "'None' was asked for"),
        ({"ask": ["compare"]}, "only compare or leave"),
    ],
)
def test_a_greeting_that_is_wrong_is_refused_with_what_was_found(change, said):
    with pytest.raises(WireError, match=said):
        read_text(json.dumps(GREETING | change))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '"hello"', "[" * 1500, "x" * (MOST_TEXT + 1)]
)
def test_a_text_that_is_none_of_ours_is_refused(text):
    with pytest.raises(WireError):
        read_text(text)


@given(st.text(max_size=100))
def test_any_text_is_read_or_refused(text):
    with pytest.raises(WireError):
        read_text(text)
