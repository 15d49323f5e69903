"""With which keys a workspace sends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.client import client_of
from pushkeeper.cli.common import TaskGroup, answer, as_json, in_workspace, on_api, on_store, run, table
from pushkeeper.cli.times import ago
from pushkeeper.cli.use_cases import actor, with_workspace
from pushkeeper.core.model import Environment, Provider
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.credentials import NewCredential
    from pushkeeper.services.services import Services

READABLE = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=TaskGroup)
def credentials() -> None:
    """Manage the credentials of push services."""


@credentials.command("list")
@on_api
def credentials_list(*, name: str | None, json: bool, **options: Any) -> None:
    """List credentials, without their secrets."""
    with client_of(options, name) as client:
        found = client.get("/api/v1/credentials")
    rows = [
        [
            one["provider"],
            one["app"],
            one["environment"] if one["provider"] == "apns" else "-",
            one["kind"],
            "-" if one["facts"].get("expires_at") is None else ago(one["facts"]["expires_at"]),
            ago(one["changed_at"]),
        ]
        for one in found["credentials"]
    ]
    headings = ["provider", "app", "environment", "kind", "expires", "changed"]
    answer(found, table(rows, headings) if rows else "No credentials yet.", json=json)


@credentials.group("add", cls=TaskGroup)
def credentials_add() -> None:
    """Add credentials. Existing ones for the same app and environment are replaced."""


@credentials.group("update", cls=TaskGroup)
def credentials_update() -> None:
    """Replace existing credentials. Their routes resume and held pushes are resent."""


def _fcm_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            in_workspace,
            click.option(
                "--service-account",
                metavar="FILE",
                type=READABLE,
                required=True,
                help="Service account (JSON).",
            ),
            click.option("--endpoint", metavar="URL", help="Custom endpoint instead of Google's."),
            click.option("--ca", metavar="FILE", type=READABLE, help="Custom CA certificate (PEM)."),
            on_store,
            as_json,
        )
    ):
        command = option(command)
    return command


def _apns_options(command: Callable[..., None]) -> Callable[..., None]:
    environments = click.Choice([environment.value for environment in Environment])
    for option in reversed(
        (
            in_workspace,
            click.option("--key", metavar="FILE", type=READABLE, help="Signing key (.p8)."),
            click.option("--key-id", metavar="ID", help="Key ID (10 characters)."),
            click.option("--team-id", metavar="ID", help="Team ID (10 characters)."),
            click.option(
                "--certificate",
                metavar="FILE",
                type=READABLE,
                help="Certificate with its private key (PEM), instead of a signing key.",
            ),
            click.option("--topic", metavar="TOPIC", required=True, help="The app's bundle ID."),
            click.option("--environment", type=environments, required=True),
            click.option("--endpoint", metavar="URL", help="Custom endpoint instead of Apple's."),
            click.option("--ca", metavar="FILE", type=READABLE, help="Custom CA certificate (PEM)."),
            on_store,
            as_json,
        )
    ):
        command = option(command)
    return command


def _webpush_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            in_workspace,
            click.option(
                "--subject",
                metavar="SUBJECT",
                required=True,
                help="How push services can reach you: mailto:ADDRESS, or an https URL.",
            ),
            click.option(
                "--private-key",
                metavar="FILE",
                type=READABLE,
                help="Existing VAPID private key (PEM, or URL-safe base64) instead of a new one.",
            ),
            click.option(
                "--app", metavar="NAME", default="web", help="Name of the site, if there are several."
            ),
            click.option("--endpoint", metavar="URL", help="Custom endpoint instead of the browsers'."),
            click.option("--ca", metavar="FILE", type=READABLE, help="Custom CA certificate (PEM)."),
            on_store,
            as_json,
        )
    ):
        command = option(command)
    return command


@credentials_add.command("webpush")
@_webpush_options
def add_webpush(*, name: str, json: bool, **options: Any) -> None:
    """Add a VAPID key for Web Push. An existing key is kept for the browsers that subscribed with it."""
    _put(name, _webpush(options), json=json, options=options)


@credentials_update.command("webpush")
@_webpush_options
@click.option("--keep-key", is_flag=True, help="Change everything but the key.")
def update_webpush(*, name: str, json: bool, keep_key: bool, **options: Any) -> None:
    """Replace the VAPID key. Browsers stay on the former key until they subscribe again."""
    if keep_key and options["private_key"] is not None:
        raise BadRequest("private_key", "cannot be combined with --keep-key.", "conflicting_fields")
    _put(name, _webpush(options), json=json, options=options, must_exist=True, keep_key=keep_key)


@credentials_add.command("fcm", short_help="Add an FCM service account.")
@_fcm_options
def add_fcm(*, name: str, json: bool, **options: Any) -> None:
    """Add an FCM service account, for Android and for iOS apps that use Firebase."""
    _put(name, _fcm(options), json=json, options=options)


@credentials_update.command("fcm")
@_fcm_options
def update_fcm(*, name: str, json: bool, **options: Any) -> None:
    """Replace the service account of an FCM project."""
    _put(name, _fcm(options), json=json, options=options, must_exist=True)


@credentials_add.command("apns")
@_apns_options
def add_apns(*, name: str, json: bool, **options: Any) -> None:
    """Add an APNs signing key or certificate."""
    _put(name, _apns(options), json=json, options=options)


@credentials_update.command("apns", short_help="Replace a signing key or certificate.")
@_apns_options
def update_apns(*, name: str, json: bool, **options: Any) -> None:
    """Replace the signing key or certificate of a topic and environment."""
    _put(name, _apns(options), json=json, options=options, must_exist=True)


def _fcm(options: dict[str, Any]) -> NewCredential:
    """The credential that these options describe, which it takes."""
    from pushkeeper import wiring

    account = _bytes(options.pop("service_account"), "--service-account")
    ca_pem = _text(options.pop("ca"), "--ca")
    return wiring.fcm_credential(account, endpoint_url=options.pop("endpoint"), ca_pem=ca_pem)


def _webpush(options: dict[str, Any]) -> NewCredential:
    """The credential that these options describe, which it takes."""
    from pushkeeper import wiring

    file = options.pop("private_key")
    return wiring.vapid_credential(
        subject=options.pop("subject"),
        app=options.pop("app"),
        private_key=None if file is None else _bytes(file, "--private-key"),
        endpoint_url=options.pop("endpoint"),
        ca_pem=_text(options.pop("ca"), "--ca"),
    )


def _apns(options: dict[str, Any]) -> NewCredential:
    """The credential that these options describe, which it takes."""
    from pushkeeper import wiring

    key, certificate = options.pop("key"), options.pop("certificate")
    key_id, team_id = options.pop("key_id"), options.pop("team_id")
    app = wiring.AppleApp(
        topic=options.pop("topic"),
        environment=Environment(options.pop("environment")),
        endpoint_url=options.pop("endpoint"),
        ca_pem=_text(options.pop("ca"), "--ca"),
    )
    if (key is None) == (certificate is None):
        raise BadRequest("key", "Provide exactly one of --key and --certificate", is_sentence=True)
    if certificate is not None:
        return wiring.apns_certificate(_bytes(certificate, "--certificate"), app)
    return wiring.apns_key(_bytes(key, "--key"), key_id=key_id or "", team_id=team_id or "", app=app)


def _put(
    name: str,
    new: NewCredential,
    *,
    json: bool,
    options: dict[str, Any],
    must_exist: bool = False,
    keep_key: bool = False,
) -> None:
    from pushkeeper.services.credentials import EXPIRES_SOON

    async def work(services: Services, workspace: WorkspaceId) -> tuple[int, dict[str, Any], int]:
        own = services.credentials
        made, _ = await own.put(actor(), workspace, new, must_exist=must_exist, keep_key=keep_key)
        [stored] = [one for one in await own.of_workspace(workspace) if one.credential_id == made]
        return made, stored.facts, await own.on_former_keys(workspace, made)

    credential_id, facts, left = run(with_workspace(name, options, work))
    shown = {
        "credential_id": credential_id,
        "workspace": name,
        "provider": new.provider,
        "kind": new.kind,
        "app": new.app,
        **({"environment": new.environment} if new.provider is Provider.APNS else {}),
        **facts,
        **({"devices_on_former_keys": left} if new.provider is Provider.WEBPUSH else {}),
    }
    text = f"Saved {new.provider.value} credentials for {new.app} in {name!r}, encrypted."
    if new.provider is Provider.WEBPUSH:
        text += f"\nPublic key: {facts['public_key']}"
    if left:
        text += (
            f"\n{left} browsers are subscribed with a former key, which is kept until they subscribe again."
        )
    ends_at = new.facts.get("expires_at")
    if ends_at is not None and ends_at - datetime.now(UTC) < EXPIRES_SOON:
        text += f" The certificate expires on {ends_at:%Y-%m-%d}. Get a new one, or a .p8 key, which does not expire."
    answer(shown, text, json=json)


def _bytes(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadRequest(option, f"{file} cannot be read ({error.strerror})") from error


def _text(file: Path | None, option: str) -> str | None:
    if file is None:
        return None
    try:
        return _bytes(file, option).decode()
    except UnicodeDecodeError as error:
        raise BadRequest(option, f"{file} is not PEM") from error
