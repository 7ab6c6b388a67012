"""An answer on its short way: whole, of a client that has gone, or one that cannot be passed on."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from gateway.assemble import proxy_app
from gateway.core.original import Front
from gateway.core.reasons import Reason
from gateway.core.request import RequestFacts
from gateway.core.request_headers import IdentityNamespace, RequestHeaders
from gateway.core.settings_model import Access, DecideSettings, RouteSettings
from gateway.core.verdict import State, Verdict
from gateway.surfaces import proxy
from gateway.surfaces.exchange import Watch
from gateway.surfaces.gate import Admission
from gateway.surfaces.opening import Destination
from gateway.surfaces.relay import Relay, direct_way
from gateway.upstream.forward import Outgoing
from gateway.upstream.incoming import Incoming
from gateway.upstream.origin import Origin
from gateway.upstream.pool import Pool
from tests.authenticator.engine_kit import Clock, mint
from tests.surfaces.proxy_kit import HOST, LIMITS, Api, listening, proxied, settings_for
from tests.surfaces.surfaces_kit import Pages, scope_of
from tests.upstream.upstream_kit import silent, until

NO_NAMESPACE = IdentityNamespace(b"x-session-")


class Line:
    """A connection to an upstream that has answered."""

    exchanges = 1
    is_closed = False

    def __init__(self) -> None:
        self.answer = Incoming(is_head=False, header_bytes=65536)
        self.answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        self.ended = 0

    def begin(self, head: bytes, *, is_head: bool) -> None:
        self.head = head

    def watch(self, watcher) -> None:
        self.look = watcher

    def answer_at_once(self) -> Incoming:
        return self.answer

    def finish(self) -> bool:
        self.ended += 1
        return False


class Broken:
    """A client's end that cannot take the answer."""

    on_gone = None

    def respond(self, status: int, headers: object, body: bytes, *, recurs: bool = False) -> None:
        raise ValueError("odd")


class Keeper:
    def __init__(self) -> None:
        self.failed: list[Exception] = []

    def fail(self, relay: Relay, error: Exception) -> None:
        self.failed.append(error)


async def test_an_answer_that_cannot_be_passed_on_is_told_and_holds_no_connection():
    pool, line, keeper = Pool(Origin.parse("http://127.0.0.1:1")), Line(), Keeper()
    pool.in_use = 1
    terms = RouteSettings(path="/", access=Access.PUBLIC)
    destination = Destination(pool, RequestHeaders(NO_NAMESPACE, frozenset()), terms)
    admission = Admission(None, RequestFacts("GET", None), None, Verdict(State.SIGNED_OUT))
    request = Outgoing("GET", b"/", [], 0)
    watch = Watch(None)
    Relay(keeper, Broken(), watch, admission, destination, request, (b"x-request-id", b"1"), frozenset(), line).begin(
        request.head()
    )
    line.look()
    assert [type(error) for error in keeper.failed] == [ValueError]
    assert (pool.in_use, line.ended) == (0, 1)


async def test_a_client_that_leaves_before_its_answer_holds_no_connection():
    async with proxied(silent, replace(LIMITS, first_byte_s=30)) as world:
        for turn in range(2):  # the first one opens the connection, on the long way
            wire = await world.connect()
            wire.send(b"GET /public HTTP/1.1\r\n" + HOST + b"\r\n")
            await until(lambda sent=turn + 1: len(world.served.requests) == sent)
            wire.writer.close()
            await until(lambda: not world.pool.in_use)


@pytest.mark.parametrize("value", [b"200-ok", b"100-continue, x"])
async def test_an_expectation_that_cannot_be_met_is_refused_on_the_short_way_too(value):
    async with proxied() as world:
        answer = await world.raw(b"GET /public HTTP/1.1\r\n" + HOST + b"Expect: " + value + b"\r\n\r\n")
        assert (answer.status, answer["x-clerk-auth-reason"]) == (417, Reason.EXPECTATION_FAILED)
        assert world.served.requests == []


class Asked:
    """A question of nginx, and what is done with it."""

    has_body = False

    def __init__(self, path: str, *headers: tuple[str, str], client: str = "127.0.0.1") -> None:
        said = (("host", "gateway.internal"), *headers)
        self.scope = scope_of(path, *said, scheme="http", client=(client, 1))
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.has_task = False

    def respond(self, status: int, headers: object, body: bytes, *, recurs: bool = False) -> None:
        self.status, self.headers = status, dict(headers)

    def run(self, app: object) -> None:
        self.has_task = True


def test_questions_of_other_proxies_are_answered_without_a_task_and_written_down():
    journal, decide = Pages(), DecideSettings(fronts=(Front.NGINX,), trusted=(ip_network("127.0.0.1/32"),))
    app = proxy_app(replace(settings_for("http://127.0.0.1:9"), decide=decide), journal, Clock(), Api().transport)
    path = "/.gateway/decide/nginx"
    original = [(f"x-original-{name}", value) for name, value in (("method", "GET"), ("host", "app.example.test"))]
    original.append(("x-original-proto", "https"))
    passing = Asked(path, *original, ("x-original-uri", "/public"))
    denied = Asked(path, *original, ("x-original-uri", "/"))
    foreign = Asked(path, *original, ("x-original-uri", "/public"), client="192.0.2.1")
    for asked in (passing, denied, foreign):
        app.begin(asked)
    assert [asked.status for asked in (passing, denied, foreign)] == [200, 401, 403]
    assert passing.headers[b"x-session-user-id"] == b""
    assert [entry.status for entry in journal.entries] == [200, 401, 403]
    assert journal.entries[-1].reason == Reason.DECISION_PEER_REFUSED
    waiting = [
        Asked(path, *original, ("x-original-uri", "/"), ("authorization", f"Bearer {mint()}")),
        Asked("/.gateway/readyz"),
    ]
    for asked in waiting:
        app.begin(asked)
    assert [asked.has_task for asked in (passing, denied, foreign, *waiting)] == [False] * 3 + [True] * 2
    assert len(journal.entries) == 3


# ── long bodies ──

LONG = bytes(range(251)) * 33_000


async def echoing(served, reader, writer):
    while True:
        body = await served.body(reader, await served.request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 100_000):
            writer.write(body[start : start + 100_000])
            await writer.drain()


def ways_through(monkeypatch) -> list[object]:
    """Note on which way answers go."""
    ways: list[object] = []
    monkeypatch.setattr(proxy, "direct_way", lambda *given: ways.append(direct_way(*given)) or ways[-1])
    return ways


async def test_long_bodies_are_the_same_on_the_other_side(monkeypatch):
    ways = ways_through(monkeypatch)
    async with proxied(echoing, replace(LIMITS, idle_s=10, first_byte_s=10)) as world:
        for _ in range(2):
            answer = await world.ask(method=b"POST", body=LONG)
            assert (answer.body == LONG, answer.is_whole) == (True, True)
        assert world.served.connections == 1
    assert len(ways) == 2
    assert None not in ways


async def test_whoever_stands_between_server_and_proxy_sees_all_of_a_long_body(monkeypatch):
    ways = ways_through(monkeypatch)
    seen = {"up": 0, "down": 0}

    def counting(app):
        async def counted(scope, receive, send):
            async def receive_counted():
                message = await receive()
                seen["up"] += len(message.get("body", b""))
                return message

            async def send_counted(message):
                seen["down"] += len(message.get("body", b""))
                await send(message)

            await app(scope, receive_counted, send_counted)

        return counted

    async with (
        proxied(echoing, replace(LIMITS, idle_s=10, first_byte_s=10)) as world,
        listening(counting(world.proxy)) as world.port,
    ):
        answer = await world.ask(method=b"POST", body=LONG)
        assert answer.body == LONG
        world.close()
    assert (seen, ways) == ({"up": len(LONG), "down": len(LONG)}, [None])
