"""Reading which pages of other origins may read a route's answers."""

import re

from gateway.core import settings_addresses as addresses
from gateway.core import settings_requests as requests
from gateway.core import settings_values as values
from gateway.core.settings_model import CorsSettings
from gateway.core.settings_pools import read_table
from gateway.core.settings_values import BadEntry, BadTableError, BadValueError, show, text

_HEADER = re.compile(r"[A-Za-z0-9-]+")
_WILDCARD = re.compile(r"https://\*\.(?P<rest>[a-z0-9_-]+(?:\.[a-z0-9_-]+)+(?::[0-9]{1,5})?)")


def cors(value: object) -> CorsSettings:
    """Read the table ``cors`` of a route.

    Raises:
        BadValueError, BadTableError: with what is wrong.
    """
    found: CorsSettings = _table(value)
    if "*" not in found.origins:
        return found
    if found.credentials:
        # Browsers refuse this, and whoever mirrors the origin instead lets every page act as the user.
        problem = "pages of any origin would act with the user's cookies"
        raise BadTableError([BadEntry("origins", show(found.origins), problem, "name the origins")])
    if len(found.origins) > 1:
        problem = "beside it the others say nothing"
        raise BadTableError([BadEntry("origins", show(found.origins), problem, 'write ["*"] alone, or the others')])
    return found


def _origin(value: object) -> str:
    found = text(value)
    if found == "*":
        return found
    if found == "null":
        raise BadValueError("any page can have the origin null: in a frame without rights", "name the page's origin")
    if "*" not in found:
        return addresses.origin(found)
    match = _WILDCARD.fullmatch(found)
    if match is None:
        fix = 'write "https://*.example.com": https, and the whole first label'
        raise BadValueError("a wildcard stands for what is below one site", fix)
    addresses.origin(f"https://{match['rest']}")
    return found


def _header(value: object) -> str:
    found = text(value)
    if not _HEADER.fullmatch(found):
        raise BadValueError("it is not the name of a header", 'write names like "X-Request-Id"')
    return found


_table = read_table(
    CorsSettings,
    {
        "origins": values.list_of(_origin, at_least=1),
        "methods": values.list_of(requests.method, at_least=1),
        "headers": values.list_of(_header),
        "expose": values.list_of(_header),
        "credentials": values.boolean,
        "max_age_s": values.integer(0, 86_400),
    },
    '{ origins = ["https://app.example.com"] }',
)
