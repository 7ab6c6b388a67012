"""The instance of one test: who there is, their sessions and tokens, the time, and how badly the authority answers."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import httpx

from gateway.authority import lifecycle
from gateway.authority.authority import Authority
from gateway.authority.control import Clock, Faults, PlacedRule, Rule
from gateway.authority.control.faulty_app import FaultyApp
from gateway.authority.models import Organization, Role, User
from gateway.core.cookies import CookieNames
from gateway.testing.adopting import APP_ORIGIN
from gateway.testing.forging import Signer
from gateway.testing.machines import Machines, MachineToken
from gateway.testing.people import People
from gateway.testing.session import Session, membership_told
from gateway.testing.wrong_use import unknown

_Client = TypeVar("_Client", bound=httpx.Client)


class Instance:
    """What of a world has to do with its authority alone.

    Attributes:
        authority: the authority, for what has no word here.
        clock: stands still (``freeze``), moves on (``advance``), and runs with the system's otherwise.
        machines: makes tokens of programs.
        faults: the rules by which the authority answers badly; :meth:`fail` adds one.
        api: the authority as an ASGI application, with its faults.
        tolerance_s: seconds beyond its end for which a token may still be taken.
    """

    # More than any gateway and the authority grant each other: what expired is expired for all of them afterwards.
    tolerance_s = 11.0

    def __init__(self, authority: Authority, clock: Clock, signer: Signer) -> None:
        self.authority = authority
        self.clock = clock
        self.machines = Machines(authority.realm, signer)
        # Operations of this authority as long as it lasts, so that faults meet them too.
        authority.app.router.routes.extend(self.machines.routes())
        self.faults = Faults()
        self.api = FaultyApp(authority, self.faults)
        self._realm = authority.realm
        self._signer = signer
        self._people = People(authority.realm)
        self._stack = ExitStack()

    @property
    def authority_url(self) -> str:
        """Where the authority is; reachable by browsers in a world that listens."""
        return self.authority.frontend_api_url

    @property
    def session_cookie(self) -> str:
        """The name of the cookie that carries the session token."""
        return CookieNames.of(self.authority.publishable_key.cookie_suffix).session

    def keep(self, client: _Client) -> _Client:
        """Close a client with the world."""
        self._stack.callback(client.close)
        return client

    # Who there is

    def user(  # noqa: PLR0913 - one keyword for each field
        self,
        email_address: str,
        *,
        id: str | None = None,  # noqa: A002 - the record's own name
        first_name: str | None = None,
        last_name: str | None = None,
        plan: str | None = None,
        features: Sequence[str] = (),
        public_metadata: Mapping[str, object] | None = None,
        organizations: Mapping[str, str] | None = None,
    ) -> User:
        """Make a user.

        Args:
            email_address: whose.
            id: ``user_…``; None makes one up, as for the names.
            first_name, last_name: of the user.
            plan: of the user, e.g. ``pro``.
            features: of the user, e.g. ``["export"]``.
            public_metadata: for JWT templates.
            organizations: role by the slug of the organization, which is made if need be: ``{"acme": "org:admin"}``.

        Raises:
            WrongUse: there is no such role.
        """
        return self._people.add_user(
            email_address,
            organizations or {},
            id=id,
            first_name=first_name,
            last_name=last_name,
            plan=plan,
            features=tuple(features),
            public_metadata=public_metadata,
        )

    def organization(
        self,
        slug: str,
        *,
        id: str | None = None,  # noqa: A002 - the record's own name
        name: str | None = None,
        plan: str | None = None,
        features: Sequence[str] = (),
    ) -> Organization:
        """Make an organization of which more is to be said than its name.

        Args:
            slug: its name in addresses.
            id: ``org_…``; None makes one up, as for the name.
            name: for people.
            plan: e.g. ``pro``.
            features: that it has; permissions about others are in no token. An organization that a user brings along
                has those of all roles.

        Raises:
            WrongUse: it is there already.
        """
        made = self._people.new_organization(slug, id=id, name=name, plan=plan, features=tuple(features))
        return self._people.describe_organization(made)

    def role(self, key: str, permissions: Sequence[str] = (), *, name: str = "") -> Role:
        """Make a role beside ``org:admin`` and ``org:member``; before the users who have it.

        Args:
            key: e.g. ``org:editor``.
            permissions: e.g. ``["org:articles:publish"]``.
            name: for people.

        Raises:
            WrongUse: it is there already, or is not written so.
        """
        return self._people.add_role(key, permissions, name)

    def remove_member(self, user: User, organization: str) -> None:
        """End a membership; the user's next token no longer has the organization.

        Args:
            user: who.
            organization: its slug.

        Raises:
            WrongUse: there is no such organization.
        """
        self._people.remove_member(user, organization)

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass, for everybody in this world."""
        self.clock.advance(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds())

    def fail(self, operation: str = "*", **how: Any) -> PlacedRule:
        """Have the authority answer badly from now on, until :meth:`recover`.

        Args:
            operation: of the API, e.g. ``RefreshSession``; ``*`` stands for any text.
            how: the fields of :class:`Rule <gateway.authority.control.rules.Rule>`, e.g. ``status=503``, ``times=1``,
                ``effect="reset"`` or ``latency_ms=50``.

        Raises:
            WrongUse: there is no such operation.
            BadRule: a field has no meaning.
        """
        known = self.api.operations
        if not any(fnmatchcase(name, operation) for name in known):
            raise unknown("operation", operation, known, "Wildcards are * and ?.")
        return self.faults.add(Rule.read({"operation": operation, **how}))

    def recover(self) -> None:
        """Have the authority answer well again."""
        self.faults.clear()

    # Sessions and tokens

    def session(
        self,
        user: User,
        organization: str | None = None,
        *,
        actor: User | str | None = None,
        is_pending: bool = False,
        proven_ago_s: float = 0,
        claims: Mapping[str, object] | None = None,
    ) -> Session:
        """Begin a session.

        Args:
            user: whose.
            organization: slug or id of the active one; None for the personal account.
            actor: who impersonates the user; a user or an id.
            is_pending: it has tasks open, and counts as signed out.
            proven_ago_s: seconds since the user showed the first factor (claim ``fva``).
            claims: written over those of every token that is made of it here.

        Raises:
            WrongUse: the user is not a member.
        """
        subject = actor.id if isinstance(actor, User) else actor
        opening = lifecycle.Opening(
            actor=None if subject is None else {"sub": subject},
            is_pending=is_pending,
            proven_ago_ms=int(proven_ago_s * 1000),
        )
        realm = self._realm
        with membership_told(realm, user, organization), realm.database.transaction():
            client, client_token = realm.ledger.add_client(realm.now_ms())
            record = lifecycle.start_session(realm, user.id, organization or "", client, opening=opening)
        return Session(
            id=record.id,
            user=user,
            claims=dict(claims or {}),
            origin=APP_ORIGIN,
            _client_token=client_token,
            _realm=realm,
            _signer=self._signer,
        )

    def session_of(self, who: User | Session, organization: str | None = None, *, origin: str | None = None) -> Session:
        """Return a session: begun for a user, or the one that is given, with that organization active if one is named.

        Raises:
            WrongUse: the user is not a member.
        """
        session = self.session(who, organization) if isinstance(who, User) else who
        if isinstance(who, Session) and organization is not None:
            session.switch_organization(organization)
        return session if origin is None else replace(session, origin=origin)

    def token(self, who: User | Session, organization: str | None = None, **how: Any) -> str:
        """Make a session token; takes what :meth:`Session.token <gateway.testing.session.Session.token>` takes."""
        return self.session_of(who, organization).token(**how)

    def bearer(self, who: User | Session | MachineToken, organization: str | None = None, **how: Any) -> dict[str, str]:
        """Return the header of a request with a token of a user, a session or a machine."""
        return who.bearer() if isinstance(who, MachineToken) else self.session_of(who, organization).bearer(**how)
