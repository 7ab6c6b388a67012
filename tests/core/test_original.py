"""What a front says it asks about: each in its own way, once, or nothing is decided."""

import pytest

from gateway.core.original import Front, Original, OriginalError, original
from gateway.core.reasons import Reason

ORIGINAL = {
    "x-original-method": "POST",
    "x-original-uri": "/a%2Cb,c?x=1,2",
    "x-original-host": "app.example.test:8443",
    "x-original-proto": "https",
}
FORWARDED = {name.replace("original", "forwarded"): value for name, value in ORIGINAL.items()}
ENVOY = {"host": "app.example.test:8443", "x-forwarded-proto": "https"}
SAID = {
    Front.NGINX: ORIGINAL,
    Front.HAPROXY: ORIGINAL,
    Front.CADDY: FORWARDED,
    Front.TRAEFIK: FORWARDED,
    Front.ENVOY: ENVOY,
}
FRONTS = pytest.mark.parametrize("front", Front)


def pairs(said: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in said.items()]


def ask(front: Front, *more: tuple[str, str], target: str = "/a%2Cb,c?x=1,2", **changes: str | None) -> Original:
    """Ask about ``POST /a%2Cb,c?x=1,2``, with changes by the last word of a header's name."""
    said = dict(SAID[front])
    if front is not Front.ENVOY:
        said["host"] = "gateway.internal"
    method = changes.get("method") or "POST"
    for word, value in changes.items():
        name = next((each for each in said if each.endswith(f"-{word}")), word)
        if value is None:
            said.pop(name, None)
        elif front is not Front.ENVOY or word not in {"method", "uri"}:
            said[name] = value
    if front is Front.ENVOY:
        target = changes.get("uri") or target
    headers = [*pairs(said), *((name.encode(), value.encode()) for name, value in more)]
    return original(front, method, target.encode("latin-1") if front is Front.ENVOY else b"", headers)


def refusal(front: Front, *more: tuple[str, str], **changes: str | None) -> Reason:
    with pytest.raises(OriginalError) as refused:
        ask(front, *more, **changes)
    return refused.value.reason


@FRONTS
def test_every_front_names_method_target_scheme_and_host_in_its_own_way(front: Front) -> None:
    host = (b"host", b"app.example.test:8443")
    assert ask(front) == Original("POST", b"/a%2Cb,c", b"x=1,2", "https", [host], ())


@FRONTS
def test_a_target_without_a_query_has_an_empty_one(front: Front) -> None:
    assert ask(front, uri="/a").query == b""


@pytest.mark.parametrize(("front", "name"), [(front, name) for front in Front for name in SAID[front]], ids=str)
def test_what_a_front_does_not_say_is_not_guessed(front: Front, name: str) -> None:
    said = {key: value for key, value in SAID[front].items() if key != name}
    for headers in (said, {**said, name: ""}, {**said, name: " "}):
        with pytest.raises(OriginalError) as refused:
            original(front, "POST", b"/a", pairs(headers))
        assert refused.value.reason == Reason.ORIGINAL_REQUEST_MISSING
        assert refused.value.detail == f"{name} is missing"


@pytest.mark.parametrize(("front", "name"), [(front, name) for front in Front for name in SAID[front]], ids=str)
def test_what_is_said_twice_is_not_said_even_where_both_agree(front: Front, name: str) -> None:
    for value in (SAID[front][name], "other"):
        with pytest.raises(OriginalError) as refused:
            original(front, "POST", b"/a", [*pairs(SAID[front]), *pairs({name: value})])
        assert refused.value.reason == Reason.ORIGINAL_REQUEST_CONTRADICTORY


@pytest.mark.parametrize("word", ["method", "host", "proto"])
@pytest.mark.parametrize("front", [Front.NGINX, Front.CADDY])
def test_a_list_of_values_is_a_contradiction(front: Front, word: str) -> None:
    assert refusal(front, **{word: "GET, POST"}) == Reason.ORIGINAL_REQUEST_CONTRADICTORY


@FRONTS
def test_a_second_way_of_saying_it_is_a_contradiction(front: Front) -> None:
    foreign = {*ORIGINAL, *FORWARDED, "x-original-url", "x-rewrite-url", "x-forwarded-prefix"} - SAID[front].keys()
    for name in sorted(foreign):
        assert refusal(front, (name, "/public")) == Reason.ORIGINAL_REQUEST_CONTRADICTORY, name
        assert ask(front, (name, "")) == ask(front), name


@FRONTS
def test_other_spellings_of_the_names_say_nothing(front: Front) -> None:
    aliases = ("x_original_uri", "x_forwarded_uri", "x.forwarded.host", "x_forwarded_method", "x-forwarded_proto")
    asked = ask(front, *((name, "/public") for name in aliases))
    assert asked._replace(headers=[]) == ask(front)._replace(headers=[])


@FRONTS
@pytest.mark.parametrize(
    "uri",
    [
        "https://other.example/a",
        "other.example/a",
        "*",
        "app.example.test:443",
        "/a#/public",
        "/a?x=#y",
        "/a?x= y",
        "/a?x=\x7f",
        "/a?x=\x00",
        "//evil.example/a",
        "/a//b",
        "/a//",
    ],
)
def test_what_is_no_origin_form_or_would_be_spelled_otherwise_is_refused(front: Front, uri: str) -> None:
    assert refusal(front, uri=uri) == Reason.ORIGINAL_REQUEST_INVALID


@FRONTS
def test_slashes_in_the_query_are_nobodys_business(front: Front) -> None:
    assert ask(front, uri="/a?u=https://x//y").query == b"u=https://x//y"


@FRONTS
@pytest.mark.parametrize("method", ["GE T", "G\xc9T", "GET/", "X" * 33])
def test_a_method_that_is_no_token_is_refused(front: Front, method: str) -> None:
    assert refusal(front, method=method) == Reason.ORIGINAL_REQUEST_INVALID


@FRONTS
def test_the_scheme_is_one_of_four(front: Front) -> None:
    assert ask(front, proto="HTTP").scheme == "http"
    assert ask(front, proto="wss").scheme == "wss"
    assert refusal(front, proto="ftp") == Reason.ORIGINAL_REQUEST_INVALID


def test_the_error_holds_nothing_of_what_was_sent() -> None:
    with pytest.raises(OriginalError) as refused:
        ask(Front.NGINX, uri="/secret#x")
    assert "secret" not in str(refused.value)


@FRONTS
def test_the_headers_are_those_of_the_question_less_what_belongs_to_it(front: Front) -> None:
    kept = (("cookie", "a=b"), ("accept", "text/html"), ("x-session-id", "forged"), ("cookie", "c=d"))
    way = (("x-forwarded-for", "192.0.2.9"), ("forwarded", "for=192.0.2.9"), ("x-forwarded-for", "192.0.2.8"))
    asked = ask(front, *kept, *way)
    pairs_kept = [(name.encode(), value.encode()) for name, value in kept]
    assert asked.headers == [(b"host", b"app.example.test:8443"), *pairs_kept]
    assert asked.clients == (b"192.0.2.9", b"192.0.2.8")
