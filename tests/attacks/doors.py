"""The doors under attack: ``gateway serve`` as it is shipped, and the middleware on the server that is shipped."""

import asyncio
import json
import logging
import re
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import TextIOBase
from pathlib import Path
from urllib.parse import unquote

import httpx
from starlette.types import Receive, Scope, Send

from gateway.adapters.journal import JsonJournal
from gateway.assemble import build
from gateway.cli.serving import serve_embedded
from gateway.core.settings import parse
from gateway.core.settings_model import Address
from gateway.surfaces.middleware import GateMiddleware
from tests.attacks.attack_kit import (
    Authority,
    Recorded,
    Target,
    Upstream,
    UpstreamHandler,
    config_of,
    scan_log,
    scan_upstream,
)
from tests.e2e.processes import Command, free_port


@contextmanager
def proxy_door(
    folder: Path,
    more: str = "",
    routes: str = "",
    handler: type[UpstreamHandler] = UpstreamHandler,
    authority: Authority | None = None,
    *,
    has_usual_routes: bool = True,
) -> Iterator[Target]:
    """``gateway serve`` in a process of its own; all that it ever sent on and wrote is looked through at the end.

    Args:
        folder: for its configuration.
        more: keys of ``[server]``, or whole sections.
        routes: more tables for the end of the configuration.
        handler: serves a connection of the upstream.
        authority: another one than the usual.
        has_usual_routes: those of :func:`config_of` are there beside them.
    """
    authority, upstream, port = authority or Authority(), Upstream(handler), free_port()
    config = folder / "config.toml"
    usual = config_of(authority, upstream.url, port, more)
    kept = usual if has_usual_routes else usual.partition("[[routes]]")[0]
    config.write_text(kept + routes.replace("UPSTREAM", upstream.url))
    config.chmod(0o600)
    with Command("serve", "--config", str(config)) as gateway:
        gateway.wait_for("listens on")
        target = Target(port, upstream, authority, gateway)
        yield target
        target.get("/the-last-request")
        gateway.wait_for("/the-last-request")
    for server in (authority, upstream):
        server.shutdown()
        server.server_close()
    scan_upstream(target)
    scan_log(target)


class Application:
    """An application that records what the middleware lets through.

    Attributes:
        requests, seen: as of :class:`Upstream`.
        answers: not used; an application's answers are its own.
        misled: paths of which the application was told another decoded form than the one that was judged.
    """

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.seen = bytearray()
        self.answers: dict[str, bytes] = {}
        self.misled: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _live_or_refuse(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        raw_path, query = scope["raw_path"], scope["query_string"]
        target = raw_path + (b"?" + query if query else b"")
        line = f"{scope['method']} {target.decode('latin-1')} HTTP/1.1"
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        if scope["path"] != unquote(raw_path.decode("ascii")):
            self.misled.append(line)
        self.requests.append(Recorded(line, headers, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"up"})


async def _live_or_refuse(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    while True:
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
        message = await receive()


class Written(TextIOBase):
    """A log that a thread can wait for."""

    def __init__(self) -> None:
        self._text = ""
        self._grown = threading.Condition()

    def write(self, text: str, /) -> int:
        with self._grown:
            self._text += text
            self._grown.notify_all()
        return len(text)

    @property
    def output(self) -> str:
        with self._grown:
            return self._text

    def wait_for(self, pattern: str, timeout_s: float = 30) -> re.Match[str]:
        deadline = time.monotonic() + timeout_s
        with self._grown:
            while not (match := re.search(pattern, self._text)):
                if not self._grown.wait(deadline - time.monotonic()):
                    raise AssertionError(f"no {pattern!r} within {timeout_s} s:\n{self._text}")
        return match


@contextmanager
def middleware_door(routes: str = "") -> Iterator[Target]:
    """The middleware around a recording application, on the server that is shipped, in a thread.

    Args:
        routes: more tables for its configuration.
    """
    authority, application, port = Authority(), Application(), free_port()
    entries, notices = Written(), Written()
    nowhere = "http://127.0.0.1:9"
    document = tomllib.loads(config_of(authority, nowhere, port) + routes.replace("UPSTREAM", nowhere))
    is_ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        engine = build(parse(document, needs_upstream=False), transport=httpx.AsyncHTTPTransport(trust_env=False))
        app = GateMiddleware(application, engine.gate, engine.namespace, JsonJournal(entries), engine.close)
        await serve_embedded([(app, Address("127.0.0.1", port))], is_ready.set, stop)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    faults = logging.StreamHandler(notices)
    # Other tests of this process have gateways of their own, and faults that are meant.
    faults.addFilter(lambda record: record.thread == thread.ident)
    logging.getLogger("gateway").addHandler(faults)
    thread.start()
    assert is_ready.wait(30)
    target = Target(port, application, authority, entries)
    yield target
    target.get("/the-last-request")
    entries.wait_for("/the-last-request")
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()
    logging.getLogger("gateway").removeHandler(faults)
    authority.shutdown()
    authority.server_close()
    scan_log(target)
    scan_log(replace(target, log=notices))
    assert all(isinstance(json.loads(line), dict) for line in entries.output.splitlines())
    assert application.misled == []
