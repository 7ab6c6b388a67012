"""Tokens of machines, and the operations by which a gateway asks about opaque ones.

Source: Backend API 2026-05-12 (verifyAPIKey, verifyM2MToken, verifyOAuthAccessToken), of which the answers carry what
:mod:`gateway.sessions.machine_tokens` reads.
"""

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.authority.errors import Problem, Refusal
from gateway.authority.identifiers import new_id
from gateway.authority.models import Organization, User
from gateway.authority.realm import Realm
from gateway.authority.requests import read_json, require_secret_key
from gateway.core.machine_claims import MachineClaims, m2m_claims, oauth_claims
from gateway.core.token_class import MACHINE_SUBJECT, TokenType
from gateway.testing.forging import Signer, claims_of
from gateway.testing.wrong_use import WrongUse

# type: prefix of opaque tokens, object in the API's answer, path and field of the question, name of the operation
_KINDS = {
    TokenType.API_KEY: ("ak_", "api_key", "/api_keys/verify", "secret", "verifyAPIKey"),
    TokenType.M2M_TOKEN: ("mt_", "machine_to_machine_token", "/m2m_tokens/verify", "token", "verifyM2MToken"),
    TokenType.OAUTH_TOKEN: (
        "oat_",
        "clerk_idp_oauth_access_token",
        "/oauth_applications/access_tokens/verify",
        "access_token",
        "verifyOAuthAccessToken",
    ),
}
_LIFETIME_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MachineToken:
    """A token that a program sends.

    Attributes:
        value: what it sends.
        claims: what the token proves.
    """

    value: str = field(repr=False)
    claims: MachineClaims
    _revoked: threading.Event = field(default_factory=threading.Event, repr=False)

    def bearer(self) -> dict[str, str]:
        """Return the header that carries it."""
        return {"Authorization": f"Bearer {self.value}"}

    def revoke(self) -> None:
        """Revoke it: the authority says so when it is next asked, which a gateway does every ``machines.cache_s``.

        Raises:
            WrongUse: it is a JWT, about which nobody is asked.
        """
        if self.value.count(".") == 2:
            raise WrongUse("a JWT cannot be revoked: it is verified by its signature, and nobody is asked about it")
        self._revoked.set()

    @property
    def is_revoked(self) -> bool:
        """Whether it was revoked."""
        return self._revoked.is_set()


class Machines:
    """The machines' tokens of one world.

    Args:
        realm: whose clock, secret key and issuer count.
        signer: of the JWTs.
    """

    def __init__(self, realm: Realm, signer: Signer) -> None:
        self._realm = realm
        self._signer = signer
        self._known: dict[str, MachineToken] = {}

    def api_key(
        self,
        subject: User | Organization,
        scopes: Sequence[str] = (),
        *,
        name: str = "key",
        claims: Mapping[str, object] | None = None,
        lifetime_s: float | None = None,
    ) -> MachineToken:
        """Make an API key.

        Args:
            subject: for whom it acts.
            scopes: what it is for.
            name: for people.
            claims: custom ones.
            lifetime_s: seconds from now; None for ever.
        """
        known = MachineClaims(
            type=TokenType.API_KEY,
            id=new_id("ak"),
            subject=subject.id,
            scopes=_texts(scopes),
            claims=claims,
            name=name,
            expires_at_s=None if lifetime_s is None else self._realm.clock() + lifetime_s,
        )
        return self._opaque(known)

    def m2m_token(
        self, machine: str, scopes: Sequence[str] = (), *, is_jwt: bool = False, lifetime_s: float = _LIFETIME_S
    ) -> MachineToken:
        """Make a token by which one machine talks to others.

        Args:
            machine: its id, ``mch_…``.
            scopes: the machines that it may talk to.
            is_jwt: it is verified by its signature, and not by asking the API.
            lifetime_s: seconds from now.

        Raises:
            WrongUse: the id is not written so.
        """
        if not machine.startswith(MACHINE_SUBJECT):
            raise WrongUse(f"{machine!r} is no id of a machine, such as {MACHINE_SUBJECT}{machine}")
        known = MachineClaims(
            type=TokenType.M2M_TOKEN,
            id=new_id("mt"),
            subject=machine,
            scopes=_texts(scopes),
            expires_at_s=self._realm.clock() + lifetime_s,
        )
        return self._jwt(known) if is_jwt else self._opaque(known)

    def oauth_token(
        self,
        user: User,
        scopes: Sequence[str] = (),
        *,
        client_id: str = "client_app",
        is_jwt: bool = False,
        lifetime_s: float = _LIFETIME_S,
    ) -> MachineToken:
        """Make an access token that a user gave to an OAuth application.

        Args:
            user: who.
            scopes: what for.
            client_id: of the application.
            is_jwt: it is verified by its signature, and not by asking the API.
            lifetime_s: seconds from now.
        """
        known = MachineClaims(
            type=TokenType.OAUTH_TOKEN,
            id=new_id("oat"),
            subject=user.id,
            scopes=_texts(scopes),
            client_id=client_id,
            expires_at_s=self._realm.clock() + lifetime_s,
        )
        return self._jwt(known) if is_jwt else self._opaque(known)

    def routes(self) -> list[Route]:
        """Return the operations that verify opaque tokens."""
        return [
            Route(path, self._verification(kind, asked), methods=["POST"], name=name)
            for kind, (_, _, path, asked, name) in _KINDS.items()
        ]

    def _opaque(self, claims: MachineClaims) -> MachineToken:
        """Make a token that says nothing itself."""
        token = MachineToken(value=f"{_KINDS[claims.type][0]}{secrets.token_hex(16)}", claims=claims)
        self._known[token.value] = token
        return token

    def _jwt(self, claims: MachineClaims) -> MachineToken:
        """Make a token that the instance's key signs."""
        now_s = self._realm.now_ms() // 1000
        payload: dict[str, object] = {
            **(claims.claims or {}),
            "iss": self._realm.config.origin,
            "sub": claims.subject,
            "jti": claims.id,
            "iat": now_s,
            "nbf": now_s,
            "exp": int(claims.expires_at_s or now_s),
        }
        if claims.type is TokenType.OAUTH_TOKEN:
            payload |= {"scope": " ".join(claims.scopes), "client_id": claims.client_id}
            value = self._signer.sign(payload, {"typ": "at+jwt"})
            return MachineToken(value=value, claims=oauth_claims(claims_of(value)))
        value = self._signer.sign(payload | {"scopes": list(claims.scopes)}, {})
        return MachineToken(value=value, claims=m2m_claims(claims_of(value)))

    def _verification(self, kind: TokenType, asked: str) -> Callable[[Request], object]:
        async def verify(request: Request) -> Response:
            try:
                require_secret_key(request, self._realm.secret_key)
                token = self._known.get(str((await read_json(request)).get(asked)))
            except Refusal as refusal:
                return refusal.to_response()
            if token is None or token.claims.type is not kind:
                return Refusal(Problem.NO_SUCH_PATH).to_response()
            return JSONResponse(self._shown(token))

        return verify

    def _shown(self, token: MachineToken) -> Mapping[str, object]:
        claims, now_s = token.claims, self._realm.now_ms() / 1000
        end_s = claims.expires_at_s
        return {
            "object": _KINDS[claims.type][1],
            "id": claims.id,
            "subject": claims.subject,
            "name": claims.name,
            "client_id": claims.client_id,
            "scopes": list(claims.scopes),
            "claims": claims.claims,
            "revoked": token.is_revoked,
            "expired": end_s is not None and end_s <= now_s,
            "expiration": None if end_s is None else int(end_s * 1000),
        }


def _texts(scopes: Sequence[str]) -> tuple[str, ...]:
    """Return the scopes.

    Raises:
        WrongUse: it is one text, which would be read letter by letter.
    """
    if isinstance(scopes, str):
        raise WrongUse(f"scopes is a list of texts: write [{scopes!r}]")
    return tuple(scopes)
