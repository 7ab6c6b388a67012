"""Identifiers, secrets, and how secrets are kept: prefix plus 27 base-62 characters; only digests are stored."""

import hashlib
import secrets
import string

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH = 27
_SECRET_LENGTH = 43  # 43 base-62 characters hold 256 bits


def new_id(prefix: str) -> str:
    """An identifier such as ``sess_2GbDB4enNdCa5vS1zpC3Xzg9tK9``."""
    return f"{prefix}_{_characters(_ID_LENGTH)}"


def new_secret(prefix: str = "") -> str:
    """A text that nobody can guess, with the prefix written before it."""
    return f"{prefix}{_characters(_SECRET_LENGTH)}"


def digest(secret: str) -> str:
    """What is stored instead of the secret. It needs no salt: the secrets are random and long."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _characters(length: int) -> str:
    # one number for all of them: asking the system for each takes longer than storing the row that it names
    number, characters = secrets.randbelow(62**length), []
    for _ in range(length):
        number, position = divmod(number, 62)
        characters.append(_BASE62[position])
    return "".join(characters)
