"""The table of the signing keys: what is known of each, and every change of it, one transaction each.

Nothing here reads the keys themselves, so keys that are damaged can still be listed and replaced. A retired key leaves
its row behind, without the key: no clock brings it back.
"""

import sqlite3
from collections.abc import Callable

from gateway.authority.identifiers import new_id
from gateway.authority.signing import key_life
from gateway.authority.signing.key_life import OVERLAP_S, KeyRecord, Keys, Stage
from gateway.authority.signing.keyring import SigningKey
from gateway.authority.store.database import Database
from gateway.core.secret import Secret

_COLUMNS = "kid, stage, created_at, sign_at, needed_until_s, retired_at"
_KEEP = """
INSERT INTO signing_keys (kid, private_pem, stage, created_at, sign_at, needed_until_s, retired_at)
VALUES (:kid, :private_pem, :stage, :created_at, :sign_at, :needed_until_s, :retired_at)
ON CONFLICT (kid) DO UPDATE SET stage = :stage, sign_at = :sign_at, retired_at = :retired_at,
    private_pem = CASE WHEN :stage = 'retired' THEN '' ELSE private_pem END
"""


class SigningKeys:
    """The signing keys of an instance, without the keys.

    Args:
        database: holds them.
        clock: returns Unix seconds.

    Attributes:
        changes: counts what was changed through this object.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self.changes = 0

    def now_ms(self) -> int:
        """The time, in Unix milliseconds."""
        return int(self._clock() * 1000)

    def records(self) -> Keys:
        """All keys in the order of their age, the retired ones included."""
        sql = f"SELECT {_COLUMNS} FROM signing_keys ORDER BY created_at, rowid"  # noqa: S608 - made of constants
        return tuple(_record(row) for row in self._database.rows(sql))

    def private_key(self, kid: str) -> Secret:
        """The key itself, as PEM; empty for a retired one."""
        row = self._database.row("SELECT private_pem FROM signing_keys WHERE kid = :kid", {"kid": kid})
        return Secret(row["private_pem"] if row else "")

    def add_first(self, kid: str, private_pem: Secret, created_at_ms: int) -> None:
        """Keep the key that an instance begins with; it signs at once."""
        record = KeyRecord(kid=kid, stage=Stage.SIGNING, created_at_ms=created_at_ms, sign_at_ms=created_at_ms)
        self._keep(record, private_pem)

    def promote(self) -> None:
        """Let the key take over whose time has come."""
        self._change(lambda keys: key_life.promote(keys, self.now_ms()))

    def note_need(self, kid: str, until_s: int) -> bool:
        """Note that the key is about to sign what is good until then; False when it is no longer the one that signs."""
        changed = self._database.write(
            "UPDATE signing_keys SET needed_until_s = max(needed_until_s, :until_s)"
            " WHERE kid = :kid AND stage = 'signing'",
            {"kid": kid, "until_s": until_s},
        )
        self.changes += 1
        return bool(changed)

    def generate(self) -> KeyRecord:
        """Publish a new key, which signs once a rotation takes it."""
        new = SigningKey.generate(new_id("key"))
        return self._change(lambda keys: key_life.publish(keys, new.kid, self.now_ms()), new)[-1]

    def rotate(self, sign_after_s: int = OVERLAP_S) -> KeyRecord:
        """Let another key take over once it has been published for so long; returns it.

        Args:
            sign_after_s: seconds; 0 at once.

        Raises:
            KeyRefusal: a rotation is under way, and this one would not be sooner.
        """
        new = SigningKey.generate(new_id("key"))  # before the transaction: it takes a while
        chosen: list[str] = []

        def rotate(keys: Keys) -> Keys:
            keys, kid = key_life.rotate(keys, self.now_ms(), sign_after_s, new.kid)
            chosen.append(kid)
            return keys

        return next(key for key in self._change(rotate, new) if key.kid in chosen)

    def retire(self, kid: str, *, is_forced: bool = False) -> None:
        """Take a key out of the JWKS for good.

        Args:
            kid: which one.
            is_forced: although tokens that it signed are still good.

        Raises:
            KeyRefusal: it signs, it is gone, or it is needed and this is not forced.
        """
        self._change(lambda keys: key_life.retire(keys, kid, self.now_ms(), is_forced=is_forced))

    def retire_unneeded(self) -> list[str]:
        """Take every retiring key out of the JWKS that signed nothing that is still good; returns their ids."""
        retired: list[str] = []

        def retire(keys: Keys) -> Keys:
            now_ms = self.now_ms()
            keys = key_life.promote(keys, now_ms)
            retired.extend(key.kid for key in keys if key.stage is Stage.RETIRING and not key.is_needed(now_ms))
            for kid in retired:
                keys = key_life.retire(keys, kid, now_ms)
            return keys

        self._change(retire)
        return retired

    def replace_all(self) -> KeyRecord:
        """Let a new key sign at once, and retire all others, whatever they signed; returns the new one."""
        new = SigningKey.generate(new_id("key"))
        return self._change(lambda keys: key_life.replace_all(keys, self.now_ms(), new.kid), new)[-1]

    def _change(self, change: Callable[[Keys], Keys], new: SigningKey | None = None) -> Keys:
        with self._database.transaction():
            before = self.records()
            after = change(before)
            for record in after:
                if record not in before:
                    self._keep(record, Secret(new.to_pem()) if new and new.kid == record.kid else Secret(""))
        self.changes += 1
        return after

    def _keep(self, record: KeyRecord, private_pem: Secret) -> None:
        self._database.write(
            _KEEP,
            {
                "kid": record.kid,
                "private_pem": private_pem.reveal(),
                "stage": record.stage,
                "created_at": record.created_at_ms,
                "sign_at": record.sign_at_ms,
                "needed_until_s": record.needed_until_s,
                "retired_at": record.retired_at_ms,
            },
        )


def _record(row: sqlite3.Row) -> KeyRecord:
    return KeyRecord(
        kid=row["kid"],
        stage=Stage(row["stage"]),
        created_at_ms=row["created_at"],
        sign_at_ms=row["sign_at"],
        needed_until_s=row["needed_until_s"],
        retired_at_ms=row["retired_at"],
    )
