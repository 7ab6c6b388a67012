"""Who is told of events: endpoints with a URL, a signing secret and the events that they subscribe to.

Only who holds the command line or the database names endpoints, never a request. So any host may be named, loopback
and private networks included: that is where receivers live in development. What limits them: http and https alone, no
user name or password in the URL, redirects are not followed, answers are not shown to anybody, and a production
instance sends what it knows about people over https, or to this machine.
"""

import base64
import binascii
import ipaddress
import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from gateway.authority.identifiers import new_id
from gateway.authority.store.database import Database
from gateway.authority.webhooks.events import EventType
from gateway.core.instance import InstanceKind
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError, Fault

_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = (24, 64)  # Standard Webhooks, "Signature scheme"
_URL_LIMIT = 2048
_EXAMPLE = "write for example http://127.0.0.1:3000/api/webhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver of events.

    Attributes:
        id: ``ep_…``.
        url: where events are posted to.
        secret: ``whsec_…``, signs them.
        event_types: what it subscribes to; empty means everything, also what is added later.
        disabled_because: why it gets nothing; None while it does.
        created_at_ms: since when, in Unix milliseconds.
    """

    id: str
    url: str
    secret: Secret
    event_types: tuple[EventType, ...] = ()
    disabled_because: str | None = None
    created_at_ms: int

    @property
    def label(self) -> str:
        """How it is called in the log: a path or a query may hold a secret of the receiver."""
        parts = urlsplit(self.url)
        return f"{self.id} ({parts.scheme}://{parts.netloc})"

    def wants(self, event_type: EventType) -> bool:
        """Whether the event is for this endpoint."""
        return self.disabled_because is None and (not self.event_types or event_type in self.event_types)

    @classmethod
    def new(
        cls, url: str, now_ms: int, secret: Secret | None = None, event_types: Sequence[EventType] = ()
    ) -> "Endpoint":
        """An endpoint with a new id, and a new secret where none is given."""
        kept = tuple(sorted(set(event_types)))
        return cls(
            id=new_id("ep"), url=url, secret=secret or new_signing_secret(), event_types=kept, created_at_ms=now_ms
        )


class Endpoints:
    """The endpoints in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, endpoint: Endpoint) -> bool:
        """Keep a new endpoint; False when there is one with this URL, and then nothing changes."""
        return bool(
            self._database.write(
                "INSERT INTO webhook_endpoints VALUES (:id, :url, :secret, :event_types, :disabled_because,"
                " :created_at) ON CONFLICT (url) DO NOTHING",
                {
                    "id": endpoint.id,
                    "url": endpoint.url,
                    "secret": endpoint.secret.reveal(),
                    "event_types": json.dumps(endpoint.event_types),
                    "disabled_because": endpoint.disabled_because,
                    "created_at": endpoint.created_at_ms,
                },
            )
        )

    def ensure(self, url: str, secret: Secret | None, now_ms: int) -> Endpoint:
        """Find the endpoint with this URL, or add it for all events; one that was disabled gets messages again.

        Args:
            url: as :func:`read_url` returned it.
            secret: replaces the one that it has; None keeps that one, or makes one.
            now_ms: the time.
        """
        with self._database.transaction():
            self.add(Endpoint.new(url, now_ms, secret))
            self._database.write(
                "UPDATE webhook_endpoints SET disabled_because = NULL, secret = COALESCE(:secret, secret)"
                " WHERE url = :url",
                {"url": url, "secret": secret.reveal() if secret else None},
            )
            found = self.find(url)
        if found is None:
            raise AssertionError("an endpoint was just written")
        return found

    def all(self) -> list[Endpoint]:
        """Every endpoint, in the order in which they were added."""
        return [_endpoint(row) for row in self._database.rows("SELECT * FROM webhook_endpoints ORDER BY rowid")]

    def find(self, name: str) -> Endpoint | None:
        """The endpoint with this id or URL."""
        row = self._database.row("SELECT * FROM webhook_endpoints WHERE :name IN (id, url)", {"name": name})
        return _endpoint(row) if row else None

    def remove(self, endpoint_id: str) -> None:
        """Forget an endpoint and everything that was for it."""
        with self._database.transaction():
            self._database.write("DELETE FROM webhook_deliveries WHERE endpoint_id = :id", {"id": endpoint_id})
            self._database.write("DELETE FROM webhook_endpoints WHERE id = :id", {"id": endpoint_id})
            self._database.write(
                "DELETE FROM webhook_messages"
                " WHERE NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE message_seq = seq)",
                {},
            )

    def enable(self, endpoint_id: str) -> None:
        """Send to it again; what failed before is sent when it is replayed."""
        self._database.write("UPDATE webhook_endpoints SET disabled_because = NULL WHERE id = :id", {"id": endpoint_id})

    def disable(self, endpoint_id: str, because: str) -> None:
        """Send nothing to it any more; what waits for it counts as failed."""
        with self._database.transaction():
            self._database.write(
                "UPDATE webhook_endpoints SET disabled_because = :because WHERE id = :id",
                {"id": endpoint_id, "because": because},
            )
            self._database.write(
                "UPDATE webhook_deliveries SET state = 'failed', attempted_at = COALESCE(attempted_at, due_at),"
                " outcome = :outcome WHERE endpoint_id = :id AND state = 'waiting'",
                {"id": endpoint_id, "outcome": "the endpoint was disabled"},
            )


def new_signing_secret() -> Secret:
    """A secret that nobody can guess, in the form that Svix's libraries take."""
    return Secret(_SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())


def read_signing_secret(text: str, setting: str) -> Secret:
    """A secret that somebody else made.

    Args:
        text: ``whsec_`` and base64 of 24 to 64 bytes.
        setting: how the user calls it, for the message.

    Raises:
        ConfigurationError: it is none.
    """
    secret, (least, most) = Secret(text.strip()), _SECRET_BYTES
    try:
        key = base64.b64decode(secret.reveal().removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.reveal().startswith(_SECRET_PREFIX) or not least <= len(key) <= most:
        problem = f"it is not {_SECRET_PREFIX} followed by base64 of {least} to {most} bytes"
        raise ConfigurationError([Fault(setting, secret.hint(), problem, "leave it out, and one is made")])
    return secret


def read_url(text: str, kind: InstanceKind, setting: str) -> str:
    """A URL that events may be posted to.

    Args:
        text: as it was given.
        kind: of the instance; production posts over https, or to this machine.
        setting: how the user calls it, for the message.

    Raises:
        ConfigurationError: it is none.
    """
    problem, fix = _url_problem(text, kind)
    if problem:
        # not shown: what is wrong with it may be a password in it
        seen = "" if "@" in text else "".join(letter for letter in text[:100] if letter.isprintable())
        raise ConfigurationError([Fault(setting, seen, problem, fix)])
    return text


def _url_problem(text: str, kind: InstanceKind) -> tuple[str, str]:
    try:
        url = httpx.URL(text)
        urlsplit(text).port  # noqa: B018 - raises where it is out of range, which httpx lets pass
    except (httpx.InvalidURL, ValueError):
        return "it is no URL", _EXAMPLE
    if url.scheme not in ("http", "https") or not url.host or len(text) > _URL_LIMIT:
        return f"it is no http or https URL of at most {_URL_LIMIT} characters", _EXAMPLE
    if not text.isascii() or not text.isprintable() or " " in text:
        return "it has characters that do not stand in a URL", "percent-encode them"
    if url.userinfo or url.fragment:
        return "it has a user name, a password or a fragment", "leave that out; the signature proves who sends"
    if kind is InstanceKind.PRODUCTION and url.scheme == "http" and not _is_loopback(url.host):
        return "events of a production instance tell about people, and http tells everybody", "use https"
    return "", ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _endpoint(row: sqlite3.Row) -> Endpoint:
    return Endpoint(
        id=row["id"],
        url=row["url"],
        secret=Secret(row["secret"]),
        event_types=tuple(EventType(name) for name in json.loads(row["event_types"])),
        disabled_because=row["disabled_because"],
        created_at_ms=row["created_at"],
    )
