"""What ``gateway dev`` says once everything runs: where it is, and what to try."""

import shutil
import sys
from pathlib import Path

from gateway.authority import Authority
from gateway.cli.dev_stage import Places


def own_name() -> str:
    """Return how this command is called here; a newcomer has not activated the environment and pastes what is shown."""
    if shutil.which("gateway"):
        return "gateway"
    script = Path(sys.executable).with_name("gateway")
    return str(script) if script.exists() else f"{sys.executable} -m gateway"


def describe(places: Places, authority: Authority, token_lifetime_s: int, *, shows_whoami: bool) -> str:
    """Return the addresses and what to try, as text."""
    upstream = "whoami, shows what it received" if shows_whoami else "your application"
    key = authority.secret_key.reveal()
    gateway = own_name()
    bearer = f"Authorization: Bearer $({gateway} sessions token SESSION_ID --origin {places.gateway})"
    return "\n".join(
        (
            "",
            "  Session Gateway, development mode (anybody can sign in as anybody)",
            "",
            f"  gateway    {places.gateway}    open this one",
            f"  authority  {places.authority}    sign-in, Sessions API, keys",
            f"  upstream   {places.upstream}    {upstream}",
            "",
            "  Try",
            f"    open {places.gateway} and sign in; reload after {token_lifetime_s} s: the session is refreshed",
            f"    curl -i {places.gateway}    401, and the reason why",
            f"    export CLERK_SECRET_KEY={key} CLERK_API_URL={places.authority}",
            f"    {gateway} sessions list    the session that you signed in with",
            f'    curl -i -H "{bearer}" {places.gateway}    200',
            f"    {gateway} sessions revoke SESSION_ID    then reload: back to the sign-in page",
            "",
            "  Ctrl-C ends it. One line per request:",
            "",
        )
    )
