"""The dated versions of the API, and the few things about sessions that depend on them (Sessions API section 6)."""

from enum import StrEnum


class ApiVersion(StrEnum):
    """Every version that may be asked for."""

    V2021_02_05 = "2021-02-05"
    V2024_10_01 = "2024-10-01"
    V2025_03_12 = "2025-03-12"
    V2025_04_10 = "2025-04-10"
    V2025_11_10 = "2025-11-10"
    V2026_05_12 = "2026-05-12"

    @property
    def token_version(self) -> int:
        """Version of the session token's claims: 1 or 2."""
        return 2 if self >= ApiVersion.V2025_04_10 else 1

    @property
    def has_tasks(self) -> bool:
        """Whether a session shows what it still owes, and may be pending."""
        return self >= ApiVersion.V2025_03_12


# what a request without a version gets; the public documents leave it open
LATEST = ApiVersion.V2026_05_12
