"""The reference's ``has()`` and ours get the same claims and the same questions; they say the same."""

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.assemble import build
from gateway.core.authorization import LEVELS, PRESETS, Reverification
from gateway.core.claims import SessionClaims
from gateway.core.instance import InstanceKind
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.settings import parse
from tests.conformance import engines
from tests.conformance.world import APP, APP_HOST, KEYS, NOW, SECRETS
from tests.core.minting import mint, private_key

SESSIONS, QUESTIONS = 500, 12
MISSING = engines.missing()
KIND = InstanceKind.PRODUCTION

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@dataclass(frozen=True)
class Session:
    """What is told, and what is asked about it; ``...`` leaves a claim out."""

    claims: dict[str, Any]
    questions: list[dict[str, Any]]


# What a token tells. Where there is an organization of version 2, the reference cannot build its auth object of a
# malformed ``fea``, and the whole session counts as signed out; a malformed one is told of other sessions alone.
ENTITLEMENTS = [..., "", "o:a", "u:a", "ou:a", "uo:b,o:a", " o:a , u:b ", "o:a:x,u:b", "x:a,o:b", "o:o,u:u", "o:"]
MALFORMED = ["a", "o:a,b", "o:a,", ",", "o:a,,u:b", " "]
PERMISSIONS = [..., "", "read", "read,write", "read, write ,admin"]
MASKS = [..., "", "1", "3,1", "7,0,2", "x,1", "1 , 2"]
AGES = [..., None, [0, -1], [-1, -1], [-1, 3], [3, 3], [9.5, 10], [10, 9], [59, 61], [60, 59], [1439, 2000], [1440, -1]]
ODD_AGES = [[0], [0, 0, 0], ["0", 0], [True, 0], [-2, 0], [0, -0.5], {}, 7, "strict"]
STATUSES = [..., "active", "active", "active", "pending", "other"]


def told(random: Random) -> dict[str, Any]:
    """Claims as a token may hold them."""
    claims: dict[str, Any] = {
        "fva": random.choice(AGES + (ODD_AGES if random.random() < 0.3 else [])),
        "pla": random.choice(ENTITLEMENTS + MALFORMED),
        "sts": random.choice(STATUSES),
        "v": random.choice([2, 2, 2, 1, ..., "2"]),
    }
    has_organization = random.random() < 0.8
    is_v2_organization = has_organization and claims["v"] == 2
    claims["fea"] = random.choice(ENTITLEMENTS if is_v2_organization else ENTITLEMENTS + MALFORMED)
    if is_v2_organization:
        members = {"slg": "acme", "rol": random.choice([..., "", "admin", "org:admin", "member"])}
        members |= {"per": random.choice(PERMISSIONS), "fpm": random.choice(MASKS)}
        claims["o"] = {"id": "org_1"} | {name: value for name, value in members.items() if value is not ...}
    elif has_organization:
        claims["org_id"], claims["org_slug"] = "org_1", "acme"
        claims["org_role"] = random.choice([..., "", "admin", "org:admin", "org:org:admin", "org:member"])
        claims["org_permissions"] = random.choice([..., [], ["org:a:read"], ["a:read", "org:a:write"], "org:a:read"])
    return claims


ROLES = ["admin", "org:admin", "org:org:admin", "member", "org:member", "Admin", "org:", ""]
PERMITTED = ["org:a:read", "a:read", "org:org:a:read", "org:b:write", "org:a:admin", "org:a", "read", ""]
ENTITLED = [
    "a",
    "b",
    "o",
    "o:a",
    "org:a",
    "organization:b",
    "u:a",
    "user:b",
    "x:a",
    "o:a:x",
    "a:x",
    "o:",
    ":a",
    "Org:a",
    "",
]
PROVED = [*PRESETS, "Strict", "", *({"level": level, "afterMinutes": age} for level in LEVELS for age in (3.5, 10, 60))]
NONE_AT_ALL = [
    {},
    {"level": "third", "afterMinutes": 10},
    {"level": LEVELS[0]},
    {"level": LEVELS[0], "afterMinutes": 0},
]
ODD = [None, 7, True, [], {}]
ASKED = {
    "role": ROLES,
    "permission": PERMITTED,
    "feature": ENTITLED,
    "plan": ENTITLED,
    "reverification": [*PROVED, *NONE_AT_ALL],
}


def asked(random: Random) -> dict[str, Any]:
    """One question, of one thing as a rule; a malformed one now and then."""
    names = random.sample(list(ASKED), random.choice([0, 1, 1, 1, 1, 1, 2, 2, 3]))
    return {name: random.choice(ODD if random.random() < 0.04 else ASKED[name]) for name in names}


def generated() -> list[Session]:
    random = Random(20260512)
    return [Session(told(random), [asked(random) for _ in range(QUESTIONS)]) for _ in range(SESSIONS)]


def theirs(sessions: list[Session], tokens: list[str], pem: str) -> list[dict[str, Any]]:
    instance = {"publishableKey": KEYS[KIND].value, "secretKey": SECRETS[KIND], "jwtKey": pem}
    questions = "".join(
        json.dumps(
            {
                "id": number,
                "nowMs": int(NOW * 1000),
                "instance": instance,
                "options": {},
                "request": {"url": APP, "method": "GET", "headers": {"authorization": f"Bearer {token}"}},
                "questions": session.questions,
            }
        )
        + "\n"
        for number, (session, token) in enumerate(zip(sessions, tokens, strict=True))
    )
    done = subprocess.run(
        ["node", str(engines.HERE / "runner.mjs")],
        input=questions,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda found: found["id"])


async def ours(tokens: list[str], pem: str) -> list[SessionClaims | None]:
    instance = {"publishable_key": KEYS[KIND].value, "jwt_key": pem}
    engine = build(parse({"instance": instance}, needs_upstream=False), clock=lambda: NOW)
    url = PublicUrl("https", APP_HOST)
    found = [await engine.gate.authenticator.authenticate(RequestFacts("GET", url, token)) for token in tokens]
    await engine.close()
    return [verdict.claims for verdict in found]


def in_our_words(question: dict[str, Any]) -> dict[str, Any]:
    match question.get("reverification"):
        case {"level": level, "afterMinutes": minutes} if level in LEVELS and minutes > 0:
            return question | {"reverification": Reverification(level, minutes)}
    return question


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Session, dict[str, Any], bool, bool]]:
    """Each question, the reference's answer and ours."""
    sessions = generated()
    tokens = [mint(**session.claims) for session in sessions]
    public = private_key("key_1").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    answers, claims = theirs(sessions, tokens, pem), asyncio.run(ours(tokens, pem))
    return list(_pairs(sessions, answers, claims))


def _pairs(
    sessions: list[Session], answers: list[dict[str, Any]], claims: list[SessionClaims | None]
) -> Iterator[tuple[Session, dict[str, Any], bool, bool]]:
    for session, answer, found in zip(sessions, answers, claims, strict=True):
        assert answer["state"] == "signed-in", (answer, session.claims)
        for question, granted in zip(session.questions, answer["grants"], strict=True):
            yield session, question, granted, found is not None and found.has(**in_our_words(question))


def test_both_say_the_same_to_every_question(pairs: list[tuple[Session, dict[str, Any], bool, bool]]) -> None:
    disagreements = [
        f"theirs {granted}, ours {ours_}: {question} of {session.claims}"
        for session, question, granted, ours_ in pairs
        if granted is not ours_
    ]
    assert len(pairs) == SESSIONS * QUESTIONS > 1000
    assert not disagreements, f"{len(disagreements)} of {len(pairs)}:\n" + "\n".join(disagreements[:10])


def test_the_questions_are_worth_asking(pairs: list[tuple[Session, dict[str, Any], bool, bool]]) -> None:
    """Each single thing is granted often enough and refused often enough for the agreement to mean something."""
    answers = Counter((next(iter(question)), ours_) for _, question, _, ours_ in pairs if len(question) == 1)
    assert all(answers[name, answer] >= 15 for name in ASKED for answer in (True, False)), answers
    several = Counter(ours_ for _, question, _, ours_ in pairs if len(question) > 1)
    assert several[True] >= 10, several
