"""What an operation of the API is: one row, out of which come its route, the check of its input and its documentation.

The order in which a request is judged is written here: address and method, who asks, which version, whether the
operation still exists in it, query, body. Only then the operation looks at what is asked for.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.authority.errors import Problem, Refusal
from gateway.authority.fields import Field, known_in, read_fields, read_query
from gateway.authority.realm import Realm
from gateway.authority.requests import (
    browser_version,
    read_json,
    requested_version,
    require_own_host,
    require_secret_key,
)
from gateway.authority.versions import ApiVersion


class Door(Enum):
    """Who may come in."""

    BACKEND = auto()
    """Whoever has the secret key."""
    BROWSER = auto()
    """Whatever browser calls the authority by its own name; the operation finds out which one it is."""
    PUBLIC = auto()
    """Everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that may be answered.

    Attributes:
        request: as it came; for headers and identifiers in the path.
        version: of the API that it speaks.
        query: every parameter of the row, with its default.
        body: the members of the JSON body that are there, without nulls.
    """

    request: Request = field(repr=False)
    version: ApiVersion
    query: Mapping[str, object] = field(repr=False)
    body: Mapping[str, object] = field(repr=False)


Handler = Callable[[Realm, Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: the operation's identifier in the OpenAPI document.
        method: HTTP method.
        path: with identifiers in braces.
        handler: answers it.
        answer: name of the schema of its answer in :mod:`gateway.authority.schemas`; empty for a redirect.
        about: what it does, in a sentence.
        door: who may ask.
        query: the parameters that count.
        body: the members of its JSON body; None takes no notice of a body.
        form: the fields of its form-encoded body, which the handler reads itself.
        problems: what its handler may refuse; what is refused before is known from the rest of the row.
        missing: the problem when a required query parameter is not there.
        faults_are: status of faults in query and body, where the public specification has another one than 422.
        until: the last version that has the operation; later ones are told that it is gone.
    """

    name: str
    method: str
    path: str
    handler: Handler
    answer: str
    about: str
    door: Door = Door.BACKEND
    query: Mapping[str, Field] = field(default_factory=dict)
    body: Mapping[str, Field] | None = None
    form: Mapping[str, Field] | None = None
    problems: tuple[Problem, ...] = ()
    missing: Problem = Problem.QUERY_MISSING
    faults_are: int | None = None
    until: ApiVersion | None = None

    def is_gone(self, version: ApiVersion) -> bool:
        """Whether the version no longer has the operation."""
        return self.until is not None and version > self.until


def routes_of(realm: Realm, operations: Iterable[Operation]) -> list[Route]:
    """One route for each address of the operations."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    return [Route(path, _Address(realm, there)) for path, there in by_path.items()]


class _Address:
    """What answers at one path; an ASGI application, so that every method comes here and none is added."""

    def __init__(self, realm: Realm, operations: Sequence[Operation]) -> None:
        self._realm = realm
        self._by_method = {operation.method: operation for operation in operations}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        operation = self._by_method.get(request.method)
        if operation is None:  # HEAD too: it would spend what GET hands over, and show nothing
            raise Refusal(Problem.NO_SUCH_METHOD, allow=", ".join(self._by_method))
        response = await _answer(self._realm, operation, request)
        await response(scope, receive, send)


async def _answer(realm: Realm, operation: Operation, request: Request) -> Response:
    if operation.door is Door.BACKEND:
        require_secret_key(request, realm.secret_key)
    elif operation.door is Door.BROWSER:
        require_own_host(request, realm.config.host)
    version = (browser_version if operation.door is Door.BROWSER else requested_version)(request)
    if operation.is_gone(version):
        raise Refusal(Problem.GONE)
    query = read_query(request.query_params, operation.query, operation.missing, operation.faults_are)
    body: dict[str, Any] = {}
    if operation.body is not None:
        body = read_fields(await read_json(request), known_in(operation.body, version), operation.faults_are)
    return await operation.handler(realm, Call(request=request, version=version, query=query, body=body))
