"""What may become of a session (Backend API 2026-05-12, schema Session)."""

from enum import StrEnum


class SessionStatus(StrEnum):
    """The statuses. A client shows one as a plain text, so a new one breaks no old client."""

    ACTIVE = "active"
    PENDING = "pending"
    REVOKED = "revoked"
    ENDED = "ended"
    EXPIRED = "expired"
    REMOVED = "removed"
    ABANDONED = "abandoned"
    REPLACED = "replaced"
