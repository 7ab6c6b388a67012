"""What a client is given, checked before anything is sent."""

import re

import httpx

from gateway.core.instance import API_VERSION
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError, Fault

_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def checked_key(secret_key: Secret | str) -> Secret:
    """Take only what can stand in a header: h11 quotes a header that it refuses, and with it the key.

    Raises:
        ConfigurationError: it is empty, or cannot stand there.
    """
    text = secret_key if isinstance(secret_key, str) else secret_key.reveal()
    if not text:
        raise ConfigurationError(
            [Fault("secret_key", "", "is empty", "set it to the instance's sk_test_… or sk_live_…")]
        )
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigurationError(
            [Fault("secret_key", "", "holds a space, a line break or a character outside ASCII", "copy it again")]
        )
    return Secret(text)


def checked_version(api_version: str) -> str:
    """Take only the date of a version.

    Raises:
        ConfigurationError: it is none.
    """
    if _VERSION.fullmatch(api_version):
        return api_version
    fix = f"write the date of a version of the API, such as {API_VERSION}"
    raise ConfigurationError([Fault("api_version", repr(api_version), "is not a date like YYYY-MM-DD", fix)])


def checked_timeout(timeout_s: float) -> float:
    """Take only seconds above 0.

    Raises:
        ConfigurationError: they are not.
    """
    if timeout_s > 0:  # not so for nan
        return timeout_s
    raise ConfigurationError([Fault("timeout_s", str(timeout_s), "is not above 0", "write seconds, such as 10")])


def checked_base(api_url: str) -> str:
    """Return the URL below which the operations are, such as ``https://api.clerk.com/v1``.

    Raises:
        ConfigurationError: it is not the URL of an API.
    """
    fix = "write the scheme and host, such as https://api.clerk.com"
    try:
        url = httpx.URL(api_url)
    except httpx.InvalidURL:
        raise ConfigurationError([Fault("api_url", "", "is not a URL", fix)]) from None
    if url.userinfo:
        raise ConfigurationError([Fault("api_url", "", "holds credentials", fix)])
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError([Fault("api_url", repr(api_url), "is not an http(s) URL", fix)])
    if url.query or url.fragment or "?" in api_url or "#" in api_url:
        raise ConfigurationError([Fault("api_url", repr(api_url), "holds a query or a fragment", fix)])
    base = str(url).rstrip("/")
    if base.endswith("/v1"):
        raise ConfigurationError([Fault("api_url", repr(api_url), "ends with the API's own /v1", "leave /v1 out")])
    return f"{base}/v1"
