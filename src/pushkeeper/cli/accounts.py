"""Users of the dashboard: made, listed, let in and kept out, for when nobody who could do so can log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, on_store, run, settings_of, table
from pushkeeper.cli.use_cases import actor, with_services
from pushkeeper.core.roles import Role

if TYPE_CHECKING:
    from pushkeeper.services.accounts import Entry, User
    from pushkeeper.services.services import Services

_ROLES = click.Choice([role.value for role in Role])


@click.group(short_help="Manage dashboard users.")
def user() -> None:
    """Manage dashboard users.

    Admins can do the same in the dashboard; use this when no admin can log in.
    """


@user.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, default=Role.VIEWER.value, show_default=True, help="The user's role.")
@on_store
@as_json
def user_add(*, name: str, role: str, json: bool, **options: Any) -> None:
    """Create the user NAME and print a link to set the password."""

    async def work(services: Services) -> tuple[User, Entry]:
        return await services.accounts.add(actor(), name, Role(role))

    # The options are read once more, for the link.
    made, entry = run(with_services(dict(options), work, creates=True))
    _show_link(made, entry, options, json=json)


@user.command("list")
@on_store
@as_json
def user_list(*, json: bool, **options: Any) -> None:
    """List users with their last login."""
    found = run(with_services(options, lambda services: services.accounts.all()))
    shown = [
        {
            "name": one.name,
            "role": one.role,
            "state": _state(one),
            "created_at": one.created_at,
            "seen_at": one.seen_at,
        }
        for one in found
    ]
    rows = [
        [one.name, one.role.value, _state(one), f"{one.seen_at:%Y-%m-%d}" if one.seen_at else "never"]
        for one in found
    ]
    text = table(rows, ["name", "role", "state", "last login"]) if rows else "No users yet."
    answer({"users": shown}, text, json=json)


@user.command("link")
@click.argument("name")
@on_store
@as_json
def user_link(*, name: str, json: bool, **options: Any) -> None:
    """Print a link to reset the password of the user NAME."""

    async def work(services: Services) -> tuple[User, Entry]:
        found = await services.accounts.named(name)
        return found, await services.accounts.new_link(actor(), found.user_id)

    found, entry = run(with_services(dict(options), work))
    _show_link(found, entry, options, json=json)


@user.command("role")
@click.argument("name")
@click.argument("role", type=_ROLES)
@on_store
@as_json
def user_role(*, name: str, role: str, json: bool, **options: Any) -> None:
    """Set the role of the user NAME."""

    async def work(services: Services) -> None:
        found = await services.accounts.named(name)
        await services.accounts.set_role(actor(), found.user_id, Role(role))

    run(with_services(options, work))
    answer({"name": name, "role": role}, f"{name} is now {role}.", json=json)


@user.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Enable the account again.")
@on_store
@as_json
def user_disable(*, name: str, undo: bool, json: bool, **options: Any) -> None:
    """Disable the user NAME and end all sessions."""

    async def work(services: Services) -> None:
        found = await services.accounts.named(name)
        change = services.accounts.enable if undo else services.accounts.disable
        await change(actor(), found.user_id)

    run(with_services(options, work))
    text = f"{name} is enabled." if undo else f"{name} is disabled and signed out."
    answer({"name": name, "disabled": not undo}, text, json=json)


def _show_link(found: User, entry: Entry, options: dict[str, Any], *, json: bool) -> None:
    settings = settings_of(options)
    url = (settings.public_url or f"http://localhost:{settings.port}").rstrip("/")
    link = f"{url}/link/{entry.token}"
    shown = {"name": found.name, "role": found.role, "url": link, "expires_at": entry.expires_at}
    until = f"{entry.expires_at:%Y-%m-%d %H:%M} UTC"
    text = f"Link for {found.name} to set a password (works once, until {until}):\n  {link}"
    answer(shown, text, json=json)


def _state(user: User) -> str:
    if user.disabled_at is not None:
        return "disabled"
    return "active" if user.ready else "invited"
