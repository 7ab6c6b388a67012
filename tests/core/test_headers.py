"""Which headers cross the gateway, and who may write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.header_names import HOP_BY_HOP, Remembered
from gateway.core.reasons import Reason
from gateway.core.request_headers import IdentityNamespace, RequestHeaders, without_cookies
from gateway.core.response_headers import for_one_browser, response_headers, with_cache_rules
from gateway.errors import UpstreamError

NAMESPACE = IdentityNamespace(b"x-session-", [b"x-user-email", b"x_tenant.id"])
PRIVATE = frozenset({b"__session", b"__session_abcd1234", b"__refresh_abcd1234", b"__client_uat"})


@pytest.mark.parametrize(
    "name",
    [
        b"x-session-user-id",
        b"x-session-",
        b"X-Session-User-Id",
        b"x_session_user_id",
        b"X_SESSION-user.id",
        b"x.session.user.id",
        b"x-session_status",
        b"x~session!user|id",
        b"x-session-anything-new",
        b"x-user-email",
        b"x_user_email",
        b"X.User-Email",
        b"x-tenant-id",
        b"x-clerk-auth-status",
        b"X_Clerk_Auth_Token",
        b"x-clerk-request-data",
        b"x-middleware-subrequest",
        b"X_Middleware_Rewrite",
        b"proxy",
        b"Proxy",
        b"x-real-ip",
        b"x_real_ip",
        b"x-original-url",
        b"x-rewrite-url",
    ],
)
def test_names_that_clients_may_not_write(name: bytes):
    assert name in NAMESPACE
    assert NAMESPACE.strip([(name, b"evil"), (b"accept", b"*/*")]) == [(b"accept", b"*/*")]


@pytest.mark.parametrize(
    "name", [b"x-session", b"xx-session-user-id", b"x-sessions-user-id", b"x-user-email-2", b"cookie", b"", b"proxy-x"]
)
def test_other_names_are_left_alone(name: bytes):
    assert name not in NAMESPACE


def test_only_bytes_are_header_names():
    assert "x-session-user-id" not in NAMESPACE
    assert 7 not in NAMESPACE


NOT_ALNUM = [bytes([code]) for code in b"!#$%&'*+-.^_`|~"]


@given(
    st.sampled_from([b"x-session-user-id", b"x-session-x", b"x-user-email", b"x-clerk-auth-reason", b"x-real-ip"]),
    st.data(),
)
def test_no_mix_of_case_and_separators_passes(name: bytes, data: st.DataObject):
    spelled = b"".join(
        data.draw(st.sampled_from(NOT_ALNUM))
        if letter == b"-"
        else data.draw(st.sampled_from([letter, letter.upper()]))
        for letter in (bytes([code]) for code in name)
    )
    assert spelled in NAMESPACE
    ours = [(b"x-session-status", b"signed-out")]
    assert RequestHeaders(NAMESPACE, PRIVATE).build([(spelled.lower(), b"evil")], ours) == ours


@given(st.binary())
def test_any_name_can_be_looked_at(name: bytes):
    assert (name in NAMESPACE) is (name.upper() in NAMESPACE)


def build(*headers: tuple[bytes, bytes], keep: bool = False) -> list[tuple[bytes, bytes]]:
    return RequestHeaders(NAMESPACE, PRIVATE, keep_credentials=keep).build(headers, [])


@pytest.mark.parametrize("name", [*sorted(HOP_BY_HOP), b"transfer_encoding", b"proxy_authorization", b"keep.alive"])
def test_hop_by_hop_headers_stay_here(name: bytes):
    assert build((name, b"x"), (b"accept", b"*/*")) == [(b"accept", b"*/*")]


@pytest.mark.parametrize(
    "name",
    [
        b"forwarded",
        b"x-forwarded-for",
        b"x_forwarded_for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-prefix",
        b"x-forwarded.uri",
        b"x-request-id",
    ],
)
def test_what_we_write_ourselves_is_not_taken_from_clients(name: bytes):
    assert build((name, b"x")) == []


def test_connection_takes_away_what_it_names_but_never_ours():
    headers = [
        (b"connection", b"close, X-Hop , x-session-user-id"),
        (b"connection", b"te,x-forwarded-for"),
        (b"x-hop", b"1"),
        (b"x-kept", b"2"),
    ]
    ours = [(b"x-session-user-id", b"user_1"), (b"x-forwarded-for", b"192.0.2.7")]
    assert RequestHeaders(NAMESPACE, PRIVATE).build(headers, ours) == [(b"x-kept", b"2"), *ours]


@pytest.mark.parametrize("name", [b"host", b"content-type", b"cookie"])
def test_connection_cannot_name_framing_or_addressing(name: bytes):
    assert build((b"connection", name), (name, b"a=1")) == [(name, b"a=1")]


def test_everything_else_crosses_in_order_and_repeated():
    headers = ((b"accept", b"a"), (b"x-b", b"1"), (b"x-b", b"2"), (b"origin", b"https://a.test"))
    assert build(*headers) == list(headers)


@pytest.mark.parametrize(
    ("header", "crosses"),
    [
        ((b"cookie", b"__session=t"), None),
        ((b"cookie", b"theme=dark"), b"theme=dark"),
        ((b"cookie", b"__session=t; theme=dark"), b"theme=dark"),
        ((b"authorization", b"Bearer t"), None),
        ((b"authorization", b"bearer t"), None),
        ((b"authorization", b"Bearer"), None),
        ((b"authorization", b" Bearer t"), None),
        ((b"authorization", b"Basic dTpw"), b"Basic dTpw"),
    ],
)
def test_credentials_stay_here_unless_the_route_keeps_them(header: tuple[bytes, bytes], crosses: bytes | None):
    assert build(header) == ([(header[0], crosses)] if crosses else [])
    assert build(header, keep=True) == [header]


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"a=1; b=2", b"a=1; b=2"),
        (b" a=1 ;b=2;", b" a=1 ;b=2;"),
        (b"__session=t", b""),
        (b"a=1; __session=t; b=2", b"a=1; b=2"),
        (b"__session=t; a=1", b"a=1"),
        (b"a=1; __session=t", b"a=1"),
        (b"a=1; \t__session \x0b=t; __session_abcd1234=t;__refresh_abcd1234=r", b"a=1"),
        (b"__session; a=1", b"a=1"),
        (b"__session=a=b; __session=; a", b"a"),
        (b"__session_other=t; __sessionx=1", b"__session_other=t; __sessionx=1"),
        (b'a="x; __session=t"', b'a="x'),
        (b"", b""),
    ],
)
def test_private_cookies_are_taken_out_and_others_keep_their_bytes(value: bytes, left: bytes):
    assert without_cookies(value, PRIVATE) == left


@given(st.lists(st.sampled_from([b"a=1", b" __session=t", b"__client_uat", b"", b"\tb=__session=x", b"=__session"])))
def test_no_private_cookie_is_left(pairs: list[bytes]):
    left = without_cookies(b";".join(pairs), PRIVATE)
    assert not {pair.partition(b"=")[0].strip() for pair in left.split(b";")} & PRIVATE


def test_an_answer_loses_hop_by_hop_headers_and_orders_to_proxies():
    headers = [
        (b"connection", b"X-Hop"),
        (b"x-hop", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"x-accel-redirect", b"/etc/passwd"),
        (b"x-middleware-next", b"1"),
        (b"content-type", b"text/plain"),
        (b"etag", b'"x"'),
    ]
    assert response_headers(headers, PRIVATE) == [(b"content-type", b"text/plain"), (b"etag", b'"x"')]


@pytest.mark.parametrize(
    ("value", "crosses"),
    [
        (b"theme=dark; Path=/", True),
        (b"__session_other=x", True),
        (b"x=__session", True),
        (b"", True),
        (b"__session=evil; Path=/", False),
        (b" __session =evil", False),
        (b"__session_abcd1234=", False),
        pytest.param(b"__session; Path=/", False, id="a name alone"),
        pytest.param(b"=__session=evil", False, id="nameless, which browsers send back as ours"),
        pytest.param(b" = __session=evil", False, id="nameless with blanks"),
    ],
)
def test_a_service_cannot_replace_a_session(value: bytes, crosses: bool):
    assert response_headers([(b"set-cookie", value)], PRIVATE) == ([(b"set-cookie", value)] if crosses else [])


def test_cache_rules_are_added_where_the_service_has_none():
    assert with_cache_rules([(b"etag", b"x")]) == [
        (b"etag", b"x"),
        (b"cache-control", b"private"),
        (b"vary", b"Cookie, Authorization"),
    ]
    kept = [(b"cache-control", b"no-store")]
    assert with_cache_rules(kept) == [(b"cache-control", b"no-store"), (b"vary", b"Cookie, Authorization")]


def test_an_answer_that_sets_our_cookies_is_kept_by_nobody():
    orders = [(b"Cache-Control", b"public, max-age=60"), (b"expires", b"x"), (b"CDN-Cache-Control", b"public")]
    orders.append((b"surrogate-control", b"max-age=60"))
    assert for_one_browser([(b"ETag", b"x"), *orders]) == [(b"ETag", b"x"), (b"cache-control", b"no-store")]
    assert for_one_browser([]) == [(b"cache-control", b"no-store")]


NAME = st.sampled_from(
    [b"connection", b"cookie", b"authorization", b"x-session-user-id", b"x_session_user_id", b"te", b"x-a", b"host"]
)
VALUE = st.binary() | st.sampled_from([b"x-a, cookie", b"Bearer t", b"__session=t; a=1", b"x-session-user-id"])
OURS = [(b"x-session-user-id", b"user_1"), (b"x-forwarded-for", b"192.0.2.7")]


@given(st.lists(st.tuples(NAME, VALUE)))
def test_whatever_a_client_sends_identity_is_ours_alone(headers: list[tuple[bytes, bytes]]):
    built = RequestHeaders(NAMESPACE, PRIVATE).build(headers, OURS)
    assert built[-2:] == OURS
    assert not any(name in NAMESPACE or name in HOP_BY_HOP for name, _ in built[:-2])


def test_names_are_judged_once_while_they_are_few_and_short():
    asked: list[bytes] = []
    remembered = Remembered(lambda name: asked.append(name) or len(name))
    assert [remembered[b"accept"], remembered[b"accept"]] == [6, 6]
    assert asked == [b"accept"]
    for name in (b"x" * 1000, b"x" * 1000, *(b"x-%d" % number for number in range(2000))):
        assert remembered[name] == len(name)
    assert len(asked) == 2003
    assert len(remembered) <= 512
    assert max(map(len, remembered)) <= 64


def test_a_name_in_the_connection_of_an_answer_ends_here_but_never_a_cookie_of_others():
    headers = [(b"connection", b"keep-alive"), (b"set-cookie", b"a=1"), (b"x-hop", b"1")]
    assert response_headers(headers, PRIVATE) == headers[1:]
    assert response_headers([*headers, (b"connection", b"close, x-hop")], PRIVATE) == [(b"set-cookie", b"a=1")]


def test_a_route_may_ask_its_upstream_under_another_name_and_add_headers_that_clients_cannot_send() -> None:
    namespace = NAMESPACE.with_names([b"x-tenant"])
    client = [(b"host", b"app.example.com"), (b"x-tenant", b"evil"), (b"x_tenant", b"evil"), (b"accept", b"*/*")]
    ours = [(b"x-session-status", b"signed-out")]
    named = RequestHeaders(namespace, frozenset(), host=b"internal:9000", added=((b"x-tenant", b"acme"),))
    assert named.build(client, ours) == [
        (b"host", b"internal:9000"),
        (b"accept", b"*/*"),
        *ours,
        (b"x-tenant", b"acme"),
    ]
    kept = RequestHeaders(namespace, frozenset(), added=((b"x-tenant", b"acme"),))
    assert kept.build(client, ours) == [client[0], (b"accept", b"*/*"), *ours, (b"x-tenant", b"acme")]
    assert b"x-session-user-id" in namespace
    assert b"x-tenant" not in NAMESPACE


@pytest.mark.parametrize("value", [b"", b"100-continue", b"100-Continue"])
def test_what_the_server_meets_itself_does_not_go_on(value: bytes):
    assert RequestHeaders(NAMESPACE, PRIVATE).build([(b"expect", value), (b"a", b"b")], ()) == [(b"a", b"b")]


@pytest.mark.parametrize("value", [b"200-ok", b"100-continue, 100-continue", b"x"])
def test_what_cannot_be_met_is_refused(value: bytes):
    with pytest.raises(UpstreamError, match="Expect") as refused:
        RequestHeaders(NAMESPACE, PRIVATE).build([(b"expect", value)], ())
    assert refused.value.reason == Reason.EXPECTATION_FAILED
