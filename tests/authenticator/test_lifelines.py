"""WebSockets end with what let them in, and nothing is held against them that could not be learnt."""

import asyncio

import pytest

from gateway.authenticator.lifelines import ENDED, UNKNOWN, Lifelines
from gateway.core.settings_model import WebSocketSettings
from gateway.errors import ApiUnreachable

SETTINGS = WebSocketSettings(recheck_s=60, unchecked_s=300)


class Time:
    """A clock that moves when somebody sleeps, and lets a test look at each step."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.naps: list[float] = []
        self._turn = asyncio.Event()
        self._nap = asyncio.Event()

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self._nap.set()
        await self._turn.wait()
        self._turn.clear()
        self.now_s += seconds

    async def step(self) -> None:
        """End one nap and wait for the next, or for the end of it all."""
        self._nap.clear()
        self._turn.set()
        for _ in range(20):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


class Source:
    def __init__(self, *answers: bool | Exception | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> bool | None:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def lifelines(time: Time, settings: WebSocketSettings = SETTINGS) -> Lifelines:
    return Lifelines(settings, time, time.sleep)


async def test_all_of_a_session_are_asked_about_once_and_cut_together():
    time, cut, source = Time(), [], Source(True, False)
    held = lifelines(time)
    for _ in range(3):
        held.hold("sess_1", source, cut.append)
    await time.settle()
    await time.step()
    assert (source.asked, cut) == (1, [])
    await time.step()
    assert (source.asked, cut) == (2, [ENDED] * 3)
    assert len(held) == 0
    assert time.naps == [60, 60]


async def test_sessions_do_not_end_for_each_other():
    time, cut = Time(), []
    held = lifelines(time)
    held.hold("sess_1", Source(False), lambda end: cut.append(("sess_1", end)))
    await time.settle()
    await time.step()
    held.hold("sess_2", Source(True, True), lambda end: cut.append(("sess_2", end)))
    await time.settle()
    await time.step()
    assert cut == [("sess_1", ENDED)]
    assert len(held) == 1
    await held.close()
    assert len(held) == 0


@pytest.mark.parametrize("failure", [ApiUnreachable("connect", "down"), TimeoutError(), RuntimeError("ours"), None])
async def test_what_cannot_be_learnt_is_no_end_before_its_time(failure):
    time, cut, source = Time(), [], Source(*[failure] * 9)
    held = lifelines(time)
    held.hold("sess_1", source, cut.append)
    await time.settle()
    for _ in range(4):
        await time.step()
    assert cut == []
    await time.step()
    assert (time.now_s, cut) == (300, [UNKNOWN])


async def test_an_answer_in_between_begins_the_time_anew():
    time, cut, source = Time(), [], Source(None, None, True, None, None, None, None, None)
    held = lifelines(time)
    held.hold("sess_1", source, cut.append)
    await time.settle()
    for _ in range(7):
        await time.step()
    assert cut == []
    await time.step()
    assert (time.now_s, cut) == (480, [UNKNOWN])


async def test_whoever_came_later_was_let_in_later():
    time, cut, source = Time(), [], Source(*[None] * 9)
    held = lifelines(time)
    held.hold("sess_1", source, lambda end: cut.append(("first", end)))
    await time.settle()
    for _ in range(3):
        await time.step()
    held.hold("sess_1", source, lambda end: cut.append(("second", end)))
    for _ in range(2):
        await time.step()
    assert cut == [("first", UNKNOWN)]
    for _ in range(3):
        await time.step()
    assert cut == [("first", UNKNOWN), ("second", UNKNOWN)]


async def test_without_a_source_the_time_runs_from_the_start():
    time, cut = Time(), []
    held = lifelines(time)
    held.hold("sess_1", None, cut.append)
    await time.settle()
    await time.step()
    assert (time.naps, cut) == ([300], [UNKNOWN])


async def test_nobody_asks_for_those_who_left():
    time, cut, source = Time(), [], Source(True)
    held = lifelines(time)
    releases = [held.hold("sess_1", source, cut.append) for _ in range(2)]
    await time.settle()
    releases[0]()
    assert len(held) == 1
    releases[1]()
    releases[1]()
    await time.settle()
    assert len(held) == 0
    await time.step()
    assert (source.asked, cut) == (0, [])


async def test_nothing_is_asked_where_the_settings_say_never():
    time, cut = Time(), []
    held = lifelines(time, WebSocketSettings(recheck_s=0))
    held.hold("sess_1", None, cut.append)()
    await time.settle()
    assert (len(held), time.naps) == (0, [])
