"""What routes say of other origins and of sizes holds in the middleware as well."""

import json

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from gateway.core.settings_model import Access, CorsSettings, RouteSettings
from gateway.errors import UpstreamError
from tests.authenticator.engine_kit import mint
from tests.surfaces.surfaces_kit import Wire, gate_of, middleware_of, scope_of

PAGE = ("origin", "https://app.example.com")
CORS = CorsSettings(origins=("https://app.example.com",))
BOUNDED = RouteSettings(path="/", access=Access.PUBLIC, max_body_bytes=4, cors=CORS)


async def echo(request):
    return PlainTextResponse(await request.body(), headers={"access-control-allow-origin": "*"})


APP = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])])


def pieces(*bodies: bytes) -> tuple[dict, ...]:
    last = {"type": "http.request", "body": b"", "more_body": False}
    return (*({"type": "http.request", "body": body, "more_body": True} for body in bodies), last)


async def ask(app: object, route: RouteSettings, *headers: tuple[str, str], method: str = "GET", received=()) -> Wire:
    wire = Wire(*received)
    await middleware_of(app, gate_of(route))(scope_of("/a", *headers, method=method), wire.receive, wire.send)
    return wire


async def test_a_preflight_is_answered_in_the_applications_place():
    asks = ("access-control-request-method", "POST")
    wire = await ask(APP, RouteSettings(path="/", cors=CORS), PAGE, asks, method="OPTIONS")
    assert (wire.status, wire.headers["access-control-allow-origin"]) == (204, PAGE[1])


async def test_refusals_and_answers_of_the_application_carry_our_headers_for_allowed_origins():
    signed_in = ("authorization", f"Bearer {mint()}")
    for headers, status in (((), 401), ((signed_in,), 200)):
        wire = await ask(APP, RouteSettings(path="/", cors=CORS), PAGE, *headers)
        assert wire.status == status
        assert wire.headers.get_list("access-control-allow-origin") == [PAGE[1]]
        wire = await ask(APP, RouteSettings(path="/", cors=CORS), ("origin", "https://evil.example"), *headers)
        assert (wire.status, wire.headers.get_list("access-control-allow-origin")) == (status, [])


fastapi = FastAPI()


@fastapi.post("/a")
async def read(request: Request) -> JSONResponse:
    return JSONResponse((await request.body()).decode())


@fastapi.put("/a")
async def parse(document: dict[str, str]) -> dict[str, str]:
    return document


async def catches(scope, receive, send):
    try:
        await receive()
        await receive()
    except UpstreamError:
        await PlainTextResponse("a framework's own words", 400)(scope, receive, send)


async def plain(scope, receive, send):
    while (await receive())["more_body"]:
        pass
    await PlainTextResponse("ok")(scope, receive, send)


@pytest.mark.parametrize(
    ("app", "method"),
    [(APP, "POST"), (fastapi, "POST"), (fastapi, "PUT"), (catches, "POST"), (plain, "POST")],
    ids=["Starlette", "FastAPI", "FastAPI with a model", "catches it", "plain"],
)
@pytest.mark.parametrize("says", [True, False])
async def test_a_body_that_is_too_long_is_413_whatever_the_framework_makes_of_it(app, method, says):
    length = (("content-length", "5"),) if says else ()
    kind = ("content-type", "application/json")
    wire = await ask(app, BOUNDED, PAGE, kind, *length, method=method, received=pieces(b'{"a"', b":1}"))
    assert (wire.status, json.loads(wire.body)["reason"]) == (413, "request-body-too-large")
    assert wire.headers["access-control-allow-origin"] == PAGE[1]


async def test_a_body_within_the_bound_arrives_whole():
    wire = await ask(APP, BOUNDED, method="POST", received=pieces(b"12", b"34"))
    assert (wire.status, wire.body) == (200, b"1234")


async def test_an_answer_that_has_begun_is_broken_off():
    async def hasty(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    with pytest.raises(UpstreamError):
        await ask(hasty, BOUNDED, method="POST", received=pieces(b"12345"))
