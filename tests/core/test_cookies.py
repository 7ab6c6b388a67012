"""Reading Cookie and making Set-Cookie."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import cookies as c
from gateway.core.cookies import MAX_VALUES, CookieError, CookieNames, SetCookie, read, remake, removal

NAMES = CookieNames.of("abcd1234")
JUNK = '{"a":"=;'


def test_the_names_of_an_instance():
    assert (NAMES.session, NAMES.client_uat) == ("__session_abcd1234", "__client_uat_abcd1234")
    assert (NAMES.refresh, NAMES.dev_browser) == ("__refresh_abcd1234", "__clerk_db_jwt_abcd1234")


def test_the_refresh_cookie_is_only_read_and_set_with_its_suffix():
    assert c.REFRESH not in NAMES.read
    assert c.REFRESH not in NAMES.settable
    assert NAMES.refresh in NAMES.read & NAMES.settable


def test_handshake_cookies_and_the_counter_are_never_suffixed():
    plain = {c.HANDSHAKE, c.HANDSHAKE_NONCE, c.REDIRECT_COUNT}
    assert plain <= NAMES.read
    assert not plain & NAMES.settable
    assert not {f"{name}_abcd1234" for name in plain} & (NAMES.read | NAMES.settable | NAMES.private)


def test_everything_that_is_read_or_set_stays_from_upstreams():
    assert NAMES.read | NAMES.settable | {c.CLIENT, "__client_abcd1234", c.REFRESH} == NAMES.private


@pytest.mark.parametrize(
    ("values", "found"),
    [
        pytest.param(["__session=a"], {"__session": ("a",)}, id="one"),
        pytest.param([" \t__session \t= a \t"], {"__session": ("a",)}, id="blanks are trimmed"),
        pytest.param(["__session=a=b=="], {"__session": ("a=b==",)}, id="equals signs belong to the value"),
        pytest.param(['__session="a"'], {"__session": ('"a"',)}, id="quotes are kept"),
        pytest.param(["__session=a", "__session=b"], {"__session": ("a", "b")}, id="two headers"),
        pytest.param(["__session=b; __session=a; __session=b"], {"__session": ("b", "a")}, id="distinct, in order"),
        pytest.param(["__session"], {}, id="no equals sign is absent"),
        pytest.param(["__session="], {}, id="an empty value is absent"),
        pytest.param(["__session= \t"], {}, id="a blank value is absent"),
        pytest.param(["__Session=a; __SESSION=a"], {}, id="names are case-sensitive"),
        pytest.param(["__session_other=a"], {}, id="another instance's suffix"),
        pytest.param(["__session%3Da=b; %5F%5Fsession=a"], {}, id="names are not decoded"),
        pytest.param(["a=x%3B%20__session=evil"], {}, id="decoded after splitting, so no cookie is forged"),
        pytest.param(["__session=a%3Bb%2Ec"], {"__session": ("a;b.c",)}, id="values are decoded"),
        pytest.param(["__session=%"], {"__session": ("%",)}, id="a lone percent sign stays"),
        pytest.param(["__session=%41%zz"], {"__session": ("%41%zz",)}, id="half decodable stays raw"),
        pytest.param(["__session=%FF"], {"__session": ("%FF",)}, id="an escape that is no UTF-8 stays raw"),
        pytest.param([""], {}, id="an empty header"),
        pytest.param([], {}, id="no header"),
        pytest.param(['a="; [x]; $Version=1; ,;=;; __session=a'], {"__session": ("a",)}, id="junk in front"),
        pytest.param([JUNK * 1000 + "; __session=a"], {"__session": ("a",)}, id="8 KiB of junk in front"),
        pytest.param(["a=b, __session=c"], {}, id="a comma separates nothing"),
    ],
)
def test_reading(values: list[str], found: dict[str, tuple[str, ...]]):
    assert read(values, NAMES.read) == found


def test_of_very_many_values_few_are_kept_but_more_than_are_told_apart():
    many = [f"__session={number}" for number in range(9000)]
    kept = tuple(map(str, range(MAX_VALUES + 1)))
    for values in (many, ["; ".join(many)]):
        assert read(values, NAMES.read) == {"__session": kept}


@given(st.lists(st.text() | st.text('_sesion;= %\t"41FzZ,')))
def test_reading_survives_anything_and_keeps_to_the_names(values: list[str]):
    found = read(values, NAMES.read)
    assert found.keys() <= NAMES.read
    assert all(value and len(set(value)) == len(value) and all(value) for value in found.values())


@given(st.lists(st.text(st.characters(exclude_characters=";", codec="utf-8"))))
def test_foreign_cookies_never_hide_ours(foreign: list[str]):
    header = ";".join([*(f"x{pair}" for pair in foreign), "__session=t"])
    assert read([header], NAMES.read)["__session"][-1:] == ("t",)


@pytest.mark.parametrize(
    ("cookie", "header"),
    [
        (SetCookie("a", "b"), b"a=b; Path=/; SameSite=Lax"),
        (
            SetCookie("a", "b", max_age_s=2, http_only=True, secure=True, same_site="None"),
            b"a=b; Path=/; Max-Age=2; HttpOnly; Secure; SameSite=None",
        ),
        (
            removal("a", secure=True),
            b"a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; SameSite=Lax",
        ),
    ],
)
def test_writing(cookie: SetCookie, header: bytes):
    assert cookie.header() == header


def test_a_cookie_does_not_print_its_value():
    assert "s3cret" not in repr(SetCookie("__session", "s3cret"))


def made(directive: str, *, secure: bool = False) -> SetCookie:
    (cookie,) = remake([directive], NAMES, secure=secure)
    return cookie


@pytest.mark.parametrize(
    ("directive", "cookie"),
    [
        ("__session=t", SetCookie("__session", "t")),
        (" __session = t ", SetCookie("__session", "t")),
        ("__session_abcd1234=t; HttpOnly", SetCookie("__session_abcd1234", "t", http_only=True)),
        ("__session=t; Max-Age=60", SetCookie("__session", "t", max_age_s=60)),
        ("__session=t; MAX-AGE = 60 ;httponly", SetCookie("__session", "t", max_age_s=60, http_only=True)),
        ("__session=t; Max-Age=-5", SetCookie("__session", "t", max_age_s=0)),
        ("__session=t; Max-Age=soon", SetCookie("__session", "t")),
        ("__session=t; Max-Age=12345678901", SetCookie("__session", "t")),
        ("__session=t; Max-Age=6٣", SetCookie("__session", "t")),
        ("__session=t; Expires=Fri, 31 Dec 2027 00:00:00 GMT", SetCookie("__session", "t", max_age_s=34_560_000)),
        ("__session=t; Expires=Thu, 01-Jan-1970 00:00:00 GMT", SetCookie("__session", "t", max_age_s=0)),
        ("__session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", SetCookie("__session", "", max_age_s=0)),
        ("__session=", SetCookie("__session", "", max_age_s=0)),
        ("__session=; Max-Age=5", SetCookie("__session", "", max_age_s=5)),
        ("__session=t; SameSite=Strict", SetCookie("__session", "t", same_site="Strict")),
        ("__session=t; SameSite=NONE", SetCookie("__session", "t", same_site="None", secure=True)),
        ("__session=t; SameSite=whatever", SetCookie("__session", "t")),
        ("__session=t; Domain=evil.test; Path=/evil; Priority=High; Partitioned", SetCookie("__session", "t")),
        ("__session=t; Secure", SetCookie("__session", "t")),
        ("__client_uat=1800000000", SetCookie("__client_uat", "1800000000")),
        ("__refresh_abcd1234=r", SetCookie("__refresh_abcd1234", "r")),
        ("__clerk_db_jwt=d", SetCookie("__clerk_db_jwt", "d")),
    ],
)
def test_a_directive_is_made_anew(directive: str, cookie: SetCookie):
    assert made(directive) == cookie


def test_cookies_are_secure_where_browsers_come_by_https():
    assert made("__session=t", secure=True).secure


@pytest.mark.parametrize(
    "directive",
    [
        pytest.param("evil=1", id="another name"),
        pytest.param("__Host-__session=t", id="a prefix in front"),
        pytest.param("__session_other=t", id="another instance"),
        pytest.param("__sessionfoo=t", id="a name that starts alike"),
        pytest.param("__Session=t", id="another case"),
        pytest.param("__refresh=r", id="the refresh cookie without its suffix"),
        pytest.param("__clerk_handshake=h", id="a handshake"),
        pytest.param("__clerk_redirect_count=0", id="the loop counter"),
        pytest.param("__client=c", id="the authority's own cookie"),
        pytest.param("__session", id="no equals sign is not a removal"),
        pytest.param("", id="empty"),
        pytest.param("=t", id="no name"),
        pytest.param("__session=a\r\nX-Evil: 1", id="a header in the value"),
        pytest.param("__session\r\n=a", id="a line break in the name"),
        pytest.param("__session=a b", id="a blank in the value"),
        pytest.param("__session=a,b", id="a comma in the value"),
        pytest.param('__session="a"', id="quotes"),
        pytest.param("__session=a\x00", id="a null byte"),
        pytest.param("__session=ä", id="not ASCII"),
        pytest.param("__session=" + "x" * 4096, id="more than browsers keep"),
    ],
)
def test_a_directive_that_is_not_ours_is_refused_without_naming_its_value(directive: str):
    with pytest.raises(CookieError) as caught:
        made(directive)
    assert "\r" not in str(caught.value)
    assert "evil" not in str(caught.value).lower()


def test_one_bad_directive_spoils_all():
    with pytest.raises(CookieError):
        remake(["__session=t", "evil=1"], NAMES, secure=True)


def test_sixteen_cookies_are_the_most():
    assert len(remake(["__session=t"] * 16, NAMES, secure=True)) == 16
    with pytest.raises(CookieError, match="17 cookies"):
        remake(["__session=t"] * 17, NAMES, secure=True)


def test_the_size_limit_is_that_of_the_cookie_as_we_write_it():
    room = c.MAX_BYTES - len(SetCookie("__session", "").header())
    assert len(made("__session=" + "x" * room).header()) == 4096
    with pytest.raises(CookieError, match="4096"):
        made("__session=" + "x" * (room + 1))


DIRECTIVE = st.text() | st.builds(
    lambda name, value, tail: f"{name}={value};{tail}",
    st.sampled_from(sorted(NAMES.private)),
    st.text("aZ9.-_ \r\n;"),
    st.text() | st.sampled_from(["Max-Age=9", "Domain=x", "SameSite=none", "Max-Age=-1;HttpOnly"]),
)


@given(st.lists(DIRECTIVE, max_size=4), st.booleans())
def test_any_directive_is_refused_or_becomes_one_clean_line(directives: list[str], secure: bool):
    try:
        cookies = remake(directives, NAMES, secure=secure)
    except CookieError:
        return
    for cookie in cookies:
        assert cookie.name in NAMES.settable
        assert re.fullmatch(rb"[A-Za-z_0-9]+=[!-:<-~]*(; [A-Za-z-]+(=[^;\r\n]*)?)+", cookie.header())
        assert b"; Path=/" in cookie.header()
        assert b"omain" not in cookie.header().partition(b";")[2]
        assert cookie.secure or not secure
