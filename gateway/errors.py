"""Every exception that this package raises on purpose.

    GatewayError
    ├── ConfigurationError      the settings cannot be used; carries every fault at once
    ├── Unavailable             nothing can be said about a token, which is not at fault
    │   ├── KeysUnavailable     the key source cannot be reached or read
    │   └── MachinesUnavailable the API does not say whether a machine token is good
    ├── SessionsApiError        a call to the Sessions API did not succeed
    │   ├── ApiAnswered         the API answered, and not as it was asked to
    │   │   ├── ApiRefused      400, 401, 404, 410 or 422 with its list of errors
    │   │   └── ApiFailed       any other 4XX or 5XX, or an answer that is not what was promised
    │   ├── ApiUnreachable      there was no usable answer at all
    │   └── AskedElsewhere      another process asks, and has no answer yet
    ├── StoreUnavailable        the store that workers and hosts share cannot be reached
    └── UpstreamError           the service behind the gateway did not answer as HTTP asks

:class:`gateway.surfaces.require.AccessDenied` stands beside the tree: it is Starlette's ``HTTPException``, so that
frameworks answer it.

Evidence is carried in attributes. The texts never repeat what a client sent, a token or a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class GatewayError(Exception):
    """The root of the tree."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the settings.

    Attributes:
        setting: the dotted name of the setting, e.g. ``server.listen`` or ``routes[2].upstream``.
        seen: the value that was found, already redacted where the setting is a secret.
        problem: what is wrong with it.
        fix: what to write instead.
    """

    setting: str
    seen: str
    problem: str
    fix: str

    def __str__(self) -> str:
        seen = f" (is {self.seen})" if self.seen else ""
        return f"{self.setting}{seen}: {self.problem}; {self.fix}"


class ConfigurationError(GatewayError):
    """The settings cannot be used.

    Attributes:
        faults: all of them, in the order of the file.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class Unavailable(GatewayError):
    """Nothing can be said about a token.

    Attributes:
        reason: the stable reason code (:class:`gateway.core.reasons.Reason`).
        detail: for logs and for ``gateway check``; never sent to a client, never holds a token or what an API answered.
        retry_after_s: seconds after which trying again makes sense.
    """

    def __init__(self, reason: str, detail: str, retry_after_s: int = 5) -> None:
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s
        super().__init__(f"{reason}: {detail}")


class KeysUnavailable(Unavailable):
    """The verification keys cannot be had."""


class MachinesUnavailable(Unavailable):
    """The API does not say whether a machine token is good."""


class SessionsApiError(GatewayError):
    """A call to the Sessions API did not succeed."""


@dataclass(frozen=True, slots=True)
class ApiErrorItem:
    """One entry of the API's ``errors`` list (Backend API, schema ClerkError)."""

    code: str
    message: str
    long_message: str = ""
    meta: tuple[tuple[str, object], ...] = ()


class ApiAnswered(SessionsApiError):
    """The API answered, and not as it was asked to.

    Attributes:
        status: the HTTP status.
        errors: what the API lists; always some in :class:`ApiRefused`, often none in :class:`ApiFailed`.
        trace_id: what the API's operators ask for; may be empty.
        retry_after_s: seconds from the ``Retry-After`` header, or None.
    """

    def __init__(
        self, status: int, errors: Sequence[ApiErrorItem], text: str, trace_id: str, retry_after_s: float | None
    ) -> None:
        self.status = status
        self.errors = tuple(errors)
        self.trace_id = trace_id
        self.retry_after_s = retry_after_s
        super().__init__(f"HTTP {status}{text}")

    @property
    def code(self) -> str:
        """The code of the first error, which is the one that SDKs report; empty where there is none."""
        return self.errors[0].code if self.errors else ""

    @property
    def knows_nothing(self) -> bool:
        """Whether the API says that it has no such thing, or that the text cannot be one; no fault of its own."""
        return self.status in {400, 404, 410, 422}


class ApiRefused(ApiAnswered):
    """The API refused what was asked, with its list of errors: 400, 401, 404, 410 or 422."""

    def __init__(
        self, status: int, errors: Sequence[ApiErrorItem], trace_id: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(status, errors, _first(errors), trace_id, retry_after_s)


class ApiFailed(ApiAnswered):
    """The API failed: 3XX, another 4XX, 5XX, or 2XX with a body that is not what it promises.

    Attributes:
        detail: what is wrong; never holds what the API answered.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        trace_id: str = "",
        retry_after_s: float | None = None,
        errors: Sequence[ApiErrorItem] = (),
    ) -> None:
        self.detail = detail
        super().__init__(status, errors, _first(errors) if errors else f": {detail}", trace_id, retry_after_s)


def _first(errors: Sequence[ApiErrorItem]) -> str:
    return f" {errors[0].code}: {errors[0].long_message or errors[0].message}"


class ApiUnreachable(SessionsApiError):
    """There was no answer: DNS, connection, TLS, time-out or a broken transfer.

    Attributes:
        cause: one of ``dns``, ``connect``, ``tls``, ``timeout``, ``protocol``.
    """

    def __init__(self, cause: str, detail: str) -> None:
        self.cause = cause
        self.detail = detail
        super().__init__(f"{cause}: {detail}")

    @property
    def is_unsent(self) -> bool:
        """Whether nothing of the request can have reached the API, so that even a POST may be sent again."""
        return self.cause in {"dns", "connect"}


class AskedElsewhere(SessionsApiError):
    """Another process made the call, and its answer did not come in time; says nothing about the API."""

    def __init__(self) -> None:
        super().__init__("another process asks, and has no answer yet")


class StoreUnavailable(GatewayError):
    """The store that workers and hosts share cannot be reached.

    Attributes:
        detail: for the log; holds no address with a password.
    """

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


class UpstreamError(GatewayError):
    """The service behind the gateway did not answer as HTTP asks.

    Attributes:
        reason: the stable reason code (:class:`gateway.core.reasons.Reason`).
        detail: for the log; never sent to a client.
        retry_after_s: seconds after which it may be better; 0 where nobody knows.
    """

    def __init__(self, reason: str, detail: str, *, retry_after_s: int = 0) -> None:
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s
        super().__init__(f"{reason}: {detail}")
