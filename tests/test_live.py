"""The live socket: a visitor's pictures go in, the pulse comes out, and nobody harms another."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from kdphys.view import FOLLOW_PX, SEARCH_PX, View, whole
from tests._camera import shown
from tests._films import Recording
from webapp import live, texts
from webapp.address import Unnamed, who_asks, whose
from webapp.live import MOST_KEPT, RefusedError, Visit, Visits, serve_socket
from webapp.wire import Hello, Shot, write_batch

SIDE = 160  # of the recording's pictures
BLACK = np.zeros((FOLLOW_PX, FOLLOW_PX, 3), np.uint8)
SEARCH = View(0, 0, SIDE, SEARCH_PX)
NOTHING = np.zeros((SEARCH_PX, SEARCH_PX, 3), np.uint8)


@pytest.fixture(scope="module")
def visits() -> Visits:
    return Visits(most=2)


@pytest.fixture(autouse=True)
def _faster_than_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are played as fast as they can be."""
    monkeypatch.setattr(live, "AHEAD_S", np.inf)
    monkeypatch.setattr(live, "SEAT_S", 0.0)


@pytest.fixture
def client(visits: Visits) -> Iterator[TestClient]:
    app = FastAPI()

    @app.websocket("/live")
    async def _(socket: WebSocket) -> None:
        await serve_socket(socket, visits)

    with TestClient(app) as client:
        yield client


def greet(socket: WebSocketTestSession, visit: str, **camera: object) -> dict[str, Any]:
    socket.send_text(json.dumps({"width": SIDE, "height": SIDE, "visit": visit, **camera}))
    return socket.receive_json()


def look_at_a_picture(visit: Visit) -> None:
    pixels = visit.view.pixels
    visit.take([Shot(0.0, visit.view, np.zeros((pixels, pixels, 3), np.uint8))])


def send(socket: WebSocketTestSession, message: str | bytes) -> None:
    if isinstance(message, bytes):
        socket.send_bytes(message)
    else:
        socket.send_text(message)


def play(
    socket: WebSocketTestSession, recording: Recording, view: View, frames: int, first: int = 0
) -> list[dict[str, Any]]:
    """Send pictures two by two as a browser would, each as the server last asked for it."""
    answers = []
    for start in range(first, first + frames, 2):
        batch = [
            Shot(float(recording.time_s[at]), view, shown(recording.pictures[at], view))
            for at in (start, start + 1)
        ]
        socket.send_bytes(write_batch(batch))
        answers.append(socket.receive_json())
        view = View(*answers[-1]["view"])
    return answers


@pytest.mark.slow
def test_a_visitor_s_pulse_comes_back(client, recording):
    with client.websocket_connect("/live") as socket:
        welcome = greet(socket, "visitor-one")
        assert welcome == {"welcome": True, "resumed": False, "view": [0, 0, SIDE, SEARCH_PX]}
        answers = play(socket, recording, View(*welcome["view"]), 296)
        socket.send_text('{"ask": "compare"}')
        compared = socket.receive_json()
    steps = [answer["step"] for answer in answers]
    wave = [x for answer in answers for x in answer["wave"]]
    assert steps == sorted(steps)
    assert steps[-1] + len(answers[-1]["wave"]) == len(wave) > 300
    assert answers[-1]["view"][3] == FOLLOW_PX
    assert answers[-1]["hint"] is None
    vitals = [answer["vitals"] for answer in answers if "vitals" in answer]
    assert len(vitals) == 23
    assert vitals[-1]["heart_rate"]["value"] == pytest.approx(72, abs=3)
    assert vitals[0]["heart_rate"]["value"] is None
    assert vitals[0]["heart_rate"]["reason"]
    assert vitals[-1]["respiration"]["value"] is None
    student, teacher = compared["compared"]["student"], compared["compared"]["teacher"]
    assert compared["seconds"] == 10
    assert student["value"] == pytest.approx(72, abs=3)
    assert teacher["value"] == pytest.approx(72, abs=3)
    assert 0 < student["macs"] < teacher["macs"]
    assert student["ms"] > 0
    assert teacher["ms"] > 0


@pytest.mark.slow
def test_a_lost_socket_comes_back_to_its_visit(client, recording):
    with client.websocket_connect("/live") as socket:
        view = View(*greet(socket, "comes-back")["view"])
        before = play(socket, recording, view, 60)
    with client.websocket_connect("/live") as socket:
        welcome = greet(socket, "comes-back")
        assert welcome["resumed"]
        assert welcome["view"] == before[-1]["view"]
        after = play(socket, recording, View(*welcome["view"]), 20, first=60)
        assert after[0]["step"] == before[-1]["step"] + len(before[-1]["wave"])


def test_there_is_a_limit_to_visitors(client):
    with client.websocket_connect("/live") as one, client.websocket_connect("/live") as two:
        greet(one, "visitor-1")
        greet(two, "visitor-2")
        with client.websocket_connect("/live") as other:
            assert "2 people" in greet(other, "visitor-3")["closed"]
            with pytest.raises(WebSocketDisconnect) as closed:
                other.receive_json()
            assert closed.value.code == 1013
    with client.websocket_connect("/live") as three:
        assert greet(three, "visitor-3")["welcome"]


def test_a_socket_that_was_lost_unnoticed_gives_way_to_the_next_one(client, recording, visits):
    with client.websocket_connect("/live") as lost:
        view = View(*greet(lost, "lost-unnoticed")["view"])
        before = play(lost, recording, view, 40)
        with client.websocket_connect("/live") as socket:
            view = View(*greet(socket, "lost-unnoticed")["view"])
            after = play(socket, recording, view, 10, first=40)
            assert after[0]["step"] == before[-1]["step"] + len(before[-1]["wave"])
            lost.send_text('{"ask": "compare"}')
            assert "another" in lost.receive_json()["closed"]
            assert play(socket, recording, view, 2, first=50)[0]["late"] == 0
            assert visits.open == 1


def test_only_views_that_were_asked_for_are_looked_at(client):
    with client.websocket_connect("/live") as socket:
        greet(socket, "shows-more")
        socket.send_bytes(write_batch([Shot(0.0, View(0, 0, 8192, FOLLOW_PX), BLACK)]))
        answer = socket.receive_json()
        assert answer["late"] == 1
        assert answer["wave"] == []


def test_a_view_in_use_stays_asked_for_however_many_came_before():
    visit = Visits().admit(Hello(640, 480, "moves-about"))[0]
    for number in range(100):
        visit.view = View(number, 0, 100, FOLLOW_PX)
        visit.take([Shot(float(number), visit.view, BLACK)])
        assert visit.late == 0
        assert visit.view == whole(640, 480)  # there is no face in it
        visit.take([Shot(number + 0.5, visit.view, NOTHING)])
        assert visit.late == 0


def test_stamps_that_run_ahead_of_the_clock_are_left_out(monkeypatch):
    monkeypatch.setattr(live, "AHEAD_S", 4.0)
    visit = Visits().admit(Hello(160, 160, "in-a-hurry"))[0]
    for time_s in (100.0, 103.0, 103.0001, 2000.0, 103.5):
        visit.take([Shot(time_s, SEARCH, NOTHING)])
    assert visit.late == 2


@pytest.mark.parametrize(("first_late_s", "slept_s"), [(6.0, 0.0), (0.0, 6.0)])
def test_a_clock_that_was_wrong_is_forgiven_soon(monkeypatch, first_late_s, slept_s):
    monkeypatch.setattr(live, "AHEAD_S", 4.0)
    server_s = 100.0
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: server_s))
    visit = Visits().admit(Hello(160, 160, "a-wrong-clock"))[0]
    late = []
    for time_s in np.arange(0, 20, 0.5):
        slept = slept_s if time_s > 8 else 0.0
        server_s = 100 + time_s - slept + (first_late_s if time_s == 0 else 0.0)
        visit.take([Shot(time_s, SEARCH, NOTHING)])
        late.append(visit.late)
    assert 0 < late[-1] <= 7
    assert late[-1] == late[28]  # none since some seconds after what was wrong


def test_sockets_that_come_at_once_get_turns_of_their_own(visits):
    hello = Hello(SIDE, SIDE, "twice-at-once")
    visits.admit(hello)
    with ThreadPoolExecutor(8) as pool:
        admitted = list(pool.map(visits.admit, [hello] * 40))
    assert len({turn for _, turn in admitted}) == 40
    assert len({id(visit) for visit, _ in admitted}) == 1
    newest = max(turn for _, turn in admitted)
    for visit, turn in admitted:
        if turn < newest:
            visits.leave(visit, turn)
    assert visits.open == 1
    visits.end(admitted[0][0])
    assert visits.open == 0


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),  # a line has 2**64 addresses
    ],
)
def test_one_person_can_t_take_every_place(one, same, other):
    visits = Visits(most=9, most_of_one=2)
    seated, turn = visits.admit(Hello(SIDE, SIDE, "takes-places-0"), whose(one))
    visits.admit(Hello(SIDE, SIDE, "takes-places-1"), whose(same))
    with pytest.raises(RefusedError, match="2 people at your network's address"):
        visits.admit(Hello(SIDE, SIDE, "takes-places-2"), whose(one))
    visits.admit(Hello(SIDE, SIDE, "someone-else"), whose(other))
    assert visits.admit(seated.hello, whose(one)) == (seated, turn + 1)  # who has one keeps it
    visits.admit(seated.hello, whose(other))  # as a phone does that leaves the house
    visits.admit(Hello(SIDE, SIDE, "takes-places-2"), whose(one))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_all_places_may_be_taken_where_addresses_tell_nobody_apart(address):
    visits = Visits(most=3, most_of_one=1)
    for number in range(3):
        visits.admit(Hello(SIDE, SIDE, f"by-a-proxy-{number}"), whose(address))
    assert visits.open == 3


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_where_all_come_by_a_proxy_nobody_s_address_tells_who_it_is(kind):
    heard = []

    async def listen(scope, _receive, _send):
        heard.append(who_asks(scope))

    scope = {"type": kind, "client": ("192.0.2.1", 1)}

    async def receive():
        return {}

    async def send(_):
        pass

    asyncio.run(Unnamed(listen)(scope, receive, send))
    asyncio.run(listen(scope, receive, send))
    assert heard == ["", "192.0.2.1"]


def test_who_was_lost_a_moment_ago_keeps_the_place(monkeypatch):
    monkeypatch.setattr(live, "SEAT_S", 10.0)
    visits = Visits(most=2)
    one, two = (Hello(SIDE, SIDE, f"seated-{name}") for name in "12")
    visit, turn = visits.admit(one)
    visits.admit(two)
    look_at_a_picture(visit)
    visits.leave(visit, turn)
    with pytest.raises(RefusedError, match="busy: 2 people"):
        visits.admit(Hello(SIDE, SIDE, "too-late-3"))
    assert visits.admit(one) == (visit, 1)


def test_no_more_lost_visits_are_kept_than_some():
    visits = Visits(most=1)
    for number in range(9):
        visit, turn = visits.admit(Hello(SIDE, SIDE, f"passing-{number}"))
        look_at_a_picture(visit)
        visits.leave(visit, turn)
    assert 2 <= visits.known <= 4


def test_no_place_is_kept_for_who_sent_nothing(monkeypatch):
    monkeypatch.setattr(live, "SEAT_S", 10.0)
    visits = Visits(most=1)
    visits.leave(*visits.admit(Hello(SIDE, SIDE, "knocks-only")))
    assert visits.known == 0
    assert visits.admit(Hello(SIDE, SIDE, "comes-next"))[1] == 0


@pytest.mark.slow
def test_a_thousand_come_and_go_beside_one_who_is_read(client, recording, visits):
    with client.websocket_connect("/live") as socket:
        view = View(*greet(socket, "who-stays-on")["view"])
        threads, samples, answers = threading.active_count(), 0, []
        for part in range(10):
            for number in range(100):
                with client.websocket_connect("/live") as other:
                    assert greet(other, f"passes-by-{part}-{number}")["welcome"]
            answers = play(socket, recording, view, 20, first=20 * part)
            view = View(*answers[-1]["view"])
            samples += sum(len(answer["wave"]) for answer in answers)
            assert answers[-1]["late"] == 0
        last = answers[-1]
        assert samples == last["step"] + len(last["wave"]) > 180  # nothing of the one was lost
        assert threading.active_count() <= threads + 2
        assert visits.known <= MOST_KEPT * visits.most + 1


def test_a_visit_that_says_goodbye_is_forgotten_at_once(client, visits):
    with client.websocket_connect("/live") as socket:
        greet(socket, "goodbye-all")
        before = visits.known
        socket.send_text('{"ask": "leave"}')
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    assert visits.known == before - 1


def test_a_failure_of_the_server_ends_the_visit_with_a_sentence(client, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("a graph broke")

    with client.websocket_connect("/live") as socket:
        greet(socket, "breaks-it")
        monkeypatch.setattr(live.Visit, "take", fail)
        socket.send_bytes(write_batch([Shot(0.0, SEARCH, NOTHING)]))
        assert "failed" in socket.receive_json()["closed"]


def test_a_comparison_needs_some_seconds_of_a_face(client):
    with client.websocket_connect("/live") as socket:
        greet(socket, "too-soon-1")
        socket.send_text('{"ask": "compare"}')
        assert socket.receive_json() == {"compared": None, "reason": texts.LIVE_TOO_SOON}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"nonsense", "another kind"),
        ("{", "no JSON"),
        ('{"width": 640, "height": 480, "visit": "again-here"}', "twice"),
        (write_batch([Shot(0.0, View(0, 0, 9, FOLLOW_PX), BLACK)]), "nobody asked"),
        (write_batch([Shot(float("nan"), SEARCH, NOTHING)]), "no time"),
    ],
)
def test_what_is_wrong_ends_the_visit_with_a_sentence_and_no_other(client, recording, sent, said):
    with (
        client.websocket_connect("/live") as neighbour,
        client.websocket_connect("/live") as socket,
    ):
        view = View(*greet(neighbour, "a-neighbour")["view"])
        greet(socket, "says-nonsense")
        send(socket, sent)
        assert said in socket.receive_json()["closed"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1003
        assert said in closed.value.reason
        assert play(neighbour, recording, view, 2)[0]["time_s"] == recording.time_s[1]


@pytest.mark.parametrize("first", [write_batch([Shot(0.0, SEARCH, NOTHING)]), "1"])
def test_the_camera_is_named_before_its_pictures(client, first):
    with client.websocket_connect("/live") as socket:
        send(socket, first)
        assert "closed" in socket.receive_json()


def test_pictures_with_an_old_stamp_are_left_out_and_counted(client):
    with client.websocket_connect("/live") as socket:
        greet(socket, "old-stamps")
        shots = [Shot(at, SEARCH, NOTHING) for at in (1.0, 1.0, 0.5, 1.1)]
        socket.send_bytes(write_batch(shots))
        assert socket.receive_json()["late"] == 2


def test_a_flood_of_pictures_ends_the_visit(client, monkeypatch):
    monkeypatch.setattr(live, "MOST_FPS", 10.0)  # 40 pictures in 4 s
    with client.websocket_connect("/live") as socket:
        greet(socket, "floods-us")
        said = {}
        batches = 0
        while "closed" not in said and batches < 8:
            at = [batches + picture / 100 for picture in range(7)]
            socket.send_bytes(write_batch([Shot(one, SEARCH, NOTHING) for one in at]))
            said = socket.receive_json()
            batches += 1
        assert "which no camera gives" in said["closed"]
        assert batches == 6


def test_more_requests_than_a_hand_makes_end_the_visit(client, monkeypatch):
    monkeypatch.setattr(live, "MOST_ASKS", 3)
    with client.websocket_connect("/live") as socket:
        greet(socket, "asks-often")
        for _ in range(3):
            socket.send_text('{"ask": "compare"}')
            assert socket.receive_json()["reason"] == texts.LIVE_TOO_SOON
        socket.send_text('{"ask": "compare"}')
        assert "3 requests in 10 s" in socket.receive_json()["closed"]


def test_what_came_long_ago_no_longer_counts():
    lately = live.Lately(within_s=10.0)
    assert [lately.add(2, now_s) for now_s in (0.0, 5.0, 10.0, 16.0, 30.0)] == [2, 4, 6, 4, 2]


@pytest.mark.parametrize(("in_all", "of_one", "others"), [(9, 2, True), (2, 9, False)])
def test_few_sockets_may_be_open_without_a_greeting(client, monkeypatch, in_all, of_one, others):
    monkeypatch.setattr(live, "MOST_STRANGERS", in_all)
    monkeypatch.setattr(live, "MOST_OF_ONE", of_one)
    other = TestClient(client.app, client=("elsewhere", 1))

    def is_let_in(who: TestClient) -> bool:
        with suppress(WebSocketDisconnect), who.websocket_connect("/live"):
            return True
        return False

    with client.websocket_connect("/live"), client.websocket_connect("/live") as two:
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/live"):
            pass
        assert (closed.value.code, closed.value.reason) == (1013, texts.LIVE_CROWDED)
        assert is_let_in(other) is others
        greet(two, "greets-now")
        assert is_let_in(client)
        assert is_let_in(other)


def test_sockets_that_no_address_tells_apart_are_counted_in_all_only(client, monkeypatch):
    """Behind a proxy that says nothing, 16 silent ones kept everybody out."""
    monkeypatch.setattr(live, "MOST_STRANGERS", 3)
    monkeypatch.setattr(live, "MOST_OF_ONE", 1)
    here = TestClient(client.app, client=("127.0.0.1", 1))
    with (
        here.websocket_connect("/live"),
        here.websocket_connect("/live"),
        here.websocket_connect("/live"),
        pytest.raises(WebSocketDisconnect) as closed,
        here.websocket_connect("/live"),
    ):
        pass
    assert closed.value.reason == texts.LIVE_CROWDED


def test_a_browser_that_says_nothing_is_let_go(client, monkeypatch):
    monkeypatch.setattr(live, "SILENT_S", 0.1)
    with client.websocket_connect("/live") as socket:
        assert "sent nothing" in socket.receive_json()["closed"]


def test_a_visit_that_does_not_come_back_is_forgotten(client, visits, recording, monkeypatch):
    with client.websocket_connect("/live") as socket:
        view = View(*greet(socket, "goes-away")["view"])
        play(socket, recording, view, 3)
    monkeypatch.setattr(live, "KEPT_S", -1.0)
    with client.websocket_connect("/live") as socket:
        greet(socket, "comes-later")
        assert visits.known == 1


OWN, HERE = "https://kdphys.example", "127.0.0.1:7860"


@pytest.mark.parametrize(
    ("headers", "root_path", "is_welcome"),
    [
        ({"origin": "http://testserver"}, "", True),
        ({"origin": "http://testserver:80"}, "", True),
        ({"origin": "http://testserver:81"}, "", False),
        ({"origin": OWN, "x-forwarded-host": "kdphys.example"}, "", True),
        ({"origin": OWN, "x-forwarded-host": "kdphys.example, inner.lan"}, "", True),
        ({"origin": OWN, "x-forwarded-host": "inner.lan, kdphys.example"}, "", False),
        ({"origin": OWN, "host": "kdphys.example:443"}, "", True),
        ({"origin": OWN, "host": HERE}, f"{OWN}/a/path", True),
        ({"origin": OWN, "host": HERE}, "/a/path", False),
        ({"origin": "http://kdphys.example", "host": HERE}, f"{OWN}/a/path", False),
        ({"origin": "https://elsewhere.example", "host": HERE}, f"{OWN}/a/path", False),
        ({"origin": "https://elsewhere.example"}, "", False),
        ({"origin": "null"}, "", False),
        ({"origin": "http://["}, "", False),
    ],
)
def test_only_the_server_s_own_page_opens_the_socket(visits, headers, root_path, is_welcome):
    app, known = FastAPI(), visits.known  # which visits of other tests are among

    @app.websocket("/live")
    async def _(socket: WebSocket) -> None:
        await serve_socket(socket, visits, root_path)

    with TestClient(app) as client, client.websocket_connect("/live", headers=headers) as socket:
        if is_welcome:
            assert greet(socket, "own-page-1")["welcome"]
            return
        assert socket.receive_json()["closed"] == texts.LIVE_ORIGIN
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1008
    assert visits.known == known
