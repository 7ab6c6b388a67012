"""Session tokens: strict shape, class, signature and claims, in that order; the first failure decides.

Order and codes: request-authentication section 4. Stricter than the reference on purpose: base64url without padding
or spare bits (RFC 7515 section 2; two spellings of one token would be two tokens to every cache), no ``crit``
(RFC 7515 section 4.1.11), no duplicate members (RFC 7515 section 4), no NaN or infinity, bounded size, pinned issuer.
"""

import json
import math
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from gateway.core.keys import ALGORITHMS, VerificationKey
from gateway.core.reasons import Reason
from gateway.core.token_class import JWT_TYPES, TokenClass, class_of, opaque_type
from gateway.core.trace import NO_TRACE, Mark, Trace

MAX_BYTES = 8192
"""More than a browser keeps in a cookie twice over; checked before anything is decoded."""

MAX_DEPTH = 32
"""Objects and lists within each other; claims that people write stay far below."""

MAX_HEADERS = 32
"""Headers that are kept as they were read: an instance's tokens have one for each key and class."""


class TokenError(Exception):
    """The token may not be used.

    Attributes:
        reason: why, as a stable code.
        message: one sentence for the log and for ``X-Clerk-Auth-Message``; never holds a part of the token.
        check: what did not hold, in a word.
    """

    def __init__(self, reason: Reason, message: str, check: str = "shape") -> None:
        self.reason = reason
        self.message = message
        self.check = check
        super().__init__(f"{reason}: {message}")


@dataclass(init=False, slots=True)
class ParsedToken:
    """A token of the right shape; nothing in it is to be believed before its signature is checked.

    One is made for each new token: to be treated as frozen.

    Attributes:
        header, payload: decoded.
        signing_input: what was signed: header and payload as they came.
        signature: decoded.
        encoded: the payload as JSON.
    """

    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    encoded: bytes = field(repr=False)

    def __init__(
        self,
        header: Mapping[str, Any],
        payload: Mapping[str, Any],
        signing_input: bytes,
        signature: bytes,
        encoded: bytes = b"",
    ) -> None:
        self.header = header
        self.payload = payload
        self.signing_input = signing_input
        self.signature = signature
        self.encoded = encoded

    @property
    def kid(self) -> str:
        """The id of the key that is said to have signed it."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else ""

    @property
    def token_class(self) -> TokenClass:
        """Its class, by its own word."""
        return class_of(self.header, self.payload)

    @property
    def is_session(self) -> bool:
        """Whether its class is that of session tokens."""
        return self.token_class is TokenClass.SESSION


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the claims of a token have to agree with.

    Attributes:
        issuers: the issuers that are this instance's; empty skips the check (handshake tokens have none).
        authorized_parties: origins allowed in ``azp``; empty allows all.
        skew_s: seconds that clocks may differ.
    """

    issuers: frozenset[str]
    authorized_parties: frozenset[str]
    skew_s: float


def parse(token: str) -> ParsedToken:
    """Split and decode a compact JWS (RFC 7515 section 7.1).

    Raises:
        TokenError: ``token-invalid``.
    """
    if len(token) > MAX_BYTES:
        raise TokenError(Reason.TOKEN_INVALID, f"it is longer than {MAX_BYTES} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        kind = opaque_type(token)
        likely = f"; it looks like an opaque {kind}, which is not accepted here" if kind else ""
        raise TokenError(Reason.TOKEN_INVALID, f"it does not have three parts{likely}")
    header = _header(parts[0])
    payload, signature = _decode(parts[1]), _decode(parts[2])
    signing_input = token[: -len(parts[2]) - 1].encode("ascii")
    return ParsedToken(header, _object(payload), signing_input, signature, payload)


@lru_cache(maxsize=MAX_HEADERS)
def _header(part: str) -> Mapping[str, Any]:
    """Return a header; read-only, since tokens with the same one share it."""
    header = _object(_decode(part))
    if "crit" in header:
        raise TokenError(Reason.TOKEN_INVALID, "its header asks for extensions that are not understood")
    return MappingProxyType(header)


# The letters of base64url as those of base64; what only base64 has becomes what neither has.
_AS_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")


def _decode(part: str) -> bytes:
    try:
        letters = part.encode("ascii").translate(_AS_BASE64)
        padded = letters + b"=" * (-len(letters) % 4)
        data = a2b_base64(padded, strict_mode=True)
    except ValueError:
        raise TokenError(Reason.TOKEN_INVALID, "a part of it is not base64url") from None
    # Only the last letters can hold spare bits.
    if not data or b2a_base64(data[-(len(data) % 3 or 3) :], newline=False) != padded[-4:]:
        raise TokenError(Reason.TOKEN_INVALID, "a part of it is not canonical base64url")
    return data


def _object(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8").strip(" \t\r\n")  # what JSON takes for blanks (RFC 8259 section 2)
        value, end = _STRICT.raw_decode(text)
        if end != len(text):
            raise ValueError("something follows")
        if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
            raise ValueError("nested too deeply")
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate has no UTF-8 form
    except (ValueError, RecursionError):
        raise TokenError(Reason.TOKEN_INVALID, "a part of it is not strict JSON") from None
    if not isinstance(value, dict):
        raise TokenError(Reason.TOKEN_INVALID, "a part of it is not a JSON object")
    return value


def _is_too_deep(value: object) -> bool:
    """Return whether a document nests beyond :data:`MAX_DEPTH`; how deep a parser gets differs between Pythons."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in level)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number


# Made once: json.loads makes one for each call that has options.
_STRICT = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite)


def may_be_from(token: str, issuers: frozenset[str]) -> bool:
    """Return whether a token might be a session token of these issuers; nothing is verified.

    For keeping session tokens from an upstream that takes Bearer tokens of its own. A text of three parts that cannot
    be read counts as one: what reads tokens less strictly than we do might still accept it.
    """
    if token.count(".") != 2:
        return not token
    try:
        return parse(token).payload.get("iss") in issuers
    except (TokenError, TypeError):
        return True


def check_signature(
    token: ParsedToken, key: VerificationKey, trace: Trace = NO_TRACE, types: frozenset[str] = JWT_TYPES
) -> None:
    """Check type, algorithm and signature, in this order.

    Args:
        token: of the right shape.
        key: of its ``kid``.
        trace: takes notes.
        types: what ``typ`` may be; without one a token counts as ``JWT``.

    Raises:
        TokenError: ``token-invalid``, ``token-invalid-algorithm``, ``token-verification-failed`` or
            ``token-invalid-signature``.
    """
    kind = token.header.get("typ", "JWT")
    if not isinstance(kind, str) or kind not in types:
        raise TokenError(Reason.TOKEN_INVALID, f"its typ is not {' or '.join(sorted(types))}", "type")
    trace.note("type", Mark.OK)
    algorithm = token.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenError(Reason.TOKEN_INVALID_ALGORITHM, "its algorithm is not RS256, RS384 or RS512", "algorithm")
    if algorithm not in key.algorithms:
        raise TokenError(Reason.TOKEN_VERIFICATION_FAILED, "its algorithm is not the one of its key", "algorithm")
    trace.note("algorithm", Mark.OK, "{}", algorithm)
    if not key.verifies(algorithm, token.signing_input, token.signature):
        raise TokenError(Reason.TOKEN_INVALID_SIGNATURE, "its signature is not the key's", "signature")
    trace.note("signature", Mark.OK)


def check_claims(payload: Mapping[str, Any], expected: Expectations, now_s: float, trace: Trace = NO_TRACE) -> None:
    """Check the claims of a token (RFC 7519 section 4.1, request-authentication section 4 item 7).

    Raises:
        TokenError: with the reason of the first claim that does not hold.
    """
    if not isinstance(payload.get("sub"), str):
        raise TokenError(Reason.TOKEN_VERIFICATION_FAILED, "its sub is not a text", "sub")
    trace.note("sub", Mark.OK)
    azp = payload.get("azp")
    if not expected.authorized_parties:
        trace.note("azp", Mark.SKIPPED, "{}; instance.authorized_parties is empty", _text(azp))
    elif _is_one_of(azp, expected.authorized_parties):
        trace.note("azp", Mark.OK, "{}", _text(azp))
    else:
        message = "its azp is not one of instance.authorized_parties"
        raise TokenError(Reason.TOKEN_INVALID_AUTHORIZED_PARTIES, message, "azp")
    if expected.issuers and not _is_one_of(payload.get("iss"), expected.issuers):
        raise TokenError(Reason.TOKEN_INVALID_ISSUER, "its issuer is another instance", "issuer")
    trace.note("issuer", Mark.OK, "{}", _text(payload.get("iss")))
    times = {name: _time(payload, name) for name in ("exp", "nbf", "iat")}
    if not isinstance(payload.get("exp"), int):
        raise TokenError(Reason.TOKEN_VERIFICATION_FAILED, "its exp is not a whole number of seconds", "exp")
    _check_each_time(times, now_s, expected.skew_s, trace)


def _check_each_time(times: Mapping[str, float], now_s: float, skew_s: float, trace: Trace) -> None:
    check_times(times["exp"], 0, 0, now_s, skew_s)
    _note_time(trace, "exp", times["exp"] - now_s)
    check_times(math.inf, times["nbf"], 0, now_s, skew_s)
    _note_time(trace, "nbf", times["nbf"] - now_s)
    check_times(math.inf, 0, times["iat"], now_s, skew_s)
    _note_time(trace, "iat", times["iat"] - now_s)


def _note_time(trace: Trace, what: str, ahead_s: float) -> None:
    if ahead_s >= 0:
        trace.note(what, Mark.OK, "{:.0f} s ahead", ahead_s)
    else:
        trace.note(what, Mark.OK, "{:.0f} s ago", -ahead_s)


def _text(claim: object) -> str:
    return claim if isinstance(claim, str) else "none"


def _is_one_of(claim: object, allowed: frozenset[str]) -> bool:
    return isinstance(claim, str) and claim in allowed


def _time(payload: Mapping[str, Any], name: str) -> float:
    value = payload.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 253402300800:
        raise TokenError(Reason.TOKEN_VERIFICATION_FAILED, f"its {name} is not a time before the year 10000", name)
    return value


def check_times(expires_at_s: float, not_before_s: float, issued_at_s: float, now_s: float, skew_s: float) -> None:
    """Check the times of a token, all in Unix seconds.

    Raises:
        TokenError: ``token-expired``, ``token-not-active-yet`` or ``token-iat-in-the-future``.
    """
    if expires_at_s <= now_s - skew_s:
        raise TokenError(Reason.TOKEN_EXPIRED, f"it expired {now_s - expires_at_s:.0f} s ago", "exp")
    if not_before_s > now_s + skew_s:
        raise TokenError(Reason.TOKEN_NOT_ACTIVE_YET, f"it becomes active in {not_before_s - now_s:.0f} s", "nbf")
    if issued_at_s > now_s + skew_s:
        message = f"it was issued {issued_at_s - now_s:.0f} s in the future"
        raise TokenError(Reason.TOKEN_IAT_IN_THE_FUTURE, message, "iat")
