"""The keys of ``[instance]``: which instance's sessions count, and how to reach its APIs."""

import re

from gateway.core import settings_addresses as addresses
from gateway.core import settings_credentials as credentials
from gateway.core import settings_model as model
from gateway.core import settings_requests as requests
from gateway.core import settings_values as values
from gateway.core.secret import Secret
from gateway.core.settings_table import Key, section

_KEY_PREFIX = re.compile(r"(?:sk|pk)_(?:test|live)_")


def _hint(value: object) -> str:
    """Show the public prefix of a key at most: what follows may be secret even when it is no key at all."""
    text = value.reveal() if isinstance(value, Secret) else value
    prefix = _KEY_PREFIX.match(text) if isinstance(text, str) else None
    return f"{prefix[0]}…" if prefix else "…"


def _length(value: object) -> str:
    return f"a text of {len(value)} characters" if isinstance(value, str) else type(value).__name__


def _unresolved(value: object) -> str:
    values.text(value)
    raise values.BadValueError(
        "files are read by the loader of configuration files", "read the file and give its content"
    )


INSTANCE = section(
    "instance",
    model.InstanceSettings,
    Key(
        "publishable_key",
        "text",
        credentials.publishable_key,
        "The publishable key, pk_test_… or pk_live_…; names the Frontend API and the kind of instance. Required. "
        "CLERK_PUBLISHABLE_KEY is read where the file is silent.",
    ),
    Key(
        "secret_key",
        "text",
        credentials.secret_key,
        "The secret key, sk_test_… or sk_live_…, for the key set (JWKS), refresh and handshake payloads. "
        "CLERK_SECRET_KEY is read where the file is silent.",
        hazard="whoever has it can act as any user; prefer secret_key_file or the environment",
        redact=_hint,
    ),
    Key(
        "secret_key_file",
        "file",
        _unresolved,
        "The path of a file that holds the secret key, relative to this file.",
        hazard="should be readable by the gateway's user only",
    ),
    Key(
        "machine_secret_key",
        "text",
        credentials.machine_secret_key,
        "A machine's secret key, with which M2M tokens are verified in the place of the instance's. "
        "CLERK_MACHINE_SECRET_KEY is read where the file is silent.",
        hazard="whoever has it can act as that machine; prefer machine_secret_key_file or the environment",
        redact=_hint,
    ),
    Key(
        "machine_secret_key_file",
        "file",
        _unresolved,
        "The path of a file that holds the machine's secret key, relative to this file.",
        hazard="it, too, should be readable by the gateway's user only",
    ),
    Key(
        "jwt_key",
        "text",
        credentials.public_key,
        "The instance's public key as PEM; then no key set is fetched at all. "
        "CLERK_JWT_KEY is read where the file is silent.",
        hazard="a key that the instance replaces has to be replaced here by hand",
        redact=_length,
    ),
    Key("jwt_key_file", "file", _unresolved, "The path of a file that holds that PEM, relative to this file."),
    Key(
        "api_url",
        "text",
        addresses.api_url,
        "The base of the API, without /v1.",
        hazard="the secret key is sent there; plain http is allowed to loopback only",
    ),
    Key(
        "authorized_parties",
        "list",
        values.list_of(addresses.origin),
        "The origins whose tokens count, compared with the claim azp; empty: any.",
        hazard="while it is empty, a token that another site of the same instance obtained is accepted",
    ),
    Key(
        "sign_in_url",
        "text",
        addresses.page_url,
        "The absolute URL of the sign-in page.",
    ),
    Key(
        "proxy_url",
        "text",
        addresses.proxy_url,
        "Replaces https:// and the Frontend API's host in redirects, when that API is reached by another address: "
        "an absolute URL, or a path of the site's own origin, like /__clerk, that whoever stands in front serves.",
    ),
    Key(
        "is_satellite",
        "boolean",
        values.boolean,
        "Whether this site is a satellite: another domain of the instance, whose people sign in on the primary's.",
    ),
    Key(
        "domain",
        "text",
        addresses.domain,
        "The domain of a satellite; in production its Frontend API is clerk.<domain>. A satellite needs it or "
        "proxy_url.",
    ),
    Key(
        "satellite_auto_sync",
        "boolean",
        values.boolean,
        "Whether a satellite asks for a session at the first page that is opened, not only after a sign-in.",
    ),
    Key(
        "satellite_origins",
        "list",
        values.list_of(addresses.origin),
        "The origins of the satellites that the primary of a development instance answers.",
        hazard="whoever serves such an origin gets the dev browser's token, which is as good as the session",
    ),
    Key(
        "clock_skew_s",
        "number",
        values.number(0, 300),
        "How far this clock and the instance's may differ.",
        unit="seconds",
        hazard="an expired token counts for so much longer",
    ),
    Key(
        "organization_patterns",
        "list",
        values.list_of(requests.organization_pattern),
        "The paths of pages that belong to an organization, which :slug or :id names; a browser's session follows.",
    ),
    Key(
        "personal_patterns",
        "list",
        values.list_of(requests.personal_pattern),
        "The paths of pages that belong to the personal account; asked after organization_patterns.",
    ),
)
