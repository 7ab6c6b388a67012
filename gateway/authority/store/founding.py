"""The identity of an instance: made once, kept in its database, found there again.

The identity is data, so a process that only announces the keys can hand it to the one that serves, even when nothing
is kept on disk.
"""

import sqlite3
from dataclasses import dataclass

from gateway.authority.config import AuthorityConfig
from gateway.authority.identifiers import new_id, new_secret
from gateway.authority.signing.keyring import SigningKey
from gateway.authority.store.database import Database
from gateway.authority.store.seed import Seed, default_seed
from gateway.authority.store.signing_keys import SigningKeys
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError, Fault


@dataclass(frozen=True, slots=True)
class Founding:
    """Everything that is made up when an instance begins.

    Attributes:
        instance_id: also the id of the first signing key.
        secret_key: of the Backend API.
        signing_key: the first one, as PEM.
        seed: who is there.
        founded_at_ms: when.
    """

    instance_id: str
    secret_key: Secret
    signing_key: Secret
    seed: Seed
    founded_at_ms: int

    @classmethod
    def generate(cls, config: AuthorityConfig, now_ms: int, seed: Seed | None = None) -> "Founding":
        """Make a new identity."""
        instance_id = new_id("ins")
        return cls(
            instance_id,
            config.secret_key or Secret(new_secret(config.secret_prefix)),
            Secret(SigningKey.generate(instance_id).to_pem()),
            seed or default_seed(now_ms),
            now_ms,
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """What an instance is known by."""

    instance_id: str
    secret_key: Secret


def settle(database: Database, config: AuthorityConfig, founding: Founding | None, now_ms: int) -> Identity:
    """Find the identity in the database, or found it there.

    Args:
        database: open.
        config: must agree with what is found.
        founding: used for an empty database; None makes one.
        now_ms: the time.

    Raises:
        ConfigurationError: the database belongs to an instance of another kind, origin or secret key.
    """
    with database.transaction():
        if database.row("SELECT 1 FROM instance") is None:
            _found(database, config, founding or Founding.generate(config, now_ms))
        row = database.row("SELECT * FROM instance")
    if row is None:
        raise AssertionError("an instance was just written")
    faults = _disagreements(config, row)
    if faults:
        raise ConfigurationError(faults)
    return Identity(row["id"], Secret(row["secret_key"]))


def _found(database: Database, config: AuthorityConfig, founding: Founding) -> None:
    database.write(
        "INSERT INTO instance VALUES (:id, :kind, :origin, :secret_key, :created_at)",
        {
            "id": founding.instance_id,
            "kind": config.kind,
            "origin": config.origin,
            "secret_key": founding.secret_key.reveal(),
            "created_at": founding.founded_at_ms,
        },
    )
    keys = SigningKeys(database, lambda: founding.founded_at_ms / 1000)
    keys.add_first(founding.instance_id, founding.signing_key, founding.founded_at_ms)
    founding.seed.plant(database)


def _disagreements(config: AuthorityConfig, row: sqlite3.Row) -> list[Fault]:
    faults = []
    if row["kind"] != config.kind:
        problem = f"the database {config.database} holds a {row['kind']} instance"
        faults.append(
            Fault("--instance", config.kind, problem, f"start with --instance {row['kind']}, or another --db")
        )
    if row["origin"] != config.origin:
        problem = f"the keys in the database {config.database} name {row['origin']}"
        fix = "listen there again (--listen, --origin), or use another --db"
        faults.append(Fault("--listen", config.origin, problem, fix))
    if config.secret_key is not None and config.secret_key.reveal() != row["secret_key"]:
        problem = f"the database {config.database} has another secret key"
        faults.append(Fault("secret_key", config.secret_key.hint(), problem, "leave it out, or use another --db"))
    return faults
