"""``gateway authority``: run the embedded session authority on its own, or look after its database.

Without a subcommand it serves (:mod:`gateway.cli.authority_serving`). Standard output gets the description, standard
error everything else. The subcommands live in modules of their own, imported when they are asked for.
"""

from typing import ClassVar

import click
from click.core import ParameterSource

from gateway.cli.common_options import control_option, seed_option, webhook_option
from gateway.cli.exit_codes import EPILOG, ExitCode
from gateway.cli.groups import LazyGroup
from gateway.core.instance import InstanceKind


class Authority(LazyGroup):
    """The authority's subcommands; without one it serves."""

    modules: ClassVar = {
        "keys": "gateway.cli.authority_keys",
        "organizations": "gateway.cli.authority_organizations",
        "roles": "gateway.cli.authority_roles",
        "users": "gateway.cli.authority_users",
        "webhooks": "gateway.cli.authority_webhooks",
    }


@click.group(
    "authority",
    cls=Authority,
    epilog=EPILOG,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
)
@click.option(
    "--listen", default="127.0.0.1:8001", show_default=True, metavar="HOST:PORT", help="Port 0: any free one."
)
@click.option("--origin", metavar="URL", help="How browsers reach it, if not at the address it listens on.")
@seed_option
@click.option("--db", metavar="FILE", help="SQLite file that keeps keys and sessions; without it they end with it.")
@click.option(
    "--instance",
    type=click.Choice([kind.value for kind in InstanceKind]),
    default=InstanceKind.DEVELOPMENT.value,
    show_default=True,
    help="Production sets Secure cookies, knows no dev browser, and begins with nobody.",
)
@click.option(
    "--token-lifetime",
    "token_lifetime_s",
    type=click.IntRange(1, 315_360_000),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Lifetime of session tokens.",
)
@click.option(
    "--keep-inactive",
    "inactive_retention_s",
    type=click.IntRange(1, 315_360_000),
    default=30 * 24 * 60 * 60,
    show_default=True,
    metavar="SECONDS",
    help="How long sessions that are over are still listed; then they are purged.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    multiple=True,
    metavar="URL",
    help="An origin that browsers may return to, and whose pages may call the Frontend API; repeat it for more. Without"
    " it: any for development, or with a sign-in check those of this machine; for production only the authority's own.",
)
@click.option(
    "--sign-in-check",
    metavar="password|MODULE:FUNCTION",
    help="Ask for email address and password, and check them: 'password' against the hashes in the database, or with"
    " an async function of your own that returns a user id or None. Production needs one; without it anybody can be"
    " anybody.",
)
@click.option(
    "--trust-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="NETWORK",
    help="A proxy in front whose X-Forwarded-For names the browser, for the limit of attempts and for webhooks.",
)
@click.option(
    "--require-organization",
    "requires_organization",
    is_flag=True,
    help="A session stays pending until its user chooses an organization.",
)
@click.option(
    "--session-claims",
    metavar="FILE",
    help='Add the claims of this JSON file to session tokens, e.g. {"team": "{{org.slug}}"}, as in a JWT template.',
)
@click.option(
    "--allow-remote", "is_remote_allowed", is_flag=True, help="Let other machines reach it, in a closed network."
)
@control_option
@webhook_option
@click.option(
    "--webhook-secret-file",
    metavar="FILE",
    help="File with the secret that signs them (whsec_...); without it one is made and printed.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one line of JSON once it accepts connections.")
@click.pass_context
def command(ctx: click.Context, /, *, is_json: bool, **options: str | int | bool | tuple[str, ...] | None) -> int:
    """Run a session authority: Backend API, Frontend API and a sign-in page for development.

    It has users, organizations and keys of its own and needs no network. Without --sign-in-check anybody who can
    reach it can sign in as anybody, so it listens on this machine only. The commands below look after its database,
    also while it runs.

    \b
    Examples:
      gateway authority
      gateway authority --db authority.db --listen 127.0.0.1:9001
      gateway authority --listen 127.0.0.1:0 --json | jq -r .publishable_key
      gateway authority --db authority.db --instance production --sign-in-check password \\
        --origin https://auth.example.com --allow-origin https://app.example.com
      gateway authority --webhook http://127.0.0.1:3000/api/webhooks
      gateway authority keys list --db authority.db
    """
    if ctx.invoked_subcommand is not None:
        refuse_options_of_serving(ctx)
        return ExitCode.OK
    from gateway.cli.authority_options import AuthorityOptions  # noqa: PLC0415 - subcommands do without a server
    from gateway.cli.authority_serving import serve  # noqa: PLC0415

    return serve(AuthorityOptions(**options), is_json=is_json)  # type: ignore[arg-type]  # click has checked them


def refuse_options_of_serving(ctx: click.Context) -> None:
    """Refuse what stands before a subcommand: it would have no effect there.

    Raises:
        click.UsageError: naming the option and where the subcommand's own go.
    """
    for parameter in ctx.command.params:
        if parameter.name and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            problem = (
                f"{parameter.opts[0]} is an option of serving; the options of '{ctx.invoked_subcommand}' follow it"
            )
            raise click.UsageError(problem, ctx)
