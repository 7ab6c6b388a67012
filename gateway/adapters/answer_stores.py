"""Which store the setting ``refresh.store`` means."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from gateway.core.redis_url import shown
from gateway.core.secret import Secret
from gateway.core.settings_model import RefreshSettings
from gateway.errors import ConfigurationError, Fault
from gateway.ports import AnswerStore


def store_fault(refresh: RefreshSettings, find: Callable[[str], object] = find_spec) -> Fault | None:
    """Return what is missing on this machine for the setting, or None.

    Args:
        refresh: the settings.
        find: returns None for a package that is not installed.
    """
    if not isinstance(refresh.store, Secret) or find("redis") is not None:
        return None
    seen = f'"{shown(refresh.store.reveal())}"'
    return Fault("refresh.store", seen, "the package redis is not installed", "pip install 'session-gateway[redis]'")


def open_store(
    refresh: RefreshSettings, folder: Path | None, find: Callable[[str], object] = find_spec
) -> AnswerStore | None:
    """Return the store, or None where nothing is shared; nothing is connected yet.

    Args:
        refresh: says which.
        folder: what the workers of this gateway share; None where there is one process.
        find: as for :func:`store_fault`.

    Raises:
        ConfigurationError: a package is missing.
    """
    if isinstance(refresh.store, Secret):
        if (fault := store_fault(refresh, find)) is not None:
            raise ConfigurationError([fault])
        from gateway.adapters.redis_store import RedisStore  # noqa: PLC0415 - it comes with the extra "redis"

        return RedisStore(refresh.store)
    if folder is None or refresh.store is not None:
        return None
    from gateway.adapters.host_store import HostStore  # noqa: PLC0415 - the middleware does without SQLite

    return HostStore(folder)
