"""What happens to sessions: they begin, are seen, change their organization, end. Each is one transaction.

The event of a change is recorded in its transaction: none is acknowledged without its event, and none that was rolled
back is told of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.authority.errors import Problem, Refusal
from gateway.authority.identifiers import new_id
from gateway.authority.models import Client, SessionRecord
from gateway.authority.realm import Realm
from gateway.authority.recording import record_session
from gateway.authority.webhooks.events import Cause
from gateway.core.session_status import SessionStatus

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that has just signed in.

    Attributes:
        client: the browser's new client.
        client_token: the secret of its cookie.
        session: the new session.
    """

    client: Client
    client_token: str = field(repr=False)
    session: SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a session begins that is not the user's own, fresh and complete sign-in.

    Attributes:
        actor: who impersonates the user; None for the user in person.
        is_pending: signed in with tasks open.
        proven_ago_ms: how long ago the user proved who they are.
    """

    actor: Mapping[str, object] | None = None
    is_pending: bool = False
    proven_ago_ms: int = 0


_USUAL = Opening()


def sign_in(
    realm: Realm, user_id: str, organization: str, previous: Client | None, cause: Cause | None = None
) -> SignedIn:
    """Begin a session in a browser.

    Client, cookie, and session are new, so nothing that somebody planted in the browser before is worth anything
    afterwards (session fixation). What the browser had is ``replaced``.

    Args:
        realm: the instance.
        user_id: who.
        organization: id or slug; empty is the personal account.
        previous: the client that the browser had.
        cause: the request that signs in.

    Raises:
        Refusal: no such user, or not a member.
    """
    now_ms = realm.now_ms()
    with realm.database.transaction():
        if previous is not None:
            realm.ledger.finish_all(previous.id, SessionStatus.REPLACED, now_ms)
            realm.ledger.mark_client(previous.id, now_ms)
            realm.ledger.forget_client_token(previous.id)
            realm.grants.forget_dev_browsers(previous.id)
        client, token = realm.ledger.add_client(now_ms)
        session = start_session(realm, user_id, organization, client, cause)
    return SignedIn(client, token, session)


def start_session(
    realm: Realm,
    user_id: str,
    organization: str,
    client: Client,
    cause: Cause | None = None,
    opening: Opening = _USUAL,
) -> SessionRecord:
    """Begin a session on a client.

    Raises:
        Refusal: no such user, or not a member.
    """
    if realm.directory.user(user_id) is None:
        raise Refusal(Problem.USER_NOT_FOUND, param="user_id", id=user_id)
    now_ms = realm.now_ms()
    active_organization_id = organization_id(realm, user_id, organization)
    session = SessionRecord(
        id=new_id("sess"),
        user_id=user_id,
        client_id=client.id,
        status=SessionStatus.PENDING if opening.is_pending else _owed_status(realm, active_organization_id),
        last_active_organization_id=active_organization_id,
        actor=opening.actor,
        first_factor_at_ms=now_ms - opening.proven_ago_ms,
        last_active_at_ms=now_ms,
        expire_at_ms=now_ms + realm.config.session_lifetime_s * 1000,
        abandon_at_ms=now_ms + realm.config.abandon_after_s * 1000,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    with realm.database.transaction():
        realm.ledger.add_session(session)
        record_session(realm, session, cause)
    return session


def finish(realm: Realm, session: SessionRecord, status: SessionStatus, cause: Cause | None = None) -> SessionRecord:
    """End a session; one that is not live stays as it is. Returns the session as it is afterwards."""
    now_ms = realm.now_ms()
    with realm.database.transaction():
        is_over_now = realm.ledger.finish(session.id, status, now_ms)
        finished = realm.ledger.session(session.id, now_ms) or session
        if is_over_now:
            realm.ledger.mark_client(session.client_id, now_ms)
            record_session(realm, finished, cause)
        return finished


def finish_all(realm: Realm, client: Client, status: SessionStatus, cause: Cause | None = None) -> None:
    """End every live session of a client."""
    now_ms = realm.now_ms()
    with realm.database.transaction():
        finished = realm.ledger.finish_all(client.id, status, now_ms)
        if finished:
            realm.ledger.mark_client(client.id, now_ms)
        for session in finished:
            record_session(realm, session, cause)


def see(realm: Realm, session: SessionRecord) -> SessionRecord:
    """Note that the user is there, which puts off abandonment."""
    now_ms = realm.now_ms()
    realm.ledger.mark_active(session.id, now_ms, now_ms + realm.config.abandon_after_s * 1000)
    return realm.ledger.session(session.id, now_ms) or session


def switch_organization(realm: Realm, session: SessionRecord, organization: str) -> SessionRecord:
    """Make another organization the active one.

    Where an organization is required, choosing one makes a pending session active, and leaving all makes it pending.
    The client counts as changed, so a gateway that sees its ``__client_uat`` fetches a token for the new organization.

    Args:
        realm: the instance.
        session: the session.
        organization: id or slug; empty is the personal account.

    Raises:
        Refusal: not a member.
    """
    wanted = organization_id(realm, session.user_id, organization)
    if wanted == session.last_active_organization_id:
        return session
    now_ms = realm.now_ms()
    with realm.database.transaction():
        realm.ledger.switch_organization(session.id, wanted, now_ms, _owed_status(realm, wanted))
        realm.ledger.mark_client(session.client_id, now_ms)
        return realm.ledger.session(session.id, now_ms) or session


def remove_user(realm: Realm, user_id: str) -> int:
    """Forget a user; the live sessions become ``removed``. Returns how many there were.

    Raises:
        Refusal: no such user.
    """
    if realm.directory.user(user_id) is None:
        raise Refusal(Problem.USER_NOT_FOUND, id=user_id)
    count = 0
    with realm.database.transaction():
        while live := realm.ledger.live_sessions_of(user_id, _AT_ONCE, realm.now_ms()):
            for session in live:
                finish(realm, session, SessionStatus.REMOVED)
            count += len(live)
        realm.directory.remove_user(user_id)
    return count


def _owed_status(realm: Realm, active_organization_id: str | None) -> SessionStatus:
    """Pending while the session owes the choice of an organization."""
    owes = realm.config.requires_organization and active_organization_id is None
    return SessionStatus.PENDING if owes else SessionStatus.ACTIVE


def organization_id(realm: Realm, user_id: str, organization: str) -> str | None:
    """The id of an organization that the user is a member of, named by id or slug; None for the empty name.

    Raises:
        Refusal: not a member, or there is no such organization.
    """
    if not organization:
        return None
    membership = realm.directory.membership(user_id, organization)
    if membership is None:
        raise Refusal(Problem.ORGANIZATION_NOT_FOUND)
    return membership.organization.id
