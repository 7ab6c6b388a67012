"""Each change of the signing keys is whole or not there, wherever it breaks off."""

import contextlib
import sqlite3

import pytest

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.store.database import Database
from gateway.authority.store.signing_keys import SigningKeys

ORIGIN = "http://127.0.0.1:8001"


class Breaking(Database):
    """A file that fails at one write, as a full disk or the end of the process does."""

    writes_left = 0

    def write(self, sql: str, values) -> int:
        if self.writes_left == 0:
            raise sqlite3.OperationalError("database or disk is full")
        self.writes_left -= 1
        return super().write(sql, values)


STEPS = {
    "generate": lambda keys: keys.generate(),
    "rotate": lambda keys: keys.rotate(60),
    "rotate at once": lambda keys: keys.rotate(0),
    "retire": lambda keys: keys.retire(keys.records()[0].kid, is_forced=True),
    "replace": lambda keys: keys.replace_all(),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_change_that_breaks_off_changes_nothing(tmp_path, clock, founding, step, writes):
    path = str(tmp_path / "authority.db")
    config = AuthorityConfig(origin=ORIGIN, database=path)
    Authority.open(config, clock, founding).close()
    database = Breaking.open(path)
    assert isinstance(database, Breaking)
    keys = SigningKeys(database, clock)
    if step == "retire":
        database.writes_left = 9
        keys.rotate(0)
    before = keys.records()
    database.writes_left = writes
    is_whole = False
    with contextlib.suppress(sqlite3.OperationalError):
        STEPS[step](keys)
        is_whole = True
    assert is_whole == (keys.records() != before)
    assert is_whole or writes < 2
    database.close()
    again = Authority.open(config, clock)  # refuses keys of which none or two sign
    assert again.signing_keys.records()
    again.close()
