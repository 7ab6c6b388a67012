"""Typed clients of the Sessions API: one for event loops, one that waits."""

from gateway.core.session_status import SessionStatus
from gateway.sessions.backoff import Backoff
from gateway.sessions.blocking import BlockingSessionsClient
from gateway.sessions.client import SessionsClient
from gateway.sessions.models import RefreshedCookies, Session, SessionActivity, SessionList, SessionTask, Token
from gateway.sessions.wire import BadArgument

__all__ = [
    "Backoff",
    "BadArgument",
    "BlockingSessionsClient",
    "RefreshedCookies",
    "Session",
    "SessionActivity",
    "SessionList",
    "SessionStatus",
    "SessionTask",
    "SessionsClient",
    "Token",
]
