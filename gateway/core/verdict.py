"""What a decision comes to, and what it may have to ask for on the way."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from gateway.core.claims import SessionClaims
from gateway.core.cookies import SetCookie
from gateway.core.keys import VerificationKey
from gateway.core.loop_causes import Finding
from gateway.core.machine_claims import MachineClaims, Refusal
from gateway.core.request import Header
from gateway.core.secret import NO_SECRET, Secret
from gateway.core.token_class import TokenType


class State(StrEnum):
    """The state of a request; also the value of ``X-Clerk-Auth-Status``."""

    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    HANDSHAKE = "handshake"
    UNKNOWN = "unknown"
    """Nothing can be said because the keys or the API are out of reach; never treated as signed in."""


class How(StrEnum):
    """What a decision rests on; shown in the log."""

    NOTHING = "-"
    CACHE = "cache"
    SIGNATURE = "signature"
    API = "api"
    REFRESH = "refresh"
    HANDSHAKE = "handshake"


@dataclass(init=False, slots=True)
class Verdict:
    """The end of a decision; to be treated as frozen, like the other records that are made for each request.

    Attributes:
        state: signed in, signed out, handshake or unknown.
        reason: the stable code; empty when signed in.
        message: one sentence for the operator; never holds a part of a token.
        claims: of the verified session token; None unless a session is signed in.
        machine: of the verified machine token; None unless a machine is signed in.
        token: that token; kept out of ``repr``.
        cookies: to set on the answer, whatever the answer is.
        location: where the browser has to go before anything else; empty for nowhere.
        how: what the decision rests on.
        loop: the likeliest cause of a redirect loop that was stopped here; None where there was none.
        dev_browser: the development browser's token, for the sign-in address.
        retry_after_s: for :attr:`State.UNKNOWN`, seconds after which trying again makes sense.
        identity: header pairs of the session, where they are at hand from an earlier request.
    """

    state: State
    reason: str
    message: str
    claims: SessionClaims | None
    machine: MachineClaims | None
    token: Secret
    cookies: tuple[SetCookie, ...]
    location: str = field(repr=False)
    how: How
    loop: Finding | None
    dev_browser: Secret
    retry_after_s: int
    identity: tuple[Header, ...] = field(repr=False)

    def __init__(  # noqa: PLR0913 - each end has its own few
        self,
        state: State,
        reason: str = "",
        message: str = "",
        *,
        claims: SessionClaims | None = None,
        machine: MachineClaims | None = None,
        token: Secret = NO_SECRET,
        cookies: tuple[SetCookie, ...] = (),
        location: str = "",
        how: How = How.NOTHING,
        loop: Finding | None = None,
        dev_browser: Secret = NO_SECRET,
        retry_after_s: int = 0,
        identity: tuple[Header, ...] = (),
    ) -> None:
        self.state = state
        self.reason = reason
        self.message = message
        self.claims = claims
        self.machine = machine
        self.token = token
        self.cookies = cookies
        self.location = location
        self.how = how
        self.loop = loop
        self.dev_browser = dev_browser
        self.retry_after_s = retry_after_s
        self.identity = identity

    def with_identity(self, identity: tuple[Header, ...]) -> "Verdict":
        """Return the verdict on a session with its header pairs at hand."""
        return Verdict(
            self.state,
            self.reason,
            self.message,
            claims=self.claims,
            machine=self.machine,
            token=self.token,
            cookies=self.cookies,
            location=self.location,
            how=self.how,
            loop=self.loop,
            dev_browser=self.dev_browser,
            retry_after_s=self.retry_after_s,
            identity=identity,
        )

    @property
    def is_loop(self) -> bool:
        """Whether a redirect loop was stopped here."""
        return self.loop is not None


@dataclass(frozen=True, slots=True)
class NeedKey:
    """Ask for the key of this ``kid``; answered with a key, or None when the source does not have it."""

    kid: str


@dataclass(frozen=True, slots=True)
class NeedRefresh:
    """Ask for the trade of an expired token; answered with directives or the tail of a reason.

    Attributes:
        session_id: ``sid`` of the expired token.
        expired_token, refresh_token: what is traded.
        request_origin: origin of the public URL.
        request_headers: the allowed few, lower-case.
        client: the browser's address.
        suffixed_cookies: which family of cookies the answer should set.
    """

    session_id: str
    expired_token: Secret
    refresh_token: Secret
    request_origin: str
    request_headers: Mapping[str, str]
    client: str
    suffixed_cookies: bool


@dataclass(frozen=True, slots=True)
class NeedPayload:
    """Ask for the directives behind a handshake nonce; answered with them, or None when there are none."""

    nonce: Secret


@dataclass(frozen=True, slots=True)
class NeedMachine:
    """Ask the API about an opaque machine token; answered with what it knows.

    Attributes:
        kind: which machine's token it is, by its prefix.
    """

    kind: TokenType
    token: Secret


@dataclass(frozen=True, slots=True)
class MachineAnswer:
    """What is known of an opaque machine token.

    Attributes:
        outcome: its claims, or why it is of no use.
        is_cached: the API was not asked anew.
    """

    outcome: MachineClaims | Refusal
    is_cached: bool


Need = NeedKey | NeedRefresh | NeedPayload | NeedMachine
KeyAnswer = VerificationKey | None
RefreshAnswer = tuple[str, ...] | str
PayloadAnswer = tuple[str, ...] | None
Answer = KeyAnswer | RefreshAnswer | PayloadAnswer | MachineAnswer

_End = TypeVar("_End")
Steps = Generator[Need, Answer, _End]
"""A part of a decision: yields what is missing, is sent the answer, and returns what it comes to."""
