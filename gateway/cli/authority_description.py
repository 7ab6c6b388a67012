"""What ``gateway authority`` tells people once it accepts connections: the keys, and who can sign in where."""

from collections.abc import Mapping, Sequence

from gateway.authority import Authority
from gateway.authority.config import MEMORY
from gateway.authority.credentials import PASSWORD
from gateway.cli.plain_text import plain
from gateway.core.instance import InstanceKind

_MOST_LISTED = 20


def form_lines(authority: Authority) -> list[str]:
    """Where people sign in with a password, as text; nothing where the page shows the users."""
    check, db = authority.realm.config.sign_in_check, authority.realm.config.database
    if check is None:
        return []
    lines = [f"Sign in at {authority.frontend_api_url}/sign-in with email address and password"]
    if check == PASSWORD and not authority.realm.passwords.has_any():
        how = f"gateway authority users add EMAIL_ADDRESS --with-password --db {db}"
        lines.append(f"  nobody has a password yet: {'name a --seed with passwords' if db == MEMORY else how}")
    return lines


def describe_for_people(description: Mapping[str, object], kind: InstanceKind, form: Sequence[str] = ()) -> str:
    """What to know about a running authority, as text.

    Args:
        description: of the authority.
        kind: of the instance.
        form: what is said of the sign-in form; without it the users are those who can be picked.
    """
    webhooks = description.get("webhooks")
    lines = [
        f"Session authority ({kind}) on {description['api_url']}",
        "",
        f"  CLERK_PUBLISHABLE_KEY={description['publishable_key']}",
        f"  CLERK_SECRET_KEY={description['secret_key']}",
        f"  CLERK_API_URL={description['api_url']}",
        *(_webhook_line(webhook) for webhook in (webhooks if isinstance(webhooks, list) else [])),
        "",
        "A gateway in front of your service finds it with these in [instance] of its configuration:",
        "",
        f'  publishable_key = "{description["publishable_key"]}"',
        f'  secret_key = "{description["secret_key"]}"',
        f'  api_url = "{description["api_url"]}"',
        f'  proxy_url = "{description["frontend_api_url"]}"',
        f'  sign_in_url = "{description["frontend_api_url"]}/sign-in"',
        "",
        *(
            [f"Tests turn its clock and faults at {description['control_url']}", ""]
            if "control_url" in description
            else []
        ),
        *(form or _pick_lines(description)),
    ]
    return "\n".join(lines)


def _webhook_line(webhook: Mapping[str, object]) -> str:
    return f"  CLERK_WEBHOOK_SIGNING_SECRET={webhook['signing_secret']}    # signs events for {webhook['url']}"


def _pick_lines(description: Mapping[str, object]) -> list[str]:
    users = description["users"]
    listed = users if isinstance(users, list) else []
    more = [f"  and {len(listed) - _MOST_LISTED} more"] if len(listed) > _MOST_LISTED else []
    heading = f"Sign in at {description['frontend_api_url']}/sign-in as"
    return [heading, *(_user_line(user) for user in listed[:_MOST_LISTED]), *more]


def _user_line(user: Mapping[str, object]) -> str:
    organizations = user["organizations"]
    member_of = (
        [f"{item['slug']} ({item['role']})" for item in organizations] if isinstance(organizations, list) else []
    )
    name = " ".join(str(part) for part in (user["first_name"], user["last_name"]) if part)
    return plain(f"  {name or user['email_address']}, {', '.join(member_of) or 'no organization'}")
