"""What a decision comes to."""

from gateway.core.cookies import SetCookie
from gateway.core.secret import Secret
from gateway.core.verdict import How, NeedPayload, NeedRefresh, State, Verdict


def test_states_are_the_values_of_the_status_header():
    assert [state.value for state in State] == ["signed-in", "signed-out", "handshake", "unknown"]
    assert How.NOTHING.value == "-"


def test_a_bare_verdict_gives_nothing_away():
    verdict = Verdict(State.SIGNED_OUT)
    assert (verdict.claims, verdict.cookies, verdict.location, verdict.reason) == (None, (), "", "")
    assert not (verdict.token)
    assert not (verdict.dev_browser)
    assert not (verdict.is_loop)


def test_nothing_of_a_decision_prints_a_token():
    verdict = Verdict(
        State.HANDSHAKE,
        token=Secret("s3cret"),
        cookies=(SetCookie("__session", "s3cret"),),
        location="https://clerk.example.test/v1/client/handshake?__session=s3cret",
        dev_browser=Secret("s3cret"),
    )
    refresh = NeedRefresh("sess_1", Secret("s3cret"), Secret("s3cret"), "https://a.test", {}, "192.0.2.7", False)
    assert not any("s3cret" in text for text in map(repr, (verdict, refresh, NeedPayload(Secret("s3cret")))))
