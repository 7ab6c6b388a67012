"""Secrets that buy something once or for a while: traded tokens, handshake nonces, dev browsers.

All of them are stored as digests. Facts: Sessions API section 3 (an expired session token can be traded once) and
section 5 (handshake payload by nonce). Whatever adds a row takes away some that are over, so nothing piles up and no
call pays for all.
"""

import json

from gateway.authority.identifiers import digest, new_secret
from gateway.authority.store.database import Database

# more than one, so that what is over shrinks while rows are added
_SWEPT_AT_ONCE = 20
_DEV_BROWSERS_OF_A_CLIENT = 50


class Grants:
    """What has been handed out and what of it is spent. ``now_ms`` is always an argument."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def consume(self, token: str, now_ms: int, forget_at_ms: int) -> bool:
        """Spend a session token; False when it was spent before. It is remembered until ``forget_at_ms``."""
        signed_part = token.rpartition(".")[0]  # the signature has several spellings in base64, what it signs has one
        with self._database.transaction():
            self._database.write(
                "DELETE FROM consumed_tokens WHERE digest IN"
                " (SELECT digest FROM consumed_tokens WHERE forget_at < :now ORDER BY forget_at LIMIT :most)",
                {"now": now_ms, "most": _SWEPT_AT_ONCE},
            )
            return bool(
                self._database.write(
                    "INSERT INTO consumed_tokens VALUES (:digest, :forget_at) ON CONFLICT DO NOTHING",
                    {"digest": digest(signed_part), "forget_at": forget_at_ms},
                )
            )

    def store_handshake(self, directives: list[str], now_ms: int, lifetime_ms: int) -> str:
        """Keep the cookies of a handshake until they are fetched; returns the nonce that fetches them."""
        nonce = new_secret()
        with self._database.transaction():
            self._database.write(
                "DELETE FROM handshakes WHERE digest IN"
                " (SELECT digest FROM handshakes WHERE expire_at < :now ORDER BY expire_at LIMIT :most)",
                {"now": now_ms, "most": _SWEPT_AT_ONCE},
            )
            self._database.write(
                "INSERT INTO handshakes VALUES (:digest, :directives, :expire_at)",
                {
                    "digest": digest(nonce),
                    "directives": json.dumps(directives),
                    "expire_at": now_ms + lifetime_ms,
                },
            )
        return nonce

    def fetch_handshake(self, nonce: str, now_ms: int) -> list[str] | None:
        """Hand over what the nonce stands for, once; None when it is unknown, spent or too old."""
        rows = self._database.rows(
            "DELETE FROM handshakes WHERE digest = :digest RETURNING directives, expire_at", {"digest": digest(nonce)}
        )
        if not rows or rows[0]["expire_at"] < now_ms:
            return None
        return [str(directive) for directive in json.loads(rows[0]["directives"])]

    def issue_dev_browser(self, client_id: str, now_ms: int) -> str:
        """Make the token by which a development browser is known on other origins."""
        token = new_secret("dvb_")
        with self._database.transaction():
            self._database.write(
                "INSERT INTO dev_browsers VALUES (:digest, :client_id, :now)",
                {"digest": digest(token), "client_id": client_id, "now": now_ms},
            )
            self._database.write(
                "DELETE FROM dev_browsers WHERE token_digest IN (SELECT token_digest FROM dev_browsers"
                " WHERE client_id = :client_id ORDER BY created_at DESC LIMIT -1 OFFSET :most)",
                {"client_id": client_id, "most": _DEV_BROWSERS_OF_A_CLIENT},
            )
        return token

    def dev_browser_client(self, token: str) -> str | None:
        """The id of the client that the development browser token stands for."""
        row = self._database.row(
            "SELECT client_id FROM dev_browsers WHERE token_digest = :digest", {"digest": digest(token)}
        )
        return str(row["client_id"]) if row else None

    def forget_dev_browsers(self, client_id: str) -> None:
        """Make every development browser token of a client worthless."""
        self._database.write("DELETE FROM dev_browsers WHERE client_id = :client_id", {"client_id": client_id})
