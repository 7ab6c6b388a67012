"""The control API: what programs may turn, and that no browser may."""

import pytest

CLOCK, FAULTS = "/control/clock", "/control/faults"
START_S = 1_800_000_000.25


async def test_the_clock_is_turned_set_frozen_and_given_back(controlled):
    assert (await controlled.turner.get(CLOCK)).json() == {
        "now_s": START_S,
        "now": "2027-01-15T08:00:00.250Z",
        "offset_s": 0.0,
        "is_frozen": False,
        "went_back_s": 0.0,
    }
    for body, now_s, is_frozen, went_back_s in (
        ({"advance_s": 60}, START_S + 60, False, 0.0),
        ({"advance_s": -20.5}, START_S + 39.5, False, 20.5),
        ({"set_s": 1_900_000_000}, 1_900_000_000, False, 0.0),
        ({"set_s": 1_900_000_000, "advance_s": 5, "is_frozen": True}, 1_900_000_005, True, 0.0),
        ({"advance_s": 1}, 1_900_000_006, True, 0.0),
        ({"is_frozen": False}, 1_900_000_006, False, 0.0),
        ({"set_s": 1_900_000_000, "is_frozen": True}, 1_900_000_000, True, 6.0),
    ):
        shown = (await controlled.turner.post(CLOCK, json=body)).json()
        assert (shown["now_s"], shown["is_frozen"], shown["went_back_s"]) == (now_s, is_frozen, went_back_s)
        assert controlled.clock() == now_s
    assert (await controlled.turner.delete(CLOCK)).json()["went_back_s"] == 1_900_000_000 - START_S
    assert controlled.clock() == START_S


async def test_what_the_authority_makes_is_of_the_time_that_it_is_told(controlled):
    await controlled.turner.post(CLOCK, json={"set_s": 1_900_000_000, "is_frozen": True})
    session_id = await controlled.create_session()
    assert (await controlled.api.get(f"/v1/sessions/{session_id}")).json()["created_at"] == 1_900_000_000_000
    await controlled.turner.post(CLOCK, json={"advance_s": 8 * 24 * 60 * 60})
    assert (await controlled.api.get(f"/v1/sessions/{session_id}")).json()["status"] == "expired"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "set_s, advance_s or is_frozen"),
        ({"advance": 1}, "advance"),
        ({"advance_s": "1"}, "advance_s"),
        ({"advance_s": True}, "advance_s"),
        ({"advance_s": 10**400}, "advance_s"),
        ({"advance_s": 1e300}, "advance_s"),
        ({"set_s": -1}, "set_s"),
        ({"set_s": -1, "is_frozen": True}, "set_s"),
        ({"is_frozen": "yes"}, "is_frozen"),
    ],
)
async def test_turns_that_cannot_be_meant_name_the_field_and_turn_nothing(controlled, body, param):
    answer = await controlled.turner.post(CLOCK, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["meta"] == {"param_name": param}
    assert controlled.clock() == START_S


async def test_rules_are_added_listed_counted_and_taken_away(controlled):
    rule = {"operation": "GetJWKS", "status": 503, "times": 1}
    added = await controlled.turner.post(FAULTS, json=rule)
    assert added.status_code == 201
    assert added.json() == {"id": 1, "hits": 0, "is_used_up": False, **rule}
    assert (await controlled.api.get("/v1/jwks")).status_code == 503
    assert (await controlled.api.get("/v1/jwks")).status_code == 200
    used_up = {"id": 1, "hits": 1, "is_used_up": True, **rule}
    assert (await controlled.turner.get(f"{FAULTS}/1")).json() == used_up
    await controlled.turner.post(FAULTS, json={"effect": "hang", "method": "POST"})
    assert [each["id"] for each in (await controlled.turner.get(FAULTS)).json()["faults"]] == [1, 2]
    assert (await controlled.turner.delete(f"{FAULTS}/1")).json() == {"removed": 1}
    for method in ("GET", "DELETE"):
        assert (await controlled.turner.request(method, f"{FAULTS}/1")).status_code == 404
    assert (await controlled.turner.delete(FAULTS)).json() == {"removed": 1}
    assert (await controlled.turner.get(FAULTS)).json() == {"faults": []}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"operation": "RefreshSesion", "status": 500}, "did you mean RefreshSession?"),
        ({"operation": "nothing like it", "status": 500}, "GET /control lists them"),
        ({"operation": "GetJWKS", "stauts": 500}, "is unknown"),
        ({"operation": "GetJWKS"}, "give it a latency_ms, a status or an effect"),
        ({"operation": "GetJWKS", "status": 7}, "must be a whole number from 200 to 599"),
    ],
)
async def test_rules_that_could_never_do_what_is_meant_are_refused(controlled, rule, said):
    answer = await controlled.turner.post(FAULTS, json=rule)
    assert answer.status_code == 422
    assert said in answer.json()["errors"][0]["long_message"]
    assert controlled.faults.rules() == ()


async def test_the_overview_lists_what_there_is_to_turn(controlled):
    shown = (await controlled.turner.get("/control")).json()
    assert set(shown) == {"clock", "faults", "operations", "effects"}
    assert "foreign_keys" in shown["effects"]
    # rules and tests name these: a name that changes breaks them
    assert set(shown["operations"]) >= {
        "GetSessionList", "createSession", "GetSession", "RefreshSession", "RevokeSession", "VerifySession",
        "CreateSessionToken", "CreateSessionTokenFromTemplate", "GetJWKS", "GetHandshakePayload",
        "frontend.getJWKS", "frontend.handshakeClient", "frontend.getClient", "frontend.getSession",
        "frontend.touchSession", "frontend.endSession", "frontend.removeSession", "frontend.createSessionToken",
        "frontend.createSessionTokenWithTemplate", "frontend.createDevBrowser",
        "sign_in_page", "sign_in_action", "sign_out_page", "sign_out_action", "health", "document",
    }  # fmt: skip


async def test_operations_have_names_of_their_own(controlled):
    names = controlled.control.app.operations
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9001"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "evil.example:9001"}, 400),
        ({"Host": "127.0.0.1"}, 400),
        ({"Host": "127.0.0.1:8001"}, 400),
        ({"Host": ""}, 400),
        ({"Host": "localhost:9001"}, 200),
        ({"Host": "LOCALHOST:9001"}, 200),
        ({"Host": "[::1]:9001"}, 200),
    ],
)
async def test_nothing_that_a_browser_may_have_sent_passes(controlled, headers, status):
    assert (await controlled.turner.get(CLOCK, headers=headers)).status_code == status
    turned = await controlled.turner.post(CLOCK, json={"advance_s": 5}, headers=headers)
    assert turned.status_code == status
    assert controlled.clock() == START_S + (5 if status == 200 else 0)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_a_form_could_send_is_refused(controlled, kind):
    answer = await controlled.turner.post(CLOCK, content=b'{"advance_s": 5}', headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert controlled.clock() == START_S


async def test_no_page_is_let_in_by_asking_first(controlled):
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = await controlled.turner.options(CLOCK, headers=asking)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/control/", 404), ("PUT", "/control/clock", 405)]
)
async def test_what_is_not_there_is_told_as_the_other_apis_do(controlled, method, path, status):
    answer = await controlled.turner.request(method, path)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["code"] in ("resource_not_found", "method_not_allowed")


@pytest.mark.parametrize("body", [b"[]", b"{", b"1"])
async def test_a_body_that_is_no_json_object_is_refused(controlled, body):
    answer = await controlled.turner.post(FAULTS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
