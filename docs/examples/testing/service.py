"""A service behind the gateway: plain WSGI, in the place of Flask, Django or anything that reads headers."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def service(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    user, role = environ.get("HTTP_X_SESSION_USER_ID", "nobody"), environ.get("HTTP_X_SESSION_ORG_ROLE", "no role")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{user} with {role}".encode()]
