"""One call of an operation: the request with its key, and what its answer says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx

from gateway.core.instance import API_VERSION
from gateway.core.secret import Secret
from gateway.sessions.answers import read_answer
from gateway.sessions.transfer import exchange
from gateway.sessions.wire import Call
from gateway.version import __version__

T = TypeVar("T")
_USER_AGENT = f"session-gateway/{__version__}"


@dataclass(frozen=True, slots=True)
class Api:
    """The API as its clients reach it.

    Attributes:
        base: the URL below which the operations are.
        transport: what carries the requests.
        now: Unix seconds, for dates in answers.
    """

    base: str
    transport: httpx.AsyncBaseTransport
    now: Callable[[], float]

    async def ask(self, call: Call[T], key: Secret, timeout_s: float, api_version: str = API_VERSION) -> T:
        """Call once, and return what the answer says.

        Args:
            call: of an operation.
            key: who asks.
            timeout_s: seconds, from resolving the name to the last byte.
            api_version: ``YYYY-MM-DD``.

        Raises:
            SessionsApiError: the API refuses, fails or cannot be reached.
        """
        answer = await exchange(self.transport, self._request(call, key, api_version), call.operation.name, timeout_s)
        return read_answer(call.operation, answer, self.now())

    def _request(self, call: Call[T], key: Secret, api_version: str) -> httpx.Request:
        # a function of its own: what prints the variables of a failed call must not find the key among them
        headers = {"Authorization": f"Bearer {key.reveal()}", "User-Agent": _USER_AGENT} | call.headers(api_version)
        return httpx.Request(call.operation.method, self.base + call.target, headers=headers, content=call.body)
