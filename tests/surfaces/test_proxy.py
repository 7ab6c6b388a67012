"""The whole proxy over sockets: what crosses it, what does not, and what it says when the upstream fails."""

import asyncio
import json
import logging
import socket
from dataclasses import replace

import pytest

from gateway.core.reasons import Reason
from gateway.surfaces.proxy import Proxy
from tests.authenticator.engine_kit import NAMES, expired, mint
from tests.surfaces.proxy_kit import BEARER, HOST, LIMITS, OK, World, listening, proxied, proxy_to
from tests.surfaces.surfaces_kit import Pages, scope_of, websocket_scope
from tests.surfaces.surfaces_kit import Wire as Recorder
from tests.upstream.upstream_kit import answers, silent, until, upstream

HEAD = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024


def problem(answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["reason"]


def cookie(*pairs: str) -> bytes:
    return b"Cookie: " + "; ".join(pairs).encode("latin-1") + b"\r\n"


# ── what reaches the upstream ──

FORGED = (
    b"X-Session-User-Id: mallory\r\n",
    b"x-session-USER-id: mallory\r\n",
    b"X_Session_User_Id: mallory\r\n",
    b"X-Session_Org-Id: org_evil\r\n",
    b"X.Session.Org.Role: admin\r\n",
    b"X-Session-Anything: 1\r\n",
    b"X-Session-Status: signed-in\r\n",
    b"X-Session-Status: signed-in\r\n",
    b"Connection: x-session-user-id, x-session-status, x-forwarded-for, close\r\n",
)


@pytest.mark.parametrize(
    ("target", "identity"),
    [
        (b"/", {b"x-session-user-id": b"user_1", b"x-session-id": b"sess_1", b"x-session-status": b"signed-in"}),
        (b"/public/x", {b"x-session-status": b"signed-out"}),
    ],
)
async def test_identity_headers_are_ours_alone(target, identity):
    async with proxied() as world:
        assert (await world.ask(target, *FORGED)).status == 200
        folded = [
            (name.replace(b"_", b"-").replace(b".", b"-"), value)
            for name, value in world.received
            if b"session" in name
        ]
        assert len(folded) == len(identity)
        assert dict(folded) == identity


async def test_whoever_impersonates_the_user_is_named_to_the_upstream():
    async with proxied() as world:
        token = b"Authorization: Bearer " + mint(act={"sub": "user_9"}).encode() + b"\r\n"
        await world.raw(b"GET / HTTP/1.1\r\n" + HOST + token + b"X-Session-Actor: mallory\r\n\r\n")
        assert world.got(b"x-session-actor") == [b"user_9"]
        await world.ask(b"/", b"X-Session-Actor: mallory\r\n")
        assert world.got(b"x-session-actor") == []


async def test_what_a_route_asks_for_is_asked_before_the_upstream_is():
    async with proxied() as world:
        admin = {"o": {"id": "org_1", "slg": "acme", "rol": "admin"}}
        cases = [
            ({**admin, "fva": [1, -1]}, 200, ""),
            (admin, 403, "reverification-required"),
            ({"fva": [1, -1]}, 403, "missing-role"),
            ({**admin, "fva": [1, -1], "sts": "pending"}, 401, "session-pending"),
        ]
        for claims, status, reason in cases:
            before = len(world.served.requests)
            bearer = b"Authorization: Bearer " + mint(**claims).encode() + b"\r\n"
            answer = await world.raw(b"DELETE /admin/users/1 HTTP/1.1\r\n" + HOST + bearer + b"\r\n")
            assert (answer.status, "".join(answer.all("x-clerk-auth-reason"))) == (status, reason)
            assert len(world.served.requests) == before + (status == 200)
        assert [entry.reason for entry in world.journal.entries] == [reason for _, _, reason in cases]


async def test_the_reverification_refusal_is_what_clerks_front_end_reads():
    async with proxied() as world:
        token = mint(o={"id": "org_1", "rol": "admin"}, fva=[10, -1]).encode()
        answer = await world.raw(b"GET /admin HTTP/1.1\r\n" + HOST + b"Authorization: Bearer " + token + b"\r\n\r\n")
        error = {"type": "forbidden", "reason": "reverification-error", "metadata": {"reverification": "strict"}}
        assert (answer.status, answer["content-type"]) == (403, "application/json")
        assert json.loads(answer.body) == {"clerk_error": error}
        assert answer["x-clerk-auth-status"] == "signed-in"


async def test_identity_in_trailers_does_not_arrive():
    async with proxied() as world:
        body = b"3\r\nabc\r\n0\r\nX-Session-User-Id: mallory\r\n\r\n"
        answer = await world.raw(
            b"POST / HTTP/1.1\r\n"
            + HOST
            + BEARER
            + b"Transfer-Encoding: chunked\r\nTrailer: x-session-user-id\r\n\r\n"
            + body
        )
        assert answer.status == 200
        assert world.got(b"x-session-user-id") == [b"user_1"]
        assert world.got(b"trailer") == []


async def test_credentials_stay_and_other_cookies_keep_their_bytes():
    others = 'a="1; 2"; b = x%3B ; c=\xfc; __sessions=1'
    ours = [f"{name}=secret" for name in sorted(NAMES.private)]
    async with proxied() as world:
        await world.ask(b"/public", cookie(*ours[:5], others, *ours[5:]))
        assert world.got(b"cookie") == [others.encode("latin-1")]
        assert world.got(b"authorization") == []
        await world.ask(b"/", cookie(*ours[5:]))
        assert world.got(b"cookie") == []


async def test_kept_credentials_go_along_and_foreign_authorization_always_does():
    async with proxied() as world:
        await world.ask(b"/kept", cookie("__session=secret", "a=1"))
        assert world.got(b"cookie") == [b"__session=secret; a=1"]
        assert world.got(b"authorization") == [b"Bearer " + mint().encode()]
        await world.raw(b"GET /public HTTP/1.1\r\n" + HOST + b"Authorization: Basic YTpi\r\n\r\n")
        assert world.got(b"authorization") == [b"Basic YTpi"]


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        (b"a=1&__clerk_handshake=x.y.z&b=%20", b"?a=1&b=%20"),
        (b"__clerk_handshake_nonce=n", b""),
        (b"%5f%5Fclerk_db_jwt=d&a", b"?a"),
        (b"__other=1&a=__clerk_handshake", b"?__other=1&a=__clerk_handshake"),
    ],
)
async def test_what_a_handshake_left_in_the_query_stays_unless_the_route_keeps_credentials(sent, forwarded):
    async with proxied() as world:
        for path, query in ((b"/public", forwarded), (b"/kept", b"?" + sent)):
            await world.ask(path + b"?" + sent, method=b"POST")
            assert world.line == b"POST " + path + query + b" HTTP/1.1"


async def test_a_bearer_token_that_is_no_session_token_is_the_upstreams_business():
    async with proxied() as world:
        for token in (b"ak_opaque", b"two.parts"):
            await world.raw(b"GET /public HTTP/1.1\r\n" + HOST + b"Authorization: Bearer " + token + b"\r\n\r\n")
            assert world.got(b"authorization") == [b"Bearer " + token]
        for token in (mint().encode(), expired().encode(), b"not.a.token", b""):
            await world.raw(b"GET /public HTTP/1.1\r\n" + HOST + b"Authorization: Bearer " + token + b"\r\n\r\n")
            assert world.got(b"authorization") == []


async def test_forwarded_headers_are_written_by_us():
    forged = (
        b"X-Forwarded-For: 10.0.0.1\r\n",
        b"X-Forwarded-Host: evil.example\r\n",
        b"X-Forwarded-Proto: https\r\n",
        b"X_Forwarded_For: 10.0.0.1\r\n",
        b"X-Forwarded-Prefix: /evil\r\n",
        b"Forwarded: for=10.0.0.1\r\n",
        b"X-Real-IP: 10.0.0.1\r\n",
        b"X-Original-URL: /evil\r\n",
        b"X-Request-Id: evil\r\n",
        b"Proxy: http://evil.example\r\n",
    )
    async with proxied() as world:
        await world.ask(b"/", *forged)
        assert world.got(b"x-forwarded-for") == [b"127.0.0.1"]
        assert world.got(b"x-forwarded-host") == [b"app.example.test"]
        assert world.got(b"x-forwarded-proto") == [b"http"]
        (first,) = world.got(b"x-request-id")
        assert len(first) == 24
        assert int(first, 16)
        assert not [pair for pair in world.received if b"evil" in pair[1] or b"10.0.0.1" in pair[1]]
        await world.ask(b"/")
        assert world.got(b"x-request-id") != [first]


async def test_hop_by_hop_headers_end_here():
    hops = (
        b"Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
        b"Proxy-Authorization: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-End: 2\r\n"
    )
    async with proxied() as world:
        await world.ask(b"/", hops)
        names = {name for name, _ in world.received}
        ours = {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-request-id"}
        assert {name for name in names if not name.startswith(b"x-session-")} - ours == {b"host", b"x-end"}


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        (b"/public/a?b=c%20d&b=%2F..", b"/public/a?b=c%20d&b=%2F.."),
        (b"//public///%61?", b"/public/a"),
        (b"/public/%7Eb/%c3%bc|?x=|[]", b"/public/~b/%C3%BC%7C?x=|[]"),
        (b"http://APP.example.test/public?x", b"/public?x"),
    ],
)
async def test_path_that_was_matched_is_forwarded(sent, forwarded):
    async with proxied() as world:
        assert (await world.raw(b"GET " + sent + b" HTTP/1.1\r\n" + HOST + b"\r\n")).status == 200
        assert world.line == b"GET " + forwarded + b" HTTP/1.1"
        assert world.got(b"host") == [b"app.example.test"]


@pytest.mark.parametrize(
    "target",
    [
        b"/public/../x",
        b"/public/%2e%2e/x",
        b"/public/..%2fx",
        b"/public%2f..%2fx",
        b"/public/%5c..",
        b"/public/%00",
        b"/public/%252e%252e/x",
        b"/public/%zz",
        b"/public/%ff",
        b"*",
        b"app.example.test:80",
    ],
)
async def test_path_that_could_be_read_in_two_ways_is_refused(target):
    async with proxied() as world:
        assert problem(await world.ask(target)) == (400, Reason.REQUEST_TARGET_INVALID)
        assert world.served.requests == []


@pytest.mark.parametrize(
    "hosts",
    [b"", b"Host: a.example\r\nHost: app.example.test\r\n", b"Host: a/b?x=\r\n", b"Host: a@b\r\n", b"Host:\r\n"],
)
async def test_request_without_exactly_one_host_is_refused(hosts):
    async with proxied() as world:
        answer = await world.raw(b"GET /public HTTP/1.1\r\n" + hosts + b"\r\n")
        assert problem(answer) == (400, Reason.REQUEST_HOST_INVALID)
        assert world.served.requests == []


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /admin HTTP/1.1\r\nX-Forwarded-Uri: /public\r\n",
        b"GET /admin HTTP/1.1\r\nX-Original-URL: /public\r\nX-Rewrite-URL: /public\r\n",
        b"GET /admin HTTP/1.1\r\nX-Forwarded-Method: OPTIONS\r\nX-HTTP-Method-Override: OPTIONS\r\n",
        b"GET /admin HTTP/1.1\r\nX-Forwarded-Prefix: /public\r\n",
        b"GET /admin HTTP/1.1\r\nUser-Agent: kube-probe/1.30\r\n",
        b"GET /admin HTTP/1.1\r\nX-Clerk-Auth-Status: signed-in\r\nX-Clerk-Auth-Token: t\r\n",
        b"GET /admin HTTP/1.1\r\nX-Middleware-Subrequest: middleware\r\n",
        b"OPTIONS /admin HTTP/1.1\r\n",
        b"GET /admin?x=/public HTTP/1.1\r\n",
        b"GET /PUBLIC HTTP/1.1\r\n",
        b"GET /publicx HTTP/1.1\r\n",
        b"GET /public. HTTP/1.1\r\n",
        b"GET /public%20 HTTP/1.1\r\n",
        b"GET /public;/x HTTP/1.1\r\n",
        b"GET //admin/public HTTP/1.1\r\n",
        b"GET http://app.example.test/admin HTTP/1.1\r\n",
    ],
)
async def test_nothing_but_its_own_path_opens_a_protected_place(request_):
    async with proxied() as world:
        assert (await world.raw(request_ + HOST + b"\r\n")).status == 401
        assert world.served.requests == []


@pytest.mark.parametrize(
    "target", [b"/public#", b"/admin#/public", b"/public?a#b", b"http://elsewhere.example/public", b"http:///public"]
)
async def test_a_target_with_a_fragment_or_of_another_host_is_refused(target):
    async with proxied() as world:
        assert (await world.raw(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")).status == 400
        assert world.served.requests == []


@pytest.mark.parametrize(
    "flood", [b"x: " + b"y" * 200_000 + b"\r\n", b"".join(b"x-%d: 1\r\n" % number for number in range(1000))]
)
async def test_header_flood_reaches_nobody(flood):
    async with proxied() as world:
        assert (await world.raw(b"GET /public HTTP/1.1\r\n" + HOST + flood + b"\r\n")).status == 431
        assert world.served.requests == []


async def test_websocket_is_refused_before_it_is_accepted():
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    async with proxied() as world:
        assert (await world.raw(b"GET / HTTP/1.1\r\n" + HOST + upgrade + b"\r\n")).status == 401
        assert world.served.requests == []


async def test_unknown_places_and_methods_are_said():
    async with proxied() as world:
        unknown = await world.raw(b"GET /x HTTP/1.1\r\nHost: form.example.test\r\n\r\n")
        assert problem(unknown) == (404, Reason.ROUTE_NOT_FOUND)
        wrong = await world.raw(b"GET /form HTTP/1.1\r\nHost: form.example.test\r\n\r\n")
        assert problem(wrong) == (405, Reason.METHOD_NOT_ALLOWED)
        assert wrong["allow"] == "POST, PUT"
        assert world.served.requests == []


async def test_own_paths_are_not_forwarded_in_any_spelling():
    async with proxied() as world:
        assert json.loads((await world.ask(b"/.gateway/healthz")).body) == {"status": "ok"}
        for target in (b"/.gateway/nothing", b"/%2Egateway/healthz", b"//.gateway/healthz"):
            assert problem(await world.ask(target)) == (404, Reason.ROUTE_NOT_FOUND)
        assert world.served.requests == []


# ── framing between the client and us ──


async def test_pipelined_requests_are_judged_each_alone():
    async with proxied() as world:
        wire = await world.connect()
        anonymous, signed = b"GET /%b HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /%b HTTP/1.1\r\n" + HOST + BEARER + b"\r\n"
        wire.send(signed % b"1" + anonymous % b"2" + anonymous % b"public" + signed % b"3" + anonymous % b"4")
        assert [(await wire.answer()).status for _ in range(5)] == [200, 401, 200, 200, 401]
        lines = [request.split(b" ")[1] for request in world.served.requests]
        assert lines == [b"/1", b"/public", b"/3"]


async def test_bodies_arrive_whole_in_either_framing():
    seen = []

    async def script(served, reader, writer):
        while True:
            seen.append(await served.body(reader, await served.request(reader)))
            writer.write(OK)

    async with proxied(script) as world:
        assert (await world.ask(method=b"POST", body=b"abc")).status == 200
        chunked = b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        assert (await world.raw(b"PUT / HTTP/1.1\r\n" + HOST + BEARER + chunked)).status == 200
        assert (await world.ask(method=b"POST")).status == 200
        assert (await world.ask(method=b"POST", body=b"x" * MIB)).status == 200
        assert (seen[:3], len(seen[3])) == ([b"abc", b"abcdef", b""], MIB)
        assert world.served.connections == 1


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"X-Folded: a\r\n b\r\n",
        b"X-Blank : a\r\n",
        b"X-Nul: a\0b\r\n",
        b"X-Cr: a\rb\r\n",
    ],
)
async def test_ambiguous_framing_is_refused(framing):
    async with proxied() as world:
        request = b"POST /public HTTP/1.1\r\n" + HOST + framing + b"\r\n3\r\nabc\r\n0\r\n\r\n"
        assert (await world.raw(request)).status == 400
        assert world.served.requests == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_length_beside_chunks_smuggles_nothing(order):
    both = (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n")
    async with proxied() as world:
        wire = await world.connect()
        wire.send(b"POST /public HTTP/1.1\r\n" + HOST + both[order[0]] + both[order[1]] + b"\r\n0\r\n\r\n")
        wire.send(b"GET /smuggled HTTP/1.1\r\n" + HOST + BEARER + b"\r\n")
        assert (await wire.answer()).status == 400
        assert await wire.is_closed()
        assert not [
            request for request in world.served.requests if b"smuggled" in request or b"content-length" in request
        ]


async def test_broken_chunks_end_the_exchange_with_the_upstream():
    async with proxied() as world:
        wire = await world.connect()
        framing = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n"
        wire.send(b"POST /public HTTP/1.1\r\n" + HOST + framing)
        assert problem(await wire.answer()) == (400, Reason.REQUEST_FRAMING_INVALID)
        assert (world.pool.idle, world.pool.in_use) == (0, 0)


async def test_expect_is_answered_here_and_not_asked_of_the_upstream():
    async with proxied() as world:
        wire = await world.connect()
        wire.send(b"POST / HTTP/1.1\r\n" + HOST + BEARER + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert (await wire.answer()).status == 100
        wire.send(b"abc")
        assert (await wire.answer()).status == 200
        assert world.got(b"expect") == []


async def test_refused_request_is_answered_without_its_body():
    async with proxied() as world:
        wire = await world.connect()
        wire.send(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert (await wire.answer()).status == 401
        assert await wire.is_closed()
        assert world.served.requests == []


# ── what reaches the client ──


async def test_answer_of_a_protected_route_is_private():
    async with proxied() as world:
        for target in (b"/", b"/optional"):
            answer = await world.ask(target)
            assert (answer["cache-control"], answer["vary"]) == ("private", "Cookie, Authorization")
        answer = await world.ask(b"/public")
        assert (answer.all("cache-control"), answer.all("vary")) == ([], [])


async def test_what_the_upstream_says_of_caching_stands():
    script = answers(HEAD + b"Cache-Control: public, max-age=9\r\nVary: Accept\r\ncontent-length: 0\r\n\r\n")
    async with proxied(script) as world:
        answer = await world.ask()
        assert answer["cache-control"] == "public, max-age=9"
        assert answer.all("vary") == ["Accept", "Cookie, Authorization"]


async def test_answer_that_carries_a_fresh_session_is_never_stored():
    caching = b"Cache-Control: public\r\nCDN-Cache-Control: max-age=9\r\nExpires: Thu, 01 Dec 2033 16:00:00 GMT\r\n"
    async with proxied(answers(HEAD + caching + b"Set-Cookie: a=1\r\ncontent-length: 0\r\n\r\n")) as world:
        cookies = cookie(f"{NAMES.session}={expired()}", f"{NAMES.client_uat}=1700000000", f"{NAMES.refresh}=rt_1")
        answer = await world.raw(b"GET / HTTP/1.1\r\n" + HOST + cookies + b"\r\n")
        assert answer.status == 200
        assert answer["cache-control"] == "no-store"
        assert (answer.all("cdn-cache-control"), answer.all("expires")) == ([], [])
        plain, *ours = answer.all("set-cookie")
        assert plain == "a=1"
        assert {directive.partition("=")[0] for directive in ours} >= {NAMES.session}
        assert world.got(b"x-session-user-id") == [b"user_1"]
        assert world.got(b"cookie") == []


async def test_upstream_cannot_set_our_cookies_or_order_proxies_about():
    ours = b"".join(b"Set-Cookie: %b=evil; Path=/\r\n" % name.encode() for name in sorted(NAMES.private))
    others = b"Set-Cookie: a=1\r\nset-cookie: __sessions=2; Path=/\r\n"
    orders = b"X-Accel-Redirect: /etc\r\nX-Middleware-Next: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
    async with proxied(answers(HEAD + ours + others + orders + b"content-length: 0\r\n\r\n")) as world:
        answer = await world.ask()
        assert answer.all("set-cookie") == ["a=1", "__sessions=2; Path=/"]
        assert b"evil" not in repr(answer.headers).encode()
        assert not {"x-accel-redirect", "x-middleware-next", "x-hop", "keep-alive"} & {
            name for name, _ in answer.headers
        }


@pytest.mark.parametrize(
    ("method", "answer", "status", "length"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200, ["5"]),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200, []),
        (b"GET", b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", 204, []),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: x\r\n\r\n", 304, ["5"]),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", 304, []),
    ],
)
async def test_answers_without_body_leave_the_connection_in_step(method, answer, status, length):
    async with proxied(answers(answer)) as world:
        wire = await world.connect()
        for _ in range(2):
            wire.send(method + b" /public HTTP/1.1\r\n" + HOST + b"\r\n")
            got = await wire.answer(is_head=method == b"HEAD")
            assert (got.status, got.all("content-length")) == (status, length)


async def test_streams_flow_unbuffered():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(HEAD + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        while await served.steps.get():
            writer.write(b"5\r\nevent\r\n")
        writer.write(b"0\r\nx-session-id: evil\r\n\r\n")
        await reader.read()

    async with proxied(script, replace(LIMITS, idle_s=5)) as world:
        world.served.steps = steps = asyncio.Queue()
        wire = await world.connect()
        wire.send(b"GET /public HTTP/1.1\r\n" + HOST + b"\r\n")
        head = await wire.reader.readuntil(b"\r\n\r\n")
        assert b"text/event-stream" in head
        for _ in range(3):
            steps.put_nowait(True)
            assert await wire.reader.readexactly(10) == b"5\r\nevent\r\n"
        steps.put_nowait(False)
        assert await wire.reader.readexactly(5) == b"0\r\n\r\n"


# ── upstreams that fail ──


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"", 502, Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 200 OK\r\ncont", 502, Reason.UPSTREAM_TRUNCATED),
        (b"nonsense\r\n\r\n", 502, Reason.UPSTREAM_PROTOCOL_ERROR),
        (b"HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", 502, Reason.UPSTREAM_PROTOCOL_ERROR),
        (HEAD + b"x: " + b"y" * 70000, 502, Reason.UPSTREAM_PROTOCOL_ERROR),
    ],
)
async def test_upstream_that_fails_is_a_bad_gateway(sent, status, reason):
    async with proxied(answers(sent, then_close=True)) as world:
        answer = await world.ask()
        assert problem(answer) == (status, reason)
        assert answer["cache-control"] == "no-store"
        assert world.journal.entry.reason == reason
        assert world.journal.entry.detail


async def test_dead_upstream_is_a_bad_gateway():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        app, pool = proxy_to(f"http://127.0.0.1:{bound.getsockname()[1]}")
        async with listening(app) as port, upstream(answers(OK)) as unused:
            world = World(port, unused, pool, Pages(), app)
            assert problem(await world.ask()) == (502, Reason.UPSTREAM_UNREACHABLE)
            assert pool.in_use == 0
            world.close()


async def test_silent_upstream_is_a_gateway_timeout():
    async with proxied(silent) as world:
        assert problem(await world.ask()) == (504, Reason.UPSTREAM_TIMEOUT)


async def test_busy_upstream_is_said_with_a_time_to_come_back():
    async with proxied(silent, replace(LIMITS, connections=1, first_byte_s=5)) as world:
        first = await world.connect()
        first.send(b"GET /public HTTP/1.1\r\n" + HOST + b"\r\n")
        await until(lambda: world.pool.in_use)
        answer = await world.ask()
        assert problem(answer) == (503, Reason.UPSTREAM_OVERLOADED)
        assert int(answer["retry-after"]) > 0
        assert (await world.ask(b"/.gateway/healthz")).status == 200
        first.writer.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"content-length: 9\r\n\r\nhell",
        b"transfer-encoding: chunked\r\n\r\n4\r\nhell\r\n",
    ],
)
@pytest.mark.parametrize("then_close", [True, False])
async def test_answer_that_breaks_off_is_broken_off_for_the_client(begun, then_close):
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(HEAD + begun)
        await (served.go.wait() if then_close else reader.read())

    async with proxied(script) as world:
        world.served.go = asyncio.Event()
        wire = await world.connect()
        wire.send(b"GET /public HTTP/1.1\r\n" + HOST + b"\r\n")
        await until(lambda: world.served.requests and world.pool.in_use)
        task = asyncio.create_task(wire.answer())
        await asyncio.sleep(0.05)
        world.served.go.set()
        answer = await task
        assert (answer.status, answer.body, answer.is_whole) == (200, b"hell", False)
        assert await wire.is_closed()
        await until(lambda: world.journal.entries)
        reason = Reason.UPSTREAM_TRUNCATED if then_close else Reason.UPSTREAM_TIMEOUT
        assert (world.journal.entry.status, world.journal.entry.reason) == (200, reason)


async def test_early_answer_is_passed_on():
    early = b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig"

    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(early)
        await reader.read()

    async with proxied(script) as world:
        wire = await world.connect()
        wire.send(b"POST /public HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\nabc")
        answer = await wire.answer()
        assert (answer.status, answer.body) == (413, b"big")
        await asyncio.wait_for(world.served.is_left.wait(), 5)
        assert world.pool.idle == 0


async def test_client_that_stops_sending_is_told():
    async with proxied(silent, replace(LIMITS, first_byte_s=5)) as world:
        wire = await world.connect()
        wire.send(b"POST /public HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
        assert problem(await wire.answer()) == (408, Reason.REQUEST_TIMEOUT)


# ── clients that go ──


@pytest.mark.parametrize("request_", [b"GET", b"POST"])
async def test_client_gone_ends_the_work_of_the_upstream(request_):
    length = b"Content-Length: 10\r\n\r\nabc" if request_ == b"POST" else b"\r\n"
    async with proxied(silent, replace(LIMITS, first_byte_s=30, idle_s=30)) as world:
        wire = await world.connect()
        wire.send(request_ + b" /public HTTP/1.1\r\n" + HOST + length)
        await until(lambda: world.served.requests)
        wire.writer.close()
        await asyncio.wait_for(world.served.is_left.wait(), 5)
        await until(lambda: world.journal.entries)
        assert "the client went away" in world.journal.entry.detail


@pytest.mark.parametrize("goes", [True, False])
async def test_client_that_reads_nothing_holds_no_upstream_connection(goes):
    sent = 0

    async def script(served, reader, writer):
        nonlocal sent
        await served.request(reader)
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(64):
            writer.write(b"x" * MIB)
            await writer.drain()
            sent += MIB

    async with proxied(script, replace(LIMITS, idle_s=30 if goes else 0.5)) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=1024)
        writer.write(b"GET /public HTTP/1.1\r\n" + HOST + b"\r\n")
        assert await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        await until(lambda: sent)
        if goes:
            writer.transport.abort()
        await asyncio.wait_for(world.served.is_left.wait(), 5)
        await until(lambda: world.journal.entries)
        assert world.journal.entry.detail == "the client went away"
        assert sent < 32 * MIB
        writer.transport.abort()


# ── servers other than ours ──


@pytest.fixture
def app() -> Proxy:
    return proxy_to("http://127.0.0.1:1")[0]


async def called(app: Proxy, scope: dict, *received: dict) -> Recorder:
    wire = Recorder(*received)
    await app(scope, wire.receive, wire.send)
    return wire


@pytest.mark.parametrize(
    "headers",
    [
        (("content-length", "3"), ("transfer-encoding", "chunked")),
        (("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")),
        (("content-length", "3"), ("content-length", "4")),
        (("content-length", "-3"),),
        (("content-length", "9" * 5000),),
        (("content-length", ""),),
        (("x", "a\r\nx-session-user-id: mallory"),),
    ],
)
async def test_framing_that_a_server_let_through_is_refused(app, headers):
    wire = await called(app, scope_of("/public", *headers, method="POST"))
    assert (wire.status, wire.problem["reason"]) == (400, Reason.REQUEST_FRAMING_INVALID)


@pytest.mark.parametrize("query", [b"a b", b"a\r\nx: y", b"\x00", b"a\x7f"])
async def test_query_that_would_break_the_request_line_is_refused(app, query):
    wire = await called(app, scope_of("/public", query=query))
    assert (wire.status, wire.problem["reason"]) == (400, Reason.REQUEST_TARGET_INVALID)


async def test_body_of_http2_without_a_length_is_forwarded_in_chunks():
    seen = []

    async def script(served, reader, writer):
        while True:
            seen.append(await served.body(reader, await served.request(reader)))
            writer.write(OK)

    async with upstream(script) as served:
        app, pool = proxy_to(served.origin)
        body = {"type": "http.request", "body": b"abc", "more_body": False}
        wire = await called(app, scope_of("/public", method="POST", http_version="2"), body)
        assert (wire.status, wire.body, seen) == (200, b"ok", [b"abc"])
        wire = await called(app, scope_of("/public", http_version="2"))
        assert wire.status == 200
        assert b"transfer-encoding" not in served.requests[-1]
        await pool.close()


async def test_fault_of_ours_is_a_500_without_details(app, caplog):
    async def receive():
        raise RuntimeError("s3cret")

    async with upstream(silent) as served:
        app, pool = proxy_to(served.origin)
        wire = Recorder()
        with caplog.at_level(logging.ERROR):
            await app(scope_of("/public", ("content-length", "3"), method="POST"), receive, wire.send)
        assert (wire.status, wire.problem["reason"]) == (500, Reason.UNEXPECTED_ERROR)
        assert b"s3cret" not in wire.body
        assert "forwarding a request failed" in caplog.text
        assert pool.in_use == 0


async def test_websocket_is_refused_with_its_reason(app):
    extensions = {"websocket.http.response": {}}
    wire = await called(app, websocket_scope("/", extensions=extensions))
    assert wire.status == 401


async def test_shutdown_closes_the_connections():
    async with upstream(answers(OK)) as served:
        app, pool = proxy_to(served.origin)
        assert (await called(app, scope_of("/public"))).status == 200
        assert pool.idle == 1
        wire = await called(app, {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
        assert [message["type"] for message in wire.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert pool.idle == 0
