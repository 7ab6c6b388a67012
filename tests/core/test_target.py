"""The canonical request path: one stated result for every spelling."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.target import MAX_PATH_BYTES, TargetError, canonical

_PIECES = rb"""/ // . .. %2e %2E %2f %5c \ %00 %25 %252e 2e a B ~ %61 %7E %c3%a9 %c3 %ff %zz % ; ;x [ | @ %40 # ? admin
    %3b %0a %7f + %2B""".split()
PIECES = st.lists(st.sampled_from([*_PIECES, b" ", b"\x00", b"\xe9"]), max_size=12).map(b"".join)
PATHS = st.one_of(PIECES, PIECES.map(lambda rest: b"/" + rest), st.binary(max_size=30).map(lambda rest: b"/" + rest))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"/", b"/"),
        (b"/api/v1/users", b"/api/v1/users"),
        (b"/api/", b"/api/"),
        (b"/a/%7Eb", b"/a/~b"),
        (b"/%61dmin", b"/admin"),
        (b"/a%3ab", b"/a%3Ab"),
        (b"/caf%c3%a9", b"/caf%C3%A9"),
        (b"/a[1]|x", b"/a%5B1%5D%7Cx"),
        (b'/<">^`{}', b"/%3C%22%3E%5E%60%7B%7D"),
        (b"//admin", b"/admin"),
        (b"///a///b//", b"/a/b/"),
        (b"//evil.example/x", b"/evil.example/x"),
        (b"/ADMIN", b"/ADMIN"),
        (b"/admin.", b"/admin."),
        (b"/admin%20", b"/admin%20"),
        (b"/admin;x", b"/admin;x"),
        (b"/.well-known/x", b"/.well-known/x"),
        (b"/...", b"/..."),
        (b"/a..b/..c", b"/a..b/..c"),
        (b"/api../admin", b"/api../admin"),
        (b"/a%3Fb%23c", b"/a%3Fb%23c"),
        (b"/100%25", b"/100%25"),
        (b"/100%2525", b"/100%2525"),
        (b"/!$&'()*+,;=:@-._~", b"/!$&'()*+,;=:@-._~"),
    ],
)
def test_a_path_has_one_spelling(raw: bytes, expected: bytes) -> None:
    assert canonical(raw) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not-origin-form"),
        (b"*", "not-origin-form"),
        (b"http://other.example/", "not-origin-form"),
        (b"other.example:443", "not-origin-form"),
        (b"/a/../b", "dot-segment"),
        (b"/..", "dot-segment"),
        (b"/admin/.", "dot-segment"),
        (b"/./a", "dot-segment"),
        (b"/public/%2e%2e/user", "dot-segment"),
        (b"/public/.%2E/user", "dot-segment"),
        (b"/a/..;x/b", "dot-segment"),
        (b"/a/.;", "dot-segment"),
        (b"/a/..%3bx/b", "dot-segment"),
        (b"/.%3B", "dot-segment"),
        (b"/a/%2e.%253bx/b", "dot-segment"),
        (b"/.%25253B", "dot-segment"),
        (b"//..//a", "dot-segment"),
        (b"/admin%2fsecret", "encoded-slash"),
        (b"/admin%2Fsecret", "encoded-slash"),
        (b"/api/..%2fadmin", "encoded-slash"),
        (b"/admin%5c", "backslash"),
        (b"/admin\\", "backslash"),
        (b"/a%00b", "control-character"),
        (b"/a%0d%0aX:y", "control-character"),
        (b"/a%7f", "control-character"),
        (b"/a%09", "control-character"),
        (b"/%252e%252e/admin", "double-encoding"),
        (b"/a%252fb", "double-encoding"),
        (b"/a%25255c", "double-encoding"),
        (b"/a%2500", "double-encoding"),
        (b"/%25%32%65", "double-encoding"),
        (b"/%zz", "bad-escape"),
        (b"/a%4", "bad-escape"),
        (b"/a%", "bad-escape"),
        (b"/%ff", "not-utf-8"),
        (b"/%c0%ae%c0%ae/", "not-utf-8"),
        (b"/%ed%a0%80", "not-utf-8"),
        (b"/a b", "bad-character"),
        (b"/a\tb", "bad-character"),
        (b"/a\x00", "bad-character"),
        (b"/caf\xc3\xa9", "bad-character"),
        (b"/admin#/health", "bad-character"),
        (b"/admin?/health", "bad-character"),
    ],
)
def test_what_two_programs_read_differently_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(TargetError) as refused:
        canonical(raw)
    assert refused.value.reason == reason
    assert str(refused.value) == reason


def test_a_canonical_path_is_not_copied() -> None:
    path = b"/api/v1/users/user_2x9/items.json"
    assert canonical(path) is path


def test_the_limit_holds_for_what_comes_and_for_what_is_forwarded() -> None:
    assert canonical(b"/" + b"a" * (MAX_PATH_BYTES - 1))
    for raw in (b"/" + b"a" * MAX_PATH_BYTES, b"/" + b"[" * (MAX_PATH_BYTES - 1)):
        with pytest.raises(TargetError, match="too-long"):
            canonical(raw)


@given(PATHS)
def test_canonical_is_idempotent_and_raises_nothing_but_its_own(raw: bytes) -> None:
    try:
        path = canonical(raw)
    except TargetError:
        return
    assert canonical(path) == path


@given(PATHS)
def test_nothing_ambiguous_is_left_however_often_it_is_decoded(raw: bytes) -> None:
    try:
        path = canonical(raw)
    except TargetError:
        return
    assert path.startswith(b"/")
    assert b"//" not in path
    assert re.fullmatch(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+", path)
    once = unquote_to_bytes(path)
    once.decode("utf-8")
    assert once.count(b"/") == path.count(b"/")
    for decoded in (once, unquote_to_bytes(once)):
        segments = decoded.split(b"/")
        assert not {b".", b".."} & {segment.partition(b";")[0] for segment in segments}
        assert not re.search(rb"[\x00-\x1f\x7f\\]", decoded)


@given(PATHS)
def test_the_meaning_is_kept(raw: bytes) -> None:
    """Decoding the raw and the canonical path gives the same text, but for merged slashes."""
    try:
        path = canonical(raw)
    except TargetError:
        return
    assert unquote_to_bytes(path) == re.sub(rb"//+", b"/", unquote_to_bytes(raw))
