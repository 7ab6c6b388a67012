"""Start and end of an application (ASGI, "Lifespan Protocol")."""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message

from gateway.errors import GatewayError


class StartError(GatewayError):
    """The application did not start, or did not stop well; the text says why."""


class Lifespan:
    """Runs an application's lifespan, beside its requests.

    Args:
        app: the application; one that knows no lifespan is served without.

    Attributes:
        state: what the application keeps for its requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """Start the application.

        Raises:
            StartError: it says that it cannot, or fails.
        """
        self._task = asyncio.create_task(self._run())
        await self._tell("startup")

    async def stop(self) -> None:
        """Stop the application.

        Raises:
            StartError: it says that it could not, or fails.
        """
        if self._task is not None and not self._task.done():
            await self._tell("shutdown")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._inbox.get, self._outbox.put)

    async def _tell(self, event: str) -> None:
        task = self._task
        if task is None:
            return
        await self._inbox.put({"type": f"lifespan.{event}"})
        reply = asyncio.create_task(self._outbox.get())
        await asyncio.wait([reply, task], return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            reply.cancel()
            self._raise_failure(task)
            return
        message = reply.result()
        if message["type"].endswith(".failed"):
            raise StartError(message.get("message") or "the application did not start or stop well")

    def _raise_failure(self, task: asyncio.Task[None]) -> None:
        error = task.exception()
        if error is None:
            return  # it has no use for a lifespan
        detail = str(error) if isinstance(error, GatewayError | OSError) else f"{type(error).__name__}: {error}"
        raise StartError(f"the application did not start: {detail}") from error
