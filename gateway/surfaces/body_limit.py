"""Counts a request's body where its length was not said, and ends it when it is longer than its route allows."""

from starlette.types import Message, Receive, Send

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.surfaces.answers import Answer


class BodyLimit:
    """Stands between a server and whoever reads the body.

    Args:
        receive: the server's.
        limit_bytes: of the body.

    Attributes:
        is_exceeded: the body was longer, and its reader was told so.
        is_answered: whoever sent the request was told, too.
    """

    def __init__(self, receive: Receive, limit_bytes: int) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._left = limit_bytes
        self.is_exceeded = False
        self.is_answered = False

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            UpstreamError: the body is too long.
        """
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.is_exceeded = True
            raise UpstreamError(Reason.REQUEST_BODY_TOO_LARGE, f"more than {self._limit_bytes} bytes")
        return message

    def answering(self, send: Send, answer: Answer) -> Send:
        """Return a ``send`` that says what is the matter, whatever a framework makes of the exception."""

        async def send_instead(message: Message) -> None:
            if self.is_exceeded and message["type"] == "http.response.start":
                self.is_answered = True
                await send({**message, "status": answer.status, "headers": list(answer.headers)})
                await send({"type": "http.response.body", "body": answer.body})
            elif not self.is_answered:
                await send(message)

        return send_instead
