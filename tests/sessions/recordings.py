"""Recorded exchanges with the Sessions API: one JSON file a story, in ``recorded/``.

They are written after the public documents of the API: its headers, both shapes of a list, trace ids in the body or in
``cf-ray``. A story is a list of exchanges in order; a replay answers them and holds every request to the recorded one,
byte for byte but for the version of the client.
"""

import json
from pathlib import Path
from typing import Any

import httpx

from gateway.version import __version__

FOLDER = Path(__file__).parent / "recorded"


def load(story: str) -> list[dict[str, Any]]:
    """The exchanges of a story."""
    exchanges: list[dict[str, Any]] = json.loads((FOLDER / f"{story}.json").read_text(encoding="utf-8"))
    return exchanges


def request_of(request: httpx.Request) -> dict[str, object]:
    """A request in the form of the files."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers["user-agent"] = headers["user-agent"].replace(f"/{__version__}", "/<version>")
    return {
        "method": request.method,
        "target": request.url.raw_path.decode(),
        "headers": headers,
        "body": request.content.decode() or None,
    }


class Replay(httpx.AsyncBaseTransport):
    """Answers a story, and refuses a request that is not the recorded one."""

    def __init__(self, story: str) -> None:
        self.rest = load(story)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = self.rest.pop(0)
        assert request_of(request) == exchange["request"]
        answer = exchange["answer"]
        body = answer["body"]
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(answer["status"], headers=answer["headers"], content=content.encode())


class Alongside(httpx.AsyncBaseTransport):
    """Passes on to a living service, and holds its answers to the recorded ones: status, type, names of the fields."""

    def __init__(self, story: str, living: httpx.AsyncBaseTransport) -> None:
        self.rest = load(story)
        self._living = living

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.rest.pop(0)["answer"]
        response = await self._living.handle_async_request(request)
        content = await response.aread()
        assert response.status_code == answer["status"], content
        assert response.headers["content-type"] == "application/json"
        assert shape(json.loads(content)) == shape(answer["body"])
        return httpx.Response(response.status_code, headers=response.headers, content=content)


def shape(document: object) -> object:
    """The names of the fields of a document and of the objects in its lists, but for ``meta``, which may be absent."""
    if isinstance(document, list):
        return [shape(item) for item in document if isinstance(item, dict)]
    if isinstance(document, dict):
        named = {name: value for name, value in document.items() if name != "meta"}
        return {name: shape(value) if isinstance(value, list) else ... for name, value in named.items()}
    return ...
