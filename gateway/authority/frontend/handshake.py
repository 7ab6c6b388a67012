"""The handshake: a gateway that cannot tell whether a browser is signed in sends it here, and it returns with cookies.

Facts: request authentication sections 8 and 10, Sessions API section 5. The cookies for the gateway (directives) go
either into the database, fetched by nonce, or into a signed token. Development returns them in the query, production
in a cookie, because there the gateway shares the domain.
"""

from dataclasses import dataclass

from starlette.responses import Response

from gateway.authority import cookies, lifecycle
from gateway.authority.errors import Refusal
from gateway.authority.frontend.returning import allowed_return_url, redirect
from gateway.authority.frontend.visitor import identify
from gateway.authority.models import Client, SessionRecord
from gateway.authority.operations import Call
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.return_urls import ReturnUrl
from gateway.authority.signing.keyring import Category
from gateway.authority.versions import ApiVersion
from gateway.core.instance import InstanceKind

# long enough to follow one redirect; the reference never removes this cookie, and a spent nonce signs out (Q4)
_RESULT_COOKIE_LIFE_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeOrder:
    """A well-formed request for a handshake.

    Attributes:
        url: where to return to; its origin becomes the token's ``azp``.
        as_nonce: keep the cookies here and return a nonce, instead of a token that holds them.
        organization: id or slug to make active; empty for the personal account; None leaves it.
        version: API version; decides the version of the claims.
    """

    url: ReturnUrl
    as_nonce: bool
    organization: str | None
    version: ApiVersion

    @classmethod
    def read(cls, realm: Realm, call: Call) -> "HandshakeOrder":
        """Read the query.

        Raises:
            Refusal: the address cannot be returned to.
        """
        organization = call.query["organization_id"]
        return cls(
            url=allowed_return_url(realm, str(call.query["redirect_url"])),
            as_nonce=call.query["format"] == "nonce",
            organization=None if organization is None else str(organization),
            version=call.version,
        )


async def handshake(realm: Realm, call: Call) -> Response:
    """Answer a handshake with the way back.

    Raises:
        Refusal: the address cannot be returned to.
    """
    order = HandshakeOrder.read(realm, call)
    own_cookies: list[str] = []
    with realm.database.transaction():
        visitor = identify(realm, call.request)
        client, dev_browser = visitor.client, visitor.dev_browser
        if realm.config.kind is InstanceKind.DEVELOPMENT:
            if client is None:
                client, client_token = realm.ledger.add_client(realm.now_ms())
                own_cookies.append(realm.cookies.client(client_token))
            dev_browser = dev_browser or realm.grants.issue_dev_browser(client.id, realm.now_ms())
        directives = client_directives(realm, client, order)
        if dev_browser is not None:
            directives += realm.cookies.dev_browser(dev_browser)
        return _way_back(realm, order, directives, own_cookies)


def client_directives(realm: Realm, client: Client | None, order: HandshakeOrder) -> list[str]:
    """The cookies that tell a gateway whether, and as whom, a client is signed in."""
    session = realm.ledger.live_session(client.id, realm.now_ms()) if client else None
    if client is None or session is None or realm.directory.user(session.user_id) is None:
        return realm.cookies.signed_out()
    session = lifecycle.see(realm, _with_organization(realm, session, order.organization))
    changed, now_ms = realm.ledger.client(client.id) or client, realm.now_ms()
    jwt = realm.session_token(session, TokenOrder(azp=order.url.origin, now_ms=now_ms), order.version)
    # a token issued before the client's last change starts another handshake, so never name a later second
    updated_at_s = min(changed.updated_at_ms, now_ms) // 1000
    max_age_s = max(1, (session.expire_at_ms - now_ms) // 1000)
    return [
        *realm.cookies.client_uat(updated_at_s),
        *realm.cookies.refresh(realm.refresh_tokens.issue(session.id, order.url.hostname, now_ms), max_age_s),
        *realm.cookies.session(jwt, max_age_s),
    ]


def _with_organization(realm: Realm, session: SessionRecord, organization: str | None) -> SessionRecord:
    if organization is None:
        return session
    try:
        return lifecycle.switch_organization(realm, session, organization)
    except Refusal:
        return session  # by the specification: what cannot be set as active changes nothing


def _way_back(realm: Realm, order: HandshakeOrder, directives: list[str], own_cookies: list[str]) -> Response:
    name = cookies.HANDSHAKE_NONCE if order.as_nonce else cookies.HANDSHAKE
    if order.as_nonce:
        value = realm.grants.store_handshake(directives, realm.now_ms(), realm.config.nonce_lifetime_s * 1000)
    else:
        value = realm.keys.sign({"handshake": directives}, Category.SESSION)
    if realm.config.kind is InstanceKind.PRODUCTION:
        return redirect(
            order.url.text, 307, [*own_cookies, realm.cookies.handshake(name, value, _RESULT_COOKIE_LIFE_S)]
        )
    return redirect(order.url.plus(name, value), 307, own_cookies)
