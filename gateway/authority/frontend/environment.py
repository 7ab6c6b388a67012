"""What the official browser SDK asks before anything else: the settings of the instance (``/v1/environment``).

Facts: Frontend API, schema ``Client.Environment``. Told is what this authority has: email address and password where
somebody checks, organizations, one session per client. Everything else is told as switched off.
"""

from starlette.requests import Request
from starlette.responses import Response

from gateway.authority.errors import answer
from gateway.authority.realm import Realm
from gateway.core.instance import InstanceKind

_ATTRIBUTES = ("phone_number", "username", "web3_wallet", "first_name", "last_name", "authenticator_app", "backup_code")


async def environment(realm: Realm, _request: Request) -> Response:
    """The settings of the instance, for everybody."""
    return answer(
        {
            "auth_config": _auth_config(realm),
            "display_config": _display_config(realm),
            "user_settings": _user_settings(realm),
            "organization_settings": _organization_settings(realm),
            "client_debug_mode": False,
            "partitioned_cookies": False,
            "maintenance_mode": False,
        }
    )


async def openid_configuration(realm: Realm, _request: Request) -> Response:
    """Where the keys are, for libraries that look here; there is no OAuth server behind it."""
    origin = realm.config.origin
    return answer(
        {
            "issuer": origin,
            "jwks_uri": f"{origin}/.well-known/jwks.json",
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": ["sub", "iss", "iat", "exp", "nbf", "azp", "sid"],
        },
        headers={"Cache-Control": "public, max-age=60"},
    )


def _auth_config(realm: Realm) -> dict[str, object]:
    has_password = realm.checking is not None
    return {
        "object": "auth_config",
        "id": f"aconf_{realm.instance_id.partition('_')[2]}",
        "first_name": "on",
        "last_name": "on",
        "email_address": "required",
        "phone_number": "off",
        "username": "off",
        "password": "required" if has_password else "off",
        "identification_requirements": [["email_address"]],
        "identification_strategies": ["email_address"],
        "first_factors": ["password"] if has_password else [],
        "second_factors": [],
        "email_address_verification_strategies": [],
        "single_session_mode": True,
        "enhanced_email_deliverability": False,
        "test_mode": realm.config.kind is InstanceKind.DEVELOPMENT,
        "url_based_session_syncing": True,
        "claimed_at": None,
        "reverification": False,
    }


def _display_config(realm: Realm) -> dict[str, object]:
    origin = realm.config.origin
    sign_in = f"{origin}/sign-in"
    return {
        "object": "display_config",
        "id": f"display_{realm.instance_id.partition('_')[2]}",
        "instance_environment_type": realm.config.kind.value,
        "application_name": "Session Gateway",
        "theme": {},
        "preferred_sign_in_strategy": "password",
        "home_url": origin,
        "sign_in_url": sign_in,
        "sign_up_url": sign_in,
        "user_profile_url": origin,
        "after_sign_in_url": origin,
        "after_sign_up_url": origin,
        "after_sign_out_one_url": sign_in,
        "after_sign_out_all_url": sign_in,
        "after_switch_session_url": origin,
        "organization_profile_url": origin,
        "create_organization_url": origin,
        "after_leave_organization_url": origin,
        "after_create_organization_url": origin,
        "logo_link_url": origin,
        "logo_image_url": None,
        "favicon_image_url": None,
        "support_email": None,
        "branded": False,
        "clerk_js_version": "6",
        "show_devmode_warning": False,
        "captcha_public_key": None,
        "captcha_widget_type": None,
        "captcha_provider": None,
    }


def _user_settings(realm: Realm) -> dict[str, object]:
    has_password = realm.checking is not None
    password = {"allowed_special_characters": "", "min_length": 8, "max_length": 1024}
    return {
        "attributes": {
            "email_address": _attribute(is_on=True, is_factor=True),
            "password": _attribute(is_on=has_password, is_factor=False),
            **{name: _attribute(is_on=False, is_factor=False) for name in _ATTRIBUTES},
        },
        "social": {},
        "saml": {"enabled": False},
        "enterprise_sso": {"enabled": False},
        "sign_in": {"second_factor": {"required": False}},
        "sign_up": {"captcha_enabled": False, "mode": "restricted", "progressive": True},
        "restrictions": {},
        "password_settings": password,
        "username_settings": {"min_length": 4, "max_length": 64},
        "actions": {"delete_self": False, "create_organization": False},
        "attack_protection": {},
        "passkey_settings": {"allow_autofill": False, "show_sign_in_button": False},
    }


def _attribute(*, is_on: bool, is_factor: bool) -> dict[str, object]:
    return {
        "enabled": is_on,
        "required": is_on,
        "used_for_first_factor": is_factor,
        "first_factors": [],
        "used_for_second_factor": False,
        "second_factors": [],
        "verifications": [],
        "verify_at_sign_up": False,
    }


def _organization_settings(realm: Realm) -> dict[str, object]:
    return {
        "enabled": True,
        "max_allowed_memberships": 0,
        "force_organization_selection": realm.config.requires_organization,
        "actions": {"admin_delete": False},
        "domains": {"enabled": False, "enrollment_modes": [], "default_role": None},
        "slug": {"disabled": False},
        "creator_role": "org:admin",
    }
