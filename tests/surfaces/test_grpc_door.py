"""Envoy's questions by gRPC, over a real port: the decisions of the service, in Envoy's words."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import grpc
import grpc.aio
import pytest
from envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue, HeaderValueOption
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from envoy.type.v3.http_status_pb2 import StatusCode

from gateway.adapters.extras import grpc_fault
from gateway.assemble import proxy_app
from gateway.core.identity import IDENTITY_HEADERS
from gateway.core.original import Front
from gateway.core.reasons import TABLE, Reason
from gateway.core.requirement import Requirement
from gateway.core.settings_model import Access, Address, DecideSettings, RouteSettings
from gateway.surfaces.decide import DecisionService
from gateway.surfaces.gate import Gate
from gateway.surfaces.grpc_door import GrpcDoor, peer_of
from tests.authenticator.engine_kit import NAMES, Api, Clock, Keys, directives, expired, mint
from tests.surfaces.proxy_kit import settings_for
from tests.surfaces.surfaces_kit import Pages, gate_of

BEARER = ("authorization", f"Bearer {mint()}")
EVERY = {f"x-session-{name.lower()}" for name in IDENTITY_HEADERS}
ROUTES = (
    RouteSettings(path="/"),
    RouteSettings(path="/public", access=Access.PUBLIC),
    RouteSettings(path="/admin", require=Requirement(role="org:admin")),
)
LOCAL = ip_network("127.0.0.1/32")
HERE = Address("127.0.0.1", 0)


def question(path: str = "/page", *headers: tuple[str, str], method: str = "GET", without: str = "") -> CheckRequest:
    """What Envoy sends with ``encode_raw_headers``."""
    said = [(":method", method), (":path", path), (":authority", "app.example.test"), ("x-forwarded-proto", "https")]
    pairs = [pair for pair in (*said, *headers) if pair[0] != without]
    raw = HeaderMap(headers=[HeaderValue(key=name, raw_value=value.encode("latin-1")) for name, value in pairs])
    return CheckRequest(attributes=AttributeContext(request={"http": {"path": "/public", "header_map": raw}}))


Ask = Callable[[CheckRequest], grpc.aio.UnaryUnaryCall]


@asynccontextmanager
async def door(
    judging: Gate | None = None, trusted: object = LOCAL, journal: Pages | None = None
) -> AsyncIterator[Ask]:
    gate = judging or gate_of(*ROUTES, keys=Keys("key_1"))
    served = GrpcDoor(DecisionService(gate, (Front.ENVOY,), (trusted,)), HERE, journal, 100)
    served.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel:
            yield AuthorizationStub(channel).Check
    finally:
        await served.close()


def told(response: CheckResponse) -> tuple[int, str]:
    """The status that the client gets, and the reason."""
    if response.status.code == 0:
        assert response.WhichOneof("http_response") == "ok_response"
        return 200, ""
    assert response.WhichOneof("http_response") == "denied_response"
    headers = {option.header.key: option.header.value for option in response.denied_response.headers}
    return response.denied_response.status.code, headers["x-clerk-auth-reason"]


async def test_who_is_signed_in_passes_with_every_identity_header_in_the_place_of_the_clients():
    journal = Pages()
    async with door(journal=journal) as ask:
        response = await ask(question("/page?a=1", BEARER))
    assert told(response) == (200, "")
    options = list(response.ok_response.headers)
    found = {option.header.key: option.header.value for option in options}
    assert set(found) == EVERY
    assert (found["x-session-user-id"], found["x-session-org-id"]) == ("user_1", "")
    assert {option.append_action for option in options} == {HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD}
    assert all(option.keep_empty_value for option in options)
    assert not response.ok_response.response_headers_to_add
    assert (journal.entry.status, journal.entry.path, journal.entry.state) == (200, "/page", "signed-in")


async def test_cookies_of_a_renewed_session_go_to_the_browser():
    gate = gate_of(*ROUTES, keys=Keys("key_1"), api=Api(directives(mint())))
    cookies = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1; {NAMES.refresh}=r"
    async with door(gate) as ask:
        response = await ask(question("/page", ("cookie", cookies)))
    assert told(response) == (200, "")
    added = list(response.ok_response.response_headers_to_add)
    assert {option.header.key for option in added} == {"set-cookie"}
    assert NAMES.session in {option.header.value.partition("=")[0] for option in added}
    assert {option.append_action for option in added} == {HeaderValueOption.APPEND_IF_EXISTS_OR_ADD}


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        (question("/public"), 200, ""),
        (question("/page"), 401, Reason.SESSION_TOKEN_AND_UAT_MISSING),
        (question("/page", method="HEAD"), 401, Reason.SESSION_TOKEN_AND_UAT_MISSING),
        (question("/admin", BEARER), 403, Reason.MISSING_ROLE),
        (question("/page", BEARER, method="CONNECT"), 405, Reason.METHOD_NOT_ALLOWED),
        (question("/public/../page", BEARER), 400, Reason.REQUEST_TARGET_INVALID),
        (question("//public"), 400, Reason.ORIGINAL_REQUEST_INVALID),
        (question("/public\xff"), 400, Reason.REQUEST_TARGET_INVALID),
        (question("http://app.example.test/public"), 400, Reason.ORIGINAL_REQUEST_INVALID),
        (question("/.gateway/whoami", BEARER), 404, Reason.ROUTE_NOT_FOUND),
        (question("/page", ("cookie", "x" * 140_000)), 431, Reason.REQUEST_HEADERS_TOO_LARGE),
        (question("/public", (":path", "/page")), 400, Reason.ORIGINAL_REQUEST_CONTRADICTORY),
        (question("/public", ("host", "app.example.test")), 400, Reason.ORIGINAL_REQUEST_CONTRADICTORY),
        (question("/public", ("x-forwarded-host", "a")), 400, Reason.ORIGINAL_REQUEST_CONTRADICTORY),
        (question("/public", ("x-original-uri", "/public")), 400, Reason.ORIGINAL_REQUEST_CONTRADICTORY),
        *((question("/public", without=name), 400, Reason.ORIGINAL_REQUEST_MISSING) for name in (":path", ":method")),
        *(
            (question("/public", without=name), 400, Reason.ORIGINAL_REQUEST_MISSING)
            for name in (":authority", "x-forwarded-proto")
        ),
        (CheckRequest(), 400, Reason.ORIGINAL_REQUEST_MISSING),
        # Not raw: Envoy has mended what is no UTF-8, and forwards something else.
        (
            CheckRequest(
                attributes=AttributeContext(
                    request={"http": {"path": "/public", "method": "GET", "host": "a", "headers": {":path": "/public"}}}
                )
            ),
            400,
            Reason.ORIGINAL_REQUEST_MISSING,
        ),
    ],
)
async def test_every_question_gets_its_status_and_reason(asked, status, reason):
    async with door() as ask:
        assert told(await ask(asked)) == (status, reason)


async def test_refusal_is_whole_with_cookies_and_without_a_length():
    headers = (("accept", "text/html"), ("sec-fetch-dest", "document"))
    cookies = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1"
    async with door() as ask:
        page = (await ask(question("/admin", BEARER, *headers))).denied_response
        assert page.body.startswith("<!doctype html>")
        sent = (await ask(question("/page", ("cookie", cookies), *headers))).denied_response
        assert sent.status.code == 307
        options = {option.header.key: option for option in sent.headers}
        assert options["location"].header.value.startswith("https://clerk.")
        assert options["location"].append_action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        assert options["set-cookie"].append_action == HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
        assert len([option for option in sent.headers if option.header.key == "set-cookie"]) == 2
        assert "content-length" not in options


async def test_question_from_elsewhere_is_refused():
    async with door(trusted=ip_network("10.0.0.0/8")) as ask:
        assert told(await ask(question("/public"))) == (403, Reason.DECISION_PEER_REFUSED)


async def test_fault_of_ours_denies():
    class Broken(DecisionService):
        def is_trusted(self, asker):
            raise RuntimeError("broken")

    journal = Pages()
    served = GrpcDoor(Broken(gate_of(*ROUTES), (Front.ENVOY,), (LOCAL,)), HERE, journal, 100)
    served.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        assert told(await AuthorizationStub(channel).Check(question("/public"))) == (500, Reason.UNEXPECTED_ERROR)
    await served.close()
    assert journal.entry.status == 500


async def test_what_is_no_question_and_another_method_get_no_decision():
    gate = gate_of(*ROUTES)
    served = GrpcDoor(DecisionService(gate, (Front.ENVOY,), (LOCAL,)), HERE, None, 100)
    served.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        service = "/envoy.service.auth.v3.Authorization"
        check = channel.unary_unary(f"{service}/Check", response_deserializer=CheckResponse.FromString)
        assert told(await check(b"\xff\xff")) == (400, Reason.ORIGINAL_REQUEST_INVALID)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"{service}/Other")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await served.close()


async def test_address_that_is_taken_is_said_at_the_start():
    decisions = DecisionService(gate_of(*ROUTES), (Front.ENVOY,), (LOCAL,))
    served = GrpcDoor(decisions, Address("192.0.2.1", 1), None, 100)
    with pytest.raises(OSError, match=r"decide\.grpc_listen"):
        served.start()
    await served.close()


async def test_proxy_opens_the_door_when_it_starts_and_closes_it_when_it_ends():
    decide = DecideSettings(fronts=(Front.ENVOY,), trusted=(LOCAL,), grpc_listen=HERE)
    app = proxy_app(replace(settings_for("http://127.0.0.1:9"), decide=decide), Pages(), Clock())
    app._life.start()
    await app._life.close()


def test_every_status_of_a_refusal_is_one_that_envoy_knows():
    assert {what.status for what in TABLE.values()} | {307} <= set(StatusCode.values())


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("ipv4:10.1.2.3:55", "10.1.2.3"),
        ("ipv6:%5B::1%5D:55", "::1"),
        ("ipv6:[::1]:55", "::1"),
        ("unix:/run/x", ""),
        ("", ""),
    ],
)
def test_peer_is_read_from_what_grpc_says(text, peer):
    assert peer_of(text) == peer


def test_missing_packages_are_said():
    assert grpc_fault(DecideSettings()) is None
    asked = DecideSettings(grpc_listen=HERE)
    assert grpc_fault(asked) is None
    for missing in ("grpc", "envoy"):
        fault = grpc_fault(asked, lambda name, missing=missing: None if name == missing else name)
        assert fault is not None
        assert (fault.setting, fault.fix) == ("decide.grpc_listen", "pip install 'session-gateway[grpc]'")
