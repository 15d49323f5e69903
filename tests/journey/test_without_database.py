"""Commands without a database: each says in a line what is wrong with it, and what serves waits for it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import sys
import tempfile
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pushkeeper.cli import commands_of, main
from pushkeeper.store.db.embedded import EmbeddedPostgres
from support.processes import CLEAN
from support.wire import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pushkeeper.store.db.database import Database

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
WAIT = {("serve",), ("worker",)}
ASK_NOTHING = {("postgres",)}  # it runs a program, which does
# What a command wants before it asks the database, besides what it requires by itself.
_APNS = ("--key", "{key}", "--key-id", "ABC123DEFG", "--team-id", "TEAM123456", "--topic", "com.example")
_WEBPUSH = ("--subject", "mailto:ops@example.com")
MORE = {
    ("credentials", "add", "apns"): _APNS,
    ("credentials", "update", "apns"): _APNS,
    ("credentials", "add", "webpush"): _WEBPUSH,
    ("credentials", "update", "webpush"): _WEBPUSH,
    ("import", "customerio"): ("--app-api-key", "x"),
    ("broadcast", "create"): ("platform = ios",),
    ("broadcast", "change"): ("platform = ios",),
    ("undo",): ("--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z"),
}


def _commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in commands_of(group).items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        elif any(parameter.name == "database_url" for parameter in command.params):
            yield (*path, name), command


COMMANDS = {path: command for path, command in _commands(main) if path not in WAIT | ASK_NOTHING}


def _value(parameter: click.Parameter, file: Path) -> str:
    match parameter.type:
        case click.Choice(choices=choices):
            return str(choices[0])
        case click.types.IntParamType():
            return "1"
        case click.Path() | click.File():
            return str(file)
        case _:
            return "x"


def _run(path: tuple[str, ...], url: str, file: Path) -> Result:
    more = [word.format(key=file.with_name("key.p8")) for word in MORE.get(path, ())]
    words = [*path, "--database-url", url, "--data", str(file.parent / "data")]
    arguments = []
    for parameter in COMMANDS[path].params:
        if parameter.opts[0] == "--yes":
            words.append("--yes")
        if not parameter.required or parameter.opts[0] in more:
            continue
        if isinstance(parameter, click.Option):
            words += [parameter.opts[0], _value(parameter, file)]
        else:
            arguments.append(_value(parameter, file))
    return CliRunner(env={"PUSHKEEPER_SECRET_KEY": KEY}).invoke(main, [*words, *arguments, *more])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is a service account, beside a key of APNs."""
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "project",
        "client_email": "somebody@example.com",
        "private_key_id": "1",
        "private_key": rsa.generate_private_key(65_537, 2_048).private_bytes(*pem).decode(),
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    folder = tmp_path_factory.mktemp("files")
    (folder / "key.p8").write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem))
    made = folder / "account.json"
    made.write_text(json.dumps(account))
    return made


@pytest.fixture(scope="module")
def standby() -> Iterator[str]:
    """The address of a server that follows another."""
    with tempfile.TemporaryDirectory(prefix="pk-") as path:
        server = EmbeddedPostgres(Path(path))
        server.start()
        server.stop()
        (Path(path) / "postgres" / "standby.signal").touch()
        yield server.start()
        server.stop()


@pytest.fixture
def nobody() -> Iterator[socket.socket]:
    """A socket that refuses, until it listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken


def _says_in_a_line(path: tuple[str, ...], result: Result, *words: str) -> None:
    assert result.exit_code == 1, (path, result.output, result.stderr)
    assert isinstance(result.exception, SystemExit), path
    said = result.stdout if path == ("doctor",) else result.stderr
    assert all(word in said for word in words), (path, said)
    if path != ("doctor",):
        assert len(said.strip().splitlines()) == 1, said


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_database_that_does_not_answer_is_told_in_a_line(path, nobody, file) -> None:
    port = nobody.getsockname()[1]
    result = _run(path, f"postgresql://somebody@127.0.0.1:{port}/none", file)
    _says_in_a_line(path, result, "no PostgreSQL answers", f"127.0.0.1:{port}/none")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_standby_is_called_one(path, standby, file) -> None:
    _says_in_a_line(path, _run(path, standby, file), "is a standby")


@pytest.mark.parametrize("path", sorted(WAIT), ids=" ".join)
async def test_what_serves_waits_for_its_database(path, database, nobody, tmp_path) -> None:
    more = ("--port", "0") if path == ("serve",) else ()
    async with _waiting(database, nobody, tmp_path, *path, *more) as process:
        await _logged(process, "start_waits_for_the_database")
        async with wire(database.url, nobody):
            assert json.loads(await process.stdout.readline())["pid"] == process.pid
            process.terminate()
            assert await process.wait() == 0


@pytest.mark.parametrize("more", [(), ("--processes", "2"), ("--tls-self-signed",)], ids=" ".join)
async def test_while_it_waits_it_is_alive_and_says_when_to_come_back(
    more, database, nobody, tmp_path
) -> None:
    async with _waiting(database, nobody, tmp_path, "serve", "--port", "0", *more) as process:
        port = (await _logged(process, "answering_while_starting"))["port"]
        assert (await _asked(port, more, "GET", "/healthz"))[0] == 200
        for method, path in (
            ("GET", "/readyz"),
            ("PUT", "/api/v1/customers/1"),
            ("GET", "/"),
            ("GET", "/metrics"),
        ):
            status, headers, said = await _asked(port, more, method, path)
            assert status == 503
            assert 1 <= int(headers["retry-after"]) <= 10
            assert "the database does not answer" in said
            assert str(nobody.getsockname()[1]) not in said
        async with wire(database.url, nobody):
            statuses = {503}
            while 200 not in statuses:
                statuses.add((await _asked(port, more, "GET", "/readyz"))[0])
            assert statuses == {200, 503}
            facts = json.loads(await process.stdout.readline())
            assert urlsplit(facts["url"]).port == port
            process.terminate()
            assert await process.wait() == 0


async def _asked(port: int, more: tuple[str, ...], method: str, path: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of one call, on a connection of its own."""
    secured = "--tls-self-signed" in more

    def ask() -> tuple[int, dict[str, str], str]:
        connection = (
            http.client.HTTPSConnection(
                "localhost", port, timeout=60, context=ssl._create_unverified_context()
            )
            if secured
            else http.client.HTTPConnection("localhost", port, timeout=60)
        )
        with closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()

    return await asyncio.to_thread(ask)


async def _logged(process: Any, event: str) -> dict[str, Any]:
    """The next line of the log about this event."""
    while event.encode() not in (said := await process.stderr.readline()):
        assert said, "it ended"
    found: dict[str, Any] = json.loads(said)
    return found


@asynccontextmanager
async def _waiting(
    database: Database, nobody: socket.socket, folder: Path, *command: str
) -> AsyncIterator[Any]:
    """A process whose database does not answer yet."""
    name = urlsplit(database.url)
    url = f"postgresql://{name.username}@/{name.path.lstrip('/')}?host=127.0.0.1:{nobody.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pushkeeper", *command, "--json", "--data", str(folder)),
        env={**CLEAN, "PUSHKEEPER_SECRET_KEY": KEY, "PUSHKEEPER_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
