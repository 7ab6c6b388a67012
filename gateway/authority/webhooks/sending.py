"""One attempt to deliver one message: signed, sent, and what the receiver made of it.

Facts: webhooks, "Signature"; Standard Webhooks. Any answer of class 2xx is a delivery, everything else is none, a
redirect included. What is in an answer is read for a moment, so that the connection can be used again, and thrown away.
"""

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook

from gateway.authority.webhooks.endpoints import Endpoint
from gateway.authority.webhooks.outbox import Claim
from gateway.core.secret import Secret
from gateway.sessions.answers import read_retry_after
from gateway.version import __version__

TIMEOUT_S = 15.0
_REST_LIMIT = 16 * 1024
_REST_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        status: of the answer; None when there was none.
        text: in words, for people; nothing that the receiver wrote is in it.
        retry_after_s: how long it asked to be left alone, or None.
    """

    status: int | None
    text: str
    retry_after_s: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing any more (Standard Webhooks, 410)."""
        return self.status == 410


class Sender:
    """Sends messages over connections of its own: no proxies of the environment, no cookies, no redirects.

    Args:
        transport: what carries the requests, closed with the sender; None makes one when it is needed.
        timeout_s: seconds for one attempt, from resolving the name to the head of the answer.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._transport = transport
        self._timeout_s = timeout_s

    async def send(self, endpoint: Endpoint, claim: Claim, now_s: int) -> Outcome:
        """Sign and send a message; never raises for what the receiver does.

        Args:
            endpoint: to whom.
            claim: what.
            now_s: the time that is signed, in Unix seconds.
        """
        body = claim.body.encode()
        headers = signed_headers(endpoint.secret, claim.message_id, claim.body, now_s)
        self._transport = self._transport or httpx.AsyncHTTPTransport(trust_env=False)
        try:
            request = httpx.Request("POST", endpoint.url, headers=headers, content=body)
            async with asyncio.timeout(self._timeout_s):
                response = await self._transport.handle_async_request(request)
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(None, f"no answer within {self._timeout_s:g} s")
        except httpx.ConnectError:
            return Outcome(None, "no connection")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Outcome(None, f"the transfer broke off ({type(error).__name__})")
        await _finish(response)
        retry_after_s = read_retry_after(response.headers.get("retry-after", ""), now_s)
        return Outcome(response.status_code, f"answered {response.status_code}", retry_after_s)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.aclose()


def signed_headers(secret: Secret, message_id: str, body: str, now_s: int) -> dict[str, str]:
    """The headers of a message, under Svix's names and under those of Standard Webhooks.

    Args:
        secret: ``whsec_…``.
        message_id: ``msg_…``.
        body: what is sent.
        now_s: Unix seconds.
    """
    signature = Webhook(secret.reveal()).sign(message_id, datetime.fromtimestamp(now_s, UTC), body)
    signed = {"id": message_id, "timestamp": str(now_s), "signature": signature}
    return {
        "Content-Type": "application/json",
        "User-Agent": f"session-gateway/{__version__}",
        **{f"{family}-{name}": value for family in ("svix", "webhook") for name, value in signed.items()},
    }


async def _finish(response: httpx.Response) -> None:
    """Read the rest of a short answer; a long or a slow one costs its connection and no more."""
    with suppress(httpx.HTTPError, OSError):  # TimeoutError is an OSError
        try:
            async with asyncio.timeout(_REST_TIMEOUT_S):
                await _read_some(response.stream)
        finally:
            await response.aclose()


async def _read_some(stream: object) -> None:
    if not isinstance(stream, AsyncIterable):
        return
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > _REST_LIMIT:
            return
