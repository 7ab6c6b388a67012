"""JWT templates over the Backend API: what is kept, what is refused, what their tokens are signed with."""

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.authority.signing.template_form import TemplateFault, build_template, parse_template
from gateway.core.secret import Secret

SECRET = "a-secret-text-of-forty-characters-at-least"
HS = {"custom_signing_key": True, "signing_algorithm": "HS256", "signing_key": SECRET}


async def make(world, **members) -> dict:
    answer = await world.api.post("/v1/jwt_templates", json={"name": "mine", "claims": {}, **members})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def mint(world, name: str = "mine", **body) -> str:
    session = await world.create("Ada", active_organization_id=world.organization("Ada", "acme"))
    answer = await world.api.post(f"/v1/sessions/{session['id']}/tokens/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["jwt"]


async def test_a_template_is_made_read_changed_and_deleted(world):
    made = await make(world, claims={"name": "{{user.full_name}}"}, lifetime=300, allowed_clock_skew=0)
    now_ms = int(world.clock() * 1000)
    assert made == {
        "object": "jwt_template", "id": made["id"], "name": "mine", "claims": {"name": "{{user.full_name}}"},
        "lifetime": 300, "allowed_clock_skew": 0, "custom_signing_key": False, "signing_algorithm": "RS256",
        "created_at": now_ms, "updated_at": now_ms,
    }  # fmt: skip
    path = f"/v1/jwt_templates/{made['id']}"
    assert (await world.api.get(path)).json() == made
    claims = world.claims(await mint(world))
    assert (claims["name"], claims["exp"] - claims["iat"], claims["iat"] - claims["nbf"]) == ("Ada Lovelace", 300, 0)
    world.clock.advance(5)
    changed = (await world.api.patch(path, json={"name": "other", "claims": {"a": [1, None, {"b": 2.5}]}})).json()
    assert changed == made | {"name": "other", "claims": {"a": [1, None, {"b": 2.5}]}, "updated_at": now_ms + 5000}
    assert (await world.api.get(path)).json() == changed
    gone = await world.api.delete(path)
    assert gone.json() == {"object": "jwt_template", "id": made["id"], "deleted": True}
    for answer in (await world.api.get(path), await world.api.delete(path), await world.api.patch(path, json=made)):
        assert answer.status_code in (404, 422)
    assert (await world.api.get(path)).json()["errors"][0]["code"] == "resource_not_found"


async def test_defaults_are_those_of_the_real_service(world):
    made = await make(world, lifetime=None)
    assert (made["lifetime"], made["allowed_clock_skew"], made["claims"]) == (60, 5, {})


async def test_the_list_is_an_array_or_a_page_of_it(world):
    await make(world)
    answer = (await world.api.get("/v1/jwt_templates")).json()
    assert [template["name"] for template in answer] == ["custom_hasura", "mine"]
    page = (await world.api.get("/v1/jwt_templates?paginated=true&limit=1&offset=1")).json()
    assert ([template["name"] for template in page["data"]], page["total_count"]) == (["mine"], 2)


async def test_tokens_are_signed_with_the_templates_own_key(world):
    made = await make(world, claims={"aud": "hasura"}, **HS)
    assert (made["custom_signing_key"], made["signing_algorithm"]) == (True, "HS256")
    token = await mint(world)
    claims = jwt.decode(token, SECRET, ["HS256"], audience="hasura", options={"verify_exp": False, "verify_nbf": False,
                                                                            "verify_iat": False})  # fmt: skip
    assert claims["sub"] == world.users["Ada"]
    assert "kid" not in jwt.get_unverified_header(token)
    used = world.authority.signing_keys.records()[0].needed_until_s
    assert used < int(world.clock())  # the instance's key signed nothing


async def test_an_update_keeps_the_key_that_it_does_not_name(world):
    made = await make(world, **HS)
    path, body = f"/v1/jwt_templates/{made['id']}", {"name": "mine", "claims": {"a": 1}}
    assert (await world.api.patch(path, json=body)).json()["custom_signing_key"]
    jwt.decode(await mint(world), SECRET, ["HS256"], options={"verify_signature": True, "verify_exp": False,
                                                              "verify_nbf": False, "verify_iat": False})  # fmt: skip
    answer = await world.api.patch(path, json={**body, "signing_algorithm": "HS512"})
    assert answer.json()["errors"][0]["meta"] == {"param_name": "signing_key"}  # too short for it
    without = (await world.api.patch(path, json={**body, "custom_signing_key": False})).json()
    assert (without["custom_signing_key"], without["signing_algorithm"]) == (False, "RS256")
    assert world.claims(await mint(world))["a"] == 1


async def test_the_key_is_in_no_answer_and_no_repr(world):
    made = await make(world, **HS)
    path = f"/v1/jwt_templates/{made['id']}"
    refused = await world.api.patch(path, json={**HS, "name": "", "claims": {}})
    answers = [await world.api.get(path), await world.api.get("/v1/jwt_templates"), refused]
    shown = (
        "".join(answer.text for answer in answers) + repr(made) + repr(world.authority.realm.templates.named("mine"))
    )
    assert SECRET not in shown
    assert refused.status_code == 422


deep: dict = {}
for _ in range(40):
    deep = {"a": [deep]}


@pytest.mark.parametrize(
    ("members", "status", "code", "param"),
    [
        ({"claims": {"sub": "x"}}, 400, "jwt_template_reserved_claim", "claims"),
        ({"claims": {"fine": 1, "exp": 1, "azp": "x"}}, 400, "jwt_template_reserved_claim", "claims"),
        ({"claims": None}, 422, "form_param_nil", "claims"),
        ({"claims": []}, 422, "form_param_value_invalid", "claims"),
        ({"claims": deep}, 422, "form_param_value_invalid", "claims"),
        ({"name": ""}, 422, "form_param_value_invalid", "name"),
        ({"name": "a/b"}, 422, "form_param_value_invalid", "name"),
        ({"name": ".."}, 422, "form_param_value_invalid", "name"),
        ({"name": "x" * 129}, 422, "form_param_value_invalid", "name"),
        ({"name": "custom_hasura"}, 422, "form_param_value_invalid", "name"),
        ({"lifetime": 29}, 422, "form_param_value_invalid", "lifetime"),
        ({"lifetime": 315_360_001}, 422, "form_param_value_invalid", "lifetime"),
        ({"allowed_clock_skew": 301}, 422, "form_param_value_invalid", "allowed_clock_skew"),
        ({"allowed_clock_skew": -1}, 422, "form_param_value_invalid", "allowed_clock_skew"),
        ({"custom_signing_key": True}, 422, "form_param_value_invalid", "signing_algorithm"),
        ({**HS, "signing_algorithm": "none"}, 422, "form_param_value_invalid", "signing_algorithm"),
        ({**HS, "signing_key": None}, 422, "form_param_value_invalid", "signing_key"),
        ({**HS, "signing_key": "short"}, 422, "form_param_value_invalid", "signing_key"),
        ({**HS, "signing_algorithm": "RS256"}, 422, "form_param_value_invalid", "signing_key"),
        ({**HS, "custom_signing_key": False}, 422, "form_param_value_invalid", "signing_key"),
        ({"kid": "x"}, 422, "form_param_unknown", "kid"),
    ],
)
async def test_what_cannot_be_a_template_is_refused(world, members, status, code, param):
    answer = await world.api.post("/v1/jwt_templates", json={"name": "mine", "claims": {}, **members})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["code"], error["meta"]) == (status, code, {"param_name": param})
    assert (await world.api.get("/v1/jwt_templates?paginated=1")).json()["total_count"] == 1


async def test_a_name_that_is_taken_is_refused_in_an_update_too(world):
    made = await make(world)
    body = {"name": "custom_hasura", "claims": {}}
    answer = await world.api.patch(f"/v1/jwt_templates/{made['id']}", json=body)
    assert answer.json()["errors"][0]["meta"] == {"param_name": "name"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
async def test_numbers_that_json_does_not_have_are_refused(world, number):
    body = f'{{"name": "mine", "claims": {{"a": {number}}}}}'
    answer = await world.api.post("/v1/jwt_templates", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["errors"][0]["meta"] == {"param_name": "claims"}


def test_a_seed_is_read_like_a_request():
    template = parse_template({"name": "a", "claims": {}, **HS}, 7)
    assert (template.signing_algorithm, template.created_at_ms) == ("HS256", 7)
    assert template.signing_key == Secret(SECRET)
    for entry, param in (({"name": "a"}, "claims"), ({"name": "a", "claims": {"iss": ""}}, "claims")):
        with pytest.raises(TemplateFault) as error:
            parse_template(entry, 0)
        assert error.value.param == param


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4), st.text(max_size=10))
def test_any_claims_are_kept_or_refused(claims, name):
    try:
        built = build_template({"name": name, "claims": claims}, 0)
    except TemplateFault:
        return
    assert built.claims == claims
