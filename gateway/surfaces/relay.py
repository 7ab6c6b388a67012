"""An upstream's answer on its way to the client: with our headers, and without a task where it comes whole."""

from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

from gateway.core.cors import answer_headers, without_cors
from gateway.core.request import Header
from gateway.core.response_headers import for_one_browser, response_headers, with_cache_rules
from gateway.core.settings_model import Access
from gateway.passing import Direct
from gateway.server.exchange import EXTENSION, Exchange
from gateway.surfaces.answers import set_cookie_headers
from gateway.surfaces.exchange import Watch
from gateway.surfaces.gate import Admission
from gateway.surfaces.opening import Destination
from gateway.upstream.connection import Connection
from gateway.upstream.forward import Outgoing

_PUBLIC: Final = Access.PUBLIC  # members of an enum are slow to name


def headers_back(
    headers: list[Header],
    destination: Destination,
    admission: Admission,
    request_id: Header,
    private_cookies: frozenset[bytes],
) -> list[Header]:
    """Return what the client gets of an upstream's headers, with ours.

    Args:
        headers: as received, names in lower case.
        destination: where the request went.
        admission: what the gate said of it.
        request_id: the header that names it.
        private_cookies: names of cookies that an upstream may not set.
    """
    kept = response_headers(headers, private_cookies)
    terms = destination.terms
    if destination.back is not None and (back := destination.way_back(admission)) is not None:
        kept = back(kept)
    if terms.access is not _PUBLIC:
        kept = with_cache_rules(kept)
    if terms.cors is not None and admission.facts is not None:
        kept = [*without_cors(kept), *answer_headers(terms.cors, admission.facts.header("origin"))]
    if admission.verdict.cookies:
        kept = [*for_one_browser(kept), *set_cookie_headers(admission.verdict.cookies)]
    kept.append(request_id)
    return kept


def direct_way(scope: Scope, receive: Receive, send: Send) -> Direct | None:
    """Return the gateway's own server's exchange, where nobody stands between that would miss what passes by."""
    exchange = scope.get("extensions", {}).get(EXTENSION)
    if isinstance(exchange, Exchange) and exchange.receive == receive and exchange.send == send:
        return exchange
    return None


class AsgiSink:
    """Passes an upstream's answer on over ASGI (:class:`gateway.upstream.exchange.Sink`).

    Args:
        send: to the client.
        watch: notes the status.
        headers: makes the client's of the upstream's.
        direct: the shorter way to the same client; None where there is none.
    """

    __slots__ = ("_headers", "_send", "_watch", "direct")

    def __init__(
        self,
        send: Send,
        watch: Watch,
        headers: Callable[[list[Header]], list[Header]],
        direct: Direct | None = None,
    ) -> None:
        self.direct = direct
        self._send = send
        self._watch = watch
        self._headers = headers

    async def start(self, status: int, headers: list[Header]) -> None:
        """Send status and headers, with ours."""
        self._watch.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": self._headers(headers)})

    async def body(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


class Keeper(Protocol):
    """Who sent a request on its way, and gets to know what became of it."""

    def finish(self, relay: "Relay", detail: str = "") -> None:
        """The answer is out, or the client has gone."""
        ...

    def take_over(self, relay: "Relay") -> None:
        """It takes a task from here on: the answer is slow, or comes in pieces, or the upstream broke off."""
        ...

    def fail(self, relay: "Relay", error: Exception) -> None:
        """Passing the answer on failed."""
        ...


class Relay:
    """One request without a body that is on its way, and whose answer nobody waits for in a task yet.

    Args:
        keeper: gets to know what became of it.
        exchange: with the client.
        watch: notes the status.
        admission: what the gate said of the request.
        destination: where it goes.
        request: as it goes there.
        request_id: the header that names the request.
        private_cookies: names of cookies that an upstream may not set.
        connection: with the upstream.
    """

    __slots__ = (
        "_keeper",
        "_private_cookies",
        "_request_id",
        "admission",
        "connection",
        "destination",
        "exchange",
        "request",
        "watch",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - made for each request, of what it needs
        self,
        keeper: Keeper,
        exchange: Exchange,
        watch: Watch,
        admission: Admission,
        destination: Destination,
        request: Outgoing,
        request_id: Header,
        private_cookies: frozenset[bytes],
        connection: Connection,
    ) -> None:
        self._keeper = keeper
        self.exchange = exchange
        self.watch = watch
        self.admission = admission
        self.destination = destination
        self.request = request
        self._request_id = request_id
        self._private_cookies = private_cookies
        self.connection = connection

    def begin(self, head: bytes) -> None:
        """Send the request, which has this head."""
        self.exchange.on_gone = self._drop
        self.connection.begin(head, is_head=self.request.method == "HEAD")
        self.connection.watch(self._look)

    def _look(self) -> None:
        exchange, connection = self.exchange, self.connection
        exchange.on_gone = None
        answer = connection.answer_at_once()
        if answer is None:
            self._keeper.take_over(self)
            return
        status, received, body = answer.status, answer.headers, answer.take()
        self.destination.pool.release(connection)
        try:
            headers = self.headers(received)
            self.watch.status = status
            exchange.respond(status, headers, body)
        except Exception as error:
            self._keeper.fail(self, error)
            return
        self._keeper.finish(self)

    def headers(self, headers: list[Header]) -> list[Header]:
        """Return what the client gets of the upstream's headers."""
        return headers_back(headers, self.destination, self.admission, self._request_id, self._private_cookies)

    def _drop(self) -> None:
        """The client has gone, and with it the reason to ask."""
        self.destination.pool.release(self.connection)
        self._keeper.finish(self, "the client went away")
