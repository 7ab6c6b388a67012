"""An authority's application that misbehaves where a rule says so. Without a rule that fits, a request passes as it is.

What a client sees of each effect, over a socket, is what :class:`gateway.authority.control.rules.Effect` says; the
tests hold it with the server of ``gateway authority``.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from gateway.authority.app import OPERATIONS
from gateway.authority.authority import Authority
from gateway.authority.control import connections, lies
from gateway.authority.control.answers import Answer, ordered
from gateway.authority.control.faults import Faults
from gateway.authority.control.rules import Effect, Rule
from gateway.authority.operations import Door

BROWSER_PREFIX = "frontend."
# what was sent leaves the server before the connection is torn down, which drops what has not left
_LEAVE_S = 0.05
_NO_JSON = b'{"object": "session", "id": '


class FaultyApp:
    """The application between the server and an authority.

    Args:
        authority: whose application it is.
        faults: the rules; they may change at any time.
    """

    def __init__(self, authority: Authority, faults: Faults) -> None:
        self._app = authority.app
        self._realm = authority.realm
        self._faults = faults
        self._names = _names(authority.app)
        self._effects: dict[Effect, Callable[[Answer, Rule, _Exchange], Awaitable[None]]] = {
            Effect.RESET_MIDWAY: self._reset_midway,
            Effect.TRUNCATE: self._truncate,
            Effect.DRIP: self._drip,
        }

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of all operations, as rules know them."""
        return tuple(dict.fromkeys(self._names.values()))

    def operation(self, scope: Scope) -> str:
        """The name of the operation that a request asks for; empty where there is none."""
        for route in self._app.routes:
            if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
                return self._names.get((route.path, scope["method"]), "")
        return ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, well or badly."""
        rule = None
        if scope["type"] == "http":
            rule = self._faults.meet(self.operation(scope), scope["method"], scope["path"])
        if rule is None:
            await self._app(scope, receive, send)
            return
        if rule.latency_ms:
            await asyncio.sleep(rule.latency_ms / 1000)
        await self._misbehave(rule, _Exchange(scope, receive, send))

    async def _misbehave(self, rule: Rule, exchange: "_Exchange") -> None:
        real = await Answer.of(self._app, exchange.scope, exchange.receive) if rule.performs else None
        match rule.effect:
            case Effect.HANG:
                await exchange.gone()
            case Effect.CLOSE:
                connections.close(exchange.scope)
                await exchange.gone()
            case Effect.RESET:
                connections.reset(exchange.scope)
                await exchange.gone()
            case Effect.ANSWER if rule.status is not None:
                await ordered(rule, rule.status)(exchange.scope, exchange.receive, exchange.send)
            case _ if real is not None:
                await self._effects.get(rule.effect, self._answer_wrongly)(real, rule, exchange)

    async def _answer_wrongly(self, real: Answer, rule: Rule, exchange: "_Exchange") -> None:
        await self._wrong(real, rule.effect).send(exchange.send)

    def _wrong(self, real: Answer, effect: Effect) -> Answer:
        match effect:
            case Effect.GARBAGE:
                return real.with_body(_NO_JSON)
            case Effect.WRONG_TYPE:
                return real.with_body(real.body, "text/html; charset=utf-8")
            case Effect.FOREIGN_KEYS:
                return real.retold(lies.foreign_keys)
            case Effect.OTHER_SESSION:
                return real.retold(lambda text: lies.other_session(self._realm, text))
            case Effect.EXPIRED_TOKEN:
                return real.retold(lambda text: lies.expired(self._realm, text))
            case _:
                return real

    async def _reset_midway(self, real: Answer, _rule: Rule, exchange: "_Exchange") -> None:
        await real.send_half(exchange.send)
        await asyncio.sleep(_LEAVE_S)
        connections.reset(exchange.scope)
        await exchange.gone()

    async def _truncate(self, real: Answer, _rule: Rule, exchange: "_Exchange") -> None:
        await real.send_half(exchange.send)  # to return now has the server close

    async def _drip(self, real: Answer, rule: Rule, exchange: "_Exchange") -> None:
        await real.send_head(exchange.send)
        gone = asyncio.ensure_future(exchange.gone())
        try:
            while not gone.done():
                await exchange.send({"type": "http.response.body", "body": b" ", "more_body": True})
                await asyncio.wait([gone], timeout=rule.drip_ms / 1000)
        finally:
            gone.cancel()


def _names(app: Starlette) -> dict[tuple[str, str], str]:
    """Path and method of every operation to its name.

    The name is that of the OpenAPI document. Both APIs have operations whose names differ in nothing but a capital, so
    those for browsers are told apart by a prefix.
    """
    pages = {
        (route.path, method): route.name
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    described = {
        (each.path, each.method): each.name if each.door is Door.BACKEND else f"{BROWSER_PREFIX}{each.name}"
        for each in OPERATIONS
    }
    return pages | described


class _Exchange:
    """One request and the way to answer it."""

    __slots__ = ("receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send

    async def gone(self) -> None:
        """Wait until the client has gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
