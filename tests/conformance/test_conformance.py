"""The reference, ``@clerk/backend``, and our engine get the same requests and the same API; their answers agree.

Every deliberate difference is a row of :mod:`tests.conformance.differences`. What is compared: state, reason, Location,
cookies, who is signed in, and what is sent to the API.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.conformance import engines
from tests.conformance.agreement import compared, rewritten, without_state
from tests.conformance.cases import Case, every_replies, generated, make
from tests.conformance.differences import DIFFERENCES, counterpart
from tests.conformance.engines import Answer
from tests.conformance.fake_api import Call, FakeApi
from tests.conformance.named import NAMED, Named
from tests.conformance.world import jwks

GENERATED = 2100
MISSING = engines.missing()

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@dataclass(frozen=True)
class Outcome:
    """What became of one request.

    Attributes:
        case, ours: the request and our answer.
        asked, theirs: the request that the reference was asked instead (the same one, as a rule) and its answer.
        names: of the differences between the two requests.
        plainly: the reference's answer to the very request, where it is the example of a difference.
    """

    case: Case
    ours: Answer
    asked: Case
    theirs: Answer
    names: list[str]
    plainly: Answer

    @property
    def disagreement(self) -> str:
        """Say in what they disagree; empty when they do not."""
        ours, theirs = compared(self.case, self.ours, self.names), compared(self.asked, self.theirs, self.names)
        lines = [
            f"{field}: theirs {theirs[field]!r}, ours {ours[field]!r}" for field in ours if ours[field] != theirs[field]
        ]
        return "\n  ".join([*lines, f"of {dict(self.case.parts)}, differences {self.names}"]) if lines else ""


@dataclass(frozen=True)
class Run:
    """All outcomes, and what was sent to the API in the meantime.

    Attributes:
        calls: by refresh token or nonce, what we sent and what they sent.
        key_calls: the same for the key set.
    """

    named: dict[str, Outcome]
    examples: dict[str, Outcome]
    outcomes: list[Outcome]
    calls: dict[str, tuple[list[Call], list[Call]]]
    key_calls: tuple[list[Call], list[Call]]


@pytest.fixture(scope="module")
def run() -> Run:
    """Ask both engines everything, once."""
    cases = [make(number, **row.parts) for number, row in enumerate(NAMED)]
    cases += [make(number, **row.example) for number, row in enumerate(DIFFERENCES, len(cases))]
    cases += generated(GENERATED, len(cases))
    changed = [counterpart(case.parts) for case in cases]
    asked = [make(number, **parts) for number, (parts, _) in enumerate(changed)]
    examples = range(len(NAMED), len(NAMED) + len(DIFFERENCES))
    with FakeApi(jwks()).serving() as api, FakeApi(jwks()).serving() as aside, ThreadPoolExecutor() as pool:
        api.replies = every_replies(asked)
        aside.replies = every_replies(cases)
        questions = [(case, api.url) for case in asked] + [(cases[number], aside.url) for number in examples]
        ours = pool.submit(engines.ours, cases, aside.url)
        theirs = engines.theirs(questions)
    plainly = dict(enumerate(theirs[: len(cases)])) | dict(zip(examples, theirs[len(cases) :], strict=True))
    outcomes = [
        Outcome(case, answer, asked[number], theirs[number], changed[number][1], plainly[number])
        for number, (case, answer) in enumerate(zip(cases, ours.result(), strict=True))
    ]
    return Run(
        dict(zip((row.name for row in NAMED), outcomes, strict=False)),
        dict(zip((row.name for row in DIFFERENCES), outcomes[len(NAMED) :], strict=False)),
        outcomes,
        {asked: (aside.calls["ours"][asked], api.calls["theirs"][asked]) for asked in aside.replies | api.replies},
        (aside.calls["ours"]["jwks"], api.calls["theirs"]["jwks"]),
    )


def test_both_engines_agree_on_every_request(run: Run) -> None:
    disagreements = [text for outcome in run.outcomes if (text := outcome.disagreement)]

    assert len(run.outcomes) > 2000
    assert not disagreements, f"{len(disagreements)} of {len(run.outcomes)}:\n" + "\n".join(disagreements[:5])


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.name)
def test_branch(run: Run, row: Named) -> None:
    outcome = run.named[row.name]

    assert (outcome.ours.state, outcome.ours.reason) == (row.state, row.reason)
    assert (outcome.theirs.state, outcome.theirs.reason) == (row.state, row.reason)


@pytest.mark.parametrize("name", [row.name for row in DIFFERENCES])
def test_difference_is_still_one(run: Run, name: str) -> None:
    outcome = run.examples[name]

    assert outcome.names == [name]
    assert not outcome.disagreement
    assert compared(outcome.case, outcome.plainly, []) != compared(outcome.case, outcome.ours, [])


def test_generated_requests_reach_every_reason(run: Run) -> None:
    reached = {outcome.ours.reason for outcome in run.outcomes[len(NAMED) + len(DIFFERENCES) :]}

    assert reached >= {row.reason for row in NAMED}


def test_refresh_and_handshake_calls_agree(run: Run) -> None:
    names = {}
    for number, outcome in enumerate(run.outcomes):
        names[f"rt_{number}"] = names[f"nonce_{number}"] = outcome.names
    compared_calls = 0
    for asked, (ours, theirs) in run.calls.items():
        if asked.startswith("nonce_") and names[asked]:
            continue  # what is asked for nothing is told by the differences
        assert [_sent(call, names[asked]) for call in ours] == [_sent(call, names[asked]) for call in theirs]
        compared_calls += len(ours)

    assert compared_calls > 200


def test_refresh_sends_no_credentials_of_the_browser(run: Run) -> None:
    bodies = [call.body for ours, _ in run.calls.values() for call in ours if call.method == "POST"]

    assert bodies
    for body in bodies:
        assert body["request_headers"] == {"accept-language": ["de"], "user-agent": ["Browser/1.0"]}


def test_key_set_is_asked_for_alike(run: Run) -> None:
    ours, theirs = run.key_calls

    assert {_sent(call, []) for call in ours} == {_sent(call, []) for call in theirs}


def test_finished_handshake_leaves_the_url(run: Run) -> None:
    for outcome in _finished(run):
        address = f"{outcome.case.origin}{outcome.case.path}"

        assert outcome.ours.location.partition("?")[0] == address
        assert "handshake" not in outcome.ours.location
        assert "__gateway_state" not in outcome.ours.location
        # A satellite says that the sync is done, so that it does not begin again.
        is_primary = outcome.case.part("site") == "primary"
        if outcome.theirs.location and is_primary:
            unanswered = {"__clerk_redirect_url"}
            assert rewritten(outcome.ours.location, unanswered) == rewritten(outcome.theirs.location, unanswered)


def test_finished_handshake_in_a_cookie_removes_the_cookie(run: Run) -> None:
    for outcome in _finished(run):
        removed = {text.partition("=")[0] for text in outcome.ours.cookies if "Max-Age=0" in text}
        carried = {"__clerk_handshake_nonce": "nonce", "__clerk_handshake": "handshake"}
        in_cookies = outcome.case.part("handshake_in") == "cookie"

        assert {name for name in removed if name in carried} == {
            name for name, part in carried.items() if in_cookies and outcome.case.part(part)
        }


def test_redirects_keep_the_bytes_of_the_query(run: Run) -> None:
    for outcome in run.outcomes:
        if (
            outcome.ours.state == "handshake"
            and not outcome.names
            and outcome.case.part("dev_browser") != "query-empty"
        ):
            back = dict(parse_qsl(urlsplit(outcome.ours.location).query)).get("redirect_url", "")
            kept = outcome.case.query
            if back and "__" not in kept:
                assert urlsplit(without_state(back)).query == kept


def _finished(run: Run) -> list[Outcome]:
    """Return where a handshake's answer was taken."""
    found = [outcome for outcome in run.outcomes if outcome.ours.how == "handshake"]
    assert len(found) > 20
    return found


def _sent(call: Call, names: list[str]) -> Any:
    """Return what both send; the reference adds every header of the browser, we only a few."""
    target, query = call.target.partition("?")[::2]
    body = dict(call.body or {})
    body.pop("request_headers", None)
    if "the-token-that-expired-is-refreshed" in names:
        query = ""
    version = call.headers.get("clerk-api-version")
    return call.method, target, query, call.headers["authorization"], version, json.dumps(body, sort_keys=True)
