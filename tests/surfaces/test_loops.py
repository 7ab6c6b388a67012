"""Redirect loops made for real, between a gateway and an authority: each ends on a page that names its cause."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html import unescape

import httpx
import pytest

from gateway.assemble import SessionMiddleware
from gateway.core.cookies import HANDSHAKE_NONCE, MAX_BYTES, REDIRECT_COUNT
from gateway.core.instance import InstanceKind
from gateway.core.loop_causes import WORDS, LoopCause
from gateway.core.settings_model import InstanceSettings, ServerSettings, Settings
from tests.authenticator.engine_kit import Clock, signer
from tests.surfaces.conftest import LOOPBACK, MakeWorld
from tests.surfaces.surfaces_kit import (
    FETCH,
    GATEWAY,
    Api,
    Browser,
    Jar,
    Pages,
    Wire,
    World,
    echo_app,
    gate_of,
    middleware_of,
    scope_of,
    settings_of,
)

DEVELOPMENT, PRODUCTION = InstanceKind
TLS = "https://127.0.0.1:8000"


class PickyJar(Jar):
    """Keeps only the cookies that it is to keep, and holds one that was set by somebody else."""

    def __init__(self, clock: Clock, keeps: Callable[[str], bool], foreign: str = "") -> None:
        super().__init__(clock)
        self.keeps = keeps
        self.foreign = foreign

    def take(self, directives: list[str]) -> None:
        super().take([directive for directive in directives if self.keeps(directive.partition("=")[0])])

    def header(self) -> str:
        return "; ".join(filter(None, (self.foreign, super().header())))


@dataclass
class Site:
    """A world whose gateway may be set wrong."""

    world: World
    clock_off_s: float = 0.0
    instance: dict[str, object] = field(default_factory=dict)
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    server: ServerSettings | None = None
    public: str = GATEWAY

    def browser(self, keeps: Callable[[str], bool] = lambda _: True, foreign: str = "") -> Browser:
        world = self.world
        settings: Settings = settings_of(world.authority)
        instance: InstanceSettings = replace(settings.instance, **self.instance)
        server = self.server or LOOPBACK
        changed = replace(settings, instance=instance, server=server)
        api = Api(world.authority)
        api.answers = self.answers
        app = SessionMiddleware(
            echo_app(), settings=changed, clock=lambda: world.clock() + self.clock_off_s, transport=api
        )
        browser = Browser(app, world.authority, world.clock, self.public)
        browser.jar = PickyJar(world.clock, keeps, foreign)
        return browser


async def loop_of(site: Site, browser: Browser) -> str:
    """Sign in, and go in circles until the gateway stops it; returns the page's text."""
    answer = await browser.sign_in(await site.world.browser.visit("/page"), site.world.ada)
    handshakes = [hop for hop in browser.hops if "/v1/client/handshake?" in hop.headers.get("location", "")]
    assert len(handshakes) <= 3
    assert answer.status_code == 401, (browser.reasons, answer.text[:300])
    return unescape(answer.text)


def names(page: str, cause: LoopCause, *known: str) -> None:
    assert "We could not renew your session" in page
    for text in (f">{cause}<", WORDS[cause].person.split(".")[0], WORDS[cause].operator, *known):
        assert text in page, (text, page[-3000:])


@pytest.mark.parametrize("kind", InstanceKind)
@pytest.mark.parametrize(("off_s", "known"), [(-600.0, "about 600 s behind"), (600.0, "about 600 s ahead of")])
async def test_a_clock_that_is_wrong(make_world: MakeWorld, kind: InstanceKind, off_s: float, known: str):
    site = Site(make_world(kind=kind), clock_off_s=off_s)
    names(await loop_of(site, site.browser()), LoopCause.CLOCK_DIFFERENCE, known, "instance.clock_skew_s")


@pytest.mark.parametrize("kind", InstanceKind)
async def test_keys_of_another_instance(make_world: MakeWorld, kind: InstanceKind):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = signer("another").private_key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    site = Site(make_world(kind=kind), instance={"jwt_key": pem})
    names(await loop_of(site, site.browser()), LoopCause.OTHER_INSTANCE, "token-invalid-signature")


@pytest.mark.parametrize("kind", InstanceKind)
async def test_another_origin(make_world: MakeWorld, kind: InstanceKind):
    site = Site(make_world(kind=kind), instance={"authorized_parties": ("https://other.test",)})
    names(await loop_of(site, site.browser()), LoopCause.AUTHORIZED_PARTIES, GATEWAY)


@pytest.mark.parametrize("kind", InstanceKind)
async def test_a_cookie_that_browsers_would_drop(make_world: MakeWorld, kind: InstanceKind):
    world = make_world(kind=kind)
    large = f"{world.names.session}={'x' * MAX_BYTES}; Path=/"
    site = Site(world, answers={"handshake_payload": httpx.Response(200, json={"directives": [large]})})
    names(await loop_of(site, site.browser()), LoopCause.OVERSIZED_COOKIE, "4096 bytes")


async def test_an_old_cookie_of_the_same_name(make_world: MakeWorld):
    world = make_world(kind=DEVELOPMENT)
    site = Site(world)
    browser = site.browser(foreign=f"{world.names.client_uat}=1900000000; __client_uat=1900000000")
    names(await loop_of(site, browser), LoopCause.DUPLICATE_COOKIES, world.names.client_uat)


def all_but_the_answer(name: str) -> bool:
    return name != HANDSHAKE_NONCE


async def test_a_production_instance_by_http_whose_answer_is_for_https_alone(make_world: MakeWorld):
    site = Site(make_world(kind=PRODUCTION))
    page = await loop_of(site, site.browser(all_but_the_answer))
    names(page, LoopCause.SECURE_OVER_HTTP, GATEWAY, "production")


async def test_a_proxy_that_is_not_believed(make_world: MakeWorld):
    world = make_world(kind=PRODUCTION, public=TLS)
    site = Site(world, server=ServerSettings(), public=TLS)
    browser = site.browser(all_but_the_answer, foreign=f"__client_uat=1; {REDIRECT_COUNT}=3")
    answer = await browser.visit("/page")
    names(unescape(answer.text), LoopCause.PROXY_NOT_TRUSTED, "https, not believed", "server.trusted_proxies")


@pytest.mark.parametrize(("kind", "public"), [(DEVELOPMENT, GATEWAY), (PRODUCTION, GATEWAY), (PRODUCTION, TLS)])
async def test_a_browser_that_keeps_no_cookies(make_world: MakeWorld, kind: InstanceKind, public: str):
    world = make_world(kind=kind, public=public)
    site = Site(world, public=public)
    browser = site.browser(lambda _: False, foreign="__client_uat=1" if kind is PRODUCTION else "")
    answer = await browser.visit("/page")
    assert len([hop for hop in browser.hops if "/v1/client/handshake?" in hop.headers.get("location", "")]) <= 3
    names(unescape(answer.text), LoopCause.COOKIES_BLOCKED, "did not come back", public)


async def test_an_answer_for_another_domain(make_world: MakeWorld):
    world = make_world(kind=PRODUCTION, public=TLS)
    site = Site(world, public=TLS)
    names(await loop_of(site, site.browser(all_but_the_answer)), LoopCause.COOKIE_DOMAIN, "instance.proxy_url")


async def test_the_log_names_the_cause_and_what_speaks_for_it():
    journal, wire = Pages(), Wire()
    cookie = f"__client_uat=1700000000; {REDIRECT_COUNT}=3"
    scope = scope_of("/page", ("accept", "text/html"), ("cookie", cookie), scheme="http")
    await middleware_of(echo_app(), gate_of(), journal)(scope, wire.receive, wire.send)
    assert journal.entry.cause == "secure-over-http"
    assert "Public address: http://app.example.test" in journal.entry.detail
    assert wire.status == 401
    journal = Pages()
    await middleware_of(echo_app(), gate_of(), journal)(scope_of("/page", *FETCH.items()), wire.receive, wire.send)
    assert journal.entry.cause == ""
