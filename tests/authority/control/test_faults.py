"""Which rule meets a request, and how often."""

from gateway.authority.control import Effect, Faults, Rule

JWKS = ("GetJWKS", "GET", "/v1/jwks")


def test_without_rules_nothing_is_met():
    assert Faults().meet(*JWKS) is None


def test_the_first_rule_that_fits_meets_until_it_is_used_up():
    faults = Faults()
    first = faults.add(Rule(operation="GetJWKS", status=503, times=2))
    second = faults.add(Rule(effect=Effect.HANG))
    met = [faults.meet(*JWKS) for _ in range(4)]
    assert met == [first.rule, first.rule, second.rule, second.rule]
    assert [(placed.id, placed.hits, placed.is_used_up) for placed in faults.rules()] == [
        (first.id, 2, True),
        (second.id, 2, False),
    ]


def test_a_rule_that_loses_its_dice_leaves_the_request_to_the_next():
    def run() -> list[int | None]:
        faults = Faults()
        faults.add(Rule(status=500, probability=0.3, seed=7))
        faults.add(Rule(status=502))
        return [rule.status if (rule := faults.meet(*JWKS)) else None for _ in range(200)]

    first = run()
    assert first == run()
    assert 30 < first.count(500) < 90
    assert set(first) == {500, 502}


def test_rules_are_taken_away_one_by_one_or_all_at_once():
    faults = Faults()
    first, second = faults.add(Rule(status=500)), faults.add(Rule(status=501))
    assert faults.remove(first.id)
    assert not faults.remove(first.id)
    assert faults.rule(first.id) is None
    assert faults.meet(*JWKS) == second.rule
    found = faults.rule(second.id)
    assert found is not None
    assert found.hits == 1
    assert faults.clear() == 1
    assert faults.meet(*JWKS) is None
    assert faults.add(Rule(status=500)).id > second.id
