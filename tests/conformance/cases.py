"""The requests that both engines are asked about: drawn by a seeded dice from tables, and named ones."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.instance import InstanceKind
from tests.conformance import domain_cases as domains
from tests.conformance.fake_api import Reply
from tests.conformance.replies import HANDSHAKES, REFRESHES, handshake_token
from tests.conformance.world import APP, APP_HOST, FLAVOURS, NAMES, UAT, token

DEVELOPMENT, PRODUCTION = InstanceKind.DEVELOPMENT, InstanceKind.PRODUCTION


@dataclass(frozen=True)
class Case:
    """One request, the instance it is for, and what the API will answer.

    Attributes:
        parts: what was drawn, by table; the differences are told by it.
        options: of the reference's authenticateRequest.
        settings: of ours, by section.
        replies: what the API answers, by refresh token or nonce.
    """

    kind: InstanceKind
    parts: Mapping[str, str]
    method: str = "GET"
    path: str = "/page"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    replies: Mapping[str, Reply] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The public origin, after the trust decision."""
        return domains.origin_of(self.parts)

    @property
    def url(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{APP}{self.path}{query}"

    def part(self, name: str) -> str:
        """Return what was drawn from a table."""
        return self.parts[name]


RARE = tuple(FLAVOURS)

# Each table: what can be drawn, with its weight. The first entry is the plain one, which named cases start from.
Table = Mapping[str, float]


def _flavours(**often: float) -> Table:
    """All flavours, some more often than the rest; the empty one means none."""
    rest = dict.fromkeys(RARE, 0.35)
    return {name.replace("_", "-"): weight for name, weight in often.items()} | {
        name: weight for name, weight in rest.items() if name.replace("-", "_") not in often
    }


TABLES: dict[str, Table] = {
    "kind": {"production": 5, "development": 5},
    "method": {"GET": 12, "POST": 2, "HEAD": 1, "PUT": 0.5, "OPTIONS": 0.3},
    "accepts": {"document": 8, "iframe": 1, "empty": 3, "frame": 0.3, "html": 2, "html-later": 0.5, "none": 0.5},
    "path": {
        "/page": 8,
        "/": 2,
        "/a/b%20c": 1,
        "/orgs/acme": 2,
        "/ORGS/acme/": 1,
        "/orgs/other/page/two": 2,
        "/orgs/%C3%A9/": 0.5,
        "/by-id/org_1": 1,
        "/by-id/org_2": 1,
        "/app/x/orgs/acme": 1,
        "/me": 1,
        "/me/": 1,
        "/me/settings": 1,
    },
    "organizations": {"": 3, "synced": 3},
    "query": {"": 8, "q=1": 2, "q=a+b&r=%C3%A9": 1, "q=%20x&flag": 1, "__clerk_help=1&q=2": 0.4,
              "__dev_session=x": 0.3},
    "bearer": {"": 60} | _flavours(good=4, expired=5),
    "scheme": {"Bearer": 20, "bearer": 1, "bare": 1, "Basic": 1, "two-blanks": 0.7, "word": 0.5, "twice": 0.3},
    "plain": {"": 20} | _flavours(good=14, expired=9, older=2, organization=2),
    "suffixed": {"": 20} | _flavours(good=14, expired=9, older=2, organization=2),
    "plain_uat": {"": 4, "old": 8, "0": 2, "new": 2, "12abc": 0.3, "-5": 0.3, "1e9": 0.3, "junk": 0.5},
    "suffixed_uat": {"": 4, "old": 8, "0": 2, "new": 2, "12abc": 0.3, "-5": 0.3, "1e9": 0.3, "junk": 0.5},
    "dev_browser": {"": 2, "both": 12, "plain": 2, "suffixed": 2, "query": 1, "query-empty": 0.5},
    "refresh": {"": 10} | dict.fromkeys(REFRESHES, 1) | {"success": 8, "plain-cookie": 0.7},
    "nonce": {"": 90} | dict.fromkeys(HANDSHAKES, 0.6) | {"unknown": 0.6},
    "handshake": {"": 90} | dict.fromkeys(HANDSHAKES, 0.5) | {"forged": 0.4, "not-a-token": 0.4, "no-list": 0.4},
    "handshake_in": {"query": 3, "cookie": 2},
    "count": {"": 14, "0": 1, "1": 1, "2": 1, "3": 1.5, "4": 0.7, "12": 0.3, "junk": 0.4, "2.5": 0.1},
    "parties": {"none": 5, "app": 5},
    "forwarded": {"": 14, "same": 0.7, "other": 0.7, "trusted": 1, "trusted-port": 0.4, "empty": 0.4},
    "referer": {"": 8, "same": 3, "other": 3, "own-api": 1, "accounts": 1, "hosted-accounts": 1, "hosted-clerk": 1,
                "junk": 0.5, "opaque": 0.3},
    "junk_cookie": {"": 12, "malformed": 1, "quoted": 0.5, "escaped": 0.5, "bad-escape": 0.5},
    **domains.TABLES,
}  # fmt: skip


def draw(dice: random.Random) -> dict[str, str]:
    """Draw one entry of each table."""
    parts = {name: dice.choices(list(table), list(table.values()))[0] for name, table in TABLES.items()}
    # Browsers hold the two families with the same content. An iat that is no number is absent to us, and neither
    # before nor after another to the reference; that shows only where the families differ.
    if dice.random() < 0.6 or "text-iat" in {parts["plain"], parts["suffixed"]}:
        parts["plain"], parts["plain_uat"] = parts["suffixed"], parts["suffixed_uat"]
    return parts


def generated(count: int, first: int = 0, seed: int = 20261123) -> list[Case]:
    """Return that many cases, the same ones each time."""
    dice = random.Random(seed)
    return [make(number, **draw(dice)) for number in range(first, first + count)]


def make(number: int, **changes: str) -> Case:
    """Make a case of what was drawn; what is left out is the table's first entry.

    Args:
        number: tells the refresh tokens and nonces of all cases apart.
    """
    parts = {name: next(iter(table)) for name, table in TABLES.items()} | changes
    kind = InstanceKind(parts["kind"])
    cookies = _cookies(number, kind, parts)
    query = "&".join(filter(None, [parts["query"], *_query(number, kind, parts)]))
    headers = [("host", APP_HOST), *BROWSER, *_accepting(parts["accepts"]), *_authorization(parts), *_forwarding(parts)]
    if referer := REFERERS[parts["referer"]]:
        headers.append(("referer", referer))
    if cookies:
        headers.append(("cookie", "; ".join(cookies)))
    options = domains.options_of(kind, parts, domains.origin_of(parts))
    settings: dict[str, dict[str, Any]] = {"instance": domains.instance_of(kind, parts)}
    if parts["parties"] == "app":
        options["authorizedParties"] = [APP]
        settings["instance"]["authorized_parties"] = [APP]
    if parts["organizations"]:
        options["organizationSyncOptions"] = {
            "organizationPatterns": ORGANIZATION_PATTERNS,
            "personalAccountPatterns": PERSONAL_PATTERNS,
        }
        patterns = {"organization_patterns": ORGANIZATION_PATTERNS, "personal_patterns": PERSONAL_PATTERNS}
        settings["instance"] |= patterns
    if parts["forwarded"].startswith("trusted"):
        settings["server"] = {"trusted_proxies": ["127.0.0.1"]}
    return Case(
        kind,
        parts,
        parts["method"],
        parts["path"],
        query,
        tuple(headers),
        options,
        settings,
        _replies(number, kind, parts),
    )


ORGANIZATION_PATTERNS = ["/orgs/:slug", "/orgs/:slug/(.*)", "/by-id/:id", "/app/:any/orgs/:slug"]
PERSONAL_PATTERNS = ["/me", "/me/(.*)"]

BROWSER = (("user-agent", "Browser/1.0"), ("accept-language", "de"), ("x-own", "never sent on"))

REFERERS = {
    "": "",
    "same": f"{APP}/before",
    "other": "https://www.other.test/page",
    "own-api": "https://clerk.example.test/v1/client",
    "accounts": "https://accounts.example.test/sign-in",
    "hosted-accounts": "https://happy-cat-1.accounts.dev/sign-in",
    "hosted-clerk": "https://happy-cat-1.clerk.accounts.dev/v1",
    "junk": "not a url",
    "opaque": "about:blank",
}


def _accepting(accepts: str) -> list[tuple[str, str]]:
    match accepts:
        case "html":
            return [("accept", "text/html,application/xhtml+xml")]
        case "html-later":
            return [("accept", "application/json,text/html")]
        case "none":
            return []
        case destination:
            return [("sec-fetch-dest", destination), ("accept", "*/*")]


def _authorization(parts: Mapping[str, str]) -> list[tuple[str, str]]:
    text = token(parts["bearer"])
    if parts["scheme"] == "word" and text:
        return [("authorization", "Bearer")]
    if not text:
        return []
    values = {
        "bare": [text],
        "two-blanks": [f"Bearer  {text}"],
        "twice": [f"Bearer {text}", f"Bearer {text}"],
    }.get(parts["scheme"], [f"{parts['scheme']} {text}"])
    return [("authorization", value) for value in values]


def _forwarding(parts: Mapping[str, str]) -> list[tuple[str, str]]:
    pairs = {
        "same": [("x-forwarded-host", APP_HOST), ("x-forwarded-proto", "https")],
        "other": [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http")],
        "trusted": [("x-forwarded-host", "shop.example.test, inner"), ("x-forwarded-proto", "https,http")],
        "trusted-port": [("x-forwarded-host", "shop.example.test:443")],
        "empty": [("x-forwarded-host", "")],
    }
    return pairs.get(parts["forwarded"], [])


def _uat(text: str) -> str:
    return {"old": str(UAT), "new": str(UAT + 2000)}.get(text, text)


def _cookies(number: int, kind: InstanceKind, parts: Mapping[str, str]) -> list[str]:
    names = NAMES[kind]
    dev = {"both": "dvb_1", "plain": "dvb_1"}.get(parts["dev_browser"], "")
    suffixed_dev = {"both": "dvb_1", "suffixed": "dvb_2"}.get(parts["dev_browser"], "")
    development = kind is DEVELOPMENT
    pairs = [
        ("__session", token(parts["plain"])),
        ("__client_uat", _uat(parts["plain_uat"])),
        (names.session, token(parts["suffixed"])),
        (names.client_uat, _uat(parts["suffixed_uat"])),
        ("__clerk_db_jwt", dev if development else ""),
        (names.dev_browser, suffixed_dev if development else ""),
        ("__refresh" if parts["refresh"] == "plain-cookie" else names.refresh, _refresh_token(number, parts)),
        ("__clerk_redirect_count", parts["count"]),
        *domains.state_cookies(parts),
    ]
    if parts["handshake_in"] == "cookie":
        pairs += _handshake_pairs(number, kind, parts)
    cookies = [f"{name}={value}" for name, value in pairs if value]
    return JUNK_COOKIES[parts["junk_cookie"]] + cookies


JUNK_COOKIES = {
    "": [],
    "malformed": ["lonely", "=nameless", 'odd"=x', "empty=", "a b=c"],
    "quoted": ['theme="dark"'],
    "escaped": ["theme=%22dark%22"],
    "bad-escape": ["theme=%E0%A4%A"],
}


def _refresh_token(number: int, parts: Mapping[str, str]) -> str:
    return f"rt_{number}" if parts["refresh"] else ""


def _handshake_pairs(number: int, kind: InstanceKind, parts: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        ("__clerk_handshake_nonce", f"nonce_{number}" if parts["nonce"] else ""),
        ("__clerk_handshake", handshake_token(kind, parts["handshake"])),
    ]


def _query(number: int, kind: InstanceKind, parts: Mapping[str, str]) -> list[str]:
    query = domains.query_of(parts)
    if parts["dev_browser"].startswith("query"):
        query.append("__clerk_db_jwt=" + ("dvb_3" if parts["dev_browser"] == "query" else ""))
    if parts["handshake_in"] == "query":
        query += [f"{name}={value}" for name, value in _handshake_pairs(number, kind, parts) if value]
    return query + domains.state_query(parts)


def _replies(number: int, kind: InstanceKind, parts: Mapping[str, str]) -> dict[str, Reply]:
    replies = {}
    if parts["refresh"] in REFRESHES:
        replies[f"rt_{number}"] = REFRESHES[parts["refresh"]](kind)
    if parts["nonce"] in HANDSHAKES:
        replies[f"nonce_{number}"] = Reply.of({"directives": HANDSHAKES[parts["nonce"]](kind)})
    return replies


def every_replies(cases: Sequence[Case]) -> dict[str, Reply]:
    """Return what the API answers to all of them."""
    return {asked: reply for case in cases for asked, reply in case.replies.items()}
