"""The access log: one line for each request, whatever the request holds, and never at the cost of an answer."""

import io
import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.journal import MAX_FIELD, JsonJournal, JsonLines, TextJournal
from gateway.ports import Entry

ENTRY = Entry(
    status=401,
    method="GET",
    path="/page",
    route="/",
    state="signed-out",
    reason="session-token-missing",
    how="-",
    duration_ms=1.25,
)
EVIL = "/x\r\n200  GET  /admin\x1b[2J\x00\x85\u2028\u202e\ud800é"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def text_of(entry: Entry) -> str:
    stream = io.StringIO()
    TextJournal(stream).record(entry)
    return stream.getvalue()


def json_of(entry: Entry) -> dict[str, object]:
    stream = io.StringIO()
    JsonJournal(stream).record(entry)
    assert stream.getvalue().count("\n") == 1
    return json.loads(stream.getvalue())


def test_a_text_line_shows_every_field_in_order():
    fields = text_of(ENTRY).split()
    assert fields == ["401", "GET", "/page", "route=/", "signed-out", "session-token-missing", "-", "1.2ms"]


def test_what_is_not_there_is_a_dash():
    line = text_of(replace(ENTRY, route="", state="", reason=""))
    assert line.split()[3:6] == ["route=-", "-", "-"]


def test_a_request_has_its_name_in_either_form():
    named = replace(ENTRY, request_id="0b0c-1")
    assert text_of(named).endswith("  id=0b0c-1\n")
    assert json_of(named)["request_id"] == "0b0c-1"
    assert "request_id" not in json_of(ENTRY)


def test_a_detail_stands_at_the_end():
    assert text_of(replace(ENTRY, detail="it expired 10 s ago")).endswith("  it expired 10 s ago\n")


@pytest.mark.parametrize(("status", "colour"), [(101, "0"), (200, "32"), (307, "36"), (401, "33"), (503, "31")])
def test_on_a_terminal_the_status_has_a_colour(status, colour):
    stream = Terminal()
    TextJournal(stream).record(replace(ENTRY, status=status))
    assert stream.getvalue().startswith(f"\x1b[{colour}m{status}\x1b[0m  ")


@pytest.mark.parametrize("field", ["method", "path", "route", "reason", "detail"])
def test_control_characters_are_escaped_so_that_no_request_writes_a_line_of_its_own(field):
    line = text_of(replace(ENTRY, **{field: EVIL}))
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert line.isascii()
    assert r"\r\n200" in line


def test_blanks_in_a_path_do_not_make_fields():
    line = text_of(replace(ENTRY, path="/x  route=/  signed-in  -  cache"))
    assert line.split()[2] == r"/x\x20\x20route=/\x20\x20signed-in\x20\x20-\x20\x20cache"


@pytest.mark.parametrize("path", ["/" + "a" * 10_000, "/" + "\n" * 10_000, "/" + "\U0001f600" * 150])
def test_a_long_field_is_cut_after_escaping(path):
    shown = text_of(replace(ENTRY, path=path)).split()[2]
    assert len(shown) == MAX_FIELD + 3
    assert shown.endswith("...")


def test_a_field_of_exactly_the_limit_is_whole():
    path = "/" + "a" * (MAX_FIELD - 1)
    assert text_of(replace(ENTRY, path=path)).split()[2] == path


@given(st.text(st.characters(), max_size=300), st.sampled_from(["method", "path", "route", "reason", "detail"]))
def test_any_text_in_any_field_gives_one_printable_line(text, field):
    line = text_of(replace(ENTRY, **{field: text}))
    assert line.count("\n") == 1
    assert line[:-1].isprintable()
    assert line.isascii()


def test_a_json_line_holds_every_field():
    document = json_of(ENTRY)
    assert document.pop("time") > 1_700_000_000
    assert document == {
        "level": "info",
        "status": 401,
        "method": "GET",
        "path": "/page",
        "route": "/",
        "state": "signed-out",
        "reason": "session-token-missing",
        "how": "-",
        "duration_ms": 1.25,
    }


def test_a_json_line_has_the_level_of_its_reason():
    assert json_of(replace(ENTRY, reason="jwk-remote-timeout"))["level"] == "error"
    assert json_of(replace(ENTRY, reason=""))["level"] == "info"


def test_a_json_line_holds_the_detail_where_there_is_one():
    assert json_of(replace(ENTRY, detail="why"))["detail"] == "why"


def test_a_json_line_keeps_odd_texts_in_their_field_and_cuts_them():
    assert json_of(replace(ENTRY, path=EVIL))["path"] == EVIL
    assert len(json_of(replace(ENTRY, path="a" * 9000, method="M" * 9000, detail="d" * 9000))["path"]) == MAX_FIELD


@pytest.mark.parametrize("journal", [TextJournal, JsonJournal])
def test_a_log_that_cannot_be_written_costs_no_answer(journal):
    journal(BrokenPipe()).record(ENTRY)
    stream = io.StringIO()
    writing = journal(stream)
    stream.close()
    writing.record(ENTRY)


def test_text_goes_to_standard_error_and_json_to_standard_output(capsys):
    TextJournal().record(ENTRY)
    JsonJournal().record(ENTRY)
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == 401
    assert err.startswith("401")


def test_the_cause_of_a_stopped_loop_is_named_in_both_forms() -> None:
    entry = replace(ENTRY, cause="clock-difference", detail="why")
    text, document = io.StringIO(), io.StringIO()
    TextJournal(text).record(entry)
    JsonJournal(document).record(entry)
    assert text.getvalue().rstrip().endswith("loop=clock-difference  why")
    assert json.loads(document.getvalue())["cause"] == "clock-difference"


def test_what_the_gateway_says_itself_is_one_object_on_one_line():
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        fault = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("gateway.adapters.jwks", logging.WARNING, "x.py", 1, "not %s", ("so\nfast",), fault)
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("warning", "gateway.adapters.jwks", "not so\nfast")
    assert found["time"] == round(record.created, 3)
    assert "ValueError: a" in found["exception"]
    record.exc_info = None
    assert "exception" not in json.loads(JsonLines().format(record))
