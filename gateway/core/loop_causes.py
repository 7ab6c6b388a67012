"""Why a browser went in circles between here and the handshake: the causes, and what is said about each.

Which one it was is judged in :mod:`gateway.core.loop_judges`.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.advice import CLOCK


class LoopCause(StrEnum):
    """Stable codes; in the log, in problem documents and on the page."""

    CLOCK_DIFFERENCE = "clock-difference"
    OTHER_INSTANCE = "other-instance"
    AUTHORIZED_PARTIES = "authorized-parties"
    OVERSIZED_COOKIE = "oversized-cookie"
    DUPLICATE_COOKIES = "duplicate-cookies"
    PROXY_NOT_TRUSTED = "proxy-not-trusted"
    SECURE_OVER_HTTP = "secure-over-http"
    COOKIES_BLOCKED = "cookies-blocked"
    COOKIE_DOMAIN = "cookie-domain"
    ANSWER_REFUSED = "answer-refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Words:
    """What is said about a cause.

    Attributes:
        person: to the person in front of the screen.
        operator: to whoever runs the gateway; names the setting to look at.
    """

    person: str
    operator: str


_OPERATOR = "Tell the people who run this site; the small print below is for them."

WORDS: dict[LoopCause, Words] = {
    LoopCause.CLOCK_DIFFERENCE: Words(
        f"A clock of this site is wrong, so a session that was made a moment ago does not count here. {_OPERATOR}",
        CLOCK,
    ),
    LoopCause.OTHER_INSTANCE: Words(
        f"The session that your browser was given belongs to another application. {_OPERATOR}",
        "Compare instance.publishable_key and instance.secret_key, and instance.jwt_key where it is pinned, with the "
        "application that signs people in: its tokens are another instance's, or signed by another key.",
    ),
    LoopCause.AUTHORIZED_PARTIES: Words(
        f"The session that your browser was given is for another address than this one. {_OPERATOR}",
        "Add this origin to instance.authorized_parties.",
    ),
    LoopCause.OVERSIZED_COOKIE: Words(
        f"The cookies of this site have grown larger than browsers keep. Removing them may help. {_OPERATOR}",
        "Put less into the session token (custom claims), or remove other cookies of this site: browsers keep 4096 "
        "bytes each.",
    ),
    LoopCause.DUPLICATE_COOKIES: Words(
        "Your browser holds several cookies of one name for this site, and an old one hides the new one. Remove the "
        "cookies of this site and its parent domain, then try again.",
        "Find out who else sets these cookies for this host or its parent domain, such as an older deployment, and "
        "let it remove them.",
    ),
    LoopCause.PROXY_NOT_TRUSTED: Words(
        f"This site believes that it is reached by http, and your browser came by https. {_OPERATOR}",
        "Add the address of the proxy in front to server.trusted_proxies: it says that browsers come by https, and is "
        "not believed.",
    ),
    LoopCause.SECURE_OVER_HTTP: Words(
        "This site is opened by http, and the cookies of its sessions are for https alone. Open it by https.",
        "Serve a production instance by https. Where a proxy in front does, let it send X-Forwarded-Proto, and add its "
        "address to server.trusted_proxies.",
    ),
    LoopCause.COOKIES_BLOCKED: Words(
        "Your browser does not keep the cookies of this site. Allow cookies for it, leave private mode or the frame "
        "that it is shown in, then try again.",
        "The browser came back from the handshake without the cookies that were set when it left. Look for a proxy "
        "that strips Set-Cookie, for a frame on another site, and whether browsers really come by the public address "
        "named here: cookies for https do not come back by http (server.trusted_proxies).",
    ),
    LoopCause.COOKIE_DOMAIN: Words(
        f"Your session is kept for another address than this one, so it does not arrive here. {_OPERATOR}",
        "The handshake came back without an answer: the Frontend API sets it as a cookie of its own domain. Serve "
        "this site under that domain, or set instance.proxy_url to a path of this site.",
    ),
    LoopCause.ANSWER_REFUSED: Words(
        f"What your browser brought back to renew your session could not be used. {_OPERATOR}",
        "See the message; where it says that nothing was brought, look at instance.secret_key and instance.api_url, "
        "which give the answer behind the handshake's nonce.",
    ),
    LoopCause.UNKNOWN: Words(
        "Why cannot be told from the request. Wait a few seconds and try again; if it stays so, tell the people who "
        "run this site: the small print below is for them.",
        "Look at the clock, instance.publishable_key and instance.secret_key, the domain of the cookies, "
        "server.trusted_proxies, cookies of one name twice, and the size of the session token; gateway explain shows "
        "what this request says of each.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The likeliest cause and what speaks for it.

    Attributes:
        cause: the code.
        facts: label and value; no secret among them.
    """

    cause: LoopCause
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> Words:
        """What is said about it."""
        return WORDS[self.cause]
