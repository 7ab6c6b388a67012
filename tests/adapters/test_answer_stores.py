"""Which store the setting means, and what is said where it cannot be had."""

import pytest

from gateway.adapters.answer_stores import open_store, store_fault
from gateway.adapters.host_store import HostStore
from gateway.adapters.redis_store import RedisStore
from gateway.core.secret import Secret
from gateway.core.settings_model import RefreshSettings
from gateway.errors import ConfigurationError

URL = Secret("redis://user:hunter2@redis.internal:6379/0")


@pytest.mark.parametrize(
    ("store", "has_folder", "kind"),
    [
        (None, False, type(None)),
        (None, True, HostStore),
        ("none", False, type(None)),
        ("none", True, type(None)),
        (URL, False, RedisStore),
        (URL, True, RedisStore),
    ],
)
async def test_the_setting_names_the_store_and_a_folder_is_what_workers_share(store, has_folder, kind, tmp_path):
    opened = open_store(RefreshSettings(store=store), tmp_path if has_folder else None)
    assert type(opened) is kind
    if opened is not None:
        await opened.close()


def test_a_missing_package_is_a_fault_that_says_what_to_install_and_no_password():
    refresh = RefreshSettings(store=URL)
    fault = store_fault(refresh, lambda _: None)
    assert str(fault) == (
        'refresh.store (is "redis://redis.internal:6379/0"): the package redis is not installed; '
        "pip install 'session-gateway[redis]'"
    )
    with pytest.raises(ConfigurationError) as caught:
        open_store(refresh, None, lambda _: None)
    assert caught.value.faults == (fault,)
    assert store_fault(refresh) is None
    assert store_fault(RefreshSettings(), lambda _: None) is None
