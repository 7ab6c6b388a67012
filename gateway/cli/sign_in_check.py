"""``--sign-in-check``: the built-in check, or a function of the deployment by its name."""

import importlib
import inspect
import sys
from pathlib import Path

from gateway.authority.credentials import PASSWORD, SignIn
from gateway.errors import ConfigurationError, Fault

_OPTION = "--sign-in-check"


def load_check(name: str | None) -> SignIn:
    """Return what the option names; None without it.

    Args:
        name: ``password``, or ``module:function``. The module may lie in the current directory.

    Raises:
        ConfigurationError: there is no such thing, or it cannot check anybody.
    """
    if name is None:
        return None
    if name == PASSWORD:
        return PASSWORD
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise _fault(name, "it names no check", f'write "{PASSWORD}", or module:function')
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise _fault(name, f"it cannot be loaded ({error})", "name a function as module:function") from error
    if not _is_check(found):
        problem = "it is not an async function of one argument"
        raise _fault(name, problem, "write async def check(credentials) that returns a user id or None")
    return found


def _is_check(found: object) -> bool:
    call = found if inspect.isroutine(found) else getattr(found, "__call__", None)  # noqa: B004 - its signature
    if call is None or inspect.isclass(found) or not inspect.iscoroutinefunction(call):
        return False
    try:
        inspect.signature(call).bind(object())
    except TypeError:
        return False
    return True


def _fault(name: str, problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError([Fault(_OPTION, name, problem, fix)])
