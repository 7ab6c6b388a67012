"""How a user looks as JSON to a backend: every key of the Backend API's User, as session events carry it.

Facts: webhooks, "data". What this authority does not keep (telephone numbers, passkeys, passwords, second factors)
is shown as absent. ``private_metadata`` is always empty: the real service discloses it in session events, and here
nothing private is kept that could be disclosed. Texts that the SDKs type as text are empty and not null.
"""

from gateway.authority.models import User


def backend_user(user: User, *, last_sign_in_at_ms: int | None, last_active_at_ms: int) -> dict[str, object]:
    """A user as the Backend API shows it.

    Args:
        user: who.
        last_sign_in_at_ms: when the newest session began; None for somebody who never signed in.
        last_active_at_ms: when the user was last seen.
    """
    address_id = f"idn_{user.id.removeprefix('user_')}"  # one address a user, so its id is made of the user's
    return {
        "object": "user",
        "id": user.id,
        "external_id": None,
        "primary_email_address_id": address_id,
        "primary_phone_number_id": None,
        "primary_web3_wallet_id": None,
        "username": None,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "profile_image_url": "",
        "image_url": "",
        "has_image": False,
        "public_metadata": dict(user.public_metadata),
        "private_metadata": {},
        "unsafe_metadata": dict(user.unsafe_metadata),
        "email_addresses": [_email_address(user, address_id)],
        **_nothing_of("phone_numbers", "web3_wallets", "passkeys"),
        "password_enabled": False,
        "two_factor_enabled": False,
        "totp_enabled": False,
        "backup_code_enabled": False,
        "mfa_enabled_at": None,
        "mfa_disabled_at": None,
        **_nothing_of("external_accounts", "saml_accounts", "enterprise_accounts"),
        "last_sign_in_at": last_sign_in_at_ms,
        "banned": False,
        "locked": False,
        "lockout_expires_in_seconds": None,
        "verification_attempts_remaining": None,
        "updated_at": user.created_at_ms,
        "created_at": user.created_at_ms,
        "delete_self_enabled": False,
        "create_organization_enabled": False,
        "create_organizations_limit": None,
        "last_active_at": last_active_at_ms,
        "legal_accepted_at": None,
    }


def _nothing_of(*names: str) -> dict[str, list[object]]:
    return {name: [] for name in names}


def _email_address(user: User, address_id: str) -> dict[str, object]:
    return {
        "object": "email_address",
        "id": address_id,
        "email_address": user.email_address,
        "reserved": False,
        "verification": {
            "object": "verification_admin",
            "status": "verified",
            "strategy": "admin",
            "attempts": None,
            "expire_at": None,
        },
        "linked_to": [],
        "matches_sso_connection": False,
        "created_at": user.created_at_ms,
        "updated_at": user.created_at_ms,
    }
