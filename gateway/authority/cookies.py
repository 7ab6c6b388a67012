"""The cookies of an instance, as ``Set-Cookie`` values (Sessions API section 5).

``__session``, ``__client_uat`` and ``__clerk_db_jwt`` are set twice, plain and with the instance's suffix; the refresh
cookie exists only with it. All are ``Path=/; SameSite=Lax``, and ``Secure`` in production: a development instance is
reached over http on the own machine. The session cookie outlives its token on purpose, because the expired token is
what a refresh trades.
"""

from dataclasses import dataclass

from gateway.core.instance import InstanceKind, PublishableKey

CLIENT = "__client"
HANDSHAKE = "__clerk_handshake"
HANDSHAKE_NONCE = "__clerk_handshake_nonce"
DEV_BROWSER = "__clerk_db_jwt"
DEV_BROWSER_HEADER = "Clerk-Db-Jwt"
_SESSION = "__session"
_CLIENT_UAT = "__client_uat"
_REFRESH = "__refresh"
_YEAR_S = 365 * 24 * 60 * 60
_EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class Cookies:
    """Writes the cookies of one instance.

    Attributes:
        key: names the suffix and the kind.
    """

    key: PublishableKey

    def session(self, token: str, max_age_s: int, *, suffixed: bool = True) -> list[str]:
        """The session cookie; the suffixed form comes last, as that is the one SDKs take it from."""
        names = [_SESSION, *([self._suffixed(_SESSION)] if suffixed else [])]
        return [self._set(name, token, max_age_s) for name in names]

    def client_uat(self, updated_at_s: int) -> list[str]:
        """When the client's sessions last changed, in seconds; 0 says that it is signed out."""
        return [self._set(name, str(updated_at_s), _YEAR_S) for name in (_CLIENT_UAT, self._suffixed(_CLIENT_UAT))]

    def refresh(self, token: str, max_age_s: int) -> list[str]:
        """The refresh cookie."""
        return [self._set(self._suffixed(_REFRESH), token, max_age_s, http_only=True)]

    def dev_browser(self, token: str) -> list[str]:
        """The development browser's token."""
        return [self._set(name, token, _YEAR_S) for name in (DEV_BROWSER, self._suffixed(DEV_BROWSER))]

    def signed_out(self) -> list[str]:
        """Everything that a signed-out browser must not have or must know."""
        refresh = self._set(self._suffixed(_REFRESH), "", 0, http_only=True)
        session = [self._set(name, "", 0) for name in (_SESSION, self._suffixed(_SESSION))]
        return [*session, *self.client_uat(0), refresh]

    def client(self, token: str) -> str:
        """The authority's own cookie, by which it knows the browser."""
        return self._set(CLIENT, token, _YEAR_S, http_only=True)

    def handshake(self, name: str, value: str, max_age_s: int) -> str:
        """The result of a handshake, for instances whose application shares cookies with the authority."""
        return self._set(name, value, max_age_s, http_only=True)

    def _suffixed(self, name: str) -> str:
        return f"{name}_{self.key.cookie_suffix}"

    def _set(self, name: str, value: str, max_age_s: int, *, http_only: bool = False) -> str:
        parts = [f"{name}={value}", "Path=/", f"Max-Age={max_age_s}"]
        parts += [f"Expires={_EPOCH}"] if max_age_s == 0 else []
        parts += ["HttpOnly"] if http_only else []
        parts += ["Secure"] if self.key.kind is InstanceKind.PRODUCTION else []
        return "; ".join([*parts, "SameSite=Lax"])
