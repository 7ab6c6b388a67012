"""The courier against receivers on real sockets: good ones, and all the ways in which they are not."""

import asyncio
import logging
import sqlite3
import threading

import httpx
import pytest

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.webhooks.delivery import Courier, delivering
from gateway.authority.webhooks.endpoints import Endpoint
from gateway.authority.webhooks.sending import Sender
from tests.authority.webhooks.webhooks_kit import Post, never_end, post_at, receiver, stall
from tests.faults.bad_server import answer, be_silent, hang_up, speak_otherwise


def courier_of(post: Post, timeout_s: float = 5.0) -> Courier:
    return Courier(post.outbox, post.clock, Sender(timeout_s=timeout_s), roll=lambda: 0.0)


async def deliver(post: Post, timeout_s: float = 5.0) -> None:
    courier = courier_of(post, timeout_s)
    await courier.deliver_due()
    await courier.stop()


async def test_a_message_arrives_once_signed_and_under_both_names():
    async with receiver() as server:
        post = post_at(server.url)
        message_id = post.record(body='{"a":"Łukasz \\u00e9"}')
        await deliver(post)
        await deliver(post)
        (got,) = server.taken
        assert (got.id, got.body) == (message_id, '{"a":"Łukasz \\u00e9"}')
        for name in ("id", "timestamp", "signature"):
            assert got.headers[f"svix-{name}"] == got.headers[f"webhook-{name}"]
        assert got.headers["svix-timestamp"] == str(int(post.clock.now_s))
        assert got.headers["content-type"] == "application/json"
        assert [(row["state"], row["attempts"]) for row in post.deliveries()] == [("delivered", 1)]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (answer("500 Internal Server Error", body=b"whsec_do_not_log"), "answered 500"),
        (answer("302 Found", "Location: http://127.0.0.1:1/elsewhere"), "answered 302"),
        (answer("404 Not Found"), "answered 404"),
        (hang_up, "the transfer broke off (RemoteProtocolError)"),
        (speak_otherwise, "the transfer broke off (RemoteProtocolError)"),
        (be_silent, "no answer within 0.2 s"),
    ],
)
async def test_what_is_no_delivery_is_tried_again_after_the_schedule_under_the_same_id(behaviour, said):
    async with receiver(behaviour) as server:
        post = post_at(server.url)
        message_id = post.record()
        await deliver(post, timeout_s=0.2)
        (row,) = post.deliveries()
        assert (row["state"], row["attempts"], row["outcome"]) == ("waiting", 1, said)
        assert row["due_at"] == post.clock.now_ms + 5000
        server.behaviour = answer("204 No Content")
        await deliver(post)
        assert len(server.taken) == 1
        post.clock.now_s += 5
        await deliver(post)
        assert [got.id for got in server.taken] == [message_id, message_id]
        assert [got.headers["svix-timestamp"] for got in server.taken] == ["1800000000", "1800000005"]
        assert post.states() == ["delivered"]


async def test_a_port_where_nobody_listens_is_tried_again():
    async with receiver() as server:
        url = server.url
    post = post_at(url)
    post.record()
    await deliver(post)
    assert post.deliveries()[0]["outcome"] == "no connection"


async def test_a_name_that_does_not_resolve_is_tried_again():
    post = post_at("http://receiver.invalid/hook")
    post.record()
    await deliver(post)
    assert (post.states(), post.deliveries()[0]["attempts"]) == (["waiting"], 1)


@pytest.mark.parametrize("behaviour", [never_end, stall])
async def test_who_said_yes_has_it_whatever_comes_after(behaviour):
    async with receiver(behaviour) as server:
        post = post_at(server.url)
        post.record("sess_1")
        async with asyncio.timeout(4):
            await deliver(post)
        assert post.states() == ["delivered"]


async def test_a_receiver_may_ask_for_more_time_and_not_for_less():
    async with receiver(answer("429 Too Many Requests", "Retry-After: 90")) as server:
        post = post_at(server.url)
        post.record()
        await deliver(post)
        assert post.deliveries()[0]["due_at"] == post.clock.now_ms + 90_000
        server.behaviour = answer("503 Service Unavailable", "Retry-After: 1")
        post.clock.now_s += 90
        await deliver(post)
        assert post.deliveries()[0]["due_at"] == post.clock.now_ms + 300_000


async def test_after_the_last_attempt_it_is_given_up_and_said_without_the_url(caplog):
    async with receiver(hang_up) as server:
        post = post_at(f"{server.url}?token=secret_in_the_url")
        message_id = post.record()
        with caplog.at_level(logging.INFO, "gateway.authority.webhooks"):
            for _ in range(10):
                await deliver(post)
                post.clock.now_s += 36_000
        assert len(server.taken) == 8
        assert [(row["state"], row["attempts"]) for row in post.deliveries()] == [("failed", 8)]
        assert f"webhook {message_id} for {post.endpoint.label} is given up" in caplog.text
        assert "secret_in_the_url" not in caplog.text
        assert post.endpoint.secret.reveal() not in caplog.text


async def test_410_disables_the_endpoint_and_spares_it_the_rest():
    async with receiver(answer("410 Gone")) as server:
        post = post_at(server.url)
        for _ in range(3):
            post.record("sess_1")
        await deliver(post)
        assert len(server.taken) == 1
        assert post.states() == ["failed", "failed", "failed"]
        kept = post.outbox.endpoints.find(post.endpoint.id)
        assert kept is not None
        assert kept.disabled_because == "it answered 410 Gone"


async def test_messages_about_one_session_arrive_in_their_order_over_kept_connections():
    async with receiver(answer(body=b"thank you")) as server:
        post = post_at(server.url)
        recorded = [post.record(f"sess_{number % 3}", f'{{"n":{number}}}') for number in range(60)]
        await deliver(post)
        assert sorted(got.id for got in server.taken) == sorted(recorded)
        for rest in range(3):
            numbers = [int(got.body[5:-1]) for got in server.taken if int(got.body[5:-1]) % 3 == rest]
            assert numbers == sorted(numbers)
        assert server.connections <= 3


async def test_a_slow_endpoint_delays_no_other():
    async with receiver(be_silent) as slow, receiver() as quick:
        post = post_at(slow.url)
        post.outbox.endpoints.add(Endpoint.new(quick.url, post.clock.now_ms))
        post.record()
        async with delivering(courier_of(post)):
            async with asyncio.timeout(4):
                await quick.arrived.wait()
                await slow.arrived.wait()
            post.record("sess_2")
            quick.arrived.clear()
            async with asyncio.timeout(4):
                await quick.arrived.wait()


async def test_what_is_recorded_wakes_the_courier_also_from_another_thread():
    async with receiver() as server:
        post = post_at(server.url)
        async with delivering(courier_of(post)):
            message_id = await asyncio.to_thread(post.record)
            async with asyncio.timeout(4):
                await server.arrived.wait()
        assert [got.id for got in server.taken] == [message_id]
        post.outbox.wake()  # nobody listens any more


async def test_what_another_process_recorded_is_found(tmp_path):
    path = str(tmp_path / "authority.db")
    async with receiver() as server:
        post, other = post_at(server.url, path), post_at(server.url, path)
        async with delivering(courier_of(post)):
            other.record()
            async with asyncio.timeout(10):
                await server.arrived.wait()
        other.database.close()


async def test_stopping_ends_soon_and_gives_back_what_was_not_answered():
    async with receiver(be_silent) as server:
        post = post_at(server.url)
        message_id = post.record()
        async with asyncio.timeout(10):
            async with delivering(courier_of(post, timeout_s=60)):
                await server.arrived.wait()
        assert [(row["state"], row["attempts"]) for row in post.deliveries()] == [("waiting", 0)]
        server.behaviour = answer()
        await deliver(post)
        assert [got.id for got in server.taken] == [message_id, message_id]


async def test_who_dies_between_sending_and_noting_makes_it_come_again_under_the_same_id(tmp_path):
    path = str(tmp_path / "authority.db")
    async with receiver(be_silent) as server:
        dying, next_one = post_at(server.url, path), post_at(server.url, path)
        message_id = dying.record()
        courier = courier_of(dying, timeout_s=60)
        running = asyncio.create_task(courier.deliver_due())
        await server.arrived.wait()
        server.behaviour = answer()
        await deliver(next_one)  # still in the hands of the first
        assert len(server.taken) == 1
        next_one.clock.now_s += 20
        await deliver(next_one)
        assert [got.id for got in server.taken] == [message_id, message_id]
        assert next_one.states() == ["delivered"]
        await courier.stop()
        await running
        assert next_one.states() == ["delivered"]
        for post in (dying, next_one):
            post.database.close()


class Listener(logging.Handler):
    """Waits for a line of the log."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.heard = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            self.heard.set()


@pytest.fixture
def listen():
    log = logging.getLogger("gateway.authority.webhooks")
    added = []

    def add(text: str) -> Listener:
        added.append(Listener(text))
        log.addHandler(added[-1])
        return added[-1]

    yield add
    for listener in added:
        log.removeHandler(listener)


async def test_a_database_that_fails_is_said_and_survived(listen):
    listener = listen("the database failed, webhooks wait")
    async with receiver() as server:
        post = post_at(server.url)
        post.database.write("ALTER TABLE webhook_deliveries RENAME TO elsewhere", {})
        async with delivering(courier_of(post)):
            async with asyncio.timeout(5):
                await listener.heard.wait()
            post.database.write("ALTER TABLE elsewhere RENAME TO webhook_deliveries", {})
            post.record()
            async with asyncio.timeout(5):
                await server.arrived.wait()


async def test_a_file_that_is_locked_while_a_message_is_sent_does_not_make_it_come_again(tmp_path):
    path = str(tmp_path / "authority.db")
    async with receiver() as server:
        post, other = post_at(server.url, path), post_at(server.url, path)
        post.database.hurry()
        locked, freed = threading.Event(), threading.Event()

        def hold() -> None:
            with other.database.transaction():
                locked.set()
                freed.wait(10)

        async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            holder.start()
            await asyncio.to_thread(locked.wait, 10)
            asyncio.get_running_loop().call_later(0.6, freed.set)
            await answer()(reader, writer)

        holder = threading.Thread(target=hold, daemon=True)
        server.behaviour = answer_late
        post.record()
        await deliver(post)
        holder.join(10)
        assert [(row["state"], row["attempts"]) for row in post.deliveries()] == [("delivered", 1)]
        for each in (post, other):
            each.database.close()


async def test_a_fault_in_sending_is_said_and_the_message_stays(caplog):
    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise RuntimeError("a fault of ours")

    post = post_at()
    post.record()
    courier = Courier(post.outbox, post.clock, Sender(Broken()))
    await courier.deliver_due()
    assert "a fault of ours" in caplog.text
    assert post.states() == ["waiting"]
    post.database.close()
    await courier.stop()  # also where the database is gone
    with pytest.raises(sqlite3.ProgrammingError):
        post.states()


async def test_the_lifespan_of_the_application_delivers():
    authority = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001"))
    told: asyncio.Queue[dict] = asyncio.Queue()
    said: asyncio.Queue[dict] = asyncio.Queue()
    running = asyncio.create_task(authority.app({"type": "lifespan"}, told.get, said.put))
    async with receiver() as server:
        authority.realm.outbox.endpoints.add(Endpoint.new(server.url, 0))
        await told.put({"type": "lifespan.startup"})
        assert (await said.get())["type"] == "lifespan.startup.complete"
        key = {"authorization": f"Bearer {authority.secret_key.reveal()}"}
        transport = httpx.ASGITransport(authority.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001", headers=key) as client:
            user = authority.realm.directory.users()[0]
            assert (await client.post("/v1/sessions", json={"user_id": user.id})).status_code == 200
        async with asyncio.timeout(5):
            await server.arrived.wait()
        await told.put({"type": "lifespan.shutdown"})
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        await running
    assert '"type":"session.created"' in server.taken[0].body
    authority.close()
