"""One instance with one key, as many session tokens as asked for, and requests that carry them."""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.assemble import Engine, build
from gateway.core.cookies import CookieNames
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.settings import parse

HOST = "clerk.bench.test"
APP = "https://app.bench.test"
KEY = PublishableKey.encode(InstanceKind.PRODUCTION, HOST)
NAMES = CookieNames.of(KEY.cookie_suffix)

ROUTES = [
    {"path": "/", "upstream": "http://127.0.0.1:9000"},
    {"path": "/health", "upstream": "http://127.0.0.1:9000", "access": "public"},
]

# What a browser's script sends along, beside host and credentials.
BROWSER = (
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-GB,en;q=0.9"),
    (b"referer", b"https://app.bench.test/items"),
    (b"sec-fetch-dest", b"empty"),
    (b"sec-fetch-mode", b"cors"),
    (b"sec-fetch-site", b"same-origin"),
)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class World:
    """The key of the instance.

    Attributes:
        private: signs tokens.
        now_s: Unix seconds; the tokens are good for an hour.
    """

    private: rsa.RSAPrivateKey
    now_s: int

    @classmethod
    def new(cls) -> "World":
        """Make a key."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048), int(time.time()))

    @property
    def pem(self) -> str:
        """The public key, for ``instance.jwt_key`` and the peers."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, number: int, *, signed: bool = True) -> str:
        """Return the token of one of many sessions, each of its own user in an organization.

        Args:
            number: which.
            signed: False puts something of the same size in the signature's place: signing 100,000 takes a minute, and
                a token that is remembered is never verified again.
        """
        team = number % 1000
        header = {"alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": "ins_2fYpBench0000000000000000000", "typ": "JWT"}
        claims = {
            "azp": APP,
            "exp": self.now_s + 3600,
            "fva": [5, -1],
            "iat": self.now_s - 5,
            "iss": f"https://{HOST}",
            "jti": f"{number:020x}",
            "nbf": self.now_s - 15,
            "o": {"id": f"org_2fYp{team:023d}", "rol": "admin", "slg": f"team-{team}", "per": "read", "fpm": "1,1"},
            "fea": "o:dashboard,o:teams",
            "pla": "o:pro",
            "sid": f"sess_2fYp{number:023d}",
            "sts": "active",
            "sub": f"user_2fYp{number:023d}",
            "v": 2,
        }  # fmt: skip
        signing_input = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        if not signed:
            return f"{signing_input}.{_b64(number.to_bytes(256))}"
        signature = self.private.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signing_input}.{_b64(signature)}"

    def engine(self, max_tokens: int = 200_000, routes: Sequence[Mapping[str, object]] = ROUTES) -> Engine:
        """Return an engine with these routes, the key pinned."""
        document = {
            "instance": {"publishable_key": KEY.value, "jwt_key": self.pem, "authorized_parties": [APP]},
            "cache": {"max_tokens": max_tokens, "max_bytes": 1024**3},
            "routes": routes,
        }
        return build(parse(document), clock=lambda: self.now_s)


def cookie_header(token: str) -> bytes:
    """Return what a browser sends: both families of this instance's cookies, and those of others."""
    pairs = [
        ("_ga", "GA1.1.1234567890.1700000000"),
        ("theme", "dark"),
        ("__client_uat", "1700000000"),
        (NAMES.client_uat, "1700000000"),
        ("__session", token),
        (NAMES.session, token),
        (NAMES.refresh, "rt_2fYp0123456789abcdefghijklmnop"),
        ("locale", "en"),
    ]
    return "; ".join(f"{name}={value}" for name, value in pairs).encode()


def scope(*credentials: tuple[bytes, bytes]) -> dict[str, object]:
    """Return the request of a browser's script as a server hands it over."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/api/items/17",
        "raw_path": b"/api/items/17",
        "query_string": b"page=2",
        "client": ("127.0.0.1", 50000),
        "headers": [(b"host", b"app.bench.test"), *BROWSER, *credentials],
    }


def with_bearer(token: str) -> dict[str, object]:
    """Return a request with a Bearer token."""
    return scope((b"authorization", b"Bearer " + token.encode()))


def with_cookies(token: str) -> dict[str, object]:
    """Return a request with a browser's cookies."""
    return scope((b"cookie", cookie_header(token)))
