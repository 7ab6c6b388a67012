"""Who may sign in where somebody checks: the form, the check, the limits, and what a stranger can learn."""

import logging

import httpx
import pytest

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.checking import Attempts
from gateway.authority.credentials import Credentials
from gateway.authority.store.passwords import hash_password
from gateway.core.instance import InstanceKind
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError

ORIGIN = "http://127.0.0.1:8001"
APP = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
WITH_PASSWORDS = AuthorityConfig(origin=ORIGIN, sign_in_check="password")


class Recorded:
    """A check of a deployment: answers what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Credentials] = []
        self.answer: str | None = None

    async def __call__(self, credentials: Credentials, /) -> str | None:
        self.asked.append(credentials)
        return self.answer


@pytest.fixture
def config() -> AuthorityConfig:
    return WITH_PASSWORDS


@pytest.fixture(scope="module")
def kept() -> str:
    return hash_password(Secret(PASSWORD))


@pytest.fixture
def ada(world, kept) -> str:
    world.authority.realm.passwords.keep(world.users["Ada"], kept, 1)
    return world.users["Ada"]


async def attempt(world, identifier="ada@example.com", password=PASSWORD, headers=None, **form):
    data = {"identifier": identifier, "password": password, "redirect_url": f"{APP}/page", **form}
    return await world.browser.post("/sign-in", data=data, headers=headers or {})


async def test_the_page_is_a_form_that_names_nobody(world, ada):
    answer = await world.browser.get("/sign-in", params={"redirect_url": f"{APP}/a"})
    assert answer.status_code == 200
    assert 'name="password"' in answer.text
    assert "anybody" not in answer.text
    for name in ("Ada", "example.com", ada, "development"):
        assert name not in answer.text
    assert "development" not in (await world.browser.get("/sign-out")).text


@pytest.mark.parametrize("written", ["ada@example.com", " ADA@Example.com "])
async def test_the_right_password_signs_in(world, ada, written):
    answer = await attempt(world, written)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{APP}/page?__clerk_db_jwt=")
    (session,) = (await world.api.get("/v1/sessions", params={"user_id": ada})).json()
    assert session["status"] == "active"


async def test_every_wrong_attempt_is_told_in_the_same_words(world, ada):
    answers = [
        await attempt(world, password="wrong"),
        await attempt(world, password=""),
        await attempt(world, password="x" * 5000),
        await attempt(world, "nobody@example.com"),
        await attempt(world, "grace@example.com"),  # has no password
        await attempt(world, "", user_id=ada),
        await attempt(world, "\x00'\"%"),
    ]
    assert {answer.status_code for answer in answers} == {422}
    for answer in answers:
        assert "The email address or the password is wrong." in answer.text
        assert not answer.headers.get_list("set-cookie")
        assert PASSWORD not in answer.text
    assert 'value="nobody@example.com"' in answers[3].text
    assert (await world.api.get("/v1/sessions")).json() == []


async def test_another_sites_page_cannot_sign_in(world, ada):
    answer = await attempt(world, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})
    assert answer.status_code == 403


async def test_an_account_that_is_tried_too_often_has_to_wait_also_with_the_right_password(world, ada, caplog):
    caplog.set_level(logging.INFO, logger="gateway.authority")
    for _ in range(10):
        assert (await attempt(world, password="wrong", identifier="Ada@example.com")).status_code == 422
    answer = await attempt(world)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "too many attempts" in answer.text
    assert (await attempt(world, "grace@example.com")).status_code == 422
    assert PASSWORD not in caplog.text
    assert "ada" not in caplog.text.lower()


async def test_who_keeps_trying_an_account_does_not_keep_its_owner_out_of_a_browser_that_it_was_signed_in_on(
    world, ada
):
    assert (await attempt(world)).status_code == 303
    mine = dict(world.browser.cookies)
    world.browser.cookies.clear()
    for _ in range(10):
        assert (await attempt(world, password="wrong")).status_code == 422
    assert (await attempt(world)).status_code == 429
    world.browser.cookies.update(mine)
    await world.browser.post("/sign-out")
    assert (await attempt(world, "ADA@example.com ")).status_code == 303
    # the browser has a limit of its own, and for this account only
    for _ in range(10):
        assert (await attempt(world, password="wrong")).status_code == 422
    assert (await attempt(world)).status_code == 429
    world.browser.cookies.clear()
    assert (await attempt(world)).status_code == 429


async def test_a_browser_that_only_shows_a_dev_browser_token_is_not_the_owners(world, ada):
    location = (await attempt(world)).headers["location"]
    token = location.rpartition("=")[2]
    world.browser.cookies.clear()
    for _ in range(10):
        await attempt(world, password="wrong")
    form = {"identifier": "ada@example.com", "password": PASSWORD}
    answer = await world.browser.post("/v1/client/sign_ins", params={"__clerk_db_jwt": token}, data=form)
    assert answer.status_code == 429


async def test_who_signs_in_rightly_is_never_told_to_wait(world, ada):
    for _ in range(12):
        assert (await attempt(world)).status_code == 303


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ((), "192.0.2.7", "127.0.0.1"),
        (("127.0.0.0/8",), "192.0.2.7", "192.0.2.7"),
        (("127.0.0.0/8",), "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        (("10.0.0.0/8",), "192.0.2.7", "127.0.0.1"),
    ],
)
async def test_a_check_of_the_deployment_gets_what_was_typed_and_the_browsers_address(trusted, forwarded, address):
    check = Recorded()
    config = AuthorityConfig(origin=ORIGIN, sign_in_check=check, trusted_proxies=trusted)
    authority = Authority.open(config)
    (ada, *_rest) = authority.realm.directory.users()
    check.answer = ada.id
    form = {"identifier": "somebody", "password": "its word"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(authority.app), base_url=ORIGIN) as browser:
        answer = await browser.post("/sign-in", data=form, headers={"X-Forwarded-For": forwarded})
    assert "You are signed in as Ada Lovelace" in answer.text
    (asked,) = check.asked
    assert (asked.identifier, asked.password.reveal(), asked.address) == ("somebody", "its word", address)
    assert "its word" not in repr(asked)
    authority.close()


async def test_a_check_that_names_nobody_signs_nobody_in_and_the_log_says_why(caplog):
    check = Recorded()
    check.answer = "user_none"
    authority = Authority.open(AuthorityConfig(origin=ORIGIN, sign_in_check=check))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(authority.app), base_url=ORIGIN) as browser:
        answer = await browser.post("/sign-in", data={"identifier": "x", "password": "y"})
    assert answer.status_code == 422
    assert "The email address or the password is wrong." in answer.text
    assert "a user that does not exist" in caplog.text
    authority.close()


@pytest.mark.parametrize("site", ["https://evil.example", "http://127.0.0.1.evil.example", "http://192.168.0.9:8000"])
async def test_no_other_site_is_told_the_session_of_a_browser_that_it_sends_to_the_handshake(world, ada, site):
    assert (await attempt(world)).status_code == 303
    for path in ("/v1/client/handshake", "/sign-in", "/sign-out"):
        answer = await world.browser.get(path, params={"redirect_url": f"{site}/steal"})
        assert (answer.status_code, answer.headers.get("location")) == (422, None)
    asked = await world.browser.get("/v1/environment", headers={"Origin": site})
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize(
    "app", ["http://localhost:3000", "https://app.localhost", "http://127.0.0.1:3000", "http://[::1]:3000", ORIGIN]
)
async def test_applications_of_this_machine_need_not_be_named(world, ada, app):
    assert (await attempt(world)).status_code == 303
    answer = await world.browser.get("/v1/client/handshake", params={"redirect_url": f"{app}/page"})
    assert answer.headers["location"].startswith(f"{app}/page?__clerk_handshake=")
    asked = await world.browser.get("/v1/environment", headers={"Origin": app})
    assert asked.headers["access-control-allow-origin"] == app


def test_a_production_instance_without_a_check_is_refused():
    with pytest.raises(ConfigurationError) as error:
        AuthorityConfig(origin=ORIGIN, kind=InstanceKind.PRODUCTION, trusted_proxies=("here",))
    assert [fault.setting for fault in error.value.faults] == ["sign_in_check", "trusted_proxies"]


class Timer:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def credentials(identifier: str, address: str) -> Credentials:
    return Credentials(identifier, Secret(""), address)


def test_an_address_is_counted_over_all_accounts_and_recovers():
    timer = Timer()
    attempts = Attempts(timer)
    assert [attempts.take(credentials(f"user{n}", "192.0.2.1")) for n in range(50)] == [0] * 50
    assert attempts.take(credentials("other", "192.0.2.1")) == pytest.approx(10)
    assert attempts.take(credentials("other", "192.0.2.2")) == 0
    timer.now_s += 10
    assert attempts.take(credentials("other", "192.0.2.1")) == 0


def test_an_account_recovers_by_one_try_a_minute_from_wherever_it_is_tried():
    timer = Timer()
    attempts = Attempts(timer)
    for n in range(10):
        assert attempts.take(credentials("Ada" if n % 2 else "ada ", f"192.0.2.{n}")) == 0
    assert attempts.take(credentials("ADA", "192.0.2.99")) == pytest.approx(60)
    timer.now_s += 60
    assert attempts.take(credentials("ada", "192.0.2.99")) == 0
    assert attempts.take(credentials("ada", "192.0.2.99")) > 0


def test_what_is_remembered_is_bounded():
    attempts = Attempts(Timer(), remembered=5)
    for n in range(100):
        attempts.take(credentials(f"user{n}", f"192.0.2.{n}"))
    assert (len(attempts._accounts), len(attempts._addresses)) == (5, 5)


def test_an_account_is_not_forgotten_because_one_address_names_many_others():
    attempts = Attempts(Timer(), remembered=1000)
    for n in range(10):
        attempts.take(credentials("ada", f"192.0.2.{n}"))
    for n in range(5000):
        attempts.take(credentials(f"user{n}", "198.51.100.1"))
    assert attempts.take(credentials("ada", "203.0.113.1")) > 0


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "unix", False),
    ],
)
def test_who_picks_addresses_out_of_a_network_is_counted_as_one(first, second, is_one):
    attempts = Attempts(Timer())
    for n in range(50):
        assert attempts.take(credentials(f"user{n}", first)) == 0
    assert bool(attempts.take(credentials("other", second))) == is_one
