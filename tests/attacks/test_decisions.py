"""The decision service of ``gateway serve`` when the questions are broken, or when it cannot know the answer."""

from collections.abc import Iterator

import pytest

from gateway.core.original import Front
from gateway.core.reasons import Reason
from tests.attacks.attack_kit import Authority, Target, browser, expired_token, token
from tests.attacks.doors import proxy_door
from tests.core.minting import NAMES
from tests.fronts.test_attacks import FRONTS, question

DECIDE = """
[decide]
fronts = ["nginx", "haproxy", "envoy", "caddy", "traefik"]
trusted = ["127.0.0.1/32"]
"""


class Broken(Authority):
    """Cannot say what its keys are, nor anything else."""

    def process_request(self, request: object, client_address: object) -> None:
        self.shutdown_request(request)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway that never reached its authority."""
    with proxy_door(tmp_path_factory.mktemp("lost"), DECIDE, authority=Broken()) as target:
        yield target


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with proxy_door(tmp_path_factory.mktemp("service"), DECIDE) as target:
        yield target


JUNK = ("__session=%", "__session=a.b.c", "__session=\xff\xfe", f"{NAMES.session}=x; {NAMES.session}=y", ";;;=")


@FRONTS
def test_without_keys_nobody_passes_and_what_is_public_stays_so(lost: Target, front: Front) -> None:
    assert question(lost, front, ("Authorization", f"Bearer {token()}"))[0] == 503
    session = "; ".join(f"{name}={value}" for name, value in browser(token()).items())
    assert question(lost, front, ("Cookie", session))[0] == 503
    for cookie in (*JUNK, "__session=" + "a" * 60_000):
        assert question(lost, front, ("Cookie", cookie))[0] in {0, 400, 401, 503}
    assert question(lost, front, uri="/health") == (200, "")


@FRONTS
def test_a_refresh_that_cannot_be_had_lets_nobody_pass(service: Target, front: Front) -> None:
    jar = browser(expired_token(), refresh=f"rt_of_{front}")
    service.authority.codes[f"rt_of_{front}"] = "refresh_token_not_found"
    status, reason = question(service, front, ("Cookie", "; ".join(f"{name}={value}" for name, value in jar.items())))
    assert (status, "refresh-token-not-found" in reason.replace("_", "-")) == (401, True)


@pytest.mark.parametrize("uri", ["//x", "///x", "/page%23/../health", "/" + "x" * 20_000])
def test_envoys_own_paths_deny_where_two_programs_read_them_differently(service: Target, uri: str) -> None:
    status, reason = question(service, Front.ENVOY, ("Authorization", f"Bearer {token()}"), uri=uri)
    assert status in {0, 400, 414}
    assert reason or status != 400


@FRONTS
@pytest.mark.parametrize(
    "more",
    [
        [("Transfer-Encoding", "chunked")],
        [("Content-Length", "5")],
        [("Expect", "100-continue")],
        [("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABk")],
    ],
    ids=["chunks", "length", "expect", "h2c"],
)
def test_a_question_that_says_that_it_goes_on_is_answered_for_what_is_there(
    service: Target, front: Front, more: list[tuple[str, str]]
) -> None:
    """Fronts hand on the framing of a request whose body they keep; nothing of it may turn a no into a yes."""
    assert question(service, front, *more)[0] in {0, 400, 401}


@FRONTS
def test_what_is_asked_about_is_not_what_the_client_says(service: Target, front: Front) -> None:
    forged = [("X-Session-User-Id", "user_evil"), ("X-Session-Status", "signed-in"), ("X-Gateway-Status", "200")]
    assert question(service, front, *forged) == (401, Reason.SESSION_TOKEN_AND_UAT_MISSING)
