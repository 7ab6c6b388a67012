"""What the Sessions API answered to a refresh, as it may lie in a store that others can read.

Sealed with AES-GCM under a key that is derived from both tokens that were traded (HKDF, RFC 5869). No store ever sees
those, so whoever reads one gets no session out of it; who has both tokens could have asked the API. What cannot be
opened counts as no answer: it was tampered with, or another version left it.
"""

import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.core.verdict import NeedRefresh
from gateway.errors import ApiErrorItem, ApiRefused

Answer = tuple[str, ...] | ApiRefused
"""The directives of the new cookies, or the API's own refusal."""

_PURPOSE = b"session-gateway: answer to a refresh, version 1"
_KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D section 5.2.1.1


class Seal:
    """Closes and opens the answers to one refresh.

    Args:
        need: what is traded; both tokens make the key.
        place: the key under which the answer is stored; an answer that was moved elsewhere does not open.
    """

    def __init__(self, need: NeedRefresh, place: bytes) -> None:
        texts = (need.expired_token.reveal(), need.refresh_token.reveal())
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        secret = b"".join(len(each).to_bytes(8) + each for each in encoded)
        self._cipher = AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE).derive(secret))
        self._place = place

    def close(self, answer: Answer) -> bytes:
        """Return the answer as only this seal opens it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, json.dumps(_document(answer)).encode(), self._place)

    def open(self, sealed: bytes) -> Answer | None:
        """Return the answer, or None where this seal did not close it."""
        try:
            return _answer(json.loads(self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._place)))
        except (InvalidTag, ValueError, TypeError, KeyError):
            return None


def _document(answer: Answer) -> dict[str, object]:
    if not isinstance(answer, ApiRefused):
        return {"cookies": answer}
    errors = [[each.code, each.message, each.long_message, each.meta] for each in answer.errors]
    return {"status": answer.status, "errors": errors, "trace_id": answer.trace_id}


def _answer(document: Any) -> Answer:
    """Read what :func:`_document` made.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    if "cookies" in document:
        return tuple(map(str, document["cookies"]))
    errors = [
        ApiErrorItem(code, message, long_message, tuple((name, value) for name, value in meta))
        for code, message, long_message, meta in document["errors"]
    ]
    if not errors:
        raise ValueError("a refusal says why")
    return ApiRefused(int(document["status"]), errors, document["trace_id"])
