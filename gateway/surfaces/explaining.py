"""Why a request was let in or refused: the same way to a decision, walked with notes.

The gate that explains is the gate that judges, with ports that take notes; only what is told before and after the
decision is written here. No session is remembered, and nothing is spent unless that is asked for.
"""

from dataclasses import dataclass
from typing import Any

from starlette.types import Scope

from gateway.authenticator.explaining import API
from gateway.core.advice import advice
from gateway.core.request import PublicUrl
from gateway.core.requirement import Requirement, unmet
from gateway.core.routes import Route
from gateway.core.settings_model import Access
from gateway.core.target import TargetError, canonical
from gateway.core.trace import Mark, Recording, Step, bare_url
from gateway.core.trust import HostError, PublicOrigin
from gateway.core.verdict import State
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.scope import Scanned, origin_of, peer, raw_path

MAX_TEXT = 2000
"""Characters of an address or a header that are shown."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the way to it; holds no secret.

    Attributes:
        method, url: of the request; the URL as browsers see it, without the values of its query.
        client: the address that counts as the client's.
        route: its name; empty for none.
        state, reason, message: the decision.
        passes: the request goes on to the upstream or the application.
        status: the HTTP status of the gateway's own answer; 0 when the request goes on.
        location: where the browser is sent, without the values of the query.
        cookies: names of the cookies that are set.
        identity: headers that whoever is behind the gate gets.
        upstream: where it would go on to; empty inside an application.
        steps: what was looked at, in order.
        cause: of a redirect loop that is stopped here; empty for none.
        what_to_do: one sentence for the operator.
    """

    method: str
    url: str
    client: str
    route: str
    state: str
    reason: str
    message: str
    passes: bool
    status: int
    location: str
    cookies: tuple[str, ...]
    identity: tuple[tuple[str, str], ...]
    upstream: str
    steps: tuple[Step, ...]
    cause: str
    what_to_do: str

    @property
    def not_asked(self) -> tuple[str, ...]:
        """What was not asked for the sake of this explanation, and could change the answer."""
        return _not_asked(self.steps)

    @property
    def clock(self) -> str:
        """What speaks for a clock that is wrong; empty for nothing."""
        return next((step.detail for step in self.steps if step.what == "clock"), "")


def _not_asked(steps: tuple[Step, ...]) -> tuple[str, ...]:
    return tuple(step.detail for step in steps if step.what == API and step.mark is Mark.SKIPPED)


async def explain(gate: Gate, scope: Scope, *, live: bool = False) -> Explanation:
    """Judge one request and say how.

    Args:
        gate: judges; what it remembers of sessions is neither read nor added to.
        scope: the request.
        live: trade tokens and fetch a handshake's answer where the decision needs it; they are used up then.
    """
    trace = Recording()
    origin = _tell_address(gate, scope, trace)
    if origin is not None:
        _tell_route(gate, scope, origin, trace)
    admission = await gate.explaining(trace, live=live).admit(scope)
    _tell_requirement(admission, trace)
    loop = admission.verdict.loop
    if loop is not None:
        trace.note(
            "loop", Mark.CHOSEN, "{}: {}", loop.cause, "; ".join(f"{label}: {value}" for label, value in loop.facts)
        )
    return _explanation(scope, admission, trace)


def _tell_address(gate: Gate, scope: Scope, trace: Recording) -> PublicOrigin | None:
    scanned, trust = Scanned(scope["headers"]), gate.trust
    sent = [
        name
        for name, values in (
            ("X-Forwarded-Host", scanned.forwarded.host),
            ("X-Forwarded-Proto", scanned.forwarded.proto),
            ("X-Forwarded-For", scanned.forwarded.client),
        )
        if values
    ]
    if sent and trust.is_trusted(peer(scope)):
        trace.note("forwarding headers", Mark.OK, "{} believed of {}", ", ".join(sent), peer(scope))
    elif sent:
        text = "{} not believed: {} is not in server.trusted_proxies"
        trace.note("forwarding headers", Mark.NO, text, ", ".join(sent), peer(scope))
    try:
        origin = origin_of(scope, scanned, trust)
    except HostError as error:
        trace.note("host", Mark.NO, "{}", error.reason)
        return None
    trace.note("public address", Mark.OK, "{}://{}", origin.scheme, origin.host)
    trace.note("client address", Mark.OK, "{}", trust.client_address(peer(scope), scanned.forwarded))
    return origin


def _tell_route(gate: Gate, scope: Scope, origin: PublicOrigin, trace: Recording) -> None:
    try:
        path = canonical(raw_path(scope))
    except TargetError as error:
        trace.note("path", Mark.NO, "{}", error.reason)
        return
    if path == raw_path(scope):
        trace.note("path", Mark.OK, "{}", path.decode("ascii"))
    else:
        trace.note("path", Mark.OK, "{}, in its canonical form", path.decode("ascii"))
    route = gate.routes.match(origin.hostname, path, scope["method"])
    if route is None:
        text = "none of {} takes {} at this host and path"
        trace.note("route", Mark.NO, text, len(gate.routes.routes), scope["method"])
        return
    trace.note("route", Mark.CHOSEN, "{}", route.name)
    terms = route.settings
    if terms.access is Access.PUBLIC:
        trace.note("requirement", Mark.SKIPPED, "access = public: nobody is asked who they are")
    else:
        text = "access = {}, on_signed_out = {}, accepts {}"
        trace.note("requirement", Mark.CHOSEN, text, terms.access, terms.on_signed_out, ", ".join(terms.accepts))


def _tell_requirement(admission: Admission, trace: Recording) -> None:
    required = admission.route.settings.require if admission.route is not None else None
    if required is None or admission.verdict.state is not State.SIGNED_IN:
        return
    machine = admission.verdict.machine
    scopes = machine.scopes if machine is not None else None
    for name, value in required.asked.items():
        one: dict[str, Any] = {name: value}
        asked = Requirement(**one)
        reason = unmet(asked, admission.verdict.claims, scopes)
        trace.note("requirement", Mark.NO if reason else Mark.OK, "{}", str(asked))


def _explanation(scope: Scope, admission: Admission, trace: Recording) -> Explanation:
    answer, verdict, facts = admission.answer, admission.verdict, admission.facts

    def show(text: str) -> str:
        return str(trace.show(text, MAX_TEXT))

    headers = answer.headers if answer is not None else ()
    directives = [value for name, value in headers if name == b"set-cookie"]
    if answer is None:
        directives = [cookie.header() for cookie in verdict.cookies]
    location = next((value.decode("ascii") for name, value in headers if name == b"location"), "")
    route = admission.route
    url = facts.url if facts is not None else PublicUrl(str(scope.get("scheme", "http")), "")
    return Explanation(
        method=show(str(scope["method"])),
        url=show(bare_url(str(url))) if facts is not None else "",
        client=show(facts.client) if facts is not None else "",
        route=route.name if route is not None else "",
        state=verdict.state,
        reason=show(verdict.reason),
        message=show(admission.detail or verdict.message),
        passes=answer is None,
        status=answer.status if answer is not None else 0,
        location=show(bare_url(location)),
        cookies=tuple(value.partition(b"=")[0].decode("ascii") for value in directives),
        identity=tuple((name.decode("ascii"), show(value.decode("ascii"))) for name, value in admission.identity),
        upstream=_upstream(route) if answer is None else "",
        steps=trace.steps,
        cause=verdict.loop.cause if verdict.loop is not None else "",
        what_to_do=_what_to_do(admission, trace.steps),
    )


def _what_to_do(admission: Admission, steps: tuple[Step, ...]) -> str:
    if _not_asked(steps):
        return "Explain it live (--live) to ask the Sessions API; what stands here holds if it refuses."
    loop = admission.verdict.loop
    if loop is not None:
        return loop.words.operator
    return advice(admission.verdict.reason if admission.answer is not None else "")


def _upstream(route: Route | None) -> str:
    return route.settings.upstream or "" if route is not None else ""
