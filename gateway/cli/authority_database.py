"""The database that ``gateway authority …`` looks after: the file is opened for a command.

The file must be there already: a mistyped name would otherwise become an authority of its own, with nobody in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.authority.store.database import Database
from gateway.errors import ConfigurationError, Fault


@contextmanager
def open_database(path: str) -> Iterator[Database]:
    """Open the file of an authority that exists, and close it in the end.

    Raises:
        ConfigurationError: there is no such file, it is not an authority's, or it holds none yet.
    """
    if not Path(path).is_file():
        raise ConfigurationError([Fault("--db", path, "there is no such file", "name the file of an authority")])
    database = Database.open(path)
    try:
        if database.row("SELECT 1 FROM instance") is None:
            fix = "start it with gateway authority --db, which founds it"
            raise ConfigurationError([Fault("--db", path, "no authority has started with it yet", fix)])
        yield database
    finally:
        database.close()
