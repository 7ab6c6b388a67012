"""What the engine asks of the outside, as small protocols; fakes of them are constructed, never patched in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.core.keys import VerificationKey
from gateway.core.machine_claims import MachineRecord
from gateway.core.token_class import TokenType
from gateway.core.verdict import NeedRefresh

Clock = Callable[[], float]
"""Returns Unix seconds."""


@dataclass(frozen=True, slots=True)
class KeysStatus:
    """Whether tokens can be verified, for readiness.

    Attributes:
        is_ready: there is at least one usable key.
        is_stale: the keys are older than their lifetime because the source is out of reach.
        reason: why not ready or stale; empty otherwise.
        detail: for the operator.
        age_s: seconds since the source gave the keys; None where there are none, or the settings hold them.
        usable_for_s: seconds for which they may be used yet, should the source be down.
        is_from_file: they are of an earlier run, and the source has not answered yet.
    """

    is_ready: bool
    is_stale: bool = False
    reason: str = ""
    detail: str = ""
    age_s: float | None = None
    usable_for_s: float = 0.0
    is_from_file: bool = False

    @property
    def state(self) -> str:
        """In a word: ``missing``, ``pinned``, ``from-file``, ``stale`` or ``fresh``."""
        if not self.is_ready:
            return "missing"
        if self.age_s is None:
            return "pinned"
        if self.is_from_file:
            return "from-file"
        return "stale" if self.is_stale else "fresh"


class KeySource(Protocol):
    """Where verification keys come from."""

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the key if it is at hand and fresh; never waits."""
        ...

    def fresh_for_s(self) -> float:
        """Return for how many seconds a verification may be remembered before the keys are asked for again."""
        ...

    async def find(self, kid: str) -> VerificationKey | None:
        """Return the key, loading the set if it has to; None when the source does not have it.

        Raises:
            KeysUnavailable: when the source cannot be asked, and no set at hand has the key.
        """
        ...

    async def warm(self) -> KeysStatus:
        """Load the keys if there are none, and return whether they are usable."""
        ...

    async def close(self) -> None:
        """Stop background work and close connections."""
        ...


class SessionsApi(Protocol):
    """The two calls of the Backend API that a decision may need."""

    async def refresh_cookies(self, need: NeedRefresh) -> tuple[str, ...]:
        """Trade an expired token for ``Set-Cookie`` directives.

        Raises:
            SessionsApiError: when the API refuses, fails or cannot be reached.
        """
        ...

    async def handshake_payload(self, nonce: str) -> tuple[str, ...]:
        """Return the directives behind a handshake nonce.

        Raises:
            SessionsApiError: when the API refuses, fails or cannot be reached.
        """
        ...


class SessionStates(Protocol):
    """The call of the Backend API that tells whether a session lives."""

    async def is_active(self, session_id: str) -> bool:
        """Return whether the session is active; one that is not there is not.

        Raises:
            SessionsApiError: when the API refuses, fails or cannot be reached.
        """
        ...


class MachineTokensApi(Protocol):
    """The call of the Backend API that knows opaque machine tokens."""

    async def verify(self, kind: TokenType, token: str) -> MachineRecord:
        """Return what is known of a token.

        Raises:
            SessionsApiError: when the API refuses, fails or cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One request in the access log.

    Attributes:
        status: the HTTP status answered.
        method, path: of the request; the path without its query.
        route: the name of the route; empty when none matched.
        state, reason, how: of the decision.
        duration_ms: milliseconds from the first byte of the decision to the last byte of the answer.
        detail: for the operator; never holds a token.
        cause: of a redirect loop that was stopped (:class:`gateway.core.loop_causes.LoopCause`); empty for none.
        request_id: as the upstream and the client were told it; empty where there is none.
    """

    status: int
    method: str
    path: str
    route: str
    state: str
    reason: str
    how: str
    duration_ms: float
    detail: str = ""
    cause: str = ""
    request_id: str = ""


class Journal(Protocol):
    """Where requests are written down."""

    def record(self, entry: Entry) -> None:
        """Write one entry; must not raise and must not block."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of a claim to some work.

    Attributes:
        is_ours: nobody else does it; the caller does, and settles or releases it.
        answer: what somebody made of it; None while nobody has.
    """

    is_ours: bool
    answer: bytes | None = None


class AnswerStore(Protocol):
    """What workers and hosts share, so that work which can be done once is done once.

    Keys and answers are opaque bytes: keys are digests, answers are sealed by whoever knows what they were made of.
    Every call raises StoreUnavailable when the store cannot be reached.
    """

    async def claim(self, key: bytes, holder: bytes, lease_s: float) -> Claim:
        """Take the work for some seconds, unless it was done or somebody else has it; in one step for all callers.

        Args:
            key: names the work.
            holder: names the caller, at random for each claim.
            lease_s: seconds after which others may take it, should the caller vanish.
        """
        ...

    async def settle(self, key: bytes, holder: bytes, answer: bytes, keep_s: float) -> None:
        """Leave the answer for the others for some seconds; does nothing when the lease was lost meanwhile."""
        ...

    async def release(self, key: bytes, holder: bytes) -> None:
        """Let others take the work at once; does nothing when the lease was lost meanwhile."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
