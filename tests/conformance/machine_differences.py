"""Where we differ from the reference about tokens of machines, on purpose.

Two kinds. A :class:`Difference` is said by another request, as in :mod:`tests.conformance.differences`. A
:class:`Reading` is said by the answer: what has to be read otherwise for the two to be the same, and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance.differences import Difference, Parts
from tests.conformance.machine_cases import ACCEPTS, ODD, PREFIXES

Told = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """One deliberate difference in the words of an answer.

    Attributes:
        example: a request that shows it.
        read: makes one out of the two words, in either answer.
    """

    name: str
    why: str
    example: Parts
    read: Callable[[Told], Told]


def _flavour(parts: Parts) -> str:
    kind, _, name = parts["token"].partition(":")
    return name if kind in PREFIXES else ""


def _is_opaque(parts: Parts) -> bool:
    return bool(_flavour(parts)) or parts["token"] in ODD


def _with(parts: Parts, flavour: str) -> Parts:
    return {"token": f"{parts['token'].partition(':')[0]}:{flavour}"}


def _opaque(name: str, why: str, example: str, flavours: tuple[str, ...], instead: str) -> Difference:
    """A difference in what an answer of the API means."""
    return Difference(
        name,
        why,
        {"token": example, "accepts": "any"},
        lambda parts: _flavour(parts) in flavours,
        lambda parts: _with(parts, instead),
    )


def _jwt(name: str, why: str, example: str, flavours: tuple[str, ...], instead: str) -> Difference:
    """A difference in what a JWT has to hold."""
    return Difference(
        name,
        why,
        {"token": example, "accepts": "any"},
        lambda parts: parts["token"] in flavours,
        lambda parts: {"token": instead},
    )


def _takes_machines_alone(parts: Parts) -> bool:
    return "session_token" not in ACCEPTS[parts["accepts"]][1]


MACHINE_DIFFERENCES = (
    _opaque(
        "revoked-is-no-good",
        "quirk Q11: there a token counts that the API calls revoked, or expired, or whose end is past",
        "api_key:revoked",
        ("revoked", "expired", "over"),
        "not-found",
    ),
    _opaque(
        "an-answer-that-proves-nothing-lets-nobody-in",
        "quirk Q11: there an empty object, no content or any text vouches for the token",
        "m2m_token:empty",
        ("empty", "list", "no-content", "text", "html", "other-object", "without-flags"),
        "failed",
    ),
    _opaque(
        "a-charset-does-not-make-it-no-json",
        "RFC 8259 section 11: parameters have no meaning; there the body becomes one text without any claim",
        "oauth_token:charset",
        ("charset",),
        "good",
    ),
    _opaque(
        "a-bad-request-is-a-bad-token",
        "the API answers 400 for a text that cannot be one of its tokens; asking again would not help",
        "api_key:bad-request",
        ("bad-request",),
        "not-found",
    ),
    Difference(
        "nobody-is-asked-about-what-can-be-no-token",
        "RFC 6750 section 2.1 says what a Bearer token may hold; the API is not asked about anything else",
        {"token": "accented-key", "accepts": "api_key"},
        lambda parts: parts["token"] in {"accented-key", "endless-key"},
        lambda parts: {"token": "dotted-key"},
    ),
    Difference(
        "no-token-is-not-a-wrong-one",
        "there a list of types calls the missing token one of another type",
        {"token": "", "accepts": "list:machines"},
        lambda parts: not parts["token"] and parts["accepts"].startswith("list:") and _takes_machines_alone(parts),
        lambda parts: {"accepts": "api_key"},
    ),
    Difference(
        "a-list-of-one-type-is-that-type",
        "there an opaque token is invalid to session_token, and of another type to a list of it",
        {"token": "api_key:good", "accepts": "list:session"},
        lambda parts: parts["accepts"] == "list:session" and _is_opaque(parts),
        lambda parts: {"accepts": "session_token"},
    ),
    _jwt(
        "an-m2m-token-of-another-issuer-is-none",
        "an issuer need not be named; one that is named has to be ours",
        "m2m-other-issuer",
        ("m2m-other-issuer",),
        "m2m-forged",
    ),
    _jwt(
        "an-oauth-token-of-another-issuer-is-none",
        "the same (RFC 9068 section 4)",
        "oauth-other-issuer",
        ("oauth-other-issuer",),
        "oauth-forged",
    ),
    _jwt(
        "an-oauth-token-has-a-subject",
        "RFC 9068 section 2.2: sub is required, and an empty one names nobody",
        "oauth-empty-subject",
        ("oauth-empty-subject",),
        "oauth-forged",
    ),
    Difference(
        "an-oauth-token-has-no-category-of-another-class",
        "one key signs all classes, so what says to be of two is of none",
        {"token": "oauth-session-category", "accepts": "any"},
        lambda parts: (
            parts["token"] in {"oauth-session-category", "oauth-template-category", "oauth-m2m-category"}
            and "oauth_token" in ACCEPTS[parts["accepts"]][1]
        ),
        lambda parts: {"token": "dotted-oauth"},
    ),
    Difference(
        "no-spelling-of-typ-makes-a-session-token",
        "media types have no case (RFC 2045 section 5.1)",
        {"token": "oauth-odd-typ", "accepts": "any"},
        lambda parts: parts["token"] == "oauth-odd-typ",
        lambda parts: {"token": "session:template"},
    ),
)


def counterpart(parts: Parts) -> tuple[dict[str, str], list[str]]:
    """Return what has to be asked of the reference for our answer, and the names of the differences on the way."""
    changed, names = dict(parts), []
    for difference in MACHINE_DIFFERENCES:
        if difference.applies(changed):
            changed |= difference.instead(changed)
            names.append(difference.name)
    return changed, names


def _replaced(told: Told, name: str, words: Mapping[str, str]) -> Told:
    return told | {name: words.get(told[name], told[name])}


_EXACT_REASONS = {
    "machine-token-revoked": "token-invalid",
    "machine-token-expired": "token-invalid",
    "machine-api-failed": "unexpected-error",
    "machine-api-timeout": "unexpected-error",
    "machine-api-unreachable": "unexpected-error",
}


def _listed_scopes(told: Told) -> Told:
    identity = told["identity"]
    if identity is None or not isinstance(identity.get("scopes"), str):
        return told
    return told | {"identity": identity | {"scopes": [identity["scopes"]]}}


def _users_only(told: Told) -> Told:
    identity = told["identity"]
    if identity is None or str(identity.get("userId") or "user_").startswith("user_"):
        return told
    return told | {"identity": identity | {"userId": None}}


READINGS = (
    Reading(
        "what-cannot-be-known-is-unknown",
        "there an API that fails, or refuses the key, signs the machine out; we answer 503",
        {"token": "api_key:unauthorized", "accepts": "any"},
        lambda told: _replaced(told, "state", {"unknown": "signed-out"}),
    ),
    Reading(
        "reasons-say-what-is-wrong",
        "an API out of reach, one that failed, a revoked and an expired token are different things to an operator",
        {"token": "m2m_token:failed", "accepts": "any"},
        lambda told: _replaced(told, "reason", _EXACT_REASONS),
    ),
    Reading(
        "scopes-are-a-list",
        "there one audience in the place of scopes is a text",
        {"token": "m2m-one-audience", "accepts": "any"},
        _listed_scopes,
    ),
    Reading(
        "a-user-id-is-a-user-s",
        "there any subject of an OAuth token is a user id",
        {"token": "oauth-other-subject", "accepts": "any"},
        _users_only,
    ),
)
