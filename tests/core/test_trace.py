"""The trace: what it keeps, and what it never shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.secret import Secret
from gateway.core.trace import (
    MASK,
    MAX_SHOWN,
    MIN_MASKED,
    NO_TRACE,
    Mark,
    Recording,
    Step,
    bare_url,
    fingerprint,
    shown,
)

TOKEN = "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl"


def test_notes_are_kept_in_order_with_their_values():
    trace = Recording()
    trace.note("route", Mark.CHOSEN, "{} for {}", "/api", "GET")
    trace.note("signature", Mark.OK)
    trace.note("exp", Mark.NO, "{:.0f} s ago", 12.6)
    assert trace.steps == (
        Step("route", Mark.CHOSEN, "/api for GET"),
        Step("signature", Mark.OK, ""),
        Step("exp", Mark.NO, "13 s ago"),
    )


def test_the_trace_of_every_request_keeps_nothing():
    NO_TRACE.note("route", Mark.OK, "{}", "x")
    NO_TRACE.hide(["secret"])
    assert not NO_TRACE.is_on
    assert not hasattr(NO_TRACE, "steps")


def test_a_secret_is_shown_by_fingerprint_and_length():
    trace = Recording()
    trace.note("token", Mark.CHOSEN, "{} from __session", Secret(TOKEN))
    (step,) = trace.steps
    assert step.detail == f"{fingerprint(Secret(TOKEN))} from __session"
    assert fingerprint(Secret(TOKEN)).endswith(f" ({len(TOKEN)} characters)")
    assert fingerprint(Secret("\ud800")).startswith("#")
    assert fingerprint(Secret(TOKEN)) != fingerprint(Secret(f"{TOKEN}="))


def test_a_text_is_cut_and_escaped():
    assert shown("a" * MAX_SHOWN) == "a" * MAX_SHOWN
    assert shown("a" * (MAX_SHOWN + 1)) == "a" * MAX_SHOWN + "..."
    assert shown("a\x1b[31m\n\u202e") == "a\\x1b[31m\\n\\u202e"
    assert len(shown("\u202e" * 1000)) == MAX_SHOWN + 3


def test_braces_in_a_value_are_only_text():
    trace = Recording()
    trace.note("kid", Mark.NO, "{}", "{0.__class__}")
    assert trace.steps[0].detail == "{0.__class__}"


@pytest.mark.parametrize("around", ["{}", "kid {}", "{} and {}"])
def test_what_is_to_be_hidden_is_masked_wherever_it_stands(around: str):
    trace = Recording()
    trace.hide([TOKEN[:12], TOKEN, "short"])
    trace.note("kid", Mark.NO, around, *[f"x{TOKEN}y"] * around.count("{}"))
    trace.note("kid", Mark.NO, f"raw {TOKEN}")
    trace.note("kid", Mark.NO, "{}", "short")
    shown_texts = [step.detail for step in trace.steps]
    assert f"x{MASK}y" in shown_texts[0]
    assert shown_texts[1:] == [f"raw {MASK}", "short"]


@given(st.text(min_size=MIN_MASKED), st.text(max_size=200), st.text(max_size=200))
def test_nothing_hidden_is_ever_told(secret: str, before: str, after: str):
    trace = Recording()
    trace.hide([secret])
    trace.note("x", Mark.OK, "{}", before + secret + after)
    trace.note("x", Mark.OK, "{}", Secret(secret))
    told = " ".join(step.detail for step in trace.steps)
    assert secret not in told.replace(MASK, "") or secret in fingerprint(Secret(secret))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test/x", "https://a.test/x"),
        ("https://a.test/x?", "https://a.test/x"),
        ("/x?a=1&b=&secret&c=2=3", "/x?a=...&b=...&...&c=..."),
    ],
)
def test_a_url_is_shown_without_the_values_of_its_query(url: str, expected: str):
    assert bare_url(url) == expected
