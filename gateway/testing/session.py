"""One session in a test's hands: its tokens, its cookies, and what may happen to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.authority import lifecycle
from gateway.authority.errors import Refusal
from gateway.authority.frontend.handshake import HandshakeOrder, client_directives
from gateway.authority.models import SessionRecord, User
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.return_urls import parse_return_url
from gateway.authority.versions import LATEST, ApiVersion
from gateway.core.instance import InstanceKind
from gateway.core.session_status import SessionStatus
from gateway.testing.forging import Signer, claims_of, header_of
from gateway.testing.wrong_use import WrongUse, unknown

_VERSIONS = {1: ApiVersion.V2024_10_01, 2: LATEST}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """A session of a user, as :meth:`World.session <gateway.testing.world.World.session>` began it.

    What happens to it happens in the authority alone, as it would elsewhere: tokens that were made before stay good
    until they expire, and browsers learn of it when they next ask.

    Attributes:
        id: ``sess_…``, the claim ``sid``.
        user: whose it is.
        claims: written over those of every token that is made here; not of those that the authority makes.
        origin: where tokens are used unless said otherwise (``azp``).
    """

    id: str
    user: User
    claims: Mapping[str, object] = field(default_factory=dict)
    origin: str
    _client_token: str = field(repr=False)
    _realm: Realm = field(repr=False)
    _signer: Signer = field(repr=False)

    @property
    def status(self) -> str:
        """As of now: ``active``, ``pending``, ``revoked``, ``ended``, ``expired``, …"""
        return self._record().status.value

    @property
    def organization(self) -> str | None:
        """The slug of the active organization; None for the personal account."""
        active = self._record().last_active_organization_id
        membership = self._realm.directory.membership(self.user.id, active) if active else None
        return membership.organization.slug if membership else None

    def token(
        self,
        *,
        origin: str | None = None,
        age_s: float = 0,
        lifetime_s: int | None = None,
        version: int = 2,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """Make a session token.

        Args:
            origin: the claim ``azp``: who may use it; None takes the session's own.
            age_s: seconds since it was made; an hour makes one that has expired.
            lifetime_s: seconds from then; None takes the usual minute.
            version: of the claims, 1 or 2.
            claims: written over the others, e.g. ``{"fva": [0, 0]}`` or ``{"iss": "https://elsewhere.example"}``; a
                value of None leaves the claim out.

        Raises:
            WrongUse: there is no such version.
        """
        if version not in _VERSIONS:
            raise WrongUse(f"session tokens have version 1 or 2, not {version}")
        now_ms = self._realm.now_ms() - int(age_s * 1000)
        order = TokenOrder(azp=origin or self.origin, now_ms=now_ms, lifetime_s=lifetime_s)
        made = self._realm.session_token(self._record(), order, _VERSIONS[version])
        changes = {**self.claims, **(claims or {})}
        if not changes:
            return made
        changed = {name: value for name, value in (claims_of(made) | changes).items() if value is not None}
        return self._signer.sign(changed, {"cat": header_of(made)["cat"]})

    def bearer(self, **how: object) -> dict[str, str]:
        """Return the header that carries a token; takes what :meth:`token` takes."""
        return {"Authorization": f"Bearer {self.token(**how)}"}  # type: ignore[arg-type]

    def revoke(self) -> None:
        """Revoke it, as a backend does."""
        lifecycle.finish(self._realm, self._record(), SessionStatus.REVOKED)

    def end(self) -> None:
        """Sign the user out, as the user does in another window."""
        lifecycle.finish(self._realm, self._record(), SessionStatus.ENDED)

    def switch_organization(self, organization: str | None) -> None:
        """Make another organization the active one, as the user does in another window.

        Args:
            organization: slug or id; None for the personal account.

        Raises:
            WrongUse: the user is not a member of it.
        """
        with membership_told(self._realm, self.user, organization):
            lifecycle.switch_organization(self._realm, self._record(), organization or "")

    def set_cookies(self, origin: str | None = None) -> list[str]:
        """Return the ``Set-Cookie`` values by which a browser is signed in, the same as a handshake's.

        Args:
            origin: of the application, as the browser sees it; None takes the session's own.

        Raises:
            WrongUse: it is no origin.
        """
        url = parse_return_url(f"{origin or self.origin}/")
        client = self._realm.ledger.client(self._record().client_id)
        if url is None or client is None:
            raise WrongUse(f"{origin!r} is no origin such as http://127.0.0.1:8000")
        order = HandshakeOrder(url=url, as_nonce=False, organization=None, version=LATEST)
        directives = client_directives(self._realm, client, order)
        if self.claims and self._record().is_live:
            directives += self._realm.cookies.session(self.token(origin=url.origin), 7 * 24 * 3600)
        if self._realm.config.kind is InstanceKind.DEVELOPMENT:
            dev_browser = self._realm.grants.issue_dev_browser(client.id, self._realm.now_ms())
            directives += self._realm.cookies.dev_browser(dev_browser)
        return directives

    def authority_cookie(self) -> str:
        """Return the ``Set-Cookie`` value by which the authority itself knows the browser."""
        return self._realm.cookies.client(self._client_token)

    def _record(self) -> SessionRecord:
        record = self._realm.ledger.session(self.id, self._realm.now_ms())
        if record is None:
            raise WrongUse(f"the session {self.id} is no longer there")
        return record


@contextmanager
def membership_told(realm: Realm, user: User, organization: str | None) -> Iterator[None]:
    """Say what the user is a member of, where the authority only says no.

    Raises:
        WrongUse: in the place of the authority's refusal.
    """
    try:
        yield
    except Refusal:
        memberships = realm.directory.memberships(user.id)
        known = [f"{each.organization.slug} ({each.role.key})" for each in memberships]
        fix = 'Give the user organizations={"…": "org:member"}.'
        raise unknown(f"organization of {user.email_address}", str(organization), known, fix) from None
