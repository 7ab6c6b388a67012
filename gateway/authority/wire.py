"""How records look as JSON: the Backend API's Session (a closed schema), and the Frontend API's Client and Session.

Facts: Sessions API section 1; Frontend API schemas ``Client.Client`` and ``Client.Session``.
"""

from collections.abc import Sequence

from gateway.authority.models import Client, Membership, SessionRecord, User
from gateway.authority.user_wire import backend_user
from gateway.authority.versions import ApiVersion
from gateway.core.session_status import SessionStatus


def backend_session(session: SessionRecord, version: ApiVersion) -> dict[str, object]:
    """A session as the Backend API shows it."""
    shown: dict[str, object] = {
        "object": "session",
        "id": session.id,
        "user_id": session.user_id,
        "client_id": session.client_id,
        "status": _status(session, version),
        "actor": session.actor,
        "last_active_organization_id": session.last_active_organization_id,
        "last_active_at": session.last_active_at_ms,
        "latest_activity": None,
        "expire_at": session.expire_at_ms,
        "abandon_at": session.abandon_at_ms,
        "created_at": session.created_at_ms,
        "updated_at": session.updated_at_ms,
    }
    return shown | ({"tasks": _tasks(session)} if version.has_tasks else {})


def frontend_session(
    session: SessionRecord, user: User | None, now_ms: int, memberships: Sequence[Membership] = ()
) -> dict[str, object]:
    """A session as the Frontend API shows it, with its user and the user's organizations."""
    return {
        "object": "session",
        "id": session.id,
        "status": session.status.value,
        "expire_at": session.expire_at_ms,
        "abandon_at": session.abandon_at_ms,
        "last_active_at": session.last_active_at_ms,
        "last_active_token": None,
        "last_active_organization_id": session.last_active_organization_id,
        "actor": session.actor,
        "tasks": _tasks(session),
        "factor_verification_age": [max(0, now_ms - session.first_factor_at_ms) // 60_000, -1],
        "user": None if user is None else frontend_user(user, session, memberships),
        "public_user_data": None if user is None else _public_user(user),
        "created_at": session.created_at_ms,
        "updated_at": session.updated_at_ms,
    }


def frontend_client(
    client: Client, sessions: Sequence[dict[str, object]], last_active_session_id: str | None
) -> dict[str, object]:
    """A client as the Frontend API shows it."""
    return {
        "object": "client",
        "id": client.id,
        "sessions": list(sessions),
        "sign_in": None,
        "sign_up": None,
        "last_active_session_id": last_active_session_id,
        "last_authentication_strategy": None,
        "cookie_expires_at": None,
        "captcha_bypass": False,
        "created_at": client.created_at_ms,
        "updated_at": client.updated_at_ms,
    }


def frontend_user(user: User, session: SessionRecord, memberships: Sequence[Membership]) -> dict[str, object]:
    """A user as the Frontend API shows it to the user in person."""
    shown = backend_user(user, last_sign_in_at_ms=session.created_at_ms, last_active_at_ms=session.last_active_at_ms)
    del shown["private_metadata"]
    return shown | {"organization_memberships": [_membership(each) for each in memberships]}


def _membership(membership: Membership) -> dict[str, object]:
    organization, role = membership.organization, membership.role
    return {
        "object": "organization_membership",
        "id": f"orgmem_{organization.id.removeprefix('org_')}{membership.user_id.removeprefix('user_')}",
        "role": role.key,
        "role_name": role.name,
        "permissions": list(role.permissions),
        "public_metadata": dict(membership.public_metadata),
        "created_at": organization.created_at_ms,
        "updated_at": organization.created_at_ms,
        "organization": {
            "object": "organization",
            "id": organization.id,
            "name": organization.name,
            "slug": organization.slug,
            "image_url": "",
            "has_image": False,
            "members_count": None,
            "pending_invitations_count": None,
            "max_allowed_memberships": 0,
            "admin_delete_enabled": False,
            "public_metadata": dict(organization.public_metadata),
            "created_at": organization.created_at_ms,
            "updated_at": organization.created_at_ms,
        },
    }


def _tasks(session: SessionRecord) -> list[dict[str, str]] | None:
    # choosing an organization is the one thing that a session can owe here
    return [{"key": "choose-organization"}] if session.status is SessionStatus.PENDING else None


def _status(session: SessionRecord, version: ApiVersion) -> str:
    # versions without "pending" know such a session as active
    pending = session.status is SessionStatus.PENDING and not version.has_tasks
    return SessionStatus.ACTIVE.value if pending else session.status.value


def _public_user(user: User) -> dict[str, object]:
    return {
        "user_id": user.id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "identifier": user.email_address,
        "has_image": False,
        "image_url": None,
    }
