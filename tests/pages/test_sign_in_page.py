import pytest

from gateway.pages.sign_in import SignInOrganization, SignInUser, render

ACME = SignInOrganization(id="org_1", name="Acme", slug="acme", role="org:admin")
GLOBEX = SignInOrganization(id="org_2", name="Globex", slug="globex", role="viewer")
ADA = SignInUser(id="user_1", name="Ada Lovelace", email="ada@example.com", organizations=[ACME, GLOBEX])
ALAN = SignInUser(id="user_2", name="Alan Turing", email="alan@example.com", organizations=[])


def test_every_account_has_a_button_with_a_stable_accessible_name(read_page):
    page = read_page(render(title="Sign in", users=[ADA, ALAN], redirect_url="http://localhost/"))
    assert [(button["aria-label"], button["name"], button["value"]) for button in page.all("button")] == [
        ("Sign in as Ada Lovelace, personal account", "organization_id", ""),
        ("Sign in as Ada Lovelace, Acme (admin)", "organization_id", "org_1"),
        ("Sign in as Ada Lovelace, Globex (viewer)", "organization_id", "org_2"),
        ("Sign in as Alan Turing, personal account", "organization_id", ""),
    ]
    assert {button["type"] for button in page.all("button")} == {"submit"}


def test_each_user_is_a_form_that_posts_to_sign_in(read_page):
    page = read_page(render(title="Sign in", users=[ADA, ALAN], redirect_url='http://localhost/?a="b"&c'))
    assert [(form["method"], form["action"]) for form in page.all("form")] == [("post", "/sign-in")] * 2
    assert [(field["name"], field["value"]) for field in page.all("input")] == [
        ("user_id", "user_1"),
        ("redirect_url", 'http://localhost/?a="b"&c'),
        ("user_id", "user_2"),
        ("redirect_url", 'http://localhost/?a="b"&c'),
    ]
    assert {field["type"] for field in page.all("input")} == {"hidden"}


def test_page_says_that_anybody_can_be_anybody(read_page):
    page = read_page(render(title="Sign in", users=[ADA], redirect_url=""))
    assert "anybody can be anybody" in page.text
    assert "development sign-in" in page.text
    assert "no password" in page.text


def test_message_is_an_alert_and_absent_without_words(read_page):
    with_message = read_page(render(title="x", users=[ADA], redirect_url="", message="No such user."))
    assert [p.get("role") for p in with_message.all("p")].count("alert") == 1
    assert "No such user." in with_message.text
    assert "alert" not in [p.get("role") for p in read_page(render(title="x", users=[], redirect_url="")).all("p")]


def test_return_address_is_shown_only_when_there_is_one(read_page):
    assert "http://a/b" in read_page(render(title="x", users=[], redirect_url="http://a/b")).text
    assert "you return to" not in read_page(render(title="x", users=[], redirect_url="")).text


def test_no_users_is_said(read_page):
    page = read_page(render(title="x", users=[], redirect_url=""))
    assert "There are no users." in page.text
    assert page.all("form") == []


def test_forty_users_are_forty_forms(read_page):
    users = [SignInUser(f"user_{n}", f"User {n}", f"{n}@example.com", [ACME]) for n in range(40)]
    page = read_page(render(title="x", users=users, redirect_url="/"))
    assert len(page.all("form")) == 40
    assert len({button["aria-label"] for button in page.all("button")}) == 80


@pytest.mark.parametrize(
    ("name", "email", "display_name", "initials"),
    [
        ("Ada Lovelace", "a@x", "Ada Lovelace", "AL"),
        ("Ada King of Lovelace", "a@x", "Ada King of Lovelace", "AL"),
        ("Ada", "a@x", "Ada", "A"),
        ("  ", "ada@x", "ada@x", "A"),
        ("", "", "user_9", "U"),
        ("łukasz żółć", "", "łukasz żółć", "ŁŻ"),
        ("<b>", "", "<b>", ""),
    ],
)
def test_user_is_called_by_what_is_known(name, email, display_name, initials):
    user = SignInUser("user_9", name, email, [])
    assert (user.display_name, user.initials) == (display_name, initials)
    assert 0 <= user.tone < 6


def test_email_is_not_shown_twice(read_page):
    user = SignInUser("user_9", "", "only@example.com", [])
    assert read_page(render(title="x", users=[user], redirect_url="")).texts.count("only@example.com") == 1
