"""``require(...)``: what an endpoint of an application behind the middleware asks for beyond a session.

    @app.delete("/articles/{number}")
    async def remove(number: int, session: Annotated[SessionClaims, Depends(require(role="org:admin"))]): ...

The check itself waits for nothing and is made at the call, so that nothing passes where a framework forgets to await.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, Generic, TypeVar, cast, overload

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from gateway.core.authorization import NOT_ASKED, NotAsked, Reverification
from gateway.core.claims import SessionClaims
from gateway.core.machine_claims import MachineClaims
from gateway.core.reasons import Reason, meaning
from gateway.core.requirement import Requirement, unmet
from gateway.core.settings_model import Access
from gateway.core.settings_requirements import requirement as read_requirement
from gateway.core.settings_values import BadTableError
from gateway.errors import ConfigurationError, Fault
from gateway.surfaces.answers import Answer
from gateway.surfaces.exchange import Denial, Watch
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.openapi import signature

PASSAGE = "gateway.passage"
"""The key of the scope under which the middleware tells what it let through: gate, admission and watch."""

_Passage = tuple[Gate, Admission, Watch]
_Caller = TypeVar("_Caller", SessionClaims, MachineClaims)
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_TOLD = ("x-clerk-auth-", "www-authenticate", "cache-control", "retry-after", "vary")


class AccessDenied(HTTPException):
    """A request may not go on: 401 when nobody is signed in, otherwise 403.

    The middleware answers as the gateway does: with a page, a problem document, or what Clerk's front end understands.
    An application that catches it and answers without these headers is left alone.

    Attributes:
        reason: the stable reason code (:class:`gateway.core.reasons.Reason`).
    """

    def __init__(self, reason: str, answer: Answer) -> None:
        pairs = [(name.decode("ascii"), value.decode("ascii")) for name, value in answer.headers]
        told = {name: value for name, value in pairs if name.startswith(_TOLD)}
        super().__init__(answer.status, meaning(reason).text, told)
        self.reason = reason


class Require(Generic[_Caller]):
    """Checks requests; made by :func:`require`.

    A dependency of FastAPI, a decorator of function endpoints, or awaited with a request; of WebSockets as well.
    """

    def __init__(self, requirement: Requirement | None) -> None:
        self._requirement = requirement

    @overload
    def __call__(
        self, connection: HTTPConnection, security_scopes: object = None, **schemes: object
    ) -> Coroutine[Any, Any, _Caller]: ...

    @overload
    def __call__(self, connection: _Endpoint) -> _Endpoint: ...

    def __call__(
        self, connection: HTTPConnection | Callable[..., Any], security_scopes: object = None, **_schemes: object
    ) -> object:
        """Check a request, or return an endpoint that is only called when the check holds.

        Args:
            connection: the request or WebSocket; or the endpoint.
            security_scopes: FastAPI's ``SecurityScopes``, of ``Security(require(...), scopes=[...])``.
            _schemes: for FastAPI's documents alone (:mod:`gateway.surfaces.openapi`).

        Raises:
            AccessDenied: it does not hold.
            ConfigurationError: it never can.
        """
        if not isinstance(connection, HTTPConnection):
            return _guarded(self, connection)
        return _done(self.check(connection, getattr(security_scopes, "scopes", ())))

    @property
    def __signature__(self) -> inspect.Signature:
        """What FastAPI is to give, and what it is to write in its documents."""
        return signature(of_machines=self._requirement is not None and bool(self._requirement.scopes))

    @property
    def __wrapped__(self) -> object:
        """Tells FastAPI that the call is to be awaited."""
        return _done

    def check(self, connection: HTTPConnection, scopes: Iterable[str] = ()) -> _Caller:
        """Return the claims of the session or of the machine's token; the same as the call, without anything to await.

        Args:
            connection: the request or WebSocket.
            scopes: asked for in addition.

        Raises:
            AccessDenied: the session, or the lack of one, does not do.
            ConfigurationError: there is no middleware in front, or a public route, where nobody is asked who they are.
        """
        passage = _passage(connection)
        admission, requirement = passage[1], _with_scopes(self._requirement, tuple(scopes))
        session, machine = admission.session, admission.machine
        if session is None and machine is None:
            reason = admission.verdict.reason or Reason.SESSION_TOKEN_AND_UAT_MISSING
            raise _denied(passage, connection, reason, requirement)
        granted = machine.scopes if machine is not None else None
        missing = unmet(requirement, session, granted) if requirement is not None else None
        # Only who is asked for scopes is a machine; everywhere else a person is meant, whatever the route accepts.
        caller = machine if requirement is not None and requirement.scopes else session
        if missing is not None or caller is None:
            raise _denied(passage, connection, missing or Reason.TOKEN_TYPE_MISMATCH, requirement)
        return cast("_Caller", caller)  # told apart by what is asked; see the overloads of require()


@overload
def require(
    *,
    role: str | NotAsked = ...,
    permission: str | NotAsked = ...,
    feature: str | NotAsked = ...,
    plan: str | NotAsked = ...,
    reverification: str | Reverification | Mapping[str, object] | NotAsked = ...,
    no_impersonation: bool | NotAsked = ...,
) -> Require[SessionClaims]: ...


@overload
def require(*, scopes: Sequence[str], no_impersonation: bool | NotAsked = ...) -> Require[MachineClaims]: ...


def require(  # noqa: PLR0913 - one keyword for each question
    *,
    role: str | NotAsked = NOT_ASKED,
    permission: str | NotAsked = NOT_ASKED,
    feature: str | NotAsked = NOT_ASKED,
    plan: str | NotAsked = NOT_ASKED,
    reverification: str | Reverification | Mapping[str, object] | NotAsked = NOT_ASKED,
    scopes: Sequence[str] | NotAsked = NOT_ASKED,
    no_impersonation: bool | NotAsked = NOT_ASKED,
) -> Require[Any]:
    """Make a check of who may pass; nothing asked means that a person is signed in.

    Machines are let in where scopes are asked for, by routes that accept them; people have no scopes.

    Args:
        role: in the active organization, e.g. ``org:admin``.
        permission: likewise, e.g. ``org:articles:publish``.
        feature: ``name``, ``org:name`` or ``user:name``.
        plan: likewise.
        reverification: ``strict_mfa``, ``strict``, ``moderate``, ``lax`` or a :class:`Reverification`.
        scopes: all of them, of a machine token.
        no_impersonation: True for the user in person only.

    Raises:
        ValueError: something is asked for that nobody could have, such as a preset that does not exist, or None.
    """
    given = {
        "role": role,
        "permission": permission,
        "feature": feature,
        "plan": plan,
        "reverification": reverification,
        "scopes": scopes,
        "no_impersonation": no_impersonation,
    }
    asked = {name: value for name, value in given.items() if value is not NOT_ASKED}
    try:
        return Require(read_requirement(asked) if asked else None)
    except BadTableError as bad:
        faults = (f"{entry.key} (is {entry.seen}): {entry.problem}; {entry.fix}" for entry in bad.entries)
        raise ValueError("; ".join(faults)) from None


async def _done(caller: _Caller) -> _Caller:
    return caller


def _with_scopes(requirement: Requirement | None, scopes: tuple[str, ...]) -> Requirement | None:
    if not scopes:
        return requirement
    if requirement is None:
        return Requirement(scopes=scopes)
    return replace(requirement, scopes=(*requirement.scopes, *scopes))


def _passage(connection: HTTPConnection) -> _Passage:
    passage: _Passage | None = connection.scope.get(PASSAGE)
    if passage is None:
        fix = "app.add_middleware(SessionMiddleware, settings=…)"
        raise ConfigurationError([Fault("require", "", "there is no SessionMiddleware in front of it", fix)])
    route = passage[1].route
    if route is not None and route.settings.access is Access.PUBLIC:
        problem = f"the route {route.name} is public, so nobody is asked who they are, and nobody could pass"
        raise ConfigurationError([Fault("require", "", problem, 'give that route access = "optional" or "required"')])
    return passage


def _denied(
    passage: _Passage, connection: HTTPConnection, reason: str, requirement: Requirement | None
) -> AccessDenied:
    gate, admission, watch = passage
    answer = gate.refusal(admission.facts, admission.route, admission.verdict, reason, requirement)
    watch.denial = Denial(reason, answer, connection.scope)
    return AccessDenied(reason, answer)


def _guarded(require: Require[Any], endpoint: Callable[..., Any]) -> Callable[..., Any]:
    if not inspect.isfunction(endpoint) or not inspect.signature(endpoint).parameters:
        raise TypeError("require(...) decorates functions and methods that take the request or the WebSocket")
    if inspect.iscoroutinefunction(endpoint):

        @wraps(endpoint)
        async def guarded(*args: Any, **named: Any) -> Any:
            require.check(_connection(args, named))
            return await endpoint(*args, **named)

        return guarded

    @wraps(endpoint)
    def guarded_too(*args: Any, **named: Any) -> Any:
        require.check(_connection(args, named))
        return endpoint(*args, **named)

    return guarded_too


def _connection(args: Sequence[object], named: Mapping[str, object]) -> HTTPConnection:
    for value in (*args, *named.values()):
        if isinstance(value, HTTPConnection):
            return value
    raise TypeError("an endpoint with require(...) was called without its request or WebSocket")
