"""What an answer of the Sessions API means: the model that was promised, or one of the exceptions.

Pure. Which exception: a list of errors with a status that says what was wrong with the call (400, 401, 404, 410 or
422) is :class:`ApiRefused`; any other 3XX, 4XX, 5XX is :class:`ApiFailed`, with the list if there is one, and so is a
2XX that is not what the operation promises; a 2XX whose JSON breaks off, or is a null or a number, is no answer:
:class:`ApiUnreachable`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable, SessionsApiError
from gateway.sessions.models import WrongShape
from gateway.sessions.wire import Operation

T = TypeVar("T")

REFUSED_STATUSES = frozenset({400, 401, 404, 410, 422})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _Broken(Exception):
    """The body says that it is JSON and is not."""


def read_answer(operation: Operation[T], answer: Answer, now_s: float) -> T:
    """Read what came back.

    Args:
        operation: the row that was called.
        answer: what came back.
        now_s: Unix time in seconds, for a ``Retry-After`` that is a date.

    Raises:
        ApiRefused: the API refused, with its list of errors.
        ApiFailed: it answered anything else than the operation promises.
        ApiUnreachable: there is no usable answer.
    """
    if not 200 <= answer.status < 300:
        raise refusal(operation, answer, now_s)
    trace_id = _trace_id(answer, None)
    if answer.status == 204 or not is_json(operation, answer):  # 204 has no body, whatever its headers say
        raise ApiFailed(answer.status, _why_not_json(answer), trace_id)
    try:
        value = _decode(answer.body)
    except _Broken:
        raise ApiUnreachable("protocol", f"{operation.name}: the answer is broken JSON") from None
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        raise ApiUnreachable("protocol", f"{operation.name}: the answer is a JSON null or number")
    try:
        return operation.read(value)
    except WrongShape as wrong:
        raise ApiFailed(answer.status, f"{operation.name}: unexpected answer: {wrong}", trace_id) from None


def refusal(operation: Operation[T], answer: Answer, now_s: float) -> SessionsApiError:
    """Make the exception for an answer that is not 2XX."""
    document: object = None
    if is_json(operation, answer):
        try:
            document = _decode(answer.body)
        except _Broken:
            document = None
    retry_after_s = read_retry_after(answer.headers.get("retry-after", ""), now_s)
    trace_id = _trace_id(answer, document)
    errors = _read_errors(document) if answer.status >= 400 else ()
    if errors and answer.status in REFUSED_STATUSES:
        return ApiRefused(answer.status, errors, trace_id, retry_after_s)
    if 300 <= answer.status < 400:
        detail = f"{operation.name}: the API redirects, which is not followed with a secret key; check the API URL"
    else:
        detail = f"{operation.name}: the API answered with{'' if errors else 'out'} a list of errors"
    return ApiFailed(answer.status, detail, trace_id, retry_after_s, errors)


def is_json(operation: Operation[T], answer: Answer) -> bool:
    """Say whether the answer claims to be JSON (RFC 8259 section 11; parameters have no meaning there)."""
    value = answer.headers.get("content-type", "")
    if operation.exact_type:
        return value == "application/json"
    media_type = value.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def read_retry_after(value: str, now_s: float) -> float | None:
    """Read ``Retry-After`` (RFC 9110 section 10.2.3): seconds or an HTTP date; None when absent or neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None


def _decode(body: bytes) -> object:
    try:
        value: object = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _Broken from None
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON (RFC 8259 section 6)")


def _read_errors(document: object) -> tuple[ApiErrorItem, ...]:
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return ()
    return tuple(_read_error(item) for item in errors if isinstance(item, dict))


def _read_error(item: Mapping[str, object]) -> ApiErrorItem:
    """Read schema ClerkError; a field of another type counts as absent, because the other fields still help."""
    texts = {name: _as_text(item.get(name)) for name in ("code", "message", "long_message")}
    meta = item.get("meta")
    return ApiErrorItem(**texts, meta=tuple(meta.items()) if isinstance(meta, dict) else ())


def _trace_id(answer: Answer, document: object) -> str:
    """Find what the API's operators ask for: in the body, else in the headers that the official SDKs read."""
    in_body = _as_text(document.get("clerk_trace_id")) if isinstance(document, dict) else ""
    return in_body or answer.headers.get("clerk-trace-id", "") or answer.headers.get("cf-ray", "")


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _why_not_json(answer: Answer) -> str:
    if not answer.body:
        return "the answer has no body"
    return "the answer is not JSON by its Content-Type; check that the API URL leads to the API"
