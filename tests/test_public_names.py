"""The public surface is short and does not change by accident."""

import subprocess
import sys

import gateway


def test_the_public_names_are_these() -> None:
    assert gateway.__all__ == [
        "AccessDenied",
        "ConfigurationError",
        "GatewayError",
        "MachineClaims",
        "Organization",
        "Reverification",
        "SessionClaims",
        "SessionMiddleware",
        "SessionsApiError",
        "SessionsClient",
        "Settings",
        "__version__",
        "load_settings",
        "parse_settings",
        "proxy_app",
        "require",
    ]
    assert all(getattr(gateway, name) is not None for name in gateway.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(gateway, "nothing_of_this_name")


def test_importing_the_package_does_not_import_what_the_proxy_needs() -> None:
    code = "import sys, gateway; print(sorted({'httptools', 'httpx', 'starlette', 'uvloop'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_middleware_needs_nothing_of_the_extra_serve() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('httptools', 'uvloop', 'click', 'rich')));"
        "import gateway; print(gateway.SessionMiddleware.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "SessionMiddleware"
