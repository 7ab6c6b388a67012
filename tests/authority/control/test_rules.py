"""What a rule of bad behaviour may say."""

import pytest

from gateway.authority.control import BadRule, Effect, Rule


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([], "rule: must be a JSON object"),
        ({}, "rule: does nothing"),
        ({"operation": "GetJWKS"}, "rule: does nothing"),
        ({"stauts": 500}, "'stauts': is unknown; there are operation, method"),
        ({"effect": "explode"}, "effect: must be one of answer, hang, close, reset"),
        ({"effect": []}, "effect: must be one of"),
        ({"status": 99}, "status: must be a whole number from 200 to 599, not 99"),
        ({"status": True}, "status: must be a whole number"),
        ({"status": "503"}, "status: must be a whole number"),
        ({"status": 503, "effect": "reset"}, "status: goes with the effect answer, not with reset"),
        ({"code": "x", "latency_ms": 1}, "code: needs a status"),
        ({"retry_after_s": 1, "effect": "hang"}, "retry_after_s: needs a status"),
        ({"body": {"a": 1}, "latency_ms": 1}, "body: needs a status"),
        ({"status": 500, "headers": {"bad name": "x"}}, "headers: must be"),
        ({"status": 500, "headers": {"x": "a\r\nset-cookie: b"}}, "headers: must be"),
        ({"status": 500, "headers": [1]}, "headers: must be"),
        ({"status": 500, "retry_after_s": -1}, "retry_after_s: must be"),
        ({"status": 500, "operation": 7}, "operation: must be text"),
        ({"status": 500, "is_performed": 1}, "is_performed: must be true or false"),
        ({"latency_ms": -1}, "latency_ms: must be"),
        ({"latency_ms": 1.5}, "latency_ms: must be"),
        ({"latency_ms": 1, "times": 0}, "times: must be a whole number of at least 1"),
        ({"latency_ms": 1, "probability": 0}, "probability: must be a number above 0"),
        ({"latency_ms": 1, "probability": "x"}, "probability: must be"),
        ({"latency_ms": 1, "seed": "x"}, "seed: must be a whole number"),
        ({"effect": "drip", "drip_ms": 0}, "drip_ms: must be"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_by_the_name_of_its_field(table, said):
    with pytest.raises(BadRule) as refused:
        Rule.read(table)
    assert str(refused.value).startswith(said)


def test_a_body_that_is_no_json_is_refused():
    with pytest.raises(BadRule, match="body: must be JSON"):
        Rule(status=500, body=object())


def test_what_is_read_is_shown_without_what_is_usual():
    table = {"operation": "*JWKS", "status": 503, "headers": {"X-A": "b"}, "body": "down", "times": 2}
    assert Rule.read(table).to_json() == table
    assert Rule.read({"effect": "hang"}).to_json() == {"effect": "hang"}


@pytest.mark.parametrize(
    ("rule", "request_facts", "fits"),
    [
        (Rule(latency_ms=1), ("GetJWKS", "GET", "/v1/jwks"), True),
        (Rule(latency_ms=1, operation="*JWKS"), ("frontend.getJWKS", "GET", "/.well-known/jwks.json"), True),
        (Rule(latency_ms=1, operation="GetJWKS"), ("frontend.getJWKS", "GET", "/.well-known/jwks.json"), False),
        (Rule(latency_ms=1, method="post"), ("x", "POST", "/"), True),
        (Rule(latency_ms=1, method="POST"), ("x", "GET", "/"), False),
        (Rule(latency_ms=1, path="/v1/sessions/*/refresh"), ("x", "POST", "/v1/sessions/sess_1/refresh"), True),
        (Rule(latency_ms=1, path="/v1/sessions"), ("x", "GET", "/v1/sessions/"), False),
    ],
)
def test_it_fits_by_operation_method_and_path(rule, request_facts, fits):
    assert rule.fits(*request_facts) is fits


@pytest.mark.parametrize("effect", Effect)
def test_an_effect_on_the_real_answer_has_the_operation_carried_out(effect):
    if effect is Effect.ANSWER:
        assert Rule(latency_ms=1).performs
        assert not Rule(status=500).performs
        assert Rule(status=500, is_performed=True).performs
        return
    assert Rule(effect=effect).performs is (effect not in (Effect.HANG, Effect.CLOSE, Effect.RESET))
    assert Rule(effect=effect, is_performed=True).performs
