"""The private mode answers as the server does: the same pictures go to both."""

import gzip
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from kdphys import LiveMeter
from kdphys.crop import FaceBox, crop_face
from kdphys.face import FaceFinder
from kdphys.runtime import SIZE, open_model
from kdphys.stream import FaceCrops, Samples
from kdphys.view import View
from kdphys.vitals import Vitals
from tests._camera import FPS, film_rates, shown
from tests._private import STATIC, Scripts, scripts
from train.face_onnx import MODELS, convert, find_model
from webapp.live import EVERY_S, Visits, told
from webapp.wire import Hello, Shot, write_batch

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("private")]

BPM = 72.0
BATCH = 3
NUMBERS = ("heart_rate", "rmssd", "sdnn", "respiration")


@pytest.fixture(scope="module")
def page():
    with scripts() as found:
        yield found


@pytest.fixture(scope="module")
def film():
    return film_rates([BPM], 26.0)


def begin(page: Scripts, film, name: str) -> View:
    high, wide = film[0].shape[:2]
    welcome = page.tell({"width": wide, "height": high, "visit": name})
    assert welcome["welcome"]
    return View(*welcome["view"])


class Both(NamedTuple):
    """What private mode and the server make of the same pictures, after one more batch."""

    here: dict[str, Any]
    meter: LiveMeter
    vitals: Vitals | None
    samples: Samples
    view: View


def show_both(page: Scripts, name: str, pictures, batch: int = 1) -> Iterator[Both]:
    """Play pictures to both, with the view that private mode asks for."""
    view, meter = begin(page, pictures, name), LiveMeter(every_s=EVERY_S)
    for first in range(0, len(pictures) - batch + 1, batch):
        numbers = range(first, first + batch)
        shots = [Shot(n / FPS, view, shown(pictures[n], view)) for n in numbers]
        here = page.tell(write_batch(shots))
        vitals = [meter.push(shot.rgb, shot.time_s, shot.view) for shot in shots]
        samples = meter.take()
        assert here["hint"] == meter.hint
        view = View(*here["view"])
        yield Both(here, meter, next(filter(None, vitals), None), samples, view)


def test_the_same_pictures_give_the_same_answers(page, film):
    there: list[float] = []
    here: list[float] = []
    readings, pixels = 0, 0
    for both in show_both(page, "one", film, BATCH):
        there += both.samples.wave.tolist()
        here += both.here["wave"]
        box = both.meter.faces.box
        assert box is not None
        np.testing.assert_allclose(both.here["box"], [box.x0, box.y0, box.x1, box.y1], atol=0.05)
        assert (both.vitals is None) == ("vitals" not in both.here)
        if both.vitals:
            readings += compare_vitals(told(both.vitals), both.here["vitals"])
        pixels = both.view.pixels
    assert 0 < pixels < 100  # the face was followed
    assert readings > 30
    assert len(here) == len(there) > 25 * FPS
    # Detections agree to thousandths of a pixel only, and so do single grey levels of the crops.
    assert np.std(np.subtract(here, there)) < 0.02 * np.std(there)


def compare_vitals(there, here) -> bool:
    """Whether there is a heart rate; it must be the same in both."""
    for name in NUMBERS:
        one, other = there[name], here[name]
        assert one["unit"] == other["unit"]
        assert other["quality"] == pytest.approx(one["quality"], abs=0.02)
        if one["value"] is None or other["value"] is None:
            near = abs(one["quality"] - 0.5) < 0.02
            assert near or (one["value"], one["reason"]) == (other["value"], other["reason"])
        else:
            margin = 0.5 if one["unit"] == "ms" else 0.2  # a steady heart's are as small
            assert other["value"] == pytest.approx(one["value"], rel=0.02, abs=margin)
    if there["heart_rate"]["value"] is None:
        return False
    assert here["heart_rate"]["value"] == pytest.approx(BPM, abs=3)
    return True


def test_the_student_gives_the_same_wave_to_a_thousandth(page, film):
    box = FaceBox(108.0, 70.0, 212.0, 174.0, 1.0)
    crops = np.stack([crop_face(picture, box, SIZE) for picture in film[:200]])
    crops[90:] = crops[90:][:, ::-1]  # something happens
    session = open_model("student").start()
    wave = session.push(crops)
    np.testing.assert_allclose(page.play(crops, (1, 3, 70)), wave, atol=1e-3)
    assert np.abs(wave).max() > 0.3


def test_a_face_that_leaves_is_said_to_be_lost_and_found_again(page, film):
    empty = np.full_like(film[0], 90)
    pictures = [*film[:60], *[empty] * 70, *film[130:210]]
    hints = []
    for both in show_both(page, "two", pictures):
        hints.append(both.here["hint"])
        samples = both.samples
        assert (both.here["step"], len(both.here["wave"])) == (
            samples.first_step,
            len(samples.wave),
        )
        heard = [value is not None for value in both.here["wave"]]
        assert heard == np.isfinite(samples.wave).tolist()
    assert hints[50] is None
    assert hints[65] == "face lost"
    assert hints[110] == "no face"
    assert hints[200] is None


def test_colours_and_places_stay_beside_the_wave_however_often_a_face_is_lost(page):
    """The network's last samples of each stretch never come; those of the colours have."""
    meter, late = LiveMeter(), round(FPS * open_model("student").facts.ahead_s)
    stretches = [(0, 90), (150, 100), (300, 80), (420, 60)]
    for first, count in stretches:
        crops = np.full((count, SIZE, SIZE, 3), 90, np.uint8)
        places = np.ones((count, 3))
        meter._session = open_model("student").start()
        meter._advance_to(first)
        meter._watch(FaceCrops(crops, places, first, True, False, crops[0], first / 30, None, 0.0))
    wave, colours, places = map(np.array, page.remembered(stretches, late))
    np.testing.assert_array_equal(wave, np.isfinite(meter._wave))
    np.testing.assert_array_equal(colours, np.isfinite(meter._colours).ravel())
    np.testing.assert_array_equal(places, np.isfinite(meter._places).ravel())
    assert wave.sum() == sum(count - late for _, count in stretches)


def test_what_was_owed_before_a_pause_is_not_heard_after_it(page):
    """An answer to a picture that the page no longer knows of made its lag no number for good."""
    owed, own = [{"wave": [1]}, {"compared": None}], [{"welcome": True}, {"wave": [2]}]
    assert page.heard_after_a_pause([*owed, *own]) == own
    failed = [{"failed": "no room"}]
    assert page.heard_after_a_pause([*owed, *failed]) == failed


def test_too_few_pictures_are_told_alike(page, film):
    view, meter = begin(page, film, "sparse"), LiveMeter(every_s=EVERY_S)
    reasons = []
    for number in range(0, 10 * 30, 7):
        shot = Shot(number / FPS, view, shown(film[number], view))
        here = page.tell(write_batch([shot]))
        vitals = meter.push(shot.rgb, shot.time_s, shot.view)
        assert here["hint"] == meter.hint
        if vitals:
            compare_vitals(told(vitals), here["vitals"])
            reasons.append(str(vitals.heart_rate.reason))
        view = View(*here["view"])
    assert meter.hint == "sparse"
    assert "Only 4 pictures of the face come a second" in reasons[-1]


@pytest.mark.parametrize("scale", [0.28, 0.5, 1.6])
def test_faces_far_and_near_are_found_alike(page, film, scale):
    picture = zoomed(film[0], scale)
    view = begin(page, film, f"scale {scale}")
    shot = Shot(0.0, view, shown(picture, view))
    box = FaceFinder().find(shot.rgb)[0]
    here = page.tell(write_batch([shot]))["box"]
    there = view.in_camera(box)
    np.testing.assert_allclose(here, [there.x0, there.y0, there.x1, there.y1], atol=0.05)


def zoomed(picture, scale: float):
    """The same scene from nearer or farther, in the middle of a picture of the same size."""
    high, wide = picture.shape[:2]
    middle = np.array([[scale, 0, wide / 2 * (1 - scale)], [0, scale, high / 2 * (1 - scale)]])
    size, edge = (wide, high), cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(picture, middle, size, borderMode=edge), np.uint8)


@pytest.mark.parametrize("speed", [2.0, 9.0])
def test_a_face_that_moves_is_followed_alike_to_the_edge(page, film, speed):
    pictures = [np.roll(film[n], round(speed * n) % 130, axis=1) for n in range(90)]
    seen = 0
    for number, both in enumerate(show_both(page, f"speed {speed}", pictures)):
        box = both.meter.faces.box
        seen += box is not None
        if box is None:
            assert both.here["box"] is None
        else:
            away = np.subtract(both.here["box"], [box.x0, box.y0, box.x1, box.y1])
            assert np.abs(away).max() < 0.5, number
    assert seen > 60


def test_a_picture_of_nobody_gives_nobody(page, film):
    blank = [np.full_like(film[0], 90)] * 12
    view = begin(page, blank, "three")
    said = page.tell(write_batch([Shot(n / 5, view, shown(p, view)) for n, p in enumerate(blank)]))
    assert said["box"] is None
    assert said["hint"] == "no face"
    assert [value for value in said["wave"] if value is not None] == []


def test_a_visit_goes_on_where_it_was_left_and_is_forgotten_when_asked(page, film):
    begin(page, film, "four")
    high, wide = film[0].shape[:2]
    hello = {"width": wide, "height": high, "visit": "four"}
    assert page.tell(hello)["resumed"]
    assert not page.tell(hello | {"width": wide + 2})["resumed"]  # a phone was turned round
    page.leave()
    assert not page.tell(hello | {"width": wide + 2})["resumed"]


def test_it_begins_with_the_view_that_the_server_gives(page, film):
    high, wide = film[0].shape[:2]
    visit, _ = Visits().admit(Hello(wide, high, "a-visit-of-a-test"))
    assert begin(page, film, "five") == visit.view


@pytest.mark.parametrize(
    ("edges", "side"),
    [
        ((10.3, 12.7, 50.9, 53.3), 72),  # smaller than its crop: pixels are joined
        ((-5.0, 3.5, 40.0, 48.5), 72),  # beyond the picture
        ((100.0, 90.0, 420.5, 410.5), 480),  # first halved
        ((20.0, 10.0, 470.0, 460.0), 480),  # first divided by three
    ],
)
def test_crops_are_the_same_to_the_last_bit(page, edges, side):
    picture = np.random.default_rng(3).integers(0, 256, (side, side, 3), np.uint8)
    given = {"rgb": picture.ravel().tolist(), "wide": side, "high": side}
    box = dict(zip(("x0", "y0", "x1", "y1"), edges, strict=True))
    crop = page.ask("crop", "cropFace", given, box, SIZE)
    assert crop == crop_face(picture, FaceBox(*edges, score=1.0), SIZE).ravel().tolist()


def test_sentences_are_filled_in_as_python_does(page):
    sentence = "The {name} of {found:.1f} s needs {need:g} or {count}."
    values = {"name": "wave", "found": 2.46, "need": 5, "count": 7}
    assert page.ask("constants", "fill", sentence, values) == sentence.format(**values)


@pytest.mark.parametrize("name", MODELS)
def test_the_face_models_are_the_servers_own(name):
    kept = STATIC / "private" / "third_party" / f"face-{name}.onnx.gz"
    made = convert(find_model(name).read_bytes()).SerializeToString()
    assert made == gzip.decompress(kept.read_bytes())


def test_the_runtime_is_the_one_that_was_published():
    folder = STATIC / "private" / "third_party"
    lines = [line.split() for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    words = {"README.md", "SHA256SUMS", "LICENSE-mediapipe", "LICENSE-onnxruntime"}
    kept = {path.name for path in folder.iterdir()} - words
    assert set(sums) == kept
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
