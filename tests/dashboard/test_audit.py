"""Every form and every command that changes something leaves one line of the audit log; both are those that there are in the code."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import pytest
import pytest_asyncio
import structlog
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pushkeeper.cli import commands_of, main
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import cio_id
from pushkeeper.core.model import Content
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.page import Action
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.services.strikes import StrikeSelector
from pushkeeper.store.imports import NewImport
from pushkeeper.store.people.segments import Draft as Audience
from pushkeeper.store.webhooks import WebhookDefinition
from support.actors import BY
from support.dashboard import PASSWORD
from support.doors import all_page_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.dashboard import Place, Site

OPTIONS = {
    "ramp_s": "30",
    "suppress_after": "3",
    "min_strike_gap_s": "0",
    "max_pushes_per_s": "",
    "token_ownership": "move",
}
WEBHOOK = {"name": "ours", "endpoint": "https://hook.example/secret-path", "events": ["push_sent"]}
BROADCAST = {"name": "n", "title": "t", "message": "m", "filter": "everybody", "unit": "device"}

# What is sent by each form that is tried; None where it asks for nothing.
FORMS: dict[str, dict[str, Any] | None] = {
    "/workspaces": {"name": "another"},
    "/users": {"name": "new@example.com", "role": "viewer"},
    "/users/{user}/role": {"role": "operator"},
    "/users/{user}/link": None,
    "/users/{user}/disable": None,
    "/users/{user}/enable": None,
    "/w/{workspace}/settings/options": OPTIONS,
    "/w/{workspace}/settings/keys": {"kind": "app"},
    "/w/{workspace}/settings/keys/{kind}/{key}/revoke": None,
    "/w/{workspace}/routes/{route}/pause": {"reason": "maintenance"},
    "/w/{workspace}/routes/{route}/resume": None,
    "/w/{workspace}/routes/{route}/apply": None,
    "/w/{workspace}/routes/{route}/discard": None,
    "/w/{workspace}/routes/add/webpush": {"subject": "mailto:ops@example.com", "app": "web"},
    "/w/{workspace}/sending/pause": {"reason": "maintenance"},
    "/w/{workspace}/sending/resume": None,
    "/w/{workspace}/devices/delete": {"device": "{device}"},
    "/w/{workspace}/people/suppress": {"person": "{person}"},
    "/w/{workspace}/people/{person}/erase": None,
    "/w/{workspace}/devices/{device}/push": {"title": "t", "message": "m"},
    "/w/{workspace}/audiences/new": {"name": "new", "filter": "platform = ios", "unit": "device"},
    "/w/{workspace}/audiences/{audience}": {"name": "n", "filter": "platform = ios", "unit": "device"},
    "/w/{workspace}/audiences/{audience}/delete": None,
    "/w/{workspace}/broadcasts/new": BROADCAST,
    "/w/{workspace}/broadcasts/{broadcast}/edit": BROADCAST,
    "/w/{workspace}/broadcasts/{broadcast}/start": None,
    "/w/{workspace}/broadcasts/{broadcast}/pause": None,
    "/w/{workspace}/broadcasts/{broadcast}/resume": None,
    "/w/{workspace}/broadcasts/{broadcast}/cancel": None,
    "/w/{workspace}/undo/{undo}/go-on": None,
    "/w/{workspace}/exports": {"kind": "devices", "columns": "platform"},
    "/w/{workspace}/webhooks/add": WEBHOOK,
    "/w/{workspace}/webhooks/{webhook}/change": WEBHOOK,
    "/w/{workspace}/webhooks/{webhook}/pause": None,
    "/w/{workspace}/webhooks/{webhook}/enable": None,
    "/w/{workspace}/webhooks/{webhook}/ping": None,
    "/w/{workspace}/webhooks/{webhook}/delete": None,
    "/w/{workspace}/imports/{import}/apply": None,
    "/w/{workspace}/imports/{import}/map": {"mapping": 'token = "push_token"'},
    "/w/{workspace}/imports/{import}/cancel": None,
    "/w/{workspace}/jobs/{job_kind}/{job}/retry": None,
    "/w/{workspace}/jobs/{job_kind}/{job}/cancel": None,
}
_SIMULATOR = "it plays with simulated apps; what it queues are pushes"
# Forms that are tried elsewhere, or leave no line, and why.
OTHER_FORMS = {
    "/login": "test_gate.py",
    "/logout": "below",
    "/account": "below",
    "/link/{link}": "below",
    "/w/{workspace}/imports/new": "test_import_pages.py",
    "/w/{workspace}/undo": "test_undo_page.py",
    "/w/{workspace}/exports/{export}/cancel": "test_exports_page.py",
    "/w/{workspace}/routes/add/fcm": "below, by the command line",
    "/w/{workspace}/routes/add/apns": "below, by the command line",
    "/w/{workspace}/routes/credentials/{credential}/probe": "below",
    "/w/{workspace}/broadcasts/{broadcast}/preflight": "it counts again what is to be expected; what is sent stays",
    **{
        f"/w/{{workspace}}/simulator/{one}": _SIMULATOR for one in ("uninstall", "install", "push", "trouble")
    },
}

# The commands that change something, by what they are given.
_SURE = ("--yes",)
COMMANDS = {
    "workspace create": ("workspace.create", ["made-{random}"]),
    "workspace options": ("options.change", ["{name}", "--ramp-s", "30"]),
    "keys add": ("key.make", ["app", "--workspace", "{name}"]),
    "keys revoke": ("key.revoke", ["app", "{key}", "--yes", "--workspace", "{name}"]),
    "user add": ("user.add", ["{random}@example.com"]),
    "user link": ("user.link", ["{user_name}"]),
    "user role": ("user.role", ["{user_name}", "operator"]),
    "user disable": ("user.disable", ["{user_name}"]),
    "credentials add fcm": (
        "credentials.put",
        ["--service-account", "{files}/fcm.json", "--workspace", "{name}"],
    ),
    "credentials update fcm": (
        "credentials.put",
        ["--service-account", "{files}/fcm.json", "--workspace", "{name}"],
    ),
    **{
        f"credentials {verb} webpush": (
            "credentials.put",
            ["--subject", "mailto:ops@example.com", "--workspace", "{name}"],
        )
        for verb in ("add", "update")
    },
    **{
        f"credentials {verb} apns": (
            "credentials.put",
            [
                *("--key", "{files}/key.p8", "--key-id", "ABCDEFGHIJ", "--team-id", "ABCDEFGHIJ"),
                *("--topic", "com.example", "--environment", "sandbox", "--workspace", "{name}"),
            ],
        )
        for verb in ("add", "update")
    },
    **{
        f"routes {verb}": (f"route.{verb}", ["{route}", *sure, "--workspace", "{name}"])
        for verb, sure in (("pause", ()), ("resume", ()), ("apply", _SURE), ("discard", _SURE))
    },
    **{
        f"jobs {verb}": (f"job.{verb}", ["export", "{job}", *sure, "--workspace", "{name}"])
        for verb, sure in (("retry", ()), ("cancel", _SURE))
    },
    **{f"sending {verb}": (f"sending.{verb}", ["--workspace", "{name}"]) for verb in ("pause", "resume")},
    "person erase": ("person.erase", ["cio_{person}", "--yes", "--workspace", "{name}"]),
    "broadcast create": (
        "broadcast.make",
        ["everybody", "--title", "t", "--message", "m", "--workspace", "{name}"],
    ),
    "broadcast change": (
        "broadcast.change",
        ["{broadcast}", "everybody", "--title", "other", "--message", "m", "--workspace", "{name}"],
    ),
    **{
        f"broadcast {verb}": (f"broadcast.{verb}", ["{broadcast}", *sure, "--workspace", "{name}"])
        for verb, sure in (("start", _SURE), ("pause", ()), ("resume", ()), ("cancel", _SURE))
    },
    "undo": (
        "strikes.undo",
        ["--since", "{since}", "--until", "{until}", "--why", "x", "--yes", "--workspace", "{name}"],
    ),
    "import file": (
        "import.make",
        ["{files}/devices.csv", "--from", "generic", "--workspace", "{name}", "--no-wait"],
    ),
    "import customerio": (
        "import.make",
        ["--app-api-key", "a key of theirs", "--workspace", "{name}", "--no-wait"],
    ),
    "import apply": ("import.apply", ["{import}", "--workspace", "{name}", "--no-wait"]),
    "import cancel": ("import.cancel", ["{import}", "--workspace", "{name}"]),
    **{
        f"export {kind}": ("export.make", ["--workspace", "{name}", "--output", "{files}/exported"])
        for kind in ("devices", "people", "history", "pushes")
    },
    "export members": (
        "export.make",
        ["--audience", "{audience}", "--workspace", "{name}", "--output", "{files}/exported"],
    ),
    "send": ("push.send", ["--to", "ann", "--title", "t", "--message", "m", "--workspace", "{name}"]),
}
_RUNS, _READS = "it runs a process; what that changes has lines of its own", "it only reads"
OTHER_COMMANDS = {
    **dict.fromkeys(("demo", "serve", "worker", "simulate", "migrate", "postgres"), _RUNS),
    **dict.fromkeys(
        (
            *("doctor", "explain", "workspace list", "keys list", "keys map", "user list", "routes list"),
            "sending status",
            *(
                "jobs list",
                "device show",
                "device history",
                "person receipts",
                "export list",
                "import list",
                "import show",
                "import verify",
                "broadcast status",
                "broadcast list",
            ),
            *("audience count", "audience sample", "audience preview", "audience explain"),
            *("audience list", "audience show", "audit list", "broadcast list", "broadcast show"),
            *("credentials list", "device list", "device pushes", "events", "message list", "message show"),
            *("person list", "person show", "routes show", "template list", "template show"),
            *("webhook list", "webhook show", "workspace show"),
        ),
        _READS,
    ),
    "export cancel": "an export is cancelled while it runs, in services/test_streamed_exports.py",
    "broadcast preflight": "it counts again what is to be expected; what is sent stays",
    **dict.fromkeys(
        ("login", "logout", "context list", "context use", "completion"), "it is about this user's own files"
    ),
    "workspace env": "it makes three keys: test_keys.py",
    **dict.fromkeys(
        (
            *("audience create", "audience delete", "template create", "template change", "template delete"),
            *("webhook create", "webhook delete", "message send-draft", "message drop-draft"),
        ),
        "it makes a call of the API, which is tried in tests/api/test_audit.py",
    ),
}


@dataclass
class Things:
    """Something of each kind in a workspace."""

    place: Place
    parts: dict[str, str]

    async def lines(self) -> list[dict[str, Any]]:
        rows = await self.place.site.database.rows("select * from audit_log order by audit_id")
        return [dict(row) for row in rows]

    async def ready_for(self, what: str) -> None:
        """What is paused before it is resumed, and the like."""
        services, workspace = self.place.site.store.services, self.place.workspace.workspace_id
        number = int(self.parts["broadcast"])
        is_broadcast = "broadcast" in what
        if is_broadcast and what.endswith(("pause", "resume")):
            await services.broadcasts.start(BY, workspace, number)
        if is_broadcast and what.endswith("resume"):
            await services.broadcasts.pause(BY, workspace, number)
        if "import" in what and what.endswith(("apply", "map")):
            await self.place.site.database.rows(
                "update imports set state = 'done' where workspace_id = $1", workspace
            )
        if "sending" in what and what.endswith("resume"):
            await services.sending.pause(BY, workspace, "")
        if what.startswith("credentials update"):
            kind = what.rpartition(" ")[2]
            await self.run(f"credentials add {kind}")

    async def run(self, command: str) -> str:
        """Run a command in this process; a copy, because click keeps what it finds out about a command that runs."""
        _, given = COMMANDS[command]
        settings = self.place.site.database.url
        arguments = [*command.split(), *(one.format(**self.parts) for one in given)]
        arguments += ["--data", self.parts["folder"], "--database-url", settings, "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, deepcopy(main), arguments)
        assert done.exit_code == 0, done.output
        return done.output


@pytest_asyncio.fixture
async def things(site: Site, place: Place, folder: Path, tmp_path: Path) -> Things:
    services, workspace = site.store.services, place.workspace.workspace_id
    await place.credential()
    device = await place.device("ann")
    audience = Audience(name="n", filter="platform = android", unit=Unit.DEVICE)
    asked = BroadcastRequest(content=Content(title="t", message="m"), audience="everybody")
    webhook, _ = await services.webhooks.make(
        BY, workspace, WebhookDefinition(name="n", endpoint="https://a.example/", events=("push_sent",))
    )
    since = datetime.now(UTC) - timedelta(hours=1)
    undo = await services.strikes.begin(
        BY, workspace, StrikeSelector(since=since, until=datetime.now(UTC)), why="x"
    )
    user, _ = await services.accounts.add(BY, f"{secrets.token_hex(4)}@example.com", Role.VIEWER)
    export = await services.customerio_exports.of_people(BY, workspace, {"and": []})
    tried = NewImport(source="generic", name="devices.csv", options={})
    key = await services.api_keys.make(BY, workspace, "app")
    rsa_key = rsa.generate_private_key(65537, 2048)
    account = {
        "type": "service_account",
        "project_id": "another",
        "private_key_id": "1",
        "private_key": _pem(rsa_key),
        "client_email": "push@another.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    (tmp_path / "fcm.json").write_text(json.dumps(account))
    (tmp_path / "devices.csv").write_text("token,platform,person\n")
    (tmp_path / "key.p8").write_text(_pem(ec.generate_private_key(ec.SECP256R1())))
    if not structlog.is_configured():
        structlog.configure()
    parts = {
        "name": place.name,
        "workspace": place.name,
        "route": "fcm:project",
        "person": cio_id(device.person_id),
        "device": device.device_id.hex(),
        "audience": str((await services.audiences.make(BY, workspace, audience)).segment_id),
        "broadcast": str((await services.broadcasts.create(BY, workspace, asked)).broadcast_id),
        "webhook": str(webhook.webhook_id),
        "undo": str(undo),
        "user": str(user.user_id),
        "user_name": user.name,
        "job_kind": "export",
        "job": str(export.export_id),
        "import": str((await services.imports.make(BY, workspace, tried, _file())).import_id),
        "kind": "app",
        "key": key.key_id,
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "random": secrets.token_hex(4),
        "folder": str(folder),
        "files": str(tmp_path),
    }
    return Things(place, parts)


async def _file() -> AsyncIterator[bytes]:
    yield b"token,platform,person\n"


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_every_form_is_tried_or_has_a_reason_not_to_be(site: Site) -> None:
    changes = {door.path for door in all_page_routes(site) if isinstance(door, Action)}
    assert changes == set(FORMS) | set(OTHER_FORMS)
    assert not set(FORMS) & set(OTHER_FORMS)


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_leaves_one_line_with_the_user_and_their_address(
    site: Site, things: Things, path: str
) -> None:
    [door] = [one for one in all_page_routes(site) if isinstance(one, Action) and one.path == path]
    await things.ready_for(path)
    admin = site.browser(Role.ADMIN)
    filled = re.sub(r"{([^}]+)}", lambda match: quote(things.parts[match[1]], safe=""), path)
    given = dict(FORMS[path] or {})
    given = {
        name: things.parts.get(text[1:-1], text) if isinstance(text, str) else text
        for name, text in given.items()
    }
    if path == "/workspaces":
        given["name"] = f"another-{things.parts['random']}"
    if path == "/users":
        given["name"] = f"new-{things.parts['random']}@example.com"
    before = len(await things.lines())
    seen = await admin.post(filled, given)
    assert seen.status in {200, 303}, seen.text
    [line] = (await things.lines())[before:]
    assert (line["actor"], line["action"], line["outcome"]) == ("user", door.action, "done")
    assert (line["user_name"], line["address"]) == ("admin@example.com", "127.0.0.1")
    assert line["workspace"] == (things.place.name if "{workspace}" in path else "")
    said = " ".join(map(str, line.values()))
    assert "secret-path" not in said
    assert not [secret for secret in re.findall(r"<code>([^<]{32,})</code>", seen.text) if secret in said]


async def test_a_session_leaves_its_lines(site: Site, things: Things) -> None:
    """Set by a link, logged in by it, another password, logged out: one line each, and no password or link in them."""
    user = await site.users.named(things.parts["user_name"])
    entry = await site.users.new_link(BY, user.user_id)
    before, browser = len(await things.lines()), site.browser()
    again = f"{PASSWORD} again"
    assert (
        await browser.post(f"/link/{entry.token}", {"password": PASSWORD, "again": PASSWORD})
    ).status == 303
    changed = {"former": PASSWORD, "password": again, "again": again}
    assert (await browser.post("/account", changed)).status == 303
    assert (await browser.post("/logout")).status == 303
    entered = await site.browser().post("/login", {"name": user.name, "password": again})
    assert entered.status == 303
    found = (await things.lines())[before:]
    assert [line["action"] for line in found] == [
        *("user.set_password", "user.change_password", "user.log_out", "user.log_in")
    ]
    assert {(line["actor"], line["user_name"], line["outcome"]) for line in found} == {
        ("user", user.name, "done")
    }
    said = str([list(map(str, line.values())) for line in found])
    assert PASSWORD not in said
    assert entry.token not in said


async def test_a_credential_that_is_opened_leaves_a_line(site: Site, things: Things) -> None:
    credentials = site.store.services.credentials
    [one] = await credentials.of_workspace(things.place.workspace.workspace_id)
    before = len(await things.lines())
    await credentials.opened(BY, things.place.workspace.workspace_id, one.credential_id)
    [line] = (await things.lines())[before:]
    assert (line["action"], line["target"]) == ("credentials.probe", "fcm:project")


def test_every_command_is_tried_or_has_a_reason_not_to_be() -> None:
    assert set(commands(main)) == set(COMMANDS) | set(OTHER_COMMANDS)
    assert not set(COMMANDS) & set(OTHER_COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_leaves_one_line_with_who_ran_it(things: Things, command: str) -> None:
    action, given = COMMANDS[command]
    await things.ready_for(command)
    before = len(await things.lines())
    printed = await things.run(command)
    [line] = (await things.lines())[before:]
    assert (line["actor"], line["action"], line["outcome"]) == ("command_line", action, "done")
    assert line["user_name"]
    assert line["user_id"] is None
    assert line["workspace"] == (
        things.place.name if "--workspace" in given or command == "workspace options" else ""
    )
    said = " ".join(map(str, line.values()))
    shown = json.loads(printed)
    secrets_of_it = [shown.get(name) for name in ("api_key", "app_api_key", "write_key", "url")]
    assert not [secret for secret in secrets_of_it if secret and secret in said]


def commands(group: click.Group, before: str = "") -> list[str]:
    """All commands, each with the groups that it is in."""
    found: list[str] = []
    for name, command in commands_of(group).items():
        here = f"{before} {name}".strip()
        found += commands(command, here) if isinstance(command, click.Group) else [here]
    return found
