"""Where we differ from the reference on purpose, and no other request stands for the difference.

The comparison allows for these (``agreement.py``), or the reference is asked with the option that does the same. Each
is held by a test of ours.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stated:
    """One deliberate difference.

    Attributes:
        proof: the test that holds it, ``file::name``.
        restored_by: the setting that brings back the reference's way, where that is safe.
    """

    name: str
    why: str
    proof: str
    restored_by: str = ""


STATED = (
    Stated(
        "issuer-is-pinned",
        "a token of another instance is refused even where the two share keys; the reference checks the issuer only if "
        "an option names it, and is given that option here",
        "tests/core/test_tokens.py::test_claims",
    ),
    Stated(
        "pending-sessions-are-signed-out",
        "a sign-in with open tasks is not complete; the reference says signed-in and hides who it is",
        "tests/core/test_decision.py::test_a_pending_session_is_not_signed_in",
    ),
    Stated(
        "redirects-keep-the-bytes-of-the-query",
        "a signature over the query stays good; the reference writes the query anew (quirk Q8)",
        "tests/conformance/test_conformance.py::test_redirects_keep_the_bytes_of_the_query",
    ),
    Stated(
        "duplicate-session-cookies-are-resolved",
        "of one session the newest token counts, of two nobody is signed in and both are cleared; the reference takes "
        "the first",
        "tests/attacks/test_cookies.py::test_cookies_of_two_sessions_are_nobody_and_are_cleared",
    ),
    Stated(
        "no-cookie-ends-in-a-500",
        "a token whose payload is null, or whose claims are of wrong types, is refused like any other; the reference "
        "throws (quirk Q9)",
        "tests/core/test_decision_properties.py::test_every_request_comes_to_a_verdict_and_only_good_tokens_are_believed",
    ),
    Stated(
        "settings-are-judged-at-load",
        "a wrong pattern, key or satellite setting is told at start; the reference throws on every request",
        "tests/core/test_settings_satellites.py::test_a_satellite_that_cannot_sync_is_a_fault",
    ),
    Stated(
        "no-duplicate-members-and-no-crit",
        "two parsers may read two members of one name differently (RFC 7515 section 4), and an extension that is not "
        "understood must not be ignored (section 4.1.11)",
        "tests/core/test_tokens.py::test_critical_extensions_are_not_understood",
    ),
    Stated(
        "unknown-keys-are-503",
        "keys out of reach say nothing about a token: 503 with Retry-After and a reason for each cause, where the "
        "reference signs out",
        "tests/surfaces/test_gate.py::test_keys_out_of_reach_are_503_with_a_reason_of_their_own",
    ),
    Stated(
        "unknown-key-ids-do-not-flood-the-api",
        "one load for each cool-down however many ids are made up, and the last good set through an outage; the "
        "reference asks for each request and keeps nothing (quirk Q13)",
        "tests/adapters/test_jwks.py::test_a_flood_of_unknown_ids_causes_one_load_for_each_cool_down",
    ),
    Stated(
        "one-refresh-for-parallel-requests",
        "the API trades an expired token once; the reference refreshes for each request (quirk Q12)",
        "tests/authenticator/test_driver.py::test_two_hundred_parallel_requests_with_one_expired_token_make_one_refresh",
    ),
    Stated(
        "little-is-sent-along",
        "a refresh tells the API a few headers of the browser, never its cookies and credentials",
        "tests/conformance/test_conformance.py::test_refresh_sends_no_credentials_of_the_browser",
    ),
)
