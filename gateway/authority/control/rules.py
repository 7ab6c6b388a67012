"""One rule of bad behaviour: which requests it meets, and what becomes of them.

A rule is data. It knows nothing of HTTP servers, and whether it applies to a request is decided in
:mod:`gateway.authority.control.faults`; what it does is done in :mod:`gateway.authority.control.faulty_app`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase

_LONGEST_MS = 600_000
# RFC 9110 section 5.6.2 and 5.5: what a server may be asked to send
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


class BadRule(ValueError):
    """A rule that cannot be meant.

    Attributes:
        field: the name of the field, or ``rule`` for the rule as a whole.
        problem: what it must be.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


class Effect(StrEnum):
    """What becomes of a request. Whoever asks sees it so, over a socket."""

    # the operation's own answer, or the one that the rule's status asks for
    ANSWER = "answer"
    # nothing, for as long as the client waits
    HANG = "hang"
    # the connection is closed in good order (FIN) before a byte of the answer
    CLOSE = "close"
    # the connection is torn down (RST) before a byte of the answer
    RESET = "reset"
    # the head and half of the body, then RST
    RESET_MIDWAY = "reset_midway"
    # the head with the length of the whole body, half of the body, then FIN
    TRUNCATE = "truncate"
    # the head, then a space every drip_ms, without end
    DRIP = "drip"
    # the status of the real answer, its media type, and a body that is no JSON
    GARBAGE = "garbage"
    # the real answer, called text/html
    WRONG_TYPE = "wrong_type"
    # the real answer with other RSA keys under the same ids
    FOREIGN_KEYS = "foreign_keys"
    # the real answer with tokens of another session, validly signed
    OTHER_SESSION = "other_session"
    # the real answer with tokens that expired an hour ago, validly signed
    EXPIRED_TOKEN = "expired_token"


# effects that need the operation's own answer, so it is performed whatever the rule says
FROM_THE_ANSWER = frozenset(Effect) - {Effect.ANSWER, Effect.HANG, Effect.CLOSE, Effect.RESET}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which requests, and what becomes of them.

    Attributes:
        operation: name of the operation, e.g. ``RefreshSession``; ``*`` and ``?`` stand for any text and any letter.
        method: the HTTP method; empty for any.
        path: the path, with the same wildcards.
        latency_ms: how long the request waits before anything else happens to it.
        effect: what becomes of it.
        is_performed: whether the operation is carried out although its answer is lost; effects that change the real
            answer carry it out in any case.
        status: answer with this status and not with the operation's own answer.
        code: the error code in the body of that answer; by default the one that the API has for the status.
        body: the body of that answer: text as it is, anything else as JSON. None takes the API's error body.
        headers: added to that answer.
        retry_after_s: added to that answer as ``Retry-After``.
        times: how many requests it meets; None for all, until it is taken away.
        probability: how likely it meets a request that it fits.
        seed: of the dice, so that a run can be repeated.
        drip_ms: the pause between two bytes of ``drip``.

    Raises:
        BadRule: a field has no meaning, or the rule would do nothing.
    """

    operation: str = "*"
    method: str = ""
    path: str = "*"
    latency_ms: int = 0
    effect: Effect = Effect.ANSWER
    is_performed: bool = False
    status: int | None = None
    code: str = ""
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    drip_ms: int = 50

    def __post_init__(self) -> None:
        for name, (expected, is_good) in _RULES.items():
            value = getattr(self, name)
            if not is_good(value):
                raise BadRule(name, f"must be {expected}, not {_shown(value)}")
        decorated = [
            name for name in ("code", "body", "headers", "retry_after_s") if getattr(self, name) not in ("", None, {})
        ]
        if self.status is None and decorated:
            raise BadRule(decorated[0], "needs a status to go with")
        if self.status is not None and self.effect is not Effect.ANSWER:
            raise BadRule("status", f"goes with the effect answer, not with {self.effect}")
        if self.status is None and self.effect is Effect.ANSWER and not self.latency_ms:
            raise BadRule("rule", "does nothing; give it a latency_ms, a status or an effect")

    @property
    def performs(self) -> bool:
        """Whether the operation is carried out."""
        if self.effect is Effect.ANSWER and self.status is None:
            return True
        return self.is_performed or self.effect in FROM_THE_ANSWER

    def fits(self, operation: str, method: str, path: str) -> bool:
        """Whether it is about such requests."""
        return (
            fnmatchcase(operation, self.operation)
            and self.method.upper() in ("", method.upper())
            and fnmatchcase(path, self.path)
        )

    @classmethod
    def read(cls, table: object) -> "Rule":
        """Read a rule from parsed JSON.

        Raises:
            BadRule: naming the field.
        """
        if not isinstance(table, dict):
            raise BadRule("rule", "must be a JSON object")
        known = [item.name for item in fields(cls)]
        for name in table:
            if name not in known:
                raise BadRule(_shown(name), f"is unknown; there are {', '.join(known)}")
        values = dict(table)
        if "effect" in values:
            try:
                values["effect"] = Effect(values["effect"])
            except ValueError:
                raise BadRule("effect", f"must be one of {', '.join(Effect)}") from None
        return cls(**values)

    def to_json(self) -> dict[str, object]:
        """The fields that are not as they are by default."""
        shown: dict[str, object] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            default = {} if item.default is MISSING else item.default
            if value != default:
                shown[item.name] = dict(value) if isinstance(value, Mapping) and item.name == "headers" else value
        return shown


def _is_whole(least: int, most: int, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_optional_whole(least: int, most: int, value: object) -> bool:
    return value is None or _is_whole(least, most, value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1000


def _are_headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and isinstance(text, str)
        and _HEADER_NAME.fullmatch(name)
        and _HEADER_VALUE.fullmatch(text)
        for name, text in value.items()
    )


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


# field: what it must be, and whether it is
_RULES = {
    "operation": ("text", _is_text),
    "method": ("text", _is_text),
    "path": ("text", _is_text),
    "latency_ms": (f"a whole number from 0 to {_LONGEST_MS}", lambda value: _is_whole(0, _LONGEST_MS, value)),
    "effect": ("an effect", lambda value: isinstance(value, Effect)),
    "is_performed": ("true or false", lambda value: isinstance(value, bool)),
    # 1xx are no answers, and 204 and 304 have no body to be wrong
    "status": ("a whole number from 200 to 599", lambda value: _is_optional_whole(200, 599, value)),
    "code": ("text", _is_text),
    "body": ("JSON", _is_json),
    "headers": ("an object of header names and printable values", _are_headers),
    "retry_after_s": ("a whole number from 0 to 86400", lambda value: _is_optional_whole(0, 86_400, value)),
    "times": ("a whole number of at least 1", lambda value: _is_optional_whole(1, 2**53, value)),
    "probability": ("a number above 0 and up to 1", _is_share),
    "seed": ("a whole number", lambda value: _is_whole(-(2**63), 2**63, value)),
    "drip_ms": (f"a whole number from 1 to {_LONGEST_MS}", lambda value: _is_whole(1, _LONGEST_MS, value)),
}


def _shown(value: object) -> str:
    return repr(value)[:80]
