"""One process that serves: an application, a listener, and what happens between their start and their end."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from gateway.server.handler import AsgiHandler, DirectApplication, Handler
from gateway.server.lifespan import Lifespan
from gateway.server.listener import Limits, Listener


@asynccontextmanager
async def serving(
    app: ASGIApp, sockets: Sequence[socket.socket], *, limits: Limits | None = None, drain_s: float
) -> AsyncIterator[None]:
    """Serve an application while the context lasts.

    Args:
        app: the application; a :class:`DirectApplication` is asked as one.
        sockets: bound; they are closed at the end.
        limits: what clients may take.
        drain_s: seconds that requests in hand get at the end.

    Raises:
        StartError: the application does not start, or does not stop well.
    """
    lifespan = Lifespan(app)
    try:
        await lifespan.start()
    except BaseException:
        for each in sockets:
            each.close()
        raise
    handler: Handler = app if isinstance(app, DirectApplication) else AsgiHandler(app)
    listener = Listener(handler, limits)
    try:
        for each in sockets:
            listener.listen(each)
        yield
    finally:
        await listener.close(drain_s)
        await lifespan.stop()
