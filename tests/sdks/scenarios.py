"""What every official SDK is asked, and what it has to make of the answer: one table for all of them.

A row says what a caller of the SDK gets. Where an SDK cannot ask, or cannot tell, the row says so by the SDK's name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.sdks.runners import JAVASCRIPT, PYTHON_2, PYTHON_7, SDKS
from tests.sdks.stage import APP, LIMITED, RETRY_AFTER_S, Stage

PYTHONS = (PYTHON_7, PYTHON_2)

Arguments = dict[str, Any]
Arranged = Callable[[Stage], Arguments]


@dataclass(frozen=True)
class Gives:
    """A typed result: the kind of it, and members that it must have."""

    kind: str
    members: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refuses:
    """A typed error. ``untyped``: Python knows no type for this status here, and raises its general error."""

    status: int
    code: str
    param: str = ""
    untyped: bool = False
    retry_after: int | None = None


@dataclass(frozen=True)
class Throws:
    """The SDK itself fails: before it sends anything, or over an answer that it has no type for."""

    error: str


Outcome = Gives | Refuses | Throws


@dataclass(frozen=True)
class Row:
    """One call.

    Attributes:
        name: a sentence.
        operation: as the runners call it.
        wants: what comes of it.
        arranged: the arguments, after preparing what they name.
        unless: what comes of it in an SDK that is different; None where the SDK cannot ask.
        at: which authority.
        key: the secret key, if not the right one.
    """

    name: str
    operation: str
    wants: Outcome
    arranged: Arranged = lambda stage: {}
    unless: Mapping[str, Outcome | None] = field(default_factory=dict)
    at: str = "development"
    key: str | None = "right"


def _of_session(make: Callable[[Stage], str] = Stage.session, **more: Any) -> Arranged:
    return lambda stage: {"session_id": make(stage), **more}


def _traded(**changes: Any) -> Arranged:
    return lambda stage: stage.traded().arguments(**changes)


def _forged(**claims: Any) -> Arranged:
    def arranged(stage: Stage) -> Arguments:
        traded = stage.traded()
        return traded.arguments(expired_token=stage.forged(traded, **claims))

    return arranged


def _revoked_trade(stage: Stage) -> Arguments:
    traded = stage.traded()
    stage.ask("POST", f"/v1/sessions/{traded.session_id}/revoke")
    return traded.arguments()


def _trade_of_no_session(stage: Stage) -> Arguments:
    traded = stage.traded()
    return traded.arguments(session_id="sess_none", expired_token=stage.forged(traded, sid="sess_none"))


def _verified(stage: Stage) -> Arguments:
    session_id = stage.session()
    return {"session_id": session_id, "token": stage.token(session_id)}


def _verified_of_another(stage: Stage) -> Arguments:
    return {"session_id": stage.session(), "token": stage.token(stage.session())}


def _only(*sdks: str) -> dict[str, Outcome | None]:
    return {sdk: None for sdk in SDKS if sdk not in sdks}


def _in_python(outcome: Outcome | None) -> dict[str, Outcome | None]:
    return dict.fromkeys(PYTHONS, outcome)


NOT_FOUND = Refuses(404, "resource_not_found")
BAD_LIFETIME = Refuses(422, "form_param_value_invalid", "expires_in_seconds", untyped=True)
TOO_MANY = Refuses(429, "too_many_requests", untyped=True, retry_after=RETRY_AFTER_S)
DOWN = Refuses(503, "service_unavailable", untyped=True, retry_after=1)
INVALID = Throws("ValidationError")

LIST = (
    Row("a list is typed sessions, the newest first", "list", Gives("Page"), lambda stage: {"user_id": stage.user()}),
    Row("a list may be asked for without a user", "list", Gives("Page")),
    Row("a page is cut out", "list", Gives("Page"), lambda stage: {"user_id": stage.user(), "limit": 2, "offset": 1}),
    Row(
        "a list is narrowed by status",
        "list",
        Gives("Page"),
        lambda stage: {"user_id": stage.user(), "status": "revoked"},
    ),
    Row("a list of nobody is empty", "list", Gives("Page"), lambda stage: {"user_id": "user_none"}),
    Row(
        "a page in an envelope is for JavaScript alone",
        "list",
        Gives("Page"),
        lambda stage: {"paginated": True, "user_id": stage.user()},
        {PYTHON_7: Throws("ResponseValidationError"), PYTHON_2: INVALID},
    ),
    Row(
        "a limit of 501 is refused",
        "list",
        Refuses(422, "form_param_value_invalid", "limit"),
        lambda stage: {"limit": 501},
    ),
    Row(
        "a limit of 0 is refused, where it is sent",
        "list",
        Refuses(422, "form_param_value_invalid", "limit"),
        lambda stage: {"limit": 0},
        {JAVASCRIPT: Gives("Page")},
    ),
    Row(
        "an offset below 0 is refused",
        "list",
        Refuses(422, "form_param_value_invalid", "offset"),
        lambda stage: {"offset": -1},
    ),
    Row(
        "an unknown status is refused",
        "list",
        Refuses(422, "form_param_value_invalid", "status"),
        lambda stage: {"status": "dead"},
        _in_python(INVALID),
    ),
    Row("a list without its database fails", "list", DOWN, at="broken"),
)

CREATE = (
    Row(
        "create gives a typed session",
        "create",
        Gives("Session", {"status": "active"}),
        lambda stage: {"user_id": stage.user()},
    ),
    Row(
        "create makes the organization active",
        "create",
        Gives("Session", {"status": "active"}),
        lambda stage: {"user_id": stage.user(), "active_organization_id": stage.organization()},
        {PYTHON_2: None},
    ),
    Row(
        "create knows no such user",
        "create",
        Refuses(404, "resource_not_found", "user_id"),
        lambda stage: {"user_id": "user_none"},
    ),
    Row(
        "create knows no such organization",
        "create",
        Refuses(404, "organization_not_found_or_unauthorized"),
        lambda stage: {"user_id": stage.user(), "active_organization_id": "org_none"},
        {PYTHON_2: None},
    ),
    Row("create needs a user", "create", Refuses(422, "form_param_missing", "user_id"), unless=_in_python(INVALID)),
    Row(
        "production creates nothing",
        "create",
        Refuses(400, "request_invalid_for_environment"),
        lambda stage: {"user_id": "user_none"},
        at="production",
    ),
)

SESSION = (
    Row("get gives a typed session", "get", Gives("Session", {"status": "active"}), _of_session()),
    Row(
        "get shows that a session was revoked",
        "get",
        Gives("Session", {"status": "revoked"}),
        _of_session(Stage.revoked),
    ),
    Row("get knows no such session", "get", NOT_FOUND, lambda stage: {"session_id": "sess_none"}),
    Row("get needs an id", "get", NOT_FOUND, lambda stage: {"session_id": ""}, {JAVASCRIPT: Throws("Error")}),
    Row("get is limited", "get", TOO_MANY, lambda stage: {"session_id": LIMITED}),
    Row("get without its database fails", "get", DOWN, lambda stage: {"session_id": "sess_1"}, at="broken"),
    Row("revoke ends a session", "revoke", Gives("Session", {"status": "revoked"}), _of_session()),
    Row("revoke changes nothing twice", "revoke", Gives("Session", {"status": "revoked"}), _of_session(Stage.revoked)),
    Row("revoke knows no such session", "revoke", NOT_FOUND, lambda stage: {"session_id": "sess_none"}),
    Row("revoke is limited", "revoke", TOO_MANY, lambda stage: {"session_id": LIMITED}),
)

VERIFY = (
    Row(
        "verify gives the session of its token, and is gone for later versions",
        "verify",
        Gives("Session", {"status": "active"}),
        _verified,
        {PYTHON_7: None, JAVASCRIPT: Refuses(410, "operation_deprecated")},
    ),
    Row(
        "verify refuses the token of another session",
        "verify",
        Refuses(400, "invalid_session_token"),
        _verified_of_another,
        _only(PYTHON_2),
    ),
    Row(
        "verify refuses what is no token",
        "verify",
        Refuses(400, "invalid_session_token"),
        _of_session(token="a.b.c"),
        _only(PYTHON_2),
    ),
    Row(
        "verify knows no such session",
        "verify",
        NOT_FOUND,
        lambda stage: {"session_id": "sess_none", "token": "a.b.c"},
        {PYTHON_7: None, JAVASCRIPT: Refuses(410, "operation_deprecated")},
    ),
)

TOKENS = (
    Row("a session token is typed", "token", Gives("Token"), _of_session()),
    Row(
        "a session token lives as long as asked",
        "token",
        Gives("Token", {"lifetime": 120}),
        _of_session(expires_in_seconds=120),
    ),
    Row("a lifetime of 29 seconds is refused", "token", BAD_LIFETIME, _of_session(expires_in_seconds=29)),
    Row("a lifetime above ten years is refused", "token", BAD_LIFETIME, _of_session(expires_in_seconds=315_360_001)),
    Row("a revoked session makes no token", "token", NOT_FOUND, _of_session(Stage.revoked)),
    Row("an unknown session makes no token", "token", NOT_FOUND, lambda stage: {"session_id": "sess_none"}),
    Row("a token is limited", "token", TOO_MANY, lambda stage: {"session_id": LIMITED}),
    Row(
        "a token names the origin that asked",
        "token",
        Gives("Token", {"azp": APP}),
        _of_session(http_headers={"Origin": APP}),
        _only(*PYTHONS),
    ),
    Row(
        "a template token is typed",
        "template_token",
        Gives("Token", {"sid": None}),
        _of_session(template_name="custom_hasura"),
    ),
    Row(
        "a template token lives as long as asked",
        "template_token",
        Gives("Token", {"lifetime": 30}),
        _of_session(template_name="custom_hasura", expires_in_seconds=30),
    ),
    Row("there is no such template", "template_token", NOT_FOUND, _of_session(template_name="none")),
    Row(
        "a template token's lifetime is bounded too",
        "template_token",
        BAD_LIFETIME,
        _of_session(template_name="custom_hasura", expires_in_seconds=1),
    ),
    Row(
        "a revoked session makes no template token",
        "template_token",
        NOT_FOUND,
        _of_session(Stage.revoked, template_name="custom_hasura"),
    ),
    Row(
        "the SDK checks a token with the keys that it fetches",
        "verify_token",
        Gives("claims", {"v": 2}),
        lambda stage: {"token": stage.token(stage.session())},
        {PYTHON_2: None},
    ),
    Row(
        "the SDK refuses an expired token",
        "verify_token",
        Throws("TokenVerificationError"),
        lambda stage: {"token": stage.traded().token},
        {PYTHON_2: None},
    ),
)

REFRESH = (
    Row("a refresh gives a typed token", "refresh", Gives("Token"), _traded(request_headers=...)),
    Row("a refresh gives typed cookies", "refresh", Gives("Cookies"), _traded(format_="cookie")),
    Row(
        "a refresh gives suffixed cookies too",
        "refresh",
        Gives("Cookies", {"suffixed": True}),
        _traded(format_="cookie", suffixed_cookies=True),
        _only(JAVASCRIPT),
    ),
    Row(
        "a refresh takes the browser's address",
        "refresh",
        Gives("Token"),
        _traded(request_originating_ip="192.0.2.1", format_="token"),
    ),
    Row(
        "a refresh knows no such form",
        "refresh",
        Refuses(400, "form_param_value_invalid", "format"),
        _traded(format_="jwt"),
        _in_python(INVALID),
    ),
    Row(
        "a refresh needs its token",
        "refresh",
        Refuses(400, "form_param_missing", "expired_token"),
        _traded(expired_token=...),
        _in_python(Throws("TypeError")),
    ),
    *(
        Row(f"a refresh is refused: {code}", "refresh", Refuses(401, code), arranged)
        for code, arranged in (
            ("refresh_request_origin_invalid", _traded(request_origin="nowhere")),
            ("expired_session_token_invalid", _traded(expired_token="a.b.c")),
            ("session_refresh_session_token_ineligible", _forged(exp=4_000_000_000)),
            ("expired_session_token_missing_azp", _forged(azp=...)),
            ("refresh_request_origin_azp_mismatch", _traded(request_origin="http://127.0.0.1:9")),
            ("expired_session_token_missing_sid", _forged(sid=...)),
            ("refresh_sid_mismatch", lambda stage: stage.traded().arguments(session_id=stage.session())),
            ("session_refresh_expired_session_token_missing_iat", _forged(iat=...)),
            ("session_refresh_expired_session_token_too_old", _forged(iat=1)),
            ("session_refresh_session_not_found", _trade_of_no_session),
            ("session_refresh_inactive_session", _revoked_trade),
            ("refresh_token_not_found", _traded(refresh_token="none")),
            ("session_refresh_expired_session_token_consumed", lambda stage: stage.spent().arguments()),
        )
    ),
    Row("a refresh is limited", "refresh", TOO_MANY, _traded(session_id=LIMITED)),
)

KEYS = (
    Row("the key set is typed", "jwks", Gives("JWKS")),
    Row("a wrong key is told", "get", Refuses(401, "clerk_key_invalid"), _of_session(), key="sk_test_wrong"),
    Row("a wrong key is told to a list", "list", Refuses(401, "clerk_key_invalid"), key="sk_test_wrong"),
    Row("a wrong key revokes nothing", "revoke", Refuses(401, "clerk_key_invalid"), _of_session(), key="sk_test_wrong"),
    Row("a wrong key makes no token", "token", Refuses(401, "clerk_key_invalid"), _of_session(), key="sk_test_wrong"),
    Row("a wrong key refreshes nothing", "refresh", Refuses(401, "clerk_key_invalid"), _traded(), key="sk_test_wrong"),
    Row(
        "without a key nothing is answered",
        "get",
        Refuses(401, "authentication_invalid"),
        _of_session(),
        {JAVASCRIPT: Throws("Error")},
        key=None,
    ),
    Row(
        "a nonce gives the cookies of a handshake",
        "handshake_payload",
        Gives("HandshakePayload"),
        lambda stage: {"nonce": stage.nonce()},
        _only(JAVASCRIPT),
    ),
    Row(
        "a nonce that is unknown gives nothing",
        "handshake_payload",
        Refuses(400, "invalid_nonce", "nonce"),
        lambda stage: {"nonce": "none"},
        _only(JAVASCRIPT),
    ),
)

ROWS = (*LIST, *CREATE, *SESSION, *VERIFY, *TOKENS, *REFRESH, *KEYS)
