import pytest

from gateway.pages import error, notice


@pytest.mark.parametrize("status", [400, 401, 403, 404, 431, 503])
def test_refused_request_never_reached_the_service(status, read_page):
    page = read_page(error.render(status=status, heading="No", text="Because.", reason="some-reason"))
    assert "Gateway did not pass it on" in page.text
    assert "Service never saw it" in page.text


@pytest.mark.parametrize("status", [502, 504])
def test_failing_service_is_told_from_the_gateway(status, read_page):
    page = read_page(error.render(status=status, heading="No", text="Because.", reason="some-reason"))
    assert "Gateway let it through" in page.text
    assert "Service gave no usable answer" in page.text


def test_fault_of_the_gateway_claims_nothing_about_the_service(read_page):
    page = read_page(error.render(status=500, heading="No", text="Because.", reason="some-reason"))
    assert "Gateway had a fault" in page.text
    assert "Service may not have seen it" in page.text


def test_small_print_has_status_reason_facts_and_request(read_page):
    page = read_page(
        error.render(
            status=401,
            heading="Please sign in",
            text="One.\n\nTwo.",
            reason="token-expired",
            facts=[("Time", "10:22")],
            request_id="req-1",
        )
    )
    assert page.text.endswith("Status 401 Reason token-expired Time 10:22 Request req-1")
    assert {"One.", "Two."} <= set(page.texts)


def test_request_id_is_left_out_when_there_is_none(read_page):
    page = read_page(error.render(status=401, heading="x", text="x", reason="x"))
    assert len(page.all("dt")) == 2


def test_actions_are_links_and_unsafe_addresses_are_left_out(read_page):
    actions = [("Sign in again", "https://accounts.example.com/?a=1&b"), ("Run", "javascript:alert(1)"), ("Home", "/")]
    page = read_page(error.render(status=401, heading="x", text="x", reason="x", actions=actions))
    assert [(a["href"], a["class"]) for a in page.all("a")] == [
        ("https://accounts.example.com/?a=1&b", "button main"),
        ("/", "button"),
    ]
    assert "Run" not in page.texts


def test_notice_shows_its_words_and_its_action(read_page):
    page = read_page(
        notice.render(
            title="Signed out", heading="Bye", text="One.\n\n\nTwo.", action_label="Sign in", action_href="/sign-in"
        )
    )
    assert [a["href"] for a in page.all("a")] == ["/sign-in"]
    assert {"Bye", "One.", "Two.", "Sign in"} <= set(page.texts)


@pytest.mark.parametrize(("label", "href"), [("", "/"), ("Go", ""), ("Go", "//evil.example"), ("Go", "javascript:1")])
def test_notice_without_a_usable_action_has_no_link(label, href, read_page):
    page = read_page(notice.render(title="x", heading="x", text="x", action_label=label, action_href=href))
    assert page.all("a") == []
