"""One Jinja2 environment for all pages: what is put into a page is escaped, and a missing value is an error.

The environment is made at the first page, not at import: a middleware that never shows a page pays nothing for it.
The pages contain no script and load nothing, so they need no nonce; their stylesheet is named in the content security
policy by its hash (CSP Level 3, section 2.3.1).
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def stylesheet() -> str:
    """The text of the stylesheet that stands in every page."""
    return files("gateway.pages").joinpath("templates", "style.css").read_text(encoding="utf-8")


@cache
def page_headers(*, has_form: bool) -> tuple[tuple[str, str], ...]:
    """The response headers that belong to a page of this package, names in lower case.

    Args:
        has_form: whether the page has a form. Its ``form-action`` is then left open, because browsers apply it to the
            redirects after the form too, and those lead to other origins (sign-in, handshake).
    """
    digest = base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()
    directives = ["default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:", "base-uri 'none'"]
    directives += ["frame-ancestors 'none'"] + ([] if has_form else ["form-action 'none'"])
    return (
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", "; ".join(directives)),
        ("cache-control", "no-store"),
        # not no-referrer: with it, browsers send "Origin: null" with forms (Fetch, "append a request Origin header")
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
    )


def render_page(template: str, values: dict[str, object]) -> str:
    """Fill a template.

    Args:
        template: file name in ``gateway/pages/templates``.
        values: what the template names; all of it is escaped.

    Raises:
        jinja2.UndefinedError: the template names something that was not given.
    """
    page = _environment().get_template(template).render(values)
    # a lone surrogate (possible in JSON) cannot be encoded and would turn the page into an error
    return page.encode("utf-8", "replace").decode("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["stylesheet"] = stylesheet()
    return environment
