"""What all pages have in common: structure, no script, nothing loaded, everything escaped."""

import base64
import hashlib
import re

import pytest
from jinja2 import UndefinedError

from gateway.pages import error, notice, sign_in, sign_in_form, sign_out, whoami
from gateway.pages.links import is_link
from gateway.pages.rendering import page_headers, render_page, stylesheet

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{ 7*7 }}"


def sign_in_page(text: str) -> str:
    organization = sign_in.SignInOrganization(id=text, name=text, slug=text, role=text)
    user = sign_in.SignInUser(id=text, name=text, email=text + "@", organizations=[organization])
    return sign_in.render(title=text, users=[user], redirect_url=text, message=text, search=sign_in.Search(text, 204))


def notice_page(text: str) -> str:
    return notice.render(title=text, heading=text, text=text, action_label=text, action_href="/?'\"<script>")


def error_page(text: str) -> str:
    return error.render(
        status=403,
        heading=text,
        text=text,
        reason=text,
        facts=[(text, text)],
        actions=[(text, "/a?b='\"<script>")],
        request_id=text,
    )


def whoami_page(text: str) -> str:
    view = whoami.WhoamiView(
        state=whoami.SignInState.SIGNED_IN,
        request_line=text,
        address=text,
        identity_header=text,
        facts=[(text, text)],
        permissions=[text],
        tables=[whoami.HeaderTable(text, text, [(text, [text, text])])],
        can_revoke=True,
        revoked=True,
        sign_out_url="/?'\"<script>",
        token_lifetime_s=60,
    )
    return whoami.render(view)


def sign_out_page(text: str) -> str:
    return sign_out.render(name=text, redirect_url=text)


def sign_in_form_page(text: str) -> str:
    return sign_in_form.render(redirect_url=text, message=text, identifier=text)


PAGES = [sign_in_page, sign_in_form_page, sign_out_page, notice_page, error_page, whoami_page]


@pytest.mark.parametrize("render", PAGES)
def test_page_is_well_formed_and_has_its_landmarks(render, read_page):
    text = render("Plain words")
    page = read_page(text)
    assert text.startswith("<!doctype html>")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("main")) == 1
    assert len(page.all("h1")) == 1
    assert len(page.all("title")) == 1
    assert "Plain words" in page.text


@pytest.mark.parametrize("render", PAGES)
def test_page_has_no_script_and_loads_nothing(render, read_page):
    page = read_page(render("x"))
    assert not {"script", "iframe", "img", "object", "base"} & {tag for tag, _ in page.elements}
    assert [link["href"][:5] for link in page.all("link")] == ["data:"]
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")]
    assert "url(" not in stylesheet()
    assert "@import" not in stylesheet()


@pytest.mark.parametrize("render", PAGES)
def test_hostile_text_stays_text(render, read_page):
    plain, hostile = read_page(render("x")), read_page(render(HOSTILE))
    assert [tag for tag, _ in plain.elements] == [tag for tag, _ in hostile.elements]
    assert [set(attributes) for _, attributes in plain.elements] == [set(a) for _, a in hostile.elements]
    assert HOSTILE in hostile.text
    assert "49" not in hostile.text


@pytest.mark.parametrize("render", PAGES)
def test_lone_surrogate_does_not_break_the_page(render):
    assert "a?b" in render("a\ud800b").encode("utf-8").decode("utf-8")


@pytest.mark.parametrize("render", PAGES)
def test_non_latin_and_right_to_left_text_is_kept(render):
    assert "محمد 李清照 Żółć" in render("محمد 李清照 Żółć")


def test_every_class_in_the_pages_is_styled(read_page):
    styled = set(re.findall(r"\.([a-z][a-z0-9]*)", stylesheet()))
    for render in PAGES:
        for _, attributes in read_page(render("x")).elements:
            assert set(attributes.get("class", "").split()) <= styled | {"mark"}


@pytest.mark.parametrize(
    ("foreground", "background"),
    [
        ("ink", "paper"),
        ("soft", "paper"),
        ("soft", "sheet"),
        ("accent", "paper"),
        ("on-accent", "accent"),
        ("on-accent", "accent-strong"),
        ("warn", "warn-wash"),
        ("bad", "bad-wash"),
        ("bad", "paper"),
        ("bad", "sheet"),
        ("ink", "wash"),
        ("soft", "wash"),
        ("ink", "sunk"),
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrast_is_at_least_wcag_aa(scheme, foreground, background):
    light, dark = re.findall(r":root \{(.*?)\}", stylesheet(), re.DOTALL)[:2]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))
    low, high = sorted(luminance(colours[name]) for name in (foreground, background))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, definition)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("has_form", [True, False])
def test_policy_names_the_stylesheet_by_the_hash_of_what_is_in_the_page(has_form):
    headers = dict(page_headers(has_form=has_form))
    inside = notice_page("x").split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    policy = headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert ("form-action 'none'" in policy) is not has_form
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_missing_value_is_an_error():
    with pytest.raises(UndefinedError):
        render_page("notice.html", {"title": "x"})


@pytest.mark.parametrize("href", ["/", "/a?b=c#d", "http://localhost:8000/x", "HTTPS://example.com", "/a//b"])
def test_paths_and_web_addresses_are_links(href):
    assert is_link(href)


@pytest.mark.parametrize(
    "href",
    [
        "",
        "a",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/a\n",
        "\\\\evil.example",
        "javascript:alert(1)",
        " /a",
        "data:text/html,x",
        "http:/evil",
        "https:///evil",
        "http://a b",
    ],
)
def test_anything_else_is_no_link(href):
    assert not is_link(href)
