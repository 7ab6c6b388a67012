"""The client of the three operations that verify opaque machine tokens.

Source: Backend API 2026-05-12 (verifyAPIKey, verifyM2MToken, verifyOAuthAccessToken). The operations lie beside ``/v1``
and not below it, where the official SDKs call them (request-authentication section 15). What an answer does not say is
not taken for granted: one without ``revoked`` or ``expired`` proves nothing.
"""

from collections.abc import Mapping

import httpx

from gateway.core.instance import API_URL
from gateway.core.machine_claims import MachineClaims, MachineRecord
from gateway.core.secret import Secret
from gateway.core.token_class import MACHINE_SUBJECT, TokenType
from gateway.sessions.asking import Api
from gateway.sessions.backoff import Backoff
from gateway.sessions.checks import checked_base, checked_key
from gateway.sessions.models import WrongShape, array, tagged, text
from gateway.sessions.wire import BadArgument, Operation, prepare

_MAX_TIME_MS = 253402300800000  # the year 10000


def read_api_key(value: object) -> MachineRecord:
    """Read an API key.

    Raises:
        WrongShape: something is missing or of another type.
    """
    fields = tagged(value, "api_key")
    return _record(TokenType.API_KEY, fields, scopes=_scopes(fields), name=text(fields, "name"))


def read_m2m_token(value: object) -> MachineRecord:
    """Read an M2M token, whose scopes may be absent.

    Raises:
        WrongShape: something is missing or of another type, or the subject is no machine.
    """
    fields = tagged(value, "machine_to_machine_token")
    if not text(fields, "subject").startswith(MACHINE_SUBJECT):
        raise WrongShape("subject is no machine")
    return _record(TokenType.M2M_TOKEN, fields, scopes=_scopes(fields) if "scopes" in fields else ())


def read_oauth_token(value: object) -> MachineRecord:
    """Read an OAuth access token; of an inactive one the API says no more than that.

    Raises:
        WrongShape: something is missing or of another type.
    """
    if value == {"active": False}:
        return MachineRecord(MachineClaims(type=TokenType.OAUTH_TOKEN, id="", subject=""), is_expired=True)
    fields = tagged(value, "clerk_idp_oauth_access_token")
    client_id = text(fields, "client_id")
    return _record(TokenType.OAUTH_TOKEN, fields, scopes=_scopes(fields), client_id=client_id)


VERIFY_API_KEY: Operation[MachineRecord] = Operation("verify_api_key", "POST", "/api_keys/verify", read_api_key)
VERIFY_M2M_TOKEN: Operation[MachineRecord] = Operation("verify_m2m_token", "POST", "/m2m_tokens/verify", read_m2m_token)
VERIFY_OAUTH_TOKEN: Operation[MachineRecord] = Operation(
    "verify_oauth_token", "POST", "/oauth_applications/access_tokens/verify", read_oauth_token
)


class MachineTokensClient:
    """Asks the API about opaque machine tokens.

    Every method raises :class:`~gateway.errors.ApiRefused`, :class:`~gateway.errors.ApiFailed` or
    :class:`~gateway.errors.ApiUnreachable`, and :class:`~gateway.sessions.wire.BadArgument` where there is no key for
    the call. Nothing is tried again. Safe to share between tasks.
    """

    def __init__(
        self,
        secret_key: Secret | None,
        machine_secret_key: Secret | None = None,
        *,
        api_url: str = API_URL,
        timeout_s: float = 10.0,
        transport: httpx.AsyncBaseTransport,
    ) -> None:
        """Check the settings; nothing is connected yet.

        Args:
            secret_key: the instance's; None where there is none.
            machine_secret_key: a machine's, for its M2M tokens, in the place of the instance's.
            api_url: the API without its ``/v1``.
            timeout_s: seconds for one call, from resolving the name to the last byte.
            transport: what carries the requests; closed by whoever made it.

        Raises:
            ConfigurationError: a key or the URL cannot be used.
        """
        self._secret_key = checked_key(secret_key) if secret_key else None
        self._machine_key = checked_key(machine_secret_key) if machine_secret_key else self._secret_key
        self._api = Api(checked_base(api_url).removesuffix("/v1"), transport, Backoff().now)
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"MachineTokensClient(api_url={self._api.base!r})"

    async def verify_api_key(self, secret: str) -> MachineRecord:
        """Return what is known of an API key."""
        return await self._run(VERIFY_API_KEY, self._secret_key, {"secret": secret})

    async def verify_m2m_token(self, token: str) -> MachineRecord:
        """Return what is known of an M2M token."""
        return await self._run(VERIFY_M2M_TOKEN, self._machine_key, {"token": token})

    async def verify_oauth_token(self, access_token: str) -> MachineRecord:
        """Return what is known of an OAuth access token."""
        return await self._run(VERIFY_OAUTH_TOKEN, self._secret_key, {"access_token": access_token})

    async def _run(
        self, operation: Operation[MachineRecord], key: Secret | None, body: Mapping[str, str]
    ) -> MachineRecord:
        if key is None:
            raise BadArgument(f"there is no key for {operation.name}")
        return await self._api.ask(prepare(operation, body=body), key, self._timeout_s)


def _record(
    kind: TokenType, fields: Mapping[str, object], *, scopes: tuple[str, ...], name: str = "", client_id: str = ""
) -> MachineRecord:
    subject = text(fields, "subject")
    if not subject:
        raise WrongShape("subject is empty")
    claims = fields.get("claims")
    if claims is not None and not isinstance(claims, dict):
        raise WrongShape("claims is not an object")
    read = MachineClaims(
        type=kind,
        id=text(fields, "id"),
        subject=subject,
        scopes=scopes,
        claims=claims,
        name=name,
        client_id=client_id,
        expires_at_s=_end_s(fields),
    )
    return MachineRecord(read, _flag(fields, "revoked"), _flag(fields, "expired"))


def _scopes(fields: Mapping[str, object]) -> tuple[str, ...]:
    """Read the scopes, of which there may be none; one that is no text would be a scope that nobody checked."""
    items = array(fields, "scopes")
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) != len(items):
        raise WrongShape("scopes is not a list of texts")
    return texts


def _flag(fields: Mapping[str, object], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise WrongShape(f"{name} is not a boolean")
    return value


def _end_s(fields: Mapping[str, object]) -> float | None:
    """Read ``expiration``, milliseconds; it has to be there, and is null for never."""
    value = fields.get("expiration", "")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_TIME_MS:
        raise WrongShape("expiration is no time")
    return value / 1000
