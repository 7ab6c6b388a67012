"""What happens to sessions: they begin, are seen, change their organization, end. Each is one transaction."""

from dataclasses import dataclass

from gateway.authority.errors import Problem, Refusal
from gateway.authority.realm import Realm
from gateway.authority.store.identifiers import new_id
from gateway.authority.store.models import Client, SessionRecord, Status


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that has just signed in.

    Attributes:
        client: the browser's new client.
        client_token: the secret of its cookie.
        session: the new session.
    """

    client: Client
    client_token: str
    session: SessionRecord


def sign_in(realm: Realm, user_id: str, organization: str, previous: Client | None) -> SignedIn:
    """Begin a session in a browser.

    Client, cookie, and session are new, so nothing that somebody planted in the browser before is worth anything
    afterwards (session fixation). What the browser had is ``replaced``.

    Args:
        realm: the instance.
        user_id: who.
        organization: id or slug; empty is the personal account.
        previous: the client that the browser had.

    Raises:
        Refusal: no such user, or not a member.
    """
    now_ms = realm.now_ms()
    with realm.database.transaction():
        if previous is not None:
            realm.ledger.finish_all(previous.id, Status.REPLACED, now_ms)
            realm.ledger.mark_client(previous.id, now_ms)
            realm.ledger.forget_client_token(previous.id)
            realm.grants.forget_dev_browsers(previous.id)
        client, token = realm.ledger.add_client(now_ms)
        session = start_session(realm, user_id, organization, client)
    return SignedIn(client, token, session)


def start_session(realm: Realm, user_id: str, organization: str, client: Client) -> SessionRecord:
    """Begin a session on a client.

    Raises:
        Refusal: no such user, or not a member.
    """
    if realm.directory.user(user_id) is None:
        raise Refusal(Problem.USER_NOT_FOUND, param="user_id", id=user_id)
    now_ms = realm.now_ms()
    session = SessionRecord(
        id=new_id("sess"),
        user_id=user_id,
        client_id=client.id,
        status=Status.ACTIVE,
        last_active_organization_id=organization_id(realm, user_id, organization),
        actor=None,
        first_factor_at_ms=now_ms,
        last_active_at_ms=now_ms,
        expire_at_ms=now_ms + realm.config.session_lifetime_s * 1000,
        abandon_at_ms=now_ms + realm.config.abandon_after_s * 1000,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    realm.ledger.add_session(session)
    return session


def finish(realm: Realm, session: SessionRecord, status: Status) -> SessionRecord:
    """End a session; one that is not live stays as it is. Returns the session as it is afterwards."""
    now_ms = realm.now_ms()
    with realm.database.transaction():
        if realm.ledger.finish(session.id, status, now_ms):
            realm.ledger.mark_client(session.client_id, now_ms)
        return realm.ledger.session(session.id, now_ms) or session


def finish_all(realm: Realm, client: Client, status: Status) -> None:
    """End every live session of a client."""
    now_ms = realm.now_ms()
    with realm.database.transaction():
        if realm.ledger.finish_all(client.id, status, now_ms):
            realm.ledger.mark_client(client.id, now_ms)


def see(realm: Realm, session: SessionRecord) -> SessionRecord:
    """Note that the user is there, which puts off abandonment."""
    now_ms = realm.now_ms()
    realm.ledger.mark_active(session.id, now_ms, now_ms + realm.config.abandon_after_s * 1000)
    return realm.ledger.session(session.id, now_ms) or session


def switch_organization(realm: Realm, session: SessionRecord, organization: str) -> SessionRecord:
    """Make another organization the active one.

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
        realm.ledger.switch_organization(session.id, wanted, now_ms)
        realm.ledger.mark_client(session.client_id, now_ms)
        return realm.ledger.session(session.id, now_ms) or session


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
