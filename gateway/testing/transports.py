"""HTTP without sockets: applications asked in the process, from synchronous tests too.

Starlette's ``TestClient`` would do most of it, and is bound to another HTTP library than ours as of Starlette 1.1; this
is the part that is needed, on anyio's portal as there.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Self

import anyio.from_thread
import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PEER = ("127.0.0.1", 50000)


class Crossroads:
    """One ASGI application out of several, by the name in ``Host``.

    Args:
        default: takes every other name, and the lifespan.
        places: applications by host, and port where it is not the default.
    """

    def __init__(self, default: ASGIApp, places: Mapping[str, ASGIApp]) -> None:
        self._default = default
        self._places = {host.encode(): app for host, app in places.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        host = next((value for name, value in scope.get("headers", ()) if name == b"host"), b"")
        await self._places.get(host, self._default)(scope, receive, send)


def in_process(app: ASGIApp) -> ASGIApp:
    """Return an application that is asked without a socket and breaks off all the same.

    What waits for the client to go sees it go at once; an answer that is not complete is an ``httpx.ReadError``.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_read = is_answered = False

        async def read() -> Message:
            nonlocal is_read
            if is_read:
                return {"type": "http.disconnect"}
            message = await receive()
            is_read = not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            nonlocal is_answered
            is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            # The peer is nobody's socket.
            await app({**scope, "client": None}, read, answer)
        except ConnectionResetError as broken:
            raise httpx.ReadError(str(broken)) from broken
        if not is_answered:
            raise httpx.ReadError("the answer broke off")

    return serve


class Lifespan:
    """Starts and stops an application as a server does (ASGI, lifespan protocol).

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self._sent: asyncio.Queue[Message | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, object] = {}

    async def start(self) -> None:
        """Wait until the application is ready; one that knows no lifespan is ready at once.

        Raises:
            RuntimeError: it says that it cannot start.
        """
        self._task = asyncio.create_task(self._run())
        await self._tell("startup")

    async def stop(self) -> None:
        """Wait until the application has stopped."""
        if self._task is not None:
            await self._tell("shutdown")
            await self._task

    async def _tell(self, what: str) -> None:
        await self._received.put({"type": f"lifespan.{what}"})
        answer = await self._sent.get()
        if answer is not None and answer["type"] == f"lifespan.{what}.failed":
            # Starlette sends the whole traceback; its last line is what was raised.
            *_, cause = ("", *str(answer.get("message", "")).strip().splitlines())
            raise RuntimeError(f"the application failed at {what}: {cause}")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        # By the protocol an application that raises knows no lifespan, or has told of its failure.
        with suppress(Exception):
            await self._app(scope, self._received.get, self._sent.put)
        # Whoever waits is not left waiting, at the start nor at the end.
        await self._sent.put(None)
        await self._sent.put(None)


class AsyncAppTransport(httpx.AsyncBaseTransport):
    """Asks an application, which it starts and stops.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._lifespan = Lifespan(app)
        self._inner = httpx.ASGITransport(_with_state(app, self._lifespan.state), client=_PEER)

    async def __aenter__(self) -> Self:
        await self._lifespan.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._lifespan.stop()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the application."""
        return await self._inner.handle_async_request(request)


class AppTransport(httpx.BaseTransport):
    """Asks an application that runs in the event loop of a thread of its own, started with the first request.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._stack = ExitStack()
        self._portal: anyio.from_thread.BlockingPortal | None = None
        self._inner: AsyncAppTransport | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the application."""
        request.read()
        return self._open().call(self._ask, request)

    def close(self) -> None:
        """Stop the application and its thread."""
        self._portal = None
        self._stack.close()

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _open(self) -> anyio.from_thread.BlockingPortal:
        if self._portal is None:
            with ExitStack() as stack:
                portal = stack.enter_context(anyio.from_thread.start_blocking_portal("asyncio"))
                self._inner = portal.call(AsyncAppTransport, self._app)
                stack.enter_context(portal.wrap_async_context_manager(self._inner))
                self._stack = stack.pop_all()
                self._portal = portal
        return self._portal

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        if self._inner is None:
            raise AssertionError("the application was started")
        answer = await self._inner.handle_async_request(request)
        body = b"".join([chunk async for chunk in answer.aiter_raw()])
        stream = httpx.ByteStream(body)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream, extensions=answer.extensions)


def _with_state(app: ASGIApp, state: dict[str, object]) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {**state}}, receive, send)

    return serve
