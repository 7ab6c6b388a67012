"""What a JWT template may be: the members that describe one, in a request as in a seed, and what is refused.

Facts: Backend API, operations CreateJWTTemplate and UpdateJWTTemplate; Sessions API section 4. Decided here, where they
are silent: names are fit for a path; an update keeps what it does not name, and the key with it unless the algorithm
changes; a key without ``custom_signing_key`` is refused rather than dropped; claims nest 32 levels at most.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from gateway.authority.errors import Refusal
from gateway.authority.fields import Field, read_fields
from gateway.authority.identifiers import new_id
from gateway.authority.models import JwtTemplate
from gateway.authority.signing.keyring import UnusableKey
from gateway.authority.signing.template_keys import ALGORITHMS, require_fit
from gateway.authority.signing.token_claims import AUTOMATIC_CLAIMS
from gateway.core.secret import Secret

FIELDS: Mapping[str, Field] = {
    "name": Field(required=True, about="What tokens are asked for by."),
    "claims": Field("object", required=True, about="The claims; texts may hold shortcodes such as {{user.id}}."),
    "lifetime": Field("integer", least=30, most=315_360_000, about="Lifetime of its tokens in seconds; 60 if absent."),
    "allowed_clock_skew": Field(
        "integer", least=0, most=300, about="How many seconds nbf lies before iat; 5 if absent."
    ),
    "custom_signing_key": Field("boolean", about="Whether its tokens are signed with a key of its own."),
    "signing_algorithm": Field(about=f"What that key signs with: {', '.join(ALGORITHMS)}."),
    "signing_key": Field(about="That key: a private key in PEM, or a secret text for HS algorithms. Never answered."),
}
"""The members of a template."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_DEPTH = 32


class TemplateFault(Exception):
    """The template cannot be.

    Attributes:
        param: the member at fault.
        problem: what is wrong with it; never holds a key.
        is_reserved: a claim is one of those that every token has.
    """

    def __init__(self, param: str, problem: str, *, is_reserved: bool = False) -> None:
        self.param = param
        self.problem = problem
        self.is_reserved = is_reserved
        super().__init__(f"{param}: {problem}")


def parse_template(entry: Mapping[str, object], now_ms: int) -> JwtTemplate:
    """A new template out of the members that describe it, e.g. from a file.

    Args:
        entry: the members of :data:`FIELDS`.
        now_ms: the time, in Unix milliseconds.

    Raises:
        TemplateFault: for the first member at fault.
    """
    try:
        fields = read_fields(entry, FIELDS)
    except Refusal as refusal:
        raise TemplateFault(refusal.meta.get("param_name", ""), refusal.long_message) from None
    return build_template(fields, now_ms)


def build_template(fields: Mapping[str, object], now_ms: int, previous: JwtTemplate | None = None) -> JwtTemplate:
    """A template out of members that have the right types.

    Args:
        fields: those of :data:`FIELDS` that were given.
        now_ms: the time, in Unix milliseconds.
        previous: the template that is updated; None for a new one.

    Raises:
        TemplateFault: for the first member at fault.
    """
    base = previous or JwtTemplate(id=new_id("jtmp"), name="", claims={}, created_at_ms=now_ms)
    algorithm, key = _own_key(fields, base)
    claims = fields["claims"]
    built = replace(
        base,
        name=str(fields["name"]),
        claims=claims if isinstance(claims, Mapping) else {},
        lifetime_s=_number(fields, "lifetime", base.lifetime_s),
        allowed_clock_skew_s=_number(fields, "allowed_clock_skew", base.allowed_clock_skew_s),
        signing_algorithm=algorithm,
        signing_key=key,
        updated_at_ms=now_ms,
    )
    _require_good_name(built.name)
    require_good_claims(built.claims, AUTOMATIC_CLAIMS)
    return built


def _own_key(fields: Mapping[str, object], base: JwtTemplate) -> tuple[str | None, Secret | None]:
    """Algorithm and key, both or neither."""
    is_own = fields.get("custom_signing_key", base.signing_key is not None)
    text, algorithm = str(fields.get("signing_key", "")), str(fields.get("signing_algorithm", ""))
    if not is_own:
        if text:
            raise TemplateFault("signing_key", "it needs custom_signing_key: true")
        return None, None
    algorithm = algorithm or base.signing_algorithm or ""
    if algorithm not in ALGORITHMS:
        raise TemplateFault("signing_algorithm", f"must be one of {', '.join(ALGORITHMS)}")
    key = Secret(text) if text else base.signing_key
    if key is None:
        raise TemplateFault("signing_key", "it is required with custom_signing_key: true")
    try:
        require_fit(algorithm, key)
    except UnusableKey as error:
        raise TemplateFault("signing_key", f"{error} ({algorithm})") from None
    return algorithm, key


def _number(fields: Mapping[str, object], name: str, default: int) -> int:
    value = fields.get(name, default)
    return value if isinstance(value, int) else default


def _require_good_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise TemplateFault("name", "must be 1 to 128 letters, digits, '-', '_' or '.', and not begin with '.'")


def require_good_claims(claims: Mapping[str, object], reserved: frozenset[str]) -> None:
    """Check claims that somebody adds to tokens.

    Args:
        claims: they may hold shortcodes.
        reserved: the names that are not theirs.

    Raises:
        TemplateFault: for the first thing at fault.
    """
    taken = sorted(reserved.intersection(claims))
    if taken:
        raise TemplateFault("claims", f"every token has {', '.join(taken)} by itself", is_reserved=True)
    if _depth(claims) > _DEPTH:
        raise TemplateFault("claims", f"must not nest more than {_DEPTH} levels")
    try:
        json.dumps(claims, allow_nan=False)
    except (ValueError, TypeError):
        raise TemplateFault("claims", "must be JSON values, and numbers finite") from None


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level and depth <= _DEPTH:
        depth += 1
        inner = [list(item.values()) if isinstance(item, Mapping) else item for item in level]
        level = [child for items in inner if isinstance(items, list) for child in items]
    return depth
