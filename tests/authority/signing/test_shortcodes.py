"""Shortcodes in JWT templates."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.signing.shortcodes import fill

FACTS = {
    "user": {
        "id": "user_1",
        "age": 7,
        "verified": False,
        "nothing": None,
        "empty": "",
        "public_metadata": {"roles": ["a", "b"], "deep": {"er": "found"}},
    }
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{user.id}}", "user_1"),
        ("{{ user.age }}", 7),
        ("{{user.public_metadata.roles}}", ["a", "b"]),
        ("{{user.public_metadata.deep.er}}", "found"),
        ("{{user.none}}", None),
        ("{{user.id.deeper}}", None),
        ("{{org.id}}", None),
        ("{{}}", None),
        ("id: {{user.id}}, age: {{user.age}}", "id: user_1, age: 7"),
        ("{{user.id}}{{user.age}}", "user_17"),
        ("-{{user.none}}-{{user.verified}}-{{user.public_metadata.roles}}-", '-null-false-["a", "b"]-'),
        ("{{org.role || 'user'}}", "user"),
        ("{{user.nothing||user.verified||user.age}}", 7),
        ("{{user.empty || 'x'}}", ""),
        ("{{user.none || user.verified}}", False),
        ("{{user.none || 30}}", 30),
        ("{{user.none || -1.5}}", -1.5),
        ("{{user.none || true}}", True),
        ("{{user.none || 'a || b'}}", "a || b"),
        ("{{user.none", "{{user.none"),
        ("{{user.none || 'x' || }}", "x"),
        ("{{user.id 'x'}}", None),
        ("{{user.none | 'x'}}", None),
        ("{{'x}}", None),
        ("{{user.id}}}}", "user_1}}"),
    ],
)
def test_a_shortcode_becomes_its_value(text, value):
    assert fill(text, FACTS) == value


def test_claims_are_filled_at_every_depth_and_other_values_stay():
    claims = {"a": [{"b": "{{user.id}}"}, 1, None, True], "{{user.id}}": "x"}
    assert fill(claims, FACTS) == {"a": [{"b": "user_1"}, 1, None, True], "{{user.id}}": "x"}


@given(st.text(alphabet="{}|' abc.0", max_size=60))
def test_no_text_breaks_it(text):
    fill(text, FACTS)


@pytest.mark.parametrize("length", [100_000])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: "{{" + " " * n + "'}}",
        lambda n: "{{" + "a " * n + "'}}",
        lambda n: "{{" * n,
        lambda n: "{{" + "'" * (n + 1) + "}}",
        lambda n: "{{" + "|" * (n + 1) + "}}",
    ],
    ids=["spaces", "words", "openings", "quotes", "bars"],
)
def test_a_long_text_costs_what_its_length_costs(make, length):
    """Whoever writes a template could otherwise stop the authority with a few hundred spaces."""
    began_s = time.process_time()
    fill(make(length), FACTS)
    assert time.process_time() - began_s < 1  # some 20 ms; by the square of the length it would be minutes
