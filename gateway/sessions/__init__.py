"""A typed client of the Sessions API."""

from gateway.sessions.backoff import Backoff
from gateway.sessions.client import SessionsClient
from gateway.sessions.models import (
    RefreshedCookies,
    Session,
    SessionActivity,
    SessionList,
    SessionStatus,
    SessionTask,
    Token,
)
from gateway.sessions.wire import BadArgument

__all__ = [
    "Backoff",
    "BadArgument",
    "RefreshedCookies",
    "Session",
    "SessionActivity",
    "SessionList",
    "SessionStatus",
    "SessionTask",
    "SessionsClient",
    "Token",
]
