"""What the operations of the authority cost with few and with very many sessions stored, in one run.

    python -m tests.benchmarks.authority            less than two minutes, and 800 MB of disk for a while
    python -m tests.benchmarks.authority --quick    a few seconds, to see that it works; its figures say nothing

The same file grows from size to size. Each operation is measured twice: in this process, where the figure is the best
of many short rounds, and over HTTP on the real ``gateway authority`` in a process of its own, asked by eight
connections at once. OpenSSL's bare RS256 signature stands beside them: a minted token cannot do without it.
"""

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.authority import Authority, AuthorityConfig, lifecycle
from gateway.authority.backend.refresh import RefreshOrder, refresh
from gateway.authority.models import SessionRecord
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.signing.keyring import Category
from gateway.authority.store.ledger import SessionFilter
from gateway.authority.versions import LATEST
from gateway.authority.webhooks.events import Cause
from gateway.authority.wire import backend_session
from gateway.core.session_status import SessionStatus
from tests.benchmarks.decide import best_us
from tests.e2e.processes import free_port
from tests.faults.authority_kit import Answer, Caller, Service, calling

APP = "https://app.bench.test"
SESSIONS_OF_A_USER = 10
CONNECTIONS = 8

# made again at the end of a fill, which is quicker than keeping them up row by row
_KEPT_UP = """
SELECT type, name, sql FROM sqlite_schema
WHERE type IN ('index', 'trigger') AND tbl_name IN ('sessions', 'clients') AND sql IS NOT NULL
"""
# identifiers are spread like those of new_id(), so the trees are hit all over
_FILL_USERS = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :past)
INSERT INTO users (id, first_name, last_name, email_address, plan, features, public_metadata, unsafe_metadata,
                   created_at)
SELECT printf('user_bench%022d', i), 'Some', 'Body', i || '@bench.test', '', '[]', '{}', '{}', :now FROM n
"""
_FILL_CLIENTS = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :past)
INSERT INTO clients (id, token_digest, created_at, updated_at, looked_at)
SELECT printf('client_%010d%s', i * 7919 % 1000003, printf('%017d', i)), hex(randomblob(32)), :now, :now, :now FROM n
"""
_FILL_SESSIONS = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :past)
INSERT INTO sessions (id, user_id, client_id, status, first_factor_at, last_active_at, expire_at, abandon_at,
                      created_at, updated_at)
SELECT printf('sess_%010d%s', i * 7919 % 1000003, printf('%017d', i)), printf('user_bench%022d', i / :per_user),
       printf('client_%010d%s', i * 7919 % 1000003, printf('%017d', i)), 'active', :now + i, :now + i, :later, :later,
       :now + i, :now + i
FROM n
"""


@dataclass(frozen=True)
class Operation:
    """One thing that is asked for: in this process, and over HTTP.

    Attributes:
        name: as it is printed.
        call: does it once.
        ask: does it once over a connection.
    """

    name: str
    call: Callable[[], object]
    ask: Callable[[Caller], Awaitable[Answer]]


class Subject:
    """The authority with so many sessions, and sessions to ask for."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.path = folder / "authority.db"
        self.authority = Authority.open(
            AuthorityConfig(origin=f"http://127.0.0.1:{self.port}", database=str(self.path))
        )
        self.stored = 0

    @property
    def realm(self) -> Realm:
        """The parts of the authority."""
        return self.authority.realm

    def grow(self, size: int) -> None:
        """Store sessions until there are so many."""
        now_ms = self.realm.now_ms()
        values = {"now": now_ms - 3_600_000, "later": now_ms + 604_800_000, "per_user": SESSIONS_OF_A_USER}
        users = {"first": self.stored // SESSIONS_OF_A_USER, "past": size // SESSIONS_OF_A_USER, "now": now_ms}
        rows = {"first": self.stored, "past": size}
        database = self.realm.database
        database.row("PRAGMA cache_size = -400000")
        with database.transaction():
            kept_up = database.rows(_KEPT_UP)
            for row in kept_up:
                database.write(f"DROP {row['type']} {row['name']}", {})
            database.write(_FILL_USERS, users)
            database.write(_FILL_CLIENTS, {**rows, "now": values["now"]})
            database.write(_FILL_SESSIONS, {**rows, **values})
            for row in kept_up:
                database.write(row["sql"], {})
            database.write("DELETE FROM session_totals", {})
            database.write("INSERT INTO session_totals SELECT status, COUNT(*) FROM sessions GROUP BY status", {})
        database.row("PRAGMA wal_checkpoint(TRUNCATE)")
        database.row("PRAGMA cache_size = -2000")  # the usual one
        self.stored = size

    def sessions(self, count: int) -> Iterator[SessionRecord]:
        """Sessions from all over the file, over and over."""
        chosen = []
        for number in random.Random(1).sample(range(self.stored), min(count, self.stored)):
            user = f"user_bench{number // SESSIONS_OF_A_USER:022d}"
            found = self.realm.ledger.sessions(SessionFilter(user_id=user), 1, 0, self.realm.now_ms())
            chosen += found
        return itertools.cycle(chosen)

    def orders(self, count: int) -> Iterator[RefreshOrder]:
        """Refreshes that are granted, each once."""
        realm, sessions = self.realm, self.sessions(count)
        for number in range(count):
            session, now_s = next(sessions), realm.now_ms() // 1000
            claims = {"azp": APP, "exp": now_s - 30, "iat": now_s - 90, "jti": str(number), "sid": session.id}
            yield RefreshOrder(
                session_id=session.id,
                expired_token=realm.keys.sign(claims | {"iss": realm.config.origin, "v": 2}, Category.SESSION),
                refresh_token=realm.refresh_tokens.issue(session.id, "app.bench.test", realm.now_ms()),
                request_origin=APP,
                as_cookies=True,
                suffixed=True,
                version=LATEST,
                cause=Cause("127.0.0.1", "bench"),
            )


def signature_us(rounds: int) -> float:
    """OpenSSL's RS256 signature of a text of a token's size."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return best_us(lambda: key.sign(b"x" * 500, padding.PKCS1v15(), hashes.SHA256()), rounds, 20)


def reading(subject: Subject, sample: int) -> list[Operation]:
    """What changes nothing."""
    realm, sessions = subject.realm, subject.sessions(sample)

    def mint() -> str:
        session = realm.ledger.session(next(sessions).id, realm.now_ms())
        assert session is not None
        return realm.session_token(session, TokenOrder(azp=APP, now_ms=realm.now_ms()), LATEST)

    def get() -> object:
        session = realm.ledger.session(next(sessions).id, realm.now_ms())
        assert session is not None
        return backend_session(session, LATEST)

    def page(narrowed: SessionFilter) -> object:
        found = realm.ledger.sessions(narrowed, 10, 0, realm.now_ms())
        assert found
        return [backend_session(session, LATEST) for session in found], realm.ledger.count(narrowed, realm.now_ms())

    listing = "/v1/sessions?paginated=true"
    return [
        Operation("mint", mint, lambda c: c.ask("POST", f"/v1/sessions/{next(sessions).id}/tokens")),
        Operation("get", get, lambda c: c.ask("GET", f"/v1/sessions/{next(sessions).id}")),
        Operation(
            "list by user, with its number",
            lambda: page(SessionFilter(user_id=next(sessions).user_id)),
            lambda c: c.ask("GET", f"{listing}&user_id={next(sessions).user_id}"),
        ),
        Operation(
            "list by client, with its number",
            lambda: page(SessionFilter(client_id=next(sessions).client_id)),
            lambda c: c.ask("GET", f"{listing}&client_id={next(sessions).client_id}"),
        ),
        Operation(
            "list all that are active, with its number",
            lambda: page(SessionFilter(status=SessionStatus.ACTIVE)),
            lambda c: c.ask("GET", f"{listing}&status=active"),
        ),
    ]


def writing(subject: Subject, sample: int) -> list[Operation]:
    """What changes something; each change is a transaction of its own."""
    realm, sessions, orders = subject.realm, subject.sessions(sample), subject.orders(10**9)
    made: list[SessionRecord] = []
    prepared = [next(orders) for _ in range(2 * sample)]

    def create() -> None:
        with realm.database.transaction():
            client, _ = realm.ledger.add_client(realm.now_ms())
            made.append(lifecycle.start_session(realm, next(sessions).user_id, "", client))

    def body(order: RefreshOrder) -> dict[str, object]:
        tokens = {"expired_token": order.expired_token, "refresh_token": order.refresh_token}
        return tokens | {"request_origin": APP, "format": "cookie"}

    async def trade(caller: Caller) -> Answer:
        order = prepared.pop()
        return await caller.ask("POST", f"/v1/sessions/{order.session_id}/refresh", body(order))

    return [
        Operation("refresh", lambda: refresh(realm, prepared.pop()), trade),
        Operation("create", create, lambda c: c.ask("POST", "/v1/sessions", {"user_id": next(sessions).user_id})),
        Operation(
            "revoke",
            lambda: lifecycle.finish(realm, made.pop(), SessionStatus.REVOKED),
            lambda c: c.ask("POST", f"/v1/sessions/{next(sessions).id}/revoke"),
        ),
    ]


async def rate(service: Service, ask: Callable[[Caller], Awaitable[Answer]], count: int) -> float:
    """How many a second the server answers, all of them well."""
    left = iter(range(count))

    async def work() -> None:
        async with calling(service) as caller:
            for _ in left:
                answer = await ask(caller)
                assert answer.status == 200, answer.body

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - start)


def measure(subject: Subject, sample: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Microseconds in this process and answers per second over HTTP, by operation."""
    with (service := Service(subject.path, subject.port)).command:
        operations = [*reading(subject, sample), *writing(subject, sample)]
        calls = sample // rounds
        return {
            operation.name: (
                best_us(operation.call, rounds, calls),
                asyncio.run(rate(service, operation.ask, sample)),
            )
            for operation in operations
        }


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds; the figures say nothing")
    quick = parser.parse_args().quick
    sizes, sample, rounds = ((100, 1_000), 40, 2) if quick else ((1_000, 100_000, 1_000_000), 500, 25)
    signature = signature_us(3 if quick else 30)
    found: dict[int, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(Path(folder))
        for size in sizes:
            empty, start = subject.path.stat().st_size, time.perf_counter()
            added = size - subject.stored
            subject.grow(size)
            taken = (subject.path.stat().st_size - empty) / added
            print(
                f"{size:,} sessions: filled in {time.perf_counter() - start:.0f} s, {taken:.0f} bytes of each",
                flush=True,
            )
            found[size] = measure(subject, sample, rounds)
        subject.authority.close()
    print(f"\nOpenSSL, a bare RS256 signature: {signature:.0f} microseconds")
    print(f"\n{'microseconds in the process':44}" + "".join(f"{size:>12,}" for size in sizes))
    for name in found[sizes[0]]:
        print(f"{name:44}" + "".join(f"{found[size][name][0]:12.0f}" for size in sizes))
    print(
        f"{'share of the signature in a mint':44}" + "".join(f"{signature / found[n]['mint'][0]:12.0%}" for n in sizes)
    )
    print(f"\n{'answers per second over HTTP':44}" + "".join(f"{size:>12,}" for size in sizes))
    for name in found[sizes[0]]:
        print(f"{name:44}" + "".join(f"{found[size][name][1]:12,.0f}" for size in sizes))


if __name__ == "__main__":
    main()
