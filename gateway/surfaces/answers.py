"""What the gateway answers itself: redirects, refusals, problem documents (RFC 9457) and pages; the only renderer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.core.cookies import SetCookie
from gateway.core.handshake import escape
from gateway.core.loop_causes import Finding
from gateway.core.reasons import Reason, meaning
from gateway.core.request import Header, RequestFacts
from gateway.core.requirement import Requirement
from gateway.core.verdict import State, Verdict
from gateway.pages import error as error_page
from gateway.pages.rendering import page_headers

_NO_STORE: Header = (b"cache-control", b"no-store")
_HTML_HEADERS: tuple[Header, ...] = tuple(
    (name.lower().encode(), value.encode())
    for name, value in page_headers(has_form=False)
    if name.lower() != "cache-control"
)
_HEADINGS = {
    400: "This request cannot be understood",
    401: "You are not signed in",
    403: "This is not for you",
    404: "Nothing here",
    405: "Not like this",
    408: "The request took too long",
    417: "The request expects too much",
    413: "The request is too large",
    426: "Not in this version",
    431: "The request is too large",
    500: "Something went wrong",
    501: "Not available",
    502: "The service did not answer",
    503: "Not available right now",
    504: "The service is taking too long",
}

_HEADINGS_OF: dict[str, str] = {Reason.NO_TOKEN_IN_HEADER: "This is for programs"}
"""Where the status alone would say what is beside the point: nobody signs in to an address for machines."""

RETRY_AFTER_S = 5

_STOPPED = (
    "Your browser was sent to renew your session several times in a row and came back without one, so the loop was "
    "stopped."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer.

    Attributes:
        status: the final one.
        headers: names in lower case.
        body: empty for none.
        recurs: the same answer is given again and again, so the server may keep its head; holds no secret.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""
    recurs: bool = False

    def with_cookies(self, cookies: Sequence[SetCookie]) -> "Answer":
        """Return the answer with cookies to set."""
        return replace(self, headers=(*self.headers, *set_cookie_headers(cookies)))

    def with_headers(self, headers: Sequence[Header]) -> "Answer":
        """Return the answer with further headers."""
        return replace(self, headers=(*self.headers, *headers))

    def retrying_after(self, wait_s: int) -> "Answer":
        """Return the answer with this many seconds in ``Retry-After``; as it is where nobody knows (0)."""
        if not wait_s:
            return self
        kept = [header for header in self.headers if header[0] != b"retry-after"]
        return replace(self, headers=(*kept, (b"retry-after", str(wait_s).encode())))


def set_cookie_headers(cookies: Sequence[SetCookie]) -> tuple[Header, ...]:
    """Return one ``Set-Cookie`` line per cookie."""
    return tuple((b"set-cookie", cookie.header()) for cookie in cookies)


def status_headers(state: str, reason: str, message: str = "") -> tuple[Header, ...]:
    """Return ``X-Clerk-Auth-*``; where the decision has no message that can be a header value, the reason's own."""
    headers = [(b"x-clerk-auth-status", state.encode()), (b"x-clerk-auth-reason", reason.encode("ascii", "replace"))]
    if not (message and message.isascii() and message.isprintable()):
        message = meaning(reason).text
    return (*headers, (b"x-clerk-auth-message", message.encode("ascii")))


def redirect(location: str, verdict: Verdict) -> Answer:
    """Return the 307 that sends a browser on; caches must not keep it."""
    status = status_headers(verdict.state, verdict.reason, verdict.message) if verdict.reason else ()
    headers = ((b"location", escape(location).encode("ascii")), _NO_STORE, *status)
    return Answer(307, (*headers, (b"content-length", b"0"))).with_cookies(verdict.cookies)


def refusal(
    facts: RequestFacts | None,
    reason: str,
    *,
    verdict: Verdict | None = None,
    sign_in: str = "",
    headers: Sequence[Header] = (),
    requirement: Requirement | None = None,
) -> Answer:
    """Return the answer to a request that does not go on.

    Args:
        facts: the request; None where it could not be read.
        reason: why.
        verdict: the decision, if there was one: its message and cookies go along.
        sign_in: address of the sign-in page, offered on pages.
        headers: more headers, such as ``Allow``.
        requirement: what did not hold, where that is the reason.
    """
    what = meaning(reason)
    state = verdict.state if verdict is not None else State.SIGNED_OUT
    message = verdict.message if verdict is not None else ""
    extra = [_NO_STORE, (b"vary", b"Accept, Authorization, Cookie"), *status_headers(state, reason, message), *headers]
    if what.status == 401 or what.challenge:
        extra.append(challenge(reason, requirement.scopes if requirement is not None else ()))
    if what.status == 503:
        retry_s = (verdict.retry_after_s if verdict is not None else 0) or RETRY_AFTER_S
        extra.append((b"retry-after", str(retry_s).encode()))
    if facts is not None and facts.wants_html:
        body = _page(facts, reason, verdict, sign_in)
        kind = _HTML_HEADERS
    elif reason == Reason.REVERIFICATION_REQUIRED and requirement is not None:
        body = _reverification(requirement)
        kind = ((b"content-type", b"application/json"),)
    else:
        body = _problem(what.status, reason, what.text, verdict.loop if verdict is not None else None)
        kind = ((b"content-type", b"application/problem+json"),)
    length = (b"content-length", str(len(body)).encode())
    answer = Answer(what.status, (*kind, length, *extra), b"" if facts and facts.method == "HEAD" else body)
    if verdict is None or verdict.state is State.HANDSHAKE:
        return answer  # the cookie that counts handshakes belongs to a redirect that is not made here
    return answer.with_cookies(verdict.cookies)


def challenge(reason: str, scopes: Sequence[str] = ()) -> Header:
    """Return ``WWW-Authenticate``, which every 401 carries (RFC 9110 section 15.5.2, RFC 6750 section 3).

    Args:
        reason: of the refusal.
        scopes: that a token must have, for a token that has too few.
    """
    text, error = 'Bearer realm="gateway"', meaning(reason).challenge
    if error:
        text += f', error="{error}", error_description="{reason}"'
    if scopes:
        text += f', scope="{" ".join(scopes)}"'
    return b"www-authenticate", text.encode("ascii", "replace")


def _heading(status: int, reason: str) -> str:
    return _HEADINGS_OF.get(reason) or _HEADINGS[status]


def _problem(status: int, reason: str, text: str, loop: Finding | None = None) -> bytes:
    document = {
        "type": "about:blank",
        "title": _heading(status, reason),
        "status": status,
        "detail": text,
        "reason": reason,
    }
    if loop is not None:
        document["cause"] = loop.cause
    return json.dumps(document, separators=(",", ":")).encode()


def _reverification(requirement: Requirement) -> bytes:
    """Return what makes Clerk's front end ask for the proof and try again (request-authentication section 16)."""
    metadata = {"reverification": requirement.reverification_config}
    document = {"clerk_error": {"type": "forbidden", "reason": "reverification-error", "metadata": metadata}}
    return json.dumps(document, separators=(",", ":")).encode()


def _page(facts: RequestFacts, reason: str, verdict: Verdict | None, sign_in: str) -> bytes:
    what = meaning(reason)
    loop = verdict.loop if verdict is not None else None
    actions = [("Sign in", sign_in)] if what.status == 401 and sign_in and loop is None else []
    if facts.method == "GET" and (what.status == 403 or what.status >= 500 or loop is not None):
        actions.append(("Try again", facts.url.path))
    page = error_page.render(
        status=what.status,
        heading=_heading(what.status, reason) if loop is None else "We could not renew your session",
        text=what.text if loop is None else f"{loop.words.person}\n\n{_STOPPED}",
        reason=reason,
        facts=() if loop is None else (("Cause", loop.cause), *loop.facts, ("To do", loop.words.operator)),
        actions=actions,
    )
    return page.encode()


def unexpected(facts: RequestFacts | None) -> Answer:
    """Return the 500 for a fault of ours; says nothing of its cause."""
    return refusal(facts, Reason.UNEXPECTED_ERROR)


def json_answer(status: int, document: object, headers: Sequence[Header] = ()) -> Answer:
    """Return a JSON document that no cache keeps, with further headers."""
    body = json.dumps(document, separators=(",", ":")).encode()
    own = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), _NO_STORE)
    return Answer(status, (*own, *headers), body)
