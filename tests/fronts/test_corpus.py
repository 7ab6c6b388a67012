"""The same request through every door: the same decision, the same identity, the same cookies."""

import re
from urllib.parse import unquote_to_bytes

import pytest

from gateway.core.original import Front
from tests.attacks.attack_kit import Recorded, Reply, Target
from tests.fronts.corpus import CASES, KEYS, MIDDLEWARE, PROXY, REFRESH_TOKEN, Case, renewed
from tests.fronts.fronts_kit import TESTED, binary

pytestmark = pytest.mark.e2e

DOORS = (PROXY, MIDDLEWARE, *TESTED, Front.TRAEFIK)


@pytest.mark.parametrize("door", DOORS)
def test_every_request_gets_the_stated_decision(door: str, doors: dict[str, Target]) -> None:
    if door not in doors:
        assert binary(door) is None
        pytest.skip(f"{door} is not installed: see CONTRIBUTING.md")
    wrong = [f"{case}: {fault}" for case in CASES for fault in faults(case, door, doors[door])]
    assert not wrong, "\n".join(wrong)


def faults(case: Case, door: str, target: Target) -> list[str]:
    """Send one request, and return what is not as it is stated."""
    target.authority.refreshed[REFRESH_TOKEN] = renewed()
    target.authority.scopes |= KEYS
    status, reason, _ = case.differs.get(door, (case.status, case.reason, ""))
    before = target.count
    reply = target.get(
        case.path,
        *case.headers,
        method=case.method,
        host=case.host,
        bearer=case.bearer(),
        cookies=case.cookies(),
    )
    found = [_differs("status", reply.status, status), _differs("reason", reply.header("x-clerk-auth-reason"), reason)]
    arrived = target.arrived(before)
    found.append(_differs("requests at the application", len(arrived), int(status == 200)))
    if (status, reason) == (case.status, case.reason):
        found += [*_answer_faults(case, reply), *(fault for each in arrived for fault in _arrival_faults(case, each))]
        if door != MIDDLEWARE:  # whom to believe about the way is the application's own business
            found += [fault for each in arrived for fault in _misleading(each)]
    return [fault for fault in found if fault]


def _answer_faults(case: Case, reply: Reply) -> list[str]:
    names = sorted(value.partition("=")[0] for value in reply.values("set-cookie"))
    challenges = len(reply.values("www-authenticate"))
    found = [
        _differs("cookies", names, sorted(case.sets)),
        _differs("address", reply.header("location")[: len(case.location)], case.location),
    ]
    if case.status == 401:
        found.append(_differs("challenges", challenges, 1))
    if case.status >= 300 and case.reason and not reply.header("cache-control").startswith("no-store"):
        found.append("a cache may keep it")
    if case.method == "HEAD":
        found.append(_differs("body of HEAD", reply.body, b""))
    return found


def _arrival_faults(case: Case, arrived: Recorded) -> list[str]:
    """The application sees the request that was judged, and who it is, in one spelling, once."""
    cgi = arrived.cgi()
    told = {name: [value for value in values if value] for name, values in cgi.items() if name.startswith("X_SESSION_")}
    told = {name: values for name, values in told.items() if values}
    status = "signed-in" if case.identity else "signed-out"
    expected = {f"X_SESSION_{name}": [value] for name, value in {**case.identity, "STATUS": status}.items()}
    line = f"{case.method} {case.path} HTTP/1.1"
    return [
        _differs("identity", told, expected),
        _differs("the application's request", _plain(arrived.line), _plain(line)),
    ]


def _misleading(arrived: Recorded) -> list[str]:
    """Nothing that names another request or another client goes on."""
    text = "\n".join(f"{name}: {value}" for name, value in arrived.headers)
    misled = re.findall(r"(?im)^.*(?:forged|evil|10\.9\.9\.9|OPTIONS).*$", text)
    misled += [
        name
        for name in arrived.cgi()
        if name.startswith(("X_ORIGINAL", "X_REWRITE", "X_FORWARDED_URI", "X_FORWARDED_M"))
    ]
    return [_differs("headers that mislead", misled, [])]


def _plain(line: str) -> bytes:
    return re.sub(rb"/{2,}", b"/", unquote_to_bytes(line))


def _differs(what: str, seen: object, expected: object) -> str:
    return "" if seen == expected else f"{what}: {seen!r}, not {expected!r}"
