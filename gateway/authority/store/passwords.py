"""Passwords: how they are kept, and the built-in check by email address and password.

Kept is an Argon2id hash (RFC 9106) with the parameters of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes,
one lane. A check costs some 40 ms of a thread, also for an address that nobody has; four run at once, so that a flood
of them takes 76 MiB and not all there is.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.authority.credentials import Credentials
from gateway.authority.store.database import Database
from gateway.authority.store.directory import Directory
from gateway.core.secret import Secret

MIN_LENGTH = 8  # NIST SP 800-63B section 3.1.1.2 with a second factor; its 15 without one is for the deployment to ask
MAX_LENGTH = 1024
_SALT_BYTES = 16
_HASH_BYTES = 32
_PASSES = 2
_LANES = 1
_MEMORY_KIB = 19 * 1024
_AT_ONCE = 4
# Of random bytes: no password is known to match, and trying one takes as long as for somebody who exists.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$y2oRwlltI8kWqgVdHkpfKA$tzU5HAlS9N06n3W3UTe1ourSFLWUokjSQZJkMiFIoxE"


def password_problem(password: Secret) -> str:
    """Why this cannot become a password; empty when it can."""
    length = len(password.reveal())
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        return f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters, not {length}"
    return ""


def hash_password(password: Secret, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """The hash to keep, with its parameters and salt (PHC string format)."""
    kdf = Argon2id(
        salt=random_bytes(_SALT_BYTES), length=_HASH_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    )
    return kdf.derive_phc_encoded(_encoded(password))


def is_password(password: Secret, kept: str) -> bool:
    """Whether this is the password that the hash was made of."""
    try:
        Argon2id.verify_phc_encoded(_encoded(password), kept)
    except InvalidKey:
        return False
    return True


class Passwords:
    """The hashes in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, user_id: str, kept: str, now_ms: int) -> None:
        """Keep the hash of a user's password, in the place of an earlier one."""
        self._database.write(
            "INSERT INTO passwords VALUES (:user_id, :kept, :now)"
            " ON CONFLICT (user_id) DO UPDATE SET kept = :kept, changed_at = :now",
            {"user_id": user_id, "kept": kept, "now": now_ms},
        )

    def of(self, user_id: str) -> str | None:
        """The hash of a user's password, if there is one."""
        row = self._database.row("SELECT kept FROM passwords WHERE user_id = :id", {"id": user_id})
        return str(row["kept"]) if row else None

    def has_any(self) -> bool:
        """Whether anybody has a password."""
        return self._database.row("SELECT 1 FROM passwords LIMIT 1") is not None


class PasswordCheck:
    """The built-in check: an email address of the directory and its password."""

    def __init__(self, directory: Directory, passwords: Passwords) -> None:
        self._directory = directory
        self._passwords = passwords
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, credentials: Credentials, /) -> str | None:
        """Return the user's id when the password is right."""
        user = self._directory.user_by_email(credentials.identifier)
        kept = self._passwords.of(user.id) if user else None
        async with self._free:
            is_right = await asyncio.to_thread(is_password, credentials.password, kept or _NOBODY)
        return user.id if user is not None and kept is not None and is_right else None


def _encoded(password: Secret) -> bytes:
    # one form for what keyboards spell in two (NIST SP 800-63B section 3.1.1.2)
    text = unicodedata.normalize("NFKC", password.reveal()[: MAX_LENGTH + 1])
    return text.encode("utf-8", "surrogatepass")
