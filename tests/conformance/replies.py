"""What the API answers: refreshes with every error of theirs, and what handshakes bring."""

from collections.abc import Callable
from functools import cache

from gateway.core.instance import InstanceKind
from tests.conformance.fake_api import CUT, JSON, Reply
from tests.conformance.world import NAMES, cookies_of
from tests.core.minting import handshake_token as mint_handshake


def _brings(flavour: str, *extra: str, status: int = 200, content_type: str = JSON) -> Callable[[InstanceKind], Reply]:
    def reply(kind: InstanceKind) -> Reply:
        directives = cookies_of(kind, flavour, extra=extra)
        return Reply.of({"object": "cookies", "cookies": directives}, status, content_type)

    return reply


def _always(reply: Reply) -> Callable[[InstanceKind], Reply]:
    return lambda kind: reply


REFRESHES: dict[str, Callable[[InstanceKind], Reply]] = {
    "success": _brings("good"),
    "success-organization": _brings("organization"),
    "success-pending": _brings("pending"),
    "success-201": _brings("good", status=201),
    "without-object": lambda kind: Reply.of({"cookies": cookies_of(kind, "good")}),
    "no-session-cookie": lambda kind: Reply.of({"object": "cookies", "cookies": cookies_of(kind, "good")[:1]}),
    "session-emptied": _brings(""),
    "expired": _brings("expired"),
    "forged": _brings("forged"),
    "unknown-key": _brings("unknown-key"),
    "template": _brings("template"),
    "machine-subject": _brings("machine-subject"),
    "m2m": _brings("m2m"),
    "other-issuer": _brings("other-issuer"),
    "other-session": _brings("other-session"),
    "foreign-cookie": _brings("good", "admin=1; Path=/"),
    "cookies-empty": _always(Reply.of({"object": "cookies", "cookies": []})),
    "cookies-null": _always(Reply.of({"object": "cookies", "cookies": None})),
    "cookies-missing": _always(Reply.of({"object": "cookies"})),
    "token-format": _always(Reply.of({"object": "token", "jwt": "x"})),
    "json-text": _always(Reply.of("text")),
    "json-list": _always(Reply.of([])),
    "json-null": _always(Reply.of(None)),
    "json-number": _always(Reply.of(7)),
    "broken-json": _always(Reply(body="{")),
    "charset": _brings("good", content_type="application/json; charset=utf-8"),
    "text": _always(Reply(body="hello", content_type="text/plain")),
    "no-content": _always(Reply(204)),
    "invalid-token": _always(Reply.error(401, "refresh_token_invalid", "second")),
    "unprocessable": _always(Reply.error(422, "session_not_active")),
    "unexpected-error": _always(Reply.error(500, "unexpected_error")),
    "error-without-code": _always(Reply.error(400, None)),
    "odd-code": _always(Reply.error(400, "Odd Code")),
    "says-session-mismatch": _always(Reply.error(401, "session-mismatch")),
    "no-errors": _always(Reply.of({}, 400)),
    "errors-empty": _always(Reply.of({"errors": []}, 400)),
    "failed-json": _always(Reply.of({"message": "no"}, 500)),
    "failed-html": _always(Reply(502, "<p>no", "text/html")),
    "failed-broken-json": _always(Reply(500, "{")),
    "cut": _always(CUT),
}

HANDSHAKES: dict[str, Callable[[InstanceKind], list[str]]] = {
    "good": lambda kind: cookies_of(kind, "good"),
    "organization": lambda kind: cookies_of(kind, "organization"),
    "pending": lambda kind: cookies_of(kind, "pending"),
    "plain-session": lambda kind: ["__session=" + cookies_of(kind, "good")[1].partition("=")[2]],
    "signed-out": lambda kind: cookies_of(kind, ""),
    "no-session-cookie": lambda kind: cookies_of(kind, "good")[:1],
    "expired": lambda kind: cookies_of(kind, "expired"),
    "issued-in-future": lambda kind: cookies_of(kind, "issued-in-future"),
    "forged": lambda kind: cookies_of(kind, "forged"),
    "template": lambda kind: cookies_of(kind, "template"),
    "machine-subject": lambda kind: cookies_of(kind, "machine-subject"),
    "other-issuer": lambda kind: cookies_of(kind, "other-issuer"),
    "foreign-cookie": lambda kind: cookies_of(kind, "good", extra=["admin=1; Path=/"]),
    "broken-directive": lambda kind: [*cookies_of(kind, "good")[:1], NAMES[kind].session],
    "empty": lambda kind: [],
}


@cache
def handshake_token(kind: InstanceKind, content: str) -> str:
    """The token of a handshake that brings this, or the empty text for none."""
    match content:
        case "":
            return ""
        case "not-a-token":
            return "garbage"
        case "no-list":
            return mint_handshake("no list")
        case "forged":
            token = mint_handshake(HANDSHAKES["good"](kind))
            return token[: token.rindex(".") + 1] + "A" * 342
        case _:
            return mint_handshake(HANDSHAKES[content](kind))
