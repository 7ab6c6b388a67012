"""Refresh tokens: the families they are in, how they rotate, and when one that comes back was stolen.

A *family* is what one browser holds in one cookie: the refresh tokens of a session for one host, because cookies belong
to hosts. A handshake adds a token to the family like a rotation does, so a browser that went through a handshake and a
tab that still sends the token before it are the same party. Hosts of the same session are separate families, since
neither sees what the other's cookie became.

A token is *current* until it retires. It retires when it is rotated, and when another current token of the family is
used: a browser keeps one of the tokens that it was sent at the same time, and which one is known once it comes back. A
token that was issued within the grace does not retire so, because the answer that carries it may be on its way. A
retired token stays good for the grace (parallel tabs, several gateways); a use within it retires nothing.

Only digests are stored, and of each session the last 256 tokens. What is older is a token that never was.
"""

from dataclasses import dataclass, field

from gateway.authority.identifiers import digest, new_secret
from gateway.authority.store.database import Database

_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A refresh token that was issued once; times are Unix milliseconds.

    Attributes:
        digest: what is stored of it.
        session_id: the session that it refreshes.
        family: host of the browser's cookie.
        number: counts the tokens of the session.
        issued_at_ms: when it was made.
        retired_at_ms: since when it is no longer current; None for a current one.
    """

    digest: str = field(repr=False)
    session_id: str
    family: str
    number: int
    issued_at_ms: int
    retired_at_ms: int | None


class RefreshTokens:
    """The refresh tokens of the instance. ``now_ms`` is always an argument.

    Args:
        database: open.
        grace_ms: how long a retired token stays good.
    """

    def __init__(self, database: Database, grace_ms: int) -> None:
        self._database = database
        self._grace_ms = grace_ms

    def issue(self, session_id: str, family: str, now_ms: int) -> str:
        """Make a current token.

        Args:
            session_id: the session that it refreshes.
            family: host of the browser that will hold it.
            now_ms: the time.
        """
        token = new_secret()
        with self._database.transaction():
            row = self._database.row(
                "SELECT MAX(number) AS newest FROM refresh_tokens WHERE session_id = :session_id",
                {"session_id": session_id},
            )
            number = 1 + ((row["newest"] if row else None) or 0)
            self._database.write(
                "INSERT INTO refresh_tokens VALUES (:digest, :session_id, :family, :number, :now, NULL, 0)",
                {"digest": digest(token), "session_id": session_id, "family": family, "number": number, "now": now_ms},
            )
            self._database.write(
                "DELETE FROM refresh_tokens WHERE session_id = :session_id AND number <= :old",
                {"session_id": session_id, "old": number - _REMEMBERED},
            )
        return token

    def find(self, token: str, session_id: str) -> RefreshToken | None:
        """The token, if it was issued for this session and is remembered."""
        row = self._database.row(
            "SELECT * FROM refresh_tokens WHERE digest = :digest AND session_id = :session_id",
            {"digest": digest(token), "session_id": session_id},
        )
        if row is None:
            return None
        return RefreshToken(
            digest=row["digest"],
            session_id=row["session_id"],
            family=row["family"],
            number=row["number"],
            issued_at_ms=row["issued_at"],
            retired_at_ms=row["retired_at"],
        )

    def is_late(self, held: RefreshToken, now_ms: int) -> bool:
        """Whether it retired longer ago than the grace."""
        return held.retired_at_ms is not None and now_ms - held.retired_at_ms > self._grace_ms

    def is_outlived(self, held: RefreshToken) -> bool:
        """Whether a token of the family that is younger has come back, which proves that a browser received one."""
        return (
            self._database.row(
                "SELECT 1 FROM refresh_tokens"
                " WHERE session_id = :session_id AND number > :number AND family = :family AND is_used = 1",
                {"session_id": held.session_id, "number": held.number, "family": held.family},
            )
            is not None
        )

    def use(self, held: RefreshToken, now_ms: int) -> None:
        """Note that a good token came back; a current one retires the others that its family had before."""
        with self._database.transaction():
            self._database.write(
                "UPDATE refresh_tokens SET is_used = 1 WHERE digest = :digest", {"digest": held.digest}
            )
            if held.retired_at_ms is not None:
                return
            self._database.write(
                "UPDATE refresh_tokens SET retired_at = :now WHERE session_id = :session_id AND family = :family"
                " AND number <> :number AND retired_at IS NULL AND issued_at < :settled",
                {
                    "now": now_ms,
                    "session_id": held.session_id,
                    "family": held.family,
                    "number": held.number,
                    "settled": now_ms - self._grace_ms,
                },
            )

    def rotate(self, held: RefreshToken, now_ms: int) -> str:
        """Retire a token, unless it did so before, and make its successor."""
        with self._database.transaction():
            self._database.write(
                "UPDATE refresh_tokens SET retired_at = COALESCE(retired_at, :now) WHERE digest = :digest",
                {"digest": held.digest, "now": now_ms},
            )
            return self.issue(held.session_id, held.family, now_ms)
