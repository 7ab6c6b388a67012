"""The reference and our engine get the same tokens of machines and the same API; their answers agree.

What is compared: state, reason, Location, who is signed in, and what is sent to the API. Every deliberate difference is
a row of :mod:`tests.conformance.machine_differences`.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from tests.conformance import engines
from tests.conformance.agreement import location
from tests.conformance.cases import Case, every_replies
from tests.conformance.engines import Answer
from tests.conformance.fake_api import Call, FakeApi
from tests.conformance.machine_cases import ACCEPTS, OPAQUE, PREFIXES, generated, make, token_of
from tests.conformance.machine_differences import MACHINE_DIFFERENCES, READINGS, counterpart
from tests.conformance.world import jwks

GENERATED = 900
MISSING = engines.missing()

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


class Named(NamedTuple):
    """One branch, with the answer that both engines have to give."""

    name: str
    parts: Mapping[str, str]
    state: str
    reason: str = ""


COOKIE = {"cookie": "good"}
PAGE = {"destination": "document"}
NAMED = (
    Named("an api key", {"accepts": "api_key", "token": "api_key:good"}, "signed-in"),
    Named("an opaque m2m token", {"accepts": "m2m_token", "token": "m2m_token:good"}, "signed-in"),
    Named(
        "an opaque m2m token by the machine's key",
        {"accepts": "m2m_token", "token": "m2m_token:good", "machine_secret": "set"},
        "signed-in",
    ),
    Named("an opaque oauth token", {"accepts": "oauth_token", "token": "oauth_token:good"}, "signed-in"),
    Named("an m2m jwt", {"accepts": "m2m_token", "token": "m2m"}, "signed-in"),
    Named("an oauth jwt", {"accepts": "oauth_token", "token": "oauth"}, "signed-in"),
    Named("any takes a session", {"token": "session:good"}, "signed-in"),
    Named("any takes a session's cookie", COOKIE, "signed-in"),
    Named("a list takes a session", {"accepts": "list:session,api_key", "token": "session:good"}, "signed-in"),
    Named("a list takes its cookie", {"accepts": "list:session,api_key", **COOKIE}, "signed-in"),
    Named("no token for a machine", {"accepts": "m2m_token", **COOKIE}, "signed-out", "No token in header"),
    Named("a session for a machine", {"accepts": "api_key", "token": "session:good"}, "signed-out",
          "token-type-mismatch"),
    Named("garbage for a machine", {"accepts": "api_key", "token": "session:garbage"}, "signed-out",
          "token-type-mismatch"),
    Named("one machine's for another's", {"accepts": "api_key", "token": "m2m"}, "signed-out", "token-type-mismatch"),
    Named("one not in the list", {"accepts": "list:session,jwt", "token": "api_key:good"}, "signed-out",
          "token-type-mismatch"),
    Named("a template under any", {"token": "session:template"}, "signed-out", "token-type-mismatch"),
    Named("an m2m category under any", {"token": "session:m2m"}, "signed-out", "token-type-mismatch"),
    Named("an unknown key", {"token": "api_key:not-found"}, "signed-out", "token-invalid"),
    Named("a dotted key", {"token": "dotted-key"}, "signed-out", "token-invalid"),
    Named("an m2m jwt of another category", {"token": "m2m-session-category"}, "signed-out", "token-invalid"),
    Named("an expired m2m jwt on a page", {"token": "m2m-expired", **PAGE}, "signed-out", "token-verification-failed"),
    Named("a forged oauth jwt", {"token": "oauth-forged"}, "signed-out", "token-verification-failed"),
    Named("an expired session on a page", {"token": "session:expired", **PAGE}, "handshake",
          "session-token-expired-refresh-non-eligible-no-refresh-cookie"),
    Named("a client on a page", {"cookie": "client-only", **PAGE}, "handshake", "client-uat-but-no-session-token"),
    Named("a client on a page for machines", {"accepts": "api_key", "cookie": "client-only", **PAGE}, "signed-out",
          "No token in header"),
    Named("an opaque token where sessions alone count", {"accepts": "session_token", "token": "api_key:good"},
          "signed-out", "token-invalid"),
    Named("an m2m jwt where sessions alone count", {"accepts": "session_token", "token": "m2m"}, "signed-out",
          "token-type-mismatch"),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one request; see :mod:`tests.conformance.test_conformance`."""

    case: Case
    ours: Answer
    asked: Case
    theirs: Answer
    names: list[str]
    plainly: Answer

    @property
    def disagreement(self) -> str:
        """Say in what they disagree; empty when they do not."""
        ours, theirs = read(told(self.case, self.ours)), read(told(self.asked, self.theirs))
        lines = [f"{name}: theirs {theirs[name]!r}, ours {ours[name]!r}" for name in ours if ours[name] != theirs[name]]
        return "\n  ".join([*lines, f"of {dict(self.case.parts)}, differences {self.names}"]) if lines else ""


def told(case: Case, answer: Answer) -> dict[str, Any]:
    """Return what is compared."""
    return {
        "state": answer.state,
        "reason": answer.reason,
        "location": location(case, answer, []),
        "identity": answer.identity,
    }


def read(answer: dict[str, Any], without: str = "") -> dict[str, Any]:
    """Return an answer in the words that both share."""
    for row in READINGS:
        if row.name != without:
            answer = row.read(answer)
    return answer


@dataclass(frozen=True)
class Run:
    """All outcomes, and what was sent to the API, by opaque token: ours and theirs."""

    named: dict[str, Outcome]
    differences: dict[str, Outcome]
    readings: dict[str, Outcome]
    outcomes: list[Outcome]
    calls: dict[int, tuple[list[Call], list[Call]]]


@pytest.fixture(scope="module")
def run() -> Run:
    """Ask both engines everything, once."""
    rows = [row.parts for row in NAMED]
    rows += [row.example for row in MACHINE_DIFFERENCES]
    rows += [row.example for row in READINGS]
    cases = [make(number, **parts) for number, parts in enumerate(rows)]
    cases += generated(GENERATED, len(cases))
    changed = [counterpart(case.parts) for case in cases]
    asked = [make(number, **parts) for number, (parts, _) in enumerate(changed)]
    first = len(NAMED)
    examples = range(first, first + len(MACHINE_DIFFERENCES))
    with FakeApi(jwks()).serving() as api, FakeApi(jwks()).serving() as aside, ThreadPoolExecutor() as pool:
        api.replies, aside.replies = every_replies(asked), every_replies(cases)
        questions = [(case, api.url) for case in asked] + [(cases[number], aside.url) for number in examples]
        ours = pool.submit(engines.ours, cases, aside.url)
        theirs = engines.theirs(questions)
    plainly = dict(enumerate(theirs[: len(cases)])) | dict(zip(examples, theirs[len(cases) :], strict=True))
    outcomes = [
        Outcome(case, answer, asked[number], theirs[number], changed[number][1], plainly[number])
        for number, (case, answer) in enumerate(zip(cases, ours.result(), strict=True))
    ]
    calls = {
        number: (
            aside.calls["ours"][token_of(number, case.parts["token"])],
            api.calls["theirs"][token_of(number, asked[number].parts["token"])],
        )
        for number, case in enumerate(cases)
        if case.parts["token"]
    }
    return Run(
        dict(zip((row.name for row in NAMED), outcomes, strict=False)),
        dict(zip((row.name for row in MACHINE_DIFFERENCES), outcomes[first:], strict=False)),
        dict(zip((row.name for row in READINGS), outcomes[first + len(MACHINE_DIFFERENCES) :], strict=False)),
        outcomes,
        calls,
    )


def test_both_engines_agree_on_every_request(run: Run) -> None:
    disagreements = [text for outcome in run.outcomes if (text := outcome.disagreement)]

    assert len(run.outcomes) > 900
    assert not disagreements, f"{len(disagreements)} of {len(run.outcomes)}:\n" + "\n".join(disagreements[:5])


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.name)
def test_branch(run: Run, row: Named) -> None:
    outcome = run.named[row.name]

    assert (outcome.ours.state, outcome.ours.reason) == (row.state, row.reason)
    assert (outcome.theirs.state, outcome.theirs.reason) == (row.state, row.reason)


@pytest.mark.parametrize("name", [row.name for row in MACHINE_DIFFERENCES])
def test_difference_is_still_one(run: Run, name: str) -> None:
    outcome = run.differences[name]

    assert outcome.names == [name]
    assert not outcome.disagreement
    if name == "nobody-is-asked-about-what-can-be-no-token":
        return  # the answer is the same; what is sent is not, see below
    assert read(told(outcome.case, outcome.plainly)) != read(told(outcome.case, outcome.ours))


@pytest.mark.parametrize("name", [row.name for row in READINGS])
def test_reading_is_still_one(run: Run, name: str) -> None:
    outcome = run.readings[name]
    ours, theirs = told(outcome.case, outcome.ours), told(outcome.asked, outcome.theirs)

    assert outcome.names == []
    assert read(ours) == read(theirs)
    assert read(ours, without=name) != read(theirs, without=name)


def test_generated_requests_reach_every_type_and_every_answer(run: Run) -> None:
    drawn = [outcome.case.parts for outcome in run.outcomes[len(NAMED) + len(MACHINE_DIFFERENCES) + len(READINGS) :]]
    reached = {outcome.ours.reason for outcome in run.outcomes}

    assert {parts["accepts"] for parts in drawn} == set(ACCEPTS)
    assert {f"{kind}:{name}" for kind in PREFIXES for name in OPAQUE} <= {parts["token"] for parts in drawn}
    assert reached >= {row.reason for row in NAMED}
    assert reached >= {"secret-key-invalid", "machine-api-failed", "machine-token-revoked", "machine-token-expired"}


def test_what_is_sent_to_the_api_agrees(run: Run) -> None:
    compared = 0
    for ours, theirs in run.calls.values():
        assert [_sent(call) for call in ours] == [_sent(call) for call in theirs]
        compared += len(ours)

    assert compared > 200


def test_the_machine_s_key_verifies_its_tokens_alone(run: Run) -> None:
    keys: dict[str, set[str]] = {}
    for number, (ours, _) in run.calls.items():
        if run.outcomes[number].case.parts["machine_secret"]:
            for call in ours:
                keys.setdefault(call.target, set()).add(call.headers["authorization"].partition("_")[0])

    assert keys["/m2m_tokens/verify"] == {"Bearer ak"}
    assert keys["/api_keys/verify"] == keys["/oauth_applications/access_tokens/verify"] == {"Bearer sk"}


def test_no_machine_is_sent_anywhere(run: Run) -> None:
    for outcome in run.outcomes:
        if outcome.case.parts["token"] and not outcome.case.parts["token"].startswith("session:"):
            assert not outcome.ours.location
            assert not outcome.ours.cookies


def _sent(call: Call) -> Any:
    """Return what both send, but for the number that tells the cases apart."""
    body = json.dumps(call.body, sort_keys=True)
    return call.method, call.target, call.headers["authorization"], call.headers.get("clerk-api-version"), body
