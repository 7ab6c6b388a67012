"""The life of a signing key: published, signing, retiring, retired; what may follow what, and when.

Pure: takes what is known of all keys and the time, and returns what is known of them afterwards. Decided here:

- exactly one key signs, whatever is asked for and whatever the clock does;
- a key takes over only after it has been published for a while, so that whoever verifies has it before it is needed;
- a key goes only when nothing that it signed is good any more, unless that is forced;
- the stage is a fact that is kept, not a comparison with the clock: a clock that is set back brings nothing back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from gateway.errors import GatewayError

OVERLAP_S = 600
"""Seconds that a key is published before it signs. Official SDKs and gateways cache keys for 300 s, and what stands
between may keep the answer for its ``max-age`` of 60 s (Sessions API section 4); the rest is margin."""

MARGIN_S = 60
"""Seconds that a key stays beyond the last of its tokens, for clocks that differ."""


class Stage(StrEnum):
    """Where in its life a key is; every one but the last is in the JWKS."""

    PUBLISHED = "published"
    SIGNING = "signing"
    RETIRING = "retiring"
    RETIRED = "retired"


class KeyRefusal(GatewayError):
    """What was asked of a key would sign people out, or makes no sense; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is known of a key, but for the key itself.

    Attributes:
        kid: its id.
        stage: where in its life it is.
        created_at_ms: when it was published.
        sign_at_ms: when a published key takes over, or when this one did; None when that is not planned.
        needed_until_s: Unix seconds until which something that it signed may be good; 0 when it signed nothing.
        retired_at_ms: when it went, or None.
    """

    kid: str
    stage: Stage
    created_at_ms: int
    sign_at_ms: int | None = None
    needed_until_s: int = 0
    retired_at_ms: int | None = None

    @property
    def is_planned(self) -> bool:
        """Whether it will take over by itself."""
        return self.stage is Stage.PUBLISHED and self.sign_at_ms is not None

    def is_needed(self, now_ms: int) -> bool:
        """Whether somebody would be signed out if it went now."""
        is_over = self.needed_until_s + MARGIN_S < now_ms // 1000
        return self.stage is Stage.SIGNING or (self.stage is Stage.RETIRING and not is_over)


Keys = tuple[KeyRecord, ...]


def promote(keys: Sequence[KeyRecord], now_ms: int) -> Keys:
    """Let the key take over whose time has come; the one that signed until then is retiring."""
    due = next((key for key in keys if key.is_planned and (key.sign_at_ms or 0) <= now_ms), None)
    if due is None:
        return tuple(keys)
    changed = []
    for key in keys:
        if key.kid == due.kid:
            changed.append(replace(key, stage=Stage.SIGNING))
        elif key.stage is Stage.SIGNING:
            changed.append(replace(key, stage=Stage.RETIRING))
        else:
            changed.append(key)
    return tuple(changed)


def publish(keys: Sequence[KeyRecord], kid: str, now_ms: int) -> Keys:
    """Publish a new key, which signs nothing yet."""
    return (*promote(keys, now_ms), KeyRecord(kid=kid, stage=Stage.PUBLISHED, created_at_ms=now_ms))


def waiting(keys: Sequence[KeyRecord]) -> KeyRecord | None:
    """The published key that a rotation takes: the planned one, else the oldest; None when a new one is needed."""
    published = [key for key in keys if key.stage is Stage.PUBLISHED]
    return min(published, key=lambda key: (not key.is_planned, key.created_at_ms), default=None)


def rotate(keys: Sequence[KeyRecord], now_ms: int, overlap_s: int, new_kid: str) -> tuple[Keys, str]:
    """Plan that another key takes over once it has been published for the overlap.

    A key that is published already is taken, so that its waiting counts; else a new one is published.

    Args:
        keys: all of them.
        now_ms: the time.
        overlap_s: 0 takes over at once; who does not know the key yet has to ask for it.
        new_kid: the id of the new key, if one is needed.

    Returns:
        All keys, and the id of the one that takes over.

    Raises:
        KeyRefusal: a rotation is under way, and this one would not be sooner.
    """
    keys = promote(keys, now_ms)
    chosen = waiting(keys)
    if chosen is None:
        keys = publish(keys, new_kid, now_ms)
        chosen = keys[-1]
    sign_at_ms = max(now_ms, chosen.created_at_ms + overlap_s * 1000)
    if overlap_s == 0:
        sign_at_ms = now_ms  # also where the clock was set back
    if chosen.sign_at_ms is not None and chosen.sign_at_ms <= sign_at_ms:
        problem = f"{chosen.kid} takes over at {moment(chosen.sign_at_ms // 1000)} already"
        raise KeyRefusal(f"{problem}; wait for it, make it sooner with a shorter --sign-after, or retire that key")
    planned = replace(chosen, sign_at_ms=sign_at_ms)
    return promote([planned if key.kid == planned.kid else key for key in keys], now_ms), planned.kid


def retire(keys: Sequence[KeyRecord], kid: str, now_ms: int, *, is_forced: bool = False) -> Keys:
    """Take a key out of the JWKS for good; one that never signed may always go, and takes a planned rotation along.

    Args:
        keys: all of them.
        kid: which one.
        now_ms: the time.
        is_forced: although tokens that it signed are still good.

    Raises:
        KeyRefusal: there is no such key, it signs, it is gone already, or its tokens are still good.
    """
    keys = promote(keys, now_ms)
    key = next((key for key in keys if key.kid == kid), None)
    if key is None:
        raise KeyRefusal("there is no key with that id; gateway authority keys list shows them")
    if key.stage is Stage.RETIRED:
        raise KeyRefusal(f"{kid} is retired already")
    if key.stage is Stage.SIGNING:
        raise KeyRefusal(f"{kid} is the key that signs; rotate first, or replace all keys at once")
    if key.is_needed(now_ms) and not is_forced:
        until = moment(key.needed_until_s + MARGIN_S)
        raise KeyRefusal(
            f"{kid} is needed until {until}: tokens that it signed are good, or may be traded; wait, or --force"
        )
    return tuple(_gone(each, now_ms) if each.kid == kid else each for each in keys)


def replace_all(keys: Sequence[KeyRecord], now_ms: int, new_kid: str) -> Keys:
    """Let a new key sign at once, and retire all others whatever they signed."""
    gone = [key if key.stage is Stage.RETIRED else _gone(key, now_ms) for key in keys]
    return (*gone, KeyRecord(kid=new_kid, stage=Stage.SIGNING, created_at_ms=now_ms, sign_at_ms=now_ms))


def moment(unix_s: int) -> str:
    """A time for people, in UTC."""
    try:
        return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{unix_s} (Unix seconds)"


def _gone(key: KeyRecord, now_ms: int) -> KeyRecord:
    return replace(key, stage=Stage.RETIRED, retired_at_ms=now_ms)
