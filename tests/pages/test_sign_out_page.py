from gateway.pages.sign_out import render


def test_form_posts_the_return_address_to_sign_out(read_page):
    page = read_page(render(name="Ada Lovelace", redirect_url="http://localhost/?a&b"))
    assert [(form["method"], form["action"]) for form in page.all("form")] == [("post", "/sign-out")]
    assert [(field["name"], field["value"]) for field in page.all("input")] == [
        ("redirect_url", "http://localhost/?a&b")
    ]
    assert "You are signed in as Ada Lovelace ." in page.text
    assert len(page.all("button")) == 1


def test_nobody_signed_in_is_said(read_page):
    page = read_page(render(name="", redirect_url="https://a.example/?b=1&c=2"))
    assert "You are signed out" in page.text
    assert "Nobody is signed in" in page.text
    assert "Sign out?" not in page.text
    assert page.all("a")[-1]["href"] == "/sign-in?redirect_url=https%3A//a.example/%3Fb%3D1%26c%3D2"
    assert not page.all("form")
