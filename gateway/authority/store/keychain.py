"""The signing keys as they are at this moment, for whoever signs and verifies.

Several processes may share the file, and a command may change its keys while they serve. So each use asks SQLite
whether somebody else has written to the file (``PRAGMA data_version``, about two microseconds), and only then what the
keys are now.

Before a key signs what is good for longer than the file knows, the file is told, with a minute to spare: one write a
minute. So no key is retired while one of its tokens is good, however a process ends.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.authority.errors import Problem, Refusal
from gateway.authority.signing.key_life import KeyRecord, Keys, Stage
from gateway.authority.signing.keyring import Category, KeyRing, SigningKey, UnusableKey
from gateway.authority.store.database import Database
from gateway.authority.store.signing_keys import SigningKeys
from gateway.core.tokens import ParsedToken
from gateway.errors import ConfigurationError, Fault

_log = logging.getLogger("gateway.authority")

_SPARE_S = 60
_REPAIR = "restore the file from a copy, or make a new key with: gateway authority keys replace --db"


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The keys that are not retired, as they were read; the first one signs."""

    records: Keys
    ring: KeyRing

    @property
    def takes_over_at_ms(self) -> float:
        """When another key takes over."""
        return min((record.sign_at_ms or 0 for record in self.records if record.is_planned), default=float("inf"))


class Keychain:
    """The signing keys of an instance.

    Args:
        database: holds them.
        table: says what is known of them.
        name: of the database, for messages.
        trade_age_s: how long after its ``iat`` an expired session token may be traded, and has to be verified for that.

    Raises:
        ConfigurationError: there are none, or they cannot be used; with every fault.
    """

    def __init__(self, database: Database, table: SigningKeys, name: str, trade_age_s: int) -> None:
        self._database = database
        self._table = table
        self._name = name
        self._trade_age_s = trade_age_s
        self._keys: dict[str, SigningKey] = {}
        self._seen: object = self._state()
        self._loaded = self._load()

    def sign(self, claims: Mapping[str, object], category: Category | None) -> str:
        """A token with these claims, signed by the key whose turn it is.

        Args:
            claims: the payload.
            category: the class of the token, or None to leave the header out.

        Raises:
            Refusal: the keys in the file can no longer be used.
        """
        loaded, needed_until_s = self._current(), self._needed_until_s(claims, category)
        while needed_until_s > loaded.records[0].needed_until_s:
            # False when another process has just changed the keys: then it is the next one's turn
            self._table.note_need(loaded.records[0].kid, needed_until_s + _SPARE_S)
            loaded = self._current()
        return loaded.ring.sign(claims, category)

    def open(self, token: str) -> ParsedToken:
        """Check shape and signature, and nothing else.

        Raises:
            ForeignToken: none of the keys made it.
            Refusal: the keys in the file can no longer be used.
        """
        return self._current().ring.open(token)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, the one that signs first.

        Raises:
            Refusal: the keys in the file can no longer be used.
        """
        return self._current().ring.jwks()

    def _current(self) -> _Loaded:
        state = self._state()
        if state != self._seen:
            self._loaded = self._reload()
            # What a transaction wrote may still be undone: then it is read again.
            self._seen = None if self._database.is_in_transaction else state
        if self._loaded.takes_over_at_ms <= self._table.now_ms():
            self._table.promote()
            return self._current()
        return self._loaded

    def _state(self) -> tuple[int, int]:
        row = self._database.row("PRAGMA data_version")
        return (int(row[0]) if row else 0, self._table.changes)

    def _reload(self) -> _Loaded:
        try:
            return self._load()
        except ConfigurationError as error:
            _log.error("the signing keys can no longer be used: %s", error)
            raise Refusal(Problem.UNAVAILABLE) from error

    def _load(self) -> _Loaded:
        records = self._live()
        faults = self._turn_faults(records)
        if any(record.kid not in self._keys for record in records):
            # together, or a key could go in between; alone, what other processes write costs no lock
            with self._database.transaction():
                records = self._live()
                faults = [*self._turn_faults(records), *self._key_faults(records)]
        if faults:
            raise ConfigurationError(faults)
        self._keys = {record.kid: self._keys[record.kid] for record in records}
        return _Loaded(tuple(records), KeyRing(list(self._keys.values())))

    def _live(self) -> list[KeyRecord]:
        records = [record for record in self._table.records() if record.stage is not Stage.RETIRED]
        return sorted(records, key=lambda record: record.stage is not Stage.SIGNING)

    def _turn_faults(self, records: list[KeyRecord]) -> list[Fault]:
        signing = [record.kid for record in records if record.stage is Stage.SIGNING]
        if len(signing) == 1:
            return []
        problem = f"{len(signing)} of its keys sign ({', '.join(signing)})" if signing else "none of its keys signs"
        return [Fault("--db", self._name, f"{problem}; there must be one", f"{_REPAIR} {self._name}")]

    def _key_faults(self, records: list[KeyRecord]) -> list[Fault]:
        faults = []
        for record in records:
            if record.kid in self._keys:
                continue
            try:
                pem = self._table.private_key(record.kid).reveal()
                self._keys[record.kid] = SigningKey.from_pem(record.kid, pem, is_proven=True)
            except UnusableKey as error:
                problem = f"its signing key {record.kid} cannot be used: {error}"
                faults.append(Fault("--db", self._name, problem, f"{_REPAIR} {self._name}"))
        return faults

    def _needed_until_s(self, claims: Mapping[str, object], category: Category | None) -> int:
        until_s = _seconds(claims, "exp", self._table.now_ms() // 1000)
        if category is Category.SESSION:
            until_s = max(until_s, _seconds(claims, "iat", 0) + self._trade_age_s)
        return until_s


def _seconds(claims: Mapping[str, object], name: str, default: int) -> int:
    value = claims.get(name)
    return int(value) if isinstance(value, int | float) else default
