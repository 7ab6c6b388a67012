"""The head of an answer, as an independent reader (h11) understands it."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.answer import AnswerHead, answer_head, date_line

DATE = date_line(1_700_000_000)
HEADERS = [(b"x-one", b"1")]


def made(status=200, headers=(), **given_) -> AnswerHead:
    return answer_head(status, headers, **{"date": DATE, "size": None, **given_})


def read(head: AnswerHead, *, method="GET", version="1.1", body=b""):
    """Have h11 read it as the answer to a request; return it, the body it sees, and what the client may do next."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "a"), ("connection", "keep-alive")]))
    client.send(h11.EndOfMessage())
    client.receive_data(head.data + body)
    answer, taken = client.next_event(), b""
    if not head.keeps_alive:
        client.receive_data(b"")
    while isinstance(event := client.next_event(), h11.Data):
        taken += event.data
    assert isinstance(event, h11.EndOfMessage)
    return answer, taken, client.their_state


def names(head):
    return [line.partition(b":")[0] for line in head.data.split(b"\r\n")[1:] if line]


def test_a_whole_answer():
    head = made(headers=HEADERS, size=2)
    assert head == AnswerHead(
        b"HTTP/1.1 200 OK\r\nx-one: 1\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\ncontent-length: 2\r\n\r\n",
        2,
        is_chunked=False,
        keeps_alive=True,
    )


def test_a_date_of_the_application_stays_alone():
    assert names(made(headers=[(b"date", b"x")], size=0)) == [b"date", b"content-length"]


def test_a_length_of_the_application_stays_alone():
    head = made(headers=[(b"content-length", b"7"), (b"b", b"c")])
    assert (names(head), head.length, head.is_chunked) == ([b"content-length", b"b", b"date"], 7, False)
    assert made(headers=[(b"a", b"b"), (b"content-length", b"7")], size=7).length == 7
    # An upstream's may have blanks behind it, which are not part of it (RFC 9110 section 5.5).
    assert made(headers=[(b"content-length", b"7 \t"), (b"b", b"c")]).length == 7


@pytest.mark.parametrize("text", [b"", b"-1", b"1, 1", b"1 1", b" ", b"0x1", b"\xb2"])
def test_a_length_that_is_none_is_an_error(text):
    for headers in ([(b"content-length", text)], [(b"content-length", text), (b"a", b"b")]):
        with pytest.raises(ValueError, match="content-length that is no number"):
            made(headers=headers)


def test_two_lengths_are_an_error():
    with pytest.raises(ValueError, match="two lengths"):
        made(headers=[(b"content-length", b"7"), (b"a", b"b"), (b"content-length", b"8")])


@pytest.mark.parametrize("text", [b"\r", b"\n", b"\r\n", b"\0", b"a\r\nset-cookie: b", b"a\n b"])
def test_a_line_break_in_a_header_is_an_error(text):
    for header in ((b"a", text), (text, b"a")):
        with pytest.raises(ValueError, match="line break"):
            made(headers=[header])


def test_an_answer_that_recurs_is_made_as_any_other_and_has_its_own_date_and_framing():
    headers = [(b"x-one", b"1"), (b"content-length", b"0")]
    for changes in ({}, {"date": date_line(1_700_000_001)}, {"keeps_alive": False}, {"is_old": True}):
        for status in (200, 403):
            for said in (headers, headers[:1], [(b"date", b"x"), *headers]):
                assert made(status, said, **changes, recurs=True) == made(status, said, **changes)
    for _ in range(2):
        with pytest.raises(ValueError, match="line break"):
            made(headers=[(b"a", b"\r\nset-cookie: b")], recurs=True)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("size", [None, 0, 5])
def test_bodiless_answers(status, size):
    head = made(status, size=size)
    assert (names(head), head.length, head.keeps_alive) == ([b"date"], 0, True)
    assert read(head)[1:] == (b"", h11.DONE)
    assert made(304, [(b"content-length", b"5")]).length == 0


def test_answers_to_head_say_the_length_that_is_known_and_have_no_body():
    unknown, known, told = (
        made(size=None, has_body=False),
        made(size=5, has_body=False),
        made(headers=[(b"content-length", b"5")], has_body=False),
    )
    assert [b"content-length" in names(head) for head in (unknown, known, told)] == [False, True, True]
    assert b"transfer-encoding" not in names(unknown)
    for head in (unknown, known, told):
        assert (head.length, read(head, method="HEAD")[1:]) == (0, (b"", h11.DONE))


def test_a_body_in_pieces_goes_in_chunks_or_until_the_end_where_there_are_none():
    new, old = made(), made(is_old=True)
    assert (new.length, new.is_chunked, new.keeps_alive) == (None, True, True)
    assert (old.length, old.is_chunked, old.keeps_alive) == (None, False, False)
    assert b"transfer-encoding" not in names(old)
    assert b"connection: close\r\n" in old.data
    assert read(new, body=b"3\r\nabc\r\n0\r\n\r\n")[1:] == (b"abc", h11.DONE)
    assert read(old, body=b"abc")[1] == b"abc"


@pytest.mark.parametrize(
    ("is_old", "keeps_alive", "said"),
    [(False, True, None), (False, False, b"close"), (True, True, b"keep-alive"), (True, False, b"close")],
)
def test_what_is_said_of_the_connection(is_old, keeps_alive, said):
    head = made(size=0, is_old=is_old, keeps_alive=keeps_alive)
    answer, _, _ = read(head)
    assert (dict(answer.headers).get(b"connection"), head.keeps_alive) == (said, keeps_alive)


NAMES = st.text("abcxyz09-", min_size=1, max_size=10).map(lambda name: b"x-" + name.encode())
VALUES = st.binary(max_size=20).filter(lambda value: not set(value) & {*range(33), 127}).map(bytes)


@given(
    status=st.integers(200, 599),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    body=st.binary(max_size=40),
    is_whole=st.booleans(),
    is_told=st.booleans(),
    has_body=st.booleans(),
    keeps_alive=st.booleans(),
    is_old=st.booleans(),
)
def test_whatever_is_made_is_read_back_with_a_framing_that_fits(
    status, headers, body, is_whole, is_told, has_body, keeps_alive, is_old
):
    length = [(b"content-length", b"%d" % len(body))] if is_told else []
    head = made(
        status,
        headers + length,
        size=len(body) if is_whole else None,
        has_body=has_body,
        is_old=is_old,
        keeps_alive=keeps_alive,
    )
    is_empty = not has_body or status in {204, 304}
    sent = b"" if is_empty else body
    if head.is_chunked:
        sent = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    elif not is_empty:
        assert head.length in {len(body), None}
    answer, taken, _ = read(head, method="GET" if has_body else "HEAD", body=sent)
    assert answer.status_code == status
    assert [header for header in answer.headers if header[0].startswith(b"x-")] == headers
    assert taken == (b"" if is_empty else body)
    assert not (head.keeps_alive and not keeps_alive)
