"""One request and its answer, whatever version of HTTP carries them: what forwarding asks of it."""

from collections.abc import Callable
from typing import Protocol

from gateway.core.request import Header
from gateway.passing import Direct, Take


class Answer:
    """An answer, as far as it has come.

    Attributes:
        status, headers: of the final answer, names in lower case; there once ``has_head`` is set.
        has_head: status and headers are there.
        is_complete: all of it is there.
        chunks: pieces of the body that nobody has taken.
        held: their bytes.
    """

    # Defaults of the class: an answer is made for every request, and most of them never change these.
    status = 0
    has_head = False
    is_complete = False
    held = 0

    def __init__(self) -> None:
        self.headers: list[Header] = []
        self.chunks: list[bytes] = []

    def take(self) -> bytes:
        """Return the body so far, and hold it no longer; empty when it is complete."""
        data = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        self.chunks.clear()
        self.held = 0
        return data

    @property
    def is_ready(self) -> bool:
        """Whether :meth:`take` has something to say: a piece of the body, or that there is no more."""
        return bool(self.chunks) or self.is_complete


class Sink(Protocol):
    """Where an answer goes.

    Attributes:
        direct: the shorter way for pieces of bodies; None where there is none.
    """

    direct: Direct | None

    async def start(self, status: int, headers: list[Header]) -> None:
        """Take status and headers."""
        ...

    async def body(self, data: bytes, *, more: bool) -> None:
        """Take a piece of the body; returns when more can be taken."""
        ...


class Exchange(Protocol):
    """A request that has begun, and its answer.

    Attributes:
        is_closed: nothing more can be sent.
        is_request_sent: the request is out, which whoever sends its body says; from then on the upstream's time counts.
        on_slow: told once when it has taken longer than most.
    """

    is_closed: bool
    is_request_sent: bool
    on_slow: Callable[[], None] | None

    async def send(self, data: bytes) -> None:
        """Send a piece of a body whose length was said; returns when more can be taken."""
        ...

    def send_at_once(self, data: memoryview) -> bool:
        """Send a piece of such a body that needs no waiting (:data:`gateway.passing.Take`)."""
        ...

    async def send_chunk(self, data: bytes) -> None:
        """Send a piece of a body whose length is not known; an empty one ends it."""
        ...

    async def wait_head(self) -> Answer:
        """Return the answer when status and headers are there."""
        ...

    async def read(self, take: Take | None = None) -> bytes:
        """Return what there is of the body, or is not taken as it comes; empty when it is complete."""
        ...

    @property
    def is_drained(self) -> bool:
        """Whether the answer is complete and nothing of it is left to read."""
        ...

    def fail(self, error: Exception) -> None:
        """End it, with this error for whoever waits."""
        ...

    def abort(self) -> None:
        """End it; whoever waits is told."""
        ...
