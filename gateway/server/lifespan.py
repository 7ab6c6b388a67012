"""Start and end of an application (ASGI, "Lifespan Protocol")."""

import asyncio
import logging

from starlette.types import ASGIApp, Message

from gateway.errors import GatewayError

_log = logging.getLogger(__name__)

_FAILED = {"startup": "the application did not start", "shutdown": "the application did not stop well"}


class StartError(GatewayError):
    """The application did not start, or did not stop well; the text says why."""


class Lifespan:
    """Runs an application's lifespan, beside its requests.

    Args:
        app: the application; one that knows no lifespan is served without. It is offered no ``state``, since requests
            would pay for it and no application here has any.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

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
        task = self._task
        if task is None:
            return
        if not task.done():
            await self._tell("shutdown")
        elif not task.cancelled() and task.exception() is not None:
            _log.error("the application's lifespan ended too early", exc_info=task.exception())

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
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
            self._raise_failure(event, task)
            return
        message = reply.result()
        if message["type"].endswith(".failed"):
            raise StartError(message.get("message") or _FAILED[event])

    def _raise_failure(self, event: str, task: asyncio.Task[None]) -> None:
        error = task.exception()
        if error is None:
            return  # it has no use for a lifespan
        detail = str(error) if isinstance(error, GatewayError | OSError) else f"{type(error).__name__}: {error}"
        raise StartError(f"{_FAILED[event]}: {detail}") from error
