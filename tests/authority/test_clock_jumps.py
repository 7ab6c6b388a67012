"""The clock jumps back an hour or forward a day: nobody who was signed out comes back, and no browser goes in
circles.
"""

import pytest

APP = "http://127.0.0.1:8000"
HOUR, DAY = 3600, 86_400
JUMPS = [(-HOUR,), (DAY,), (DAY, -DAY), (-HOUR, HOUR), (8 * DAY, -8 * DAY)]


class Browser:
    """What a browser holds, and what happens when it goes to the handshake."""

    def __init__(self, world, read_cookies) -> None:
        self.world, self.read_cookies = world, read_cookies
        self.suffix = world.authority.publishable_key.cookie_suffix

    async def sign_in(self) -> None:
        await self.world.sign_in()
        await self.handshake()

    async def handshake(self) -> None:
        self.cookies = self.read_cookies(await self.world.handshake())

    @property
    def is_signed_in(self) -> bool:
        return self.cookies["__client_uat"] != "0"

    @property
    def goes_in_circles(self) -> bool:
        """A gateway sends a browser to the handshake whose token is older than ``__client_uat``."""
        return self.world.claims(self.cookies["__session"])["iat"] < int(self.cookies["__client_uat"])

    @property
    def session_id(self) -> str:
        return self.world.claims(self.cookies["__session"])["sid"]

    async def refresh(self):
        body = {
            "expired_token": self.cookies["__session"],
            "refresh_token": self.cookies[f"__refresh_{self.suffix}"],
            "request_origin": APP,
            "format": "cookie",
        }
        return await self.world.api.post(f"/v1/sessions/{self.session_id}/refresh", json=body)


@pytest.fixture
async def browser(world, read_cookies):
    browser = Browser(world, read_cookies)
    await browser.sign_in()
    return browser


@pytest.mark.parametrize("jumps", JUMPS)
@pytest.mark.parametrize("ending", ["revoke", "end", "remove", "sign in again"])
async def test_a_session_that_was_ended_stays_so(world, browser, jumps, ending):
    session_id = browser.session_id
    if ending == "revoke":
        await world.api.post(f"/v1/sessions/{session_id}/revoke")
    elif ending == "sign in again":
        await world.sign_in()
    else:
        await world.browser.post(f"/v1/client/sessions/{session_id}/{ending}")
    status = (await world.api.get(f"/v1/sessions/{session_id}")).json()["status"]
    assert status != "active"
    for seconds in jumps:
        world.clock.advance(seconds)
        assert (await world.api.get(f"/v1/sessions/{session_id}")).json()["status"] == status
        assert (await browser.refresh()).status_code == 401
        if ending != "sign in again":
            assert "__client_uat=0" in str(await world.handshake())


@pytest.mark.parametrize("jumps", JUMPS)
async def test_no_handshake_gives_a_token_that_starts_another_one(world, browser, jumps):
    for seconds in jumps:
        world.clock.advance(seconds)
        await world.browser.post(f"/v1/client/sessions/{browser.session_id}/touch")
        await browser.handshake()
        if not browser.is_signed_in:  # a week went by
            return
        assert not browser.goes_in_circles


@pytest.mark.parametrize("jump", [-HOUR, DAY])
async def test_touching_never_names_a_later_second_than_the_next_token(world, browser, read_cookies, jump):
    session_id = browser.session_id
    world.clock.advance(jump)
    touched = await world.browser.post(f"/v1/client/sessions/{session_id}/touch")
    cookies = read_cookies(touched.headers.get_list("set-cookie"))
    token = (await world.browser.post(f"/v1/client/sessions/{session_id}/tokens")).json()["jwt"]
    assert world.claims(token)["iat"] >= int(cookies["__client_uat"])


@pytest.mark.parametrize(
    ("jump", "code"),
    [
        (-HOUR, "session_refresh_session_token_ineligible"),  # its end is in the future again
        (DAY, ""),
        (DAY + 60, "session_refresh_expired_session_token_too_old"),
        (8 * DAY, "session_refresh_expired_session_token_too_old"),
    ],
)
async def test_a_refresh_works_or_is_refused_with_its_code_and_works_after_a_handshake(world, browser, jump, code):
    world.clock.advance(jump)
    answer = await browser.refresh()
    assert (answer.json()["errors"][0]["code"] if answer.status_code == 401 else "") == code
    if jump > 7 * DAY:
        return
    if code:
        await browser.handshake()
    else:
        browser.cookies |= browser.read_cookies(answer.json()["cookies"])
    world.clock.advance(90)
    assert (await browser.refresh()).status_code == 200


async def test_a_token_that_was_rotated_before_the_clock_was_set_back_is_no_theft(world, browser):
    world.clock.advance(90)
    assert (await browser.refresh()).status_code == 200
    world.clock.advance(-HOUR)
    assert (await browser.refresh()).status_code == 401
    await browser.handshake()
    world.clock.advance(90)
    assert (await browser.refresh()).status_code == 200
