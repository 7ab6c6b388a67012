"""The story that a person lives through, and what the application behind the middleware gets to see."""

import asyncio
import base64
import json

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount

from gateway.assemble import SessionMiddleware
from gateway.core.instance import InstanceKind
from gateway.core.requirement import Requirement
from gateway.core.settings_model import Access, OnSignedOut, RefreshSettings, RouteSettings
from gateway.surfaces.middleware import GateMiddleware
from tests.authenticator.engine_kit import mint
from tests.surfaces.surfaces_kit import (
    AUTHORITY,
    FETCH,
    GATEWAY,
    PAGE,
    Browser,
    Pages,
    Seen,
    Wire,
    World,
    echo_app,
    gate_of,
    middleware_of,
    scope_of,
    settings_of,
    websocket_scope,
)

LIFE_S = 60 + 10  # of a token, and what clocks may differ

KINDS = pytest.mark.parametrize(
    ("kind", "public"),
    [
        (InstanceKind.DEVELOPMENT, GATEWAY),
        (InstanceKind.PRODUCTION, GATEWAY),
        (InstanceKind.PRODUCTION, "https://127.0.0.1:8000"),
    ],
    ids=["development", "production", "production behind TLS"],
)


# The story


async def test_the_first_visit_goes_by_the_handshake_to_the_sign_in_page_and_back(world: World):
    browser = world.browser
    page = await browser.visit("/a?x=1&y=%20z")
    assert browser.reasons == ["dev-browser-missing", "session-token-missing", "session-token-and-uat-missing"]
    assert str(page.request.url).startswith(f"{AUTHORITY}/sign-in?")

    answer = await browser.sign_in(page, world.ada, world.organization())
    assert str(answer.request.url) == f"{GATEWAY}/a?x=1&y=%20z"
    seen = Seen.of(answer)
    assert (seen.user, seen.organization) == (world.ada, "acme")
    assert seen.identity["x-session-user-id"] == world.ada
    assert seen.identity["x-session-id"] == seen.session
    assert seen.identity["x-session-org-slug"] == "acme"
    assert seen.identity["x-session-status"] == "signed-in"


@KINDS
async def test_the_whole_story_on_both_kinds_of_instance(make_world, kind, public):
    world = make_world(kind=kind, public=public)
    browser, session_cookie = world.browser, world.names.session

    # first visit → sign-in → signed in
    page = await browser.visit("/page")
    assert "session-token-and-uat-missing" in browser.reasons
    answer = await browser.sign_in(page, world.ada, world.organization())
    first = Seen.of(answer)
    assert (first.user, first.organization) == (world.ada, "acme")
    old = browser.jar[session_cookie]

    # the token expires → refreshed, for GET and for POST: new cookies on the same answer, the new identity to the app
    for method in ("GET", "POST"):
        world.clock.advance(LIFE_S)
        answer = await browser.fetch(method, "/api")
        assert Seen.of(answer).identity == first.identity
        assert session_cookie in ",".join(answer.headers.get_list("set-cookie"))
        assert browser.jar[session_cookie] != old
        old = browser.jar[session_cookie]
    assert world.api.count("/refresh") == 2
    assert "set-cookie" not in (await browser.fetch("GET", "/api")).headers

    # the session is revoked → after expiry the refresh is refused
    await world.call("POST", f"/v1/sessions/{first.session}/revoke")
    assert Seen.of(await browser.fetch("GET", "/api")).user == world.ada
    world.clock.advance(LIFE_S)
    refused = await browser.fetch("POST", "/api")
    assert refused.status_code == 401
    assert refused.json()["reason"] == "session-token-expired-refresh-session_refresh_inactive_session"

    # the browser goes by the handshake to the sign-in page
    page = await browser.visit("/page")
    assert browser.reasons[0] == "session-token-expired-refresh-session_refresh_inactive_session"
    assert str(page.request.url).startswith(f"{AUTHORITY}/sign-in?")
    assert session_cookie not in browser.jar


@KINDS
async def test_cookies_are_secure_exactly_where_the_browser_comes_by_https(make_world, kind, public):
    browser = await make_world(kind=kind, public=public).signed_in()
    ours = [hop for hop in browser.hops if str(hop.request.url).startswith(GATEWAY)]
    directives = [directive for hop in ours for directive in hop.headers.get_list("set-cookie")]
    assert directives
    assert {"Secure" in directive for directive in directives} == {public.startswith("https")}


async def test_a_new_organization_in_a_refreshed_token_is_the_one_that_the_application_sees(world: World):
    browser = await world.signed_in()
    before = Seen.of(await browser.fetch("GET", "/api"))
    assert before.organization is None
    realm = world.authority.realm
    with realm.database.transaction():
        realm.database.write(
            "UPDATE sessions SET last_active_organization_id = :organization WHERE id = :id",
            {"organization": world.organization(), "id": before.session},
        )
    world.clock.advance(LIFE_S)
    after = Seen.of(await browser.fetch("GET", "/api"))
    assert (after.session, after.organization) == (before.session, "acme")
    assert after.identity["x-session-org-slug"] == "acme"


async def test_what_a_request_carries_reaches_the_application_through_a_refresh(world: World):
    browser = await world.signed_in()
    world.clock.advance(LIFE_S)
    answer = await browser.send("POST", "/api/items", FETCH, data={"name": "x"})
    seen = Seen.of(answer)
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/items", "name=x")
    assert answer.headers.get_list("set-cookie")


async def test_two_hundred_parallel_requests_with_one_expired_token_make_one_refresh(world: World):
    browser = await world.signed_in()
    world.clock.advance(LIFE_S)
    cookies = browser.jar.header()

    async def ask() -> httpx.Response:
        one = Browser(world.app, world.authority, world.clock)
        return await one.send("GET", "/api", FETCH | {"cookie": cookies})

    answers = await asyncio.gather(*(ask() for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({tuple(answer.headers.get_list("set-cookie")) for answer in answers}) == 1
    late = await ask()
    assert late.headers.get_list("set-cookie") == answers[0].headers.get_list("set-cookie")
    assert world.api.count("/refresh") == 1


async def test_refresh_can_be_switched_off_and_limited_to_methods(make_world):
    limited = make_world(refresh=RefreshSettings(methods=("GET",)))
    browser = await limited.signed_in()
    limited.clock.advance(LIFE_S)
    refused = await browser.fetch("POST", "/api")
    assert refused.json()["reason"] == "session-token-expired-refresh-non-eligible-non-get"
    Seen.of(await browser.fetch("GET", "/api"))

    off = make_world(refresh=RefreshSettings(enabled=False))
    browser = await off.signed_in()
    off.clock.advance(LIFE_S)
    refused = await browser.fetch("GET", "/api")
    assert refused.json()["reason"] == "session-token-expired-refresh-not-configured"
    assert off.api.count("/refresh") == 0


async def test_a_browser_that_keeps_no_cookies_is_stopped_after_three_handshakes(world: World):
    headers = PAGE | {"cookie": "__clerk_redirect_count=2"}
    answer = await Browser(world.app, world.authority, world.clock).send("GET", "/page", headers)
    assert answer.status_code == 307
    assert "__clerk_redirect_count=3; Path=/; Max-Age=2; HttpOnly" in answer.headers["set-cookie"]
    headers["cookie"] = "__clerk_redirect_count=3"
    answer = await Browser(world.app, world.authority, world.clock).send("GET", "/page", headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "We could not renew your session" in answer.text
    assert answer.headers["x-clerk-auth-reason"] == "dev-browser-missing"
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_a_used_nonce_is_asked_for_once_and_does_no_harm_to_a_session(world: World):
    browser = await world.signed_in()
    (nonce_hop,) = [hop for hop in browser.hops if b"__clerk_handshake_nonce" in hop.request.url.query]
    asked = world.api.count("/handshake_payload")
    for _ in range(3):
        answer = await browser.visit(str(nonce_hop.request.url))
        assert Seen.of(answer).user == world.ada
    assert world.api.count("/handshake_payload") == asked


# Bearer tokens


async def test_a_good_bearer_token_passes_and_is_verified_with_one_key_load(world: World):
    token = await world.bearer_token()
    answers = [await world.other.fetch("POST", "/api", authorization=f"Bearer {token}") for _ in range(5)]
    assert {Seen.of(answer).user for answer in answers} == {world.ada}
    assert world.api.count("/jwks") == 1


async def test_a_bearer_token_beats_the_cookies(world: World):
    browser = await world.signed_in()
    answer = await browser.fetch("GET", "/api", authorization="Bearer x.y.z")
    assert (answer.status_code, answer.json()["reason"]) == (401, "token-invalid")


async def test_without_a_token_a_program_gets_401_and_a_reason(world: World):
    answer = await world.other.send("GET", "/api", {"accept": "*/*"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer realm="gateway"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-clerk-auth-status"] == "signed-out"
    assert answer.json()["reason"] == answer.headers["x-clerk-auth-reason"] == "dev-browser-missing"


async def test_an_expired_bearer_token_is_401_and_says_so(world: World):
    token = await world.bearer_token()
    world.clock.advance(LIFE_S)
    answer = await world.other.fetch("GET", "/api", authorization=f"Bearer {token}")
    assert answer.status_code == 401
    assert answer.json()["reason"] == "session-token-expired-refresh-non-eligible-no-refresh-cookie"
    assert answer.headers["www-authenticate"].startswith('Bearer realm="gateway", error="invalid_token"')


def forge(token: str, **claims: object) -> str:
    header, payload, signature = token.split(".")
    read = json.loads(base64.urlsafe_b64decode(payload + "=="))
    written = base64.urlsafe_b64encode(json.dumps(read | claims).encode()).rstrip(b"=").decode()
    return f"{header}.{written}.{signature}"


async def test_a_forged_bearer_token_is_401_and_never_reaches_the_application(world: World):
    token = await world.bearer_token()
    answer = await world.other.fetch("GET", "/api", authorization=f"Bearer {forge(token, sub='user_admin')}")
    assert (answer.status_code, answer.json()["reason"]) == (401, "token-invalid-signature")
    unsigned = ".".join([*token.split(".")[:2], ""])
    answer = await world.other.fetch("GET", "/api", authorization=f"Bearer {unsigned}")
    assert (answer.status_code, answer.json()["reason"]) == (401, "token-invalid")


async def test_a_token_of_a_template_is_no_session(world: World):
    session = (await world.call("POST", "/v1/sessions", user_id=world.ada)).json()
    token = (await world.call("POST", f"/v1/sessions/{session['id']}/tokens/custom_hasura")).json()["jwt"]
    answer = await world.other.fetch("GET", "/api", authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json()["reason"]) == (401, "token-type-mismatch")


async def test_a_token_of_another_kind_of_instance_is_refused(make_world):
    token = await make_world().bearer_token()
    answer = await make_world(kind=InstanceKind.PRODUCTION).other.fetch("GET", "/api", authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json()["reason"]) == (401, "jwk-kid-mismatch")


# Access and what signed-out requests get


ROUTES = (
    RouteSettings(path="/", access=Access.REQUIRED),
    RouteSettings(path="/public", access=Access.PUBLIC),
    RouteSettings(path="/optional", access=Access.OPTIONAL),
    RouteSettings(path="/redirect", on_signed_out=OnSignedOut.REDIRECT),
    RouteSettings(path="/api", on_signed_out=OnSignedOut.UNAUTHORIZED),
)


async def test_a_public_route_asks_nobody_and_shows_nobody(make_world):
    world = make_world(*ROUTES)
    browser = await world.signed_in()
    calls = list(world.api.calls)
    for asking, headers in ((world.other, PAGE), (browser, PAGE), (world.other, {"authorization": "Bearer junk"})):
        seen = Seen.of(await asking.send("GET", "/public/page", headers))
        assert seen.user is None
        assert seen.identity == {"x-session-status": "signed-out"}
    assert world.api.calls == calls


async def test_an_optional_route_shows_who_is_signed_in_and_lets_others_pass(make_world):
    world = make_world(*ROUTES, kind=InstanceKind.PRODUCTION)
    nobody = Seen.of(await world.other.send("GET", "/optional"))
    assert (nobody.user, nobody.identity) == (None, {"x-session-status": "signed-out"})
    browser = await world.signed_in()
    assert Seen.of(await browser.send("GET", "/optional")).user == world.ada
    bad = Seen.of(await world.other.fetch("GET", "/optional", authorization="Bearer junk"))
    assert (bad.user, bad.identity) == (None, {"x-session-status": "signed-out"})


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/page", PAGE, 307),
        ("/page", FETCH, 401),
        ("/redirect", PAGE, 307),
        ("/redirect", FETCH, 307),
        ("/api", PAGE, 401),
        ("/api", FETCH, 401),
    ],
    ids=lambda value: value.get("sec-fetch-dest") if isinstance(value, dict) else str(value),
)
async def test_what_a_signed_out_request_gets_is_the_routes_choice(make_world, path, headers, status):
    world = make_world(*ROUTES, kind=InstanceKind.PRODUCTION)
    answer = await world.other.send("GET", path, headers)
    assert answer.status_code == status
    if status == 307:
        assert answer.headers["location"].startswith(f"{AUTHORITY}/sign-in?redirect_url=http%3A%2F%2F127.0.0.1%3A8000")
        assert answer.headers["cache-control"] == "no-store"


async def test_a_post_is_never_redirected(make_world):
    world = make_world(*ROUTES, kind=InstanceKind.PRODUCTION)
    for path in ("/page", "/redirect", "/api"):
        assert (await world.other.send("POST", path)).status_code == 401


# Identity headers

# What a route asks for


async def test_a_route_asks_for_a_role_of_the_active_organization(make_world):
    world = make_world(RouteSettings(), RouteSettings(path="/admin", require=Requirement(role="org:admin")))
    browser = await world.signed_in()
    refused = await browser.visit("/admin")
    assert (refused.status_code, refused.headers["x-clerk-auth-reason"]) == (403, "missing-role")
    assert refused.headers["content-type"].startswith("text/html")
    assert "Switch to another organization" in refused.text
    assert [hop.status_code for hop in browser.hops] == [403]

    other = world.other
    page = await other.visit("/admin")
    answer = await other.sign_in(page, world.ada, world.organization())
    assert (Seen.of(answer).path, Seen.of(answer).identity["x-session-org-role"]) == ("/admin", "org:admin")


async def test_the_application_sees_who_impersonates_the_user():
    app = middleware_of(echo_app(), gate_of())
    headers = {"authorization": f"Bearer {mint(act={'sub': 'user_9'})}", "x-session-actor": "nobody"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://app.example.test") as client:
        seen = Seen.of(await client.get("/page", headers=headers))
    assert (seen.user, seen.identity["x-session-actor"]) == ("user_1", "user_9")


FORGED = [
    ("x-session-user-id", "user_admin"),
    ("x-session-org-id", "org_evil"),
    ("x_session_user_id", "user_admin"),
    ("x-session_user-id", "user_admin"),
    ("x.session.user.id", "user_admin"),
    ("x-session-anything", "1"),
    ("X-Session-User-Id", "user_admin"),
    ("X_SESSION-STATUS", "signed-in"),
    ("x-clerk-auth-status", "signed-in"),
    ("x-clerk-auth-token", "x"),
    ("x-middleware-subrequest", "x"),
    ("x-original-url", "/public"),
    ("x-rewrite-url", "/public"),
]


@pytest.mark.parametrize("path", ["/page", "/public", "/optional"])
async def test_identity_headers_of_a_client_never_reach_the_application(make_world, path):
    world = make_world(*ROUTES)
    token = await world.bearer_token()
    headers = [*FORGED, *FORGED, ("authorization", f"Bearer {token}"), ("connection", "close, x-session-user-id")]
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url=GATEWAY) as client:
        seen = Seen.of(await client.get(path, headers=headers))
    assert seen.user == (None if path == "/public" else world.ada)
    allowed = {"x-session-status"} if path == "/public" else {"x-session-status", "x-session-user-id", "x-session-id"}
    assert set(seen.identity) == allowed
    forged = {name.lower() for name, _ in FORGED} - allowed
    assert not forged & {name.lower() for name, _ in seen.headers}
    assert "user_admin" not in json.dumps(seen.headers)


async def test_header_names_that_a_server_did_not_lower_are_stripped_too():
    wire = Wire()
    app = middleware_of(echo_app(), gate_of(RouteSettings(access=Access.PUBLIC)))
    await app(scope_of("/x", ("X-SESSION-User-Id", "user_admin"), ("X-Session_Id", "s")), wire.receive, wire.send)
    names = {name.lower() for name, _ in json.loads(wire.body)["headers"]}
    assert names == {"host", "x-session-status"}


async def test_a_server_may_give_the_headers_as_lists_of_two():
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["headers"], scope["state"]["session"].user_id))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = scope_of("/x", ("authorization", f"Bearer {mint()}"), ("x-other", "1"))
    scope["headers"] = [list(pair) for pair in scope["headers"]]
    await middleware_of(app, gate_of())(scope, Wire().receive, Wire().send)
    headers, user_id = seen[0]
    assert {type(pair) for pair in headers} == {tuple}
    assert ((b"x-other", b"1") in headers, user_id) == (True, "user_1")


# Paths


async def test_the_application_gets_the_path_that_was_judged():
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    middleware, wire = middleware_of(app, gate_of(RouteSettings(access=Access.PUBLIC))), Wire()
    for path in ("//a//%62", "/a/b", "/%c3%a9"):
        await middleware(scope_of(path), wire.receive, wire.send)
    await middleware(scope_of("/a b%", raw_path=...), wire.receive, wire.send)
    assert [(scope["path"], scope["raw_path"]) for scope in scopes] == [
        ("/a/b", b"/a/b"),
        ("/a/b", b"/a/b"),
        ("/é", b"/%C3%A9"),
        ("/a b%", b"/a%20b%25"),
    ]


@pytest.mark.parametrize("path", ["/sub/page", "/sub/", "/sub/static/x", "//sub/page", "/%73ub/page"])
async def test_mounted_applications_are_protected_too(world: World, path):
    world.app.app = Starlette(routes=[Mount("/sub", echo_app()), Mount("/", elsewhere)])
    token = await world.bearer_token()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app)) as client:
        assert (await client.get(GATEWAY + path)).status_code == 401
        answer = await client.get(GATEWAY + path, headers={"authorization": f"Bearer {token}"})
    assert Seen.of(answer).user == world.ada


async def test_the_middleware_also_works_inside_a_mounted_application(make_world):
    world = make_world(RouteSettings(path="/sub"), RouteSettings(path="/sub/open", access=Access.PUBLIC))
    app = Starlette(routes=[Mount("/sub", world.app), Mount("/", elsewhere)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=GATEWAY) as client:
        assert (await client.get("/sub/page")).status_code == 401
        assert Seen.of(await client.get("/sub/open/x")).path == "/sub/open/x"
        assert Seen.of(await client.get("/sub//open//x")).path == "/sub/open/x"
        assert (await client.get("/elsewhere")).status_code == 204


async def elsewhere(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


# State, failures, lifespan


async def test_the_state_of_the_lifespan_is_there_and_not_changed():
    state, wire = {"pool": 1}, Wire()
    seen = []

    async def app(scope, receive, send):
        seen.append(dict(scope["state"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    middleware = middleware_of(app, gate_of())
    await middleware(scope_of("/", ("authorization", f"Bearer {mint()}"), state=state), wire.receive, wire.send)
    assert seen[0]["pool"] == 1
    assert seen[0]["session"].user_id == "user_1"
    assert state == {"pool": 1}


async def test_a_fault_of_the_application_stays_the_applications(world: World):
    transport = httpx.ASGITransport(world.app)
    token = await world.bearer_token()
    async with httpx.AsyncClient(transport=transport, base_url=GATEWAY) as client:
        with pytest.raises(RuntimeError, match="the application is broken"):
            await client.get("/fail", headers={"authorization": f"Bearer {token}"})


async def test_every_request_is_written_down_with_how_it_was_decided():
    journal = Pages()
    app = middleware_of(echo_app(), gate_of(RouteSettings(path="/"), RouteSettings(path="/api")), journal)
    token = ("authorization", f"Bearer {mint()}")
    for headers in ([token], [token], []):
        await app(scope_of("/api/x", *headers, query=b"secret=1"), Wire().receive, Wire().send)
    await app(scope_of("/x", ("host", "a b")), Wire().receive, Wire().send)
    assert [(entry.status, entry.route, entry.state, entry.reason, entry.how) for entry in journal.entries] == [
        (200, "/api", "signed-in", "", "signature"),
        (200, "/api", "signed-in", "", "cache"),
        (401, "/api", "signed-out", "session-token-and-uat-missing", "-"),
        (400, "", "signed-out", "request-host-invalid", "-"),
    ]
    assert [entry.path for entry in journal.entries] == ["/api/x", "/api/x", "/api/x", "/x"]
    assert journal.entries[3].detail == "host-invalid"
    assert all(entry.duration_ms >= 0 for entry in journal.entries)
    assert "secret" not in repr(journal.entries)


async def test_shutting_down_closes_the_wire_to_the_api(world: World):
    wire = Wire({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await world.bearer_token()
    assert not world.api.is_closed
    await world.app({"type": "lifespan", "state": {}}, wire.receive, wire.send)
    assert [message["type"] for message in wire.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert world.api.is_closed


async def test_an_application_that_fails_at_start_up_is_closed_all_the_same():
    closed = []

    async def app(scope, receive, send):
        raise RuntimeError("no database")

    async def close() -> None:
        closed.append(True)

    gate = gate_of()
    middleware = GateMiddleware(app, gate, middleware_of(app, gate)._namespace, Pages(), close)
    with pytest.raises(RuntimeError, match="no database"):
        await middleware({"type": "lifespan"}, Wire().receive, Wire().send)
    assert closed == [True]


# Frameworks


@pytest.mark.parametrize("framework", [FastAPI, Starlette])
async def test_it_protects_applications_of_both_frameworks(make_world, framework):
    world = make_world()
    app = framework()

    async def me(request: Request):
        return JSONResponse({"user": request.state.session.user_id})

    app.add_route("/me", me)
    settings = settings_of(world.authority)
    app.add_middleware(SessionMiddleware, settings=settings, clock=world.clock, transport=world.api)
    token = await world.bearer_token()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=GATEWAY) as client:
        assert (await client.get("/me")).status_code == 401
        answer = await client.get("/me", headers={"authorization": f"Bearer {token}"})
    assert answer.json() == {"user": world.ada}


async def test_a_fastapi_endpoint_finds_the_typed_session(world: World):
    app = FastAPI()

    @app.get("/me")
    async def me(request: Request) -> dict[str, str]:
        return {"user": request.state.session.user_id, "issuer": request.state.session.issuer}

    app.add_middleware(SessionMiddleware, settings=settings_of(world.authority), clock=world.clock, transport=world.api)
    token = await world.bearer_token()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=GATEWAY) as client:
        answer = await client.get("/me", headers={"authorization": f"Bearer {token}"})
    assert answer.json() == {"user": world.ada, "issuer": AUTHORITY}


# WebSockets


async def test_a_refused_websocket_gets_the_whole_answer_where_the_server_can():
    wire, journal = Wire(), Pages()
    app = middleware_of(echo_app(), gate_of(), journal)
    await app(websocket_scope("/ws", extensions={"websocket.http.response": {}}), wire.receive, wire.send)
    assert [message["type"] for message in wire.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert (wire.status, wire.problem["reason"]) == (401, "session-token-and-uat-missing")
    assert wire.headers["x-clerk-auth-status"] == "signed-out"
    assert journal.entry.status == 401


async def test_a_refused_websocket_is_closed_with_4401_where_the_server_cannot():
    for extensions in ({}, ...):
        wire, journal = Wire(), Pages()
        app = middleware_of(echo_app(), gate_of(), journal)
        await app(websocket_scope("/ws", extensions=extensions), wire.receive, wire.send)
        assert wire.sent == [{"type": "websocket.close", "code": 4401, "reason": "not signed in"}]
        assert journal.entry.status == 403


async def test_an_accepted_websocket_sees_the_session_and_only_our_identity_headers(world: World):
    token = await world.bearer_token()
    forged = (("x-session-user-id", "user_admin"), ("x_session_org_id", "org_evil"))
    wire = Wire({"type": "websocket.connect"})
    await world.app(websocket_scope("/ws", ("authorization", f"Bearer {token}"), *forged), wire.receive, wire.send)
    assert [message["type"] for message in wire.sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    seen = json.loads(wire.sent[1]["text"])
    assert seen["user"] == world.ada
    assert dict(seen["headers"])["x-session-user-id"] == world.ada
    assert "user_admin" not in json.dumps(seen)


async def test_a_websocket_with_an_expired_token_is_refreshed_and_gets_the_cookies_with_the_accept(world: World):
    browser = await world.signed_in()
    world.clock.advance(LIFE_S)
    wire = Wire({"type": "websocket.connect"})
    scope = websocket_scope("/ws", ("cookie", browser.jar.header()), ("host", "127.0.0.1:8000"), scheme="ws")
    await world.app(scope, wire.receive, wire.send)
    assert wire.sent[0]["type"] == "websocket.accept"
    assert any(value.startswith("__session") for value in wire.headers.get_list("set-cookie"))


async def test_an_application_that_denies_a_websocket_still_passes_the_refreshed_cookies_on(world: World):
    async def deny(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    browser = await world.signed_in()
    world.clock.advance(LIFE_S)
    wire = Wire()
    scope = websocket_scope("/ws", ("cookie", browser.jar.header()), ("host", "127.0.0.1:8000"), scheme="ws")
    world.app.app = deny
    await world.app(scope, wire.receive, wire.send)
    assert any(value.startswith("__session") for value in wire.headers.get_list("set-cookie"))
