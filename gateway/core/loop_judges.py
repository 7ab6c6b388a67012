"""Which cause a redirect loop had, judged from facts alone.

Each judge looks for the traces of one cause; they are asked from the surest to the weakest, and the first that finds
its traces names the cause. Where none does, that is what is said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.instance import InstanceKind
from gateway.core.loop_causes import Finding, LoopCause
from gateway.core.reasons import Reason, refresh_failure
from gateway.core.request import PublicUrl
from gateway.core.trace import shown

LARGE_HEAD_BYTES = 16 * 1024
"""More than many servers and proxies take, and more than an application's cookies should ever come to."""


class Use(StrEnum):
    """Why a handshake's answer could not be used."""

    EMPTY = "empty"
    UNBOUND = "unbound"
    OVERSIZED = "oversized"
    COOKIES = "cookies"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Unused:
    """An answer of a handshake that could not be used.

    Attributes:
        why: in a word.
        message: one sentence for the operator.
        reason: the reason for which the token in it was refused; empty where that was not it.
        issuer: of that token, as it says; empty where that was not it.
        issued_ago_s: seconds since it was issued, by this clock.
    """

    why: Use
    message: str
    reason: str = ""
    issuer: str = ""
    issued_ago_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """What is known when a loop is stopped.

    Attributes:
        kind, frontend_api, issuers: of the instance.
        url: the public URL.
        reason: for which the next handshake would be.
        unused: the answer that the browser just brought; None for none, or a good one.
        issuer, issued_ago_s: what the session token at hand says of itself, its age by this clock; empty and 0
            without a token.
        has_session: there is a session cookie.
        several: names of the instance's cookies that came with several values.
        keeps_cookies: the browser brought the cookies that were set when it left.
        forwarded_proto: ``X-Forwarded-Proto`` as it came, believed or not.
        head_bytes: of the request's head.
    """

    kind: InstanceKind
    frontend_api: str
    issuers: frozenset[str]
    url: PublicUrl
    reason: str
    unused: Unused | None = None
    issuer: str = ""
    issued_ago_s: float = 0.0
    has_session: bool = False
    several: Sequence[str] = ()
    keeps_cookies: bool = True
    forwarded_proto: str = ""
    head_bytes: int = 0


Judge = Callable[[LoopFacts], Finding | None]

_TOO_EARLY = frozenset(
    {
        Reason.SESSION_TOKEN_NBF,
        Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE,
        Reason.TOKEN_NOT_ACTIVE_YET,
        Reason.TOKEN_IAT_IN_THE_FUTURE,
    }
)
_FOREIGN = frozenset({Reason.JWK_KID_MISMATCH, Reason.TOKEN_INVALID_ISSUER, Reason.TOKEN_INVALID_SIGNATURE})


def find_cause(facts: LoopFacts) -> Finding:
    """Return the likeliest cause."""
    return next((found for judge in JUDGES if (found := judge(facts)) is not None), Finding(LoopCause.UNKNOWN))


def _clock(facts: LoopFacts) -> Finding | None:
    """A token that was issued a moment ago and does not count yet, or no more."""
    reason = facts.unused.reason if facts.unused is not None else ""
    if reason in _TOO_EARLY or facts.reason in _TOO_EARLY:
        issued_ago_s = facts.unused.issued_ago_s if facts.unused and reason else facts.issued_ago_s
        return _clock_of("behind", -issued_ago_s)
    if facts.unused is not None and reason == Reason.TOKEN_EXPIRED:
        return _clock_of("ahead of", facts.unused.issued_ago_s)
    # The browser keeps what it is given (the counter came back), so the expired token is the one just given.
    if refresh_failure(facts.reason) is not None and facts.has_session and facts.keeps_cookies and not facts.unused:
        return _clock_of("ahead of", facts.issued_ago_s)
    return None


def _clock_of(direction: str, seconds: float) -> Finding:
    clock = f"about {seconds:.0f} s {direction} the clock that issues tokens"
    return Finding(LoopCause.CLOCK_DIFFERENCE, (("This clock", clock), ("Setting", "instance.clock_skew_s")))


def _other_instance(facts: LoopFacts) -> Finding | None:
    """A token that no key of this instance signed, or that another Frontend API issued."""
    if facts.unused is not None and facts.unused.reason in _FOREIGN:
        issuer, why = facts.unused.issuer, facts.unused.reason
    elif facts.issuer and facts.issuer not in facts.issuers:
        issuer, why = facts.issuer, Reason.TOKEN_INVALID_ISSUER
    else:
        return None
    own = ", ".join(sorted(facts.issuers))
    return Finding(
        LoopCause.OTHER_INSTANCE,
        (
            ("Token", why),
            ("Its issuer", shown(issuer) or "not told"),
            ("Issuers that count", own),
            ("Setting", "instance.publishable_key, instance.secret_key"),
        ),
    )


def _authorized_parties(facts: LoopFacts) -> Finding | None:
    if facts.unused is None or facts.unused.reason != Reason.TOKEN_INVALID_AUTHORIZED_PARTIES:
        return None
    known = (("This origin", facts.url.origin), ("Setting", "instance.authorized_parties"))
    return Finding(LoopCause.AUTHORIZED_PARTIES, known)


def _oversized(facts: LoopFacts) -> Finding | None:
    if facts.unused is None or facts.unused.why is not Use.OVERSIZED:
        return None
    return Finding(LoopCause.OVERSIZED_COOKIE, (("Refused", facts.unused.message),))


def _duplicates(facts: LoopFacts) -> Finding | None:
    if not facts.several:
        return None
    return Finding(LoopCause.DUPLICATE_COOKIES, (("Came several times", ", ".join(facts.several)),))


def _proxy(facts: LoopFacts) -> Finding | None:
    """The proxy in front says https; were it believed, the public URL would say so too."""
    if facts.url.scheme == "https" or facts.forwarded_proto.partition(",")[0].strip().lower() != "https":
        return None
    known = (("Public address", facts.url.origin), ("X-Forwarded-Proto", "https, not believed"))
    return Finding(LoopCause.PROXY_NOT_TRUSTED, (*known, ("Setting", "server.trusted_proxies")))


def _http(facts: LoopFacts) -> Finding | None:
    """Cookies of a production instance are Secure, and no browser takes them by http; ours come back all the same."""
    if facts.url.scheme == "https" or facts.kind is not InstanceKind.PRODUCTION or facts.has_session:
        return None
    if facts.unused is not None or not facts.keeps_cookies:
        return None  # something came by http after all, or nothing comes at all
    known = (("Public address", facts.url.origin), ("Instance", facts.kind))
    return Finding(LoopCause.SECURE_OVER_HTTP, (*known, ("Setting", "server.trusted_proxies")))


def _blocked(facts: LoopFacts) -> Finding | None:
    is_unbound = facts.unused is not None and facts.unused.why is Use.UNBOUND
    if facts.keeps_cookies and not is_unbound:
        return None
    missing = "differ from those that were set" if facts.keeps_cookies else "did not come back"
    known = (("Cookies of the handshake", missing), ("Public address", facts.url.origin))
    return Finding(LoopCause.COOKIES_BLOCKED, known)


def _domain(facts: LoopFacts) -> Finding | None:
    """Production brings the answer in a cookie; the counter's cookie came back, and that one did not."""
    if facts.kind is not InstanceKind.PRODUCTION or facts.unused is not None or facts.has_session:
        return None
    return Finding(
        LoopCause.COOKIE_DOMAIN,
        (
            ("This host", facts.url.host),
            ("Frontend API", facts.frontend_api),
            ("Setting", "instance.proxy_url"),
        ),
    )


def _large(facts: LoopFacts) -> Finding | None:
    if facts.head_bytes <= LARGE_HEAD_BYTES:
        return None
    return Finding(LoopCause.OVERSIZED_COOKIE, (("Headers of the request", f"{facts.head_bytes} bytes"),))


def _refused(facts: LoopFacts) -> Finding | None:
    return Finding(LoopCause.ANSWER_REFUSED, (("Message", facts.unused.message),)) if facts.unused else None


JUDGES: tuple[Judge, ...] = (
    _clock,
    _other_instance,
    _authorized_parties,
    _oversized,
    _duplicates,
    _proxy,
    _http,
    _blocked,
    _domain,
    _refused,
    _large,
)
