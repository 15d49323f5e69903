"""Calls of the API: over HTTP where the command is about another server, and in this process where it is about its own database."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from pushkeeper.cli import contexts
from pushkeeper.errors import BadRequest, Misconfigured, NotFound, PushkeeperError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pushkeeper.cli.contexts import Context
    from pushkeeper.services.services import Services
    from pushkeeper.services.workspaces import Workspace

Send: TypeAlias = "Callable[[str, str, bytes], tuple[int, bytes]]"

_WITHIN_S = 120.0
_LARGEST_ANSWER = 200_000_000
_FAILED = 400
_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict"}


class Refused(PushkeeperError):
    """The API refused a call; `code`, `field` and `path` are those of its answer."""

    def __init__(self, status: int, answer: Any) -> None:
        error = answer.get("error") if isinstance(answer, dict) else None
        found: dict[str, Any] = error if isinstance(error, dict) else {"message": _message(answer, status)}
        super().__init__(str(found.get("message", f"the server answered {status}")))
        self.code = str(found.get("code", _CODES.get(status, "internal_error")))
        self.where = {name: found[name] for name in ("field", "path") if name in found}
        self._is_sentence = "code" in found  # our own API says its errors in sentences

    @property
    def sentence(self) -> str:
        """What the server said."""
        return self.message if self._is_sentence else super().sentence


class Client:
    """The API, in one workspace.

    Attributes:
        workspace: its name; empty where the key alone says which it is.
        run_here: does something with the services where they are in this process; None elsewhere.
    """

    def __init__(self, send: Send, workspace: str, run_here: Callable[..., Any] | None = None) -> None:
        self._send = send
        self.workspace = workspace
        self.run_here = run_here

    def get(self, path: str, **query: Any) -> Any:
        """What is there."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: object = None, **query: Any) -> Any:
        """What a call answers that makes or does something."""
        return self.call("POST", path, body=body, query=query)

    def call(
        self, method: str, path: str, *, body: object = None, query: dict[str, Any] | None = None
    ) -> Any:
        """What a call answers, as JSON has it; None where it says nothing.

        Parts of the query that are None are left out.

        Raises:
            PushkeeperError: it is refused, or the server is not there.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        status, found = self._send(method, target, b"" if body is None else msgspec.json.encode(body))
        try:
            answer = msgspec.json.decode(found) if found.strip() else None
        except msgspec.DecodeError:
            answer = None
            if status < _FAILED:
                raise Unreachable(
                    "the server answered, but not in JSON: is this the address of Pushkeeper?"
                ) from None
        if status >= _FAILED:
            raise Refused(status, answer)
        return answer

    def all(self, path: str, key: str, *, limit: int, **query: Any) -> list[Any]:
        """The items of a list, page after page, at most so many."""
        found: list[Any] = []
        start = None
        while len(found) < limit:
            page = self.get(path, **query, limit=min(limit - len(found), 100), start=start)
            found += page[key]
            if not (start := page.get("next")):
                break
        return found[:limit]


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


@contextmanager
def client_of(options: dict[str, Any], workspace: str | None) -> Iterator[Client]:
    """The API that these options mean, in the workspace of this name.

    Raises:
        PushkeeperError: there is no such context, workspace or database, or it does not say which workspace.
    """
    if (context := contexts.chosen(options)) is None:
        with _of_this_machine(options, workspace) as client:
            yield client
        return
    if workspace is not None and context.workspace and workspace != context.workspace:
        raise BadRequest(
            "workspace",
            f"The key of this context opens the workspace {context.workspace!r}, not {workspace!r}. "
            "Log in with a key of that workspace",
            is_sentence=True,
        )
    yield of_context(context)


def of_context(context: Context) -> Client:
    """The API of another server.

    Raises:
        BadRequest: a key cannot be sent safely to its address.
        Misconfigured: its certificate authority cannot be read.
    """
    contexts.require_safe(context.url)
    import ssl
    from urllib.request import HTTPSHandler, ProxyHandler, build_opener

    try:
        tls = ssl.create_default_context(cafile=context.ca_file)
    except OSError as error:
        raise Misconfigured(
            f"{context.ca_file}: cannot be read as certificates ({error.strerror})"
        ) from error
    opener = build_opener(ProxyHandler(), HTTPSHandler(context=tls), _no_redirects())
    headers = {"Authorization": f"Bearer {context.key}", "User-Agent": "pushkeeper"}

    def send(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        return _over_http(opener, method, context.url.rstrip("/") + target, headers, body)

    return Client(send, context.workspace)


def _no_redirects() -> Any:
    from urllib.request import HTTPRedirectHandler

    class NoRedirects(HTTPRedirectHandler):
        """A redirect would be followed with the key, wherever it leads."""

        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    return NoRedirects()


def _over_http(opener: Any, method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    more = {"Content-Type": "application/json"} if body else {}
    request = Request(url, data=body or None, headers=headers | more, method=method)  # noqa: S310 - login checks the scheme
    host = urlsplit(url).netloc
    try:
        with opener.open(request, timeout=_WITHIN_S) as response:
            return response.status, response.read(_LARGEST_ANSWER)
    except HTTPError as error:
        with error:
            return error.code, error.read(_LARGEST_ANSWER)
    except URLError as error:
        raise Unreachable(f"{host} cannot be reached: {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise Unreachable(f"{host} did not answer: {error}") from error


@contextmanager
def _of_this_machine(options: dict[str, Any], workspace: str | None) -> Iterator[Client]:
    from pushkeeper import wiring
    from pushkeeper.cli.common import runner, settings_of
    from pushkeeper.cli.use_cases import actor

    settings = settings_of(options)
    wiring.require_database(settings)
    with ExitStack() as stack:
        loop = stack.enter_context(runner())
        store = wiring.store(settings)
        opened = loop.run(store.__aenter__())
        stack.callback(lambda: loop.run(store.__aexit__(None, None, None)))
        found = loop.run(_workspace(opened.services, workspace))
        api = wiring.LocalApi(opened, found, actor())

        def send(method: str, target: str, body: bytes) -> tuple[int, bytes]:
            return loop.run(api.call(method, target, body))

        def run_here(work: Callable[..., Any]) -> Any:
            return loop.run(work(opened.services, found.workspace_id))

        yield Client(send, found.name, run_here)


async def _workspace(services: Services, name: str | None) -> Workspace:
    """The workspace of this name, or the only one.

    Raises:
        NotFound: it does not exist.
        BadRequest: several exist, and no name is given.
    """
    if name is not None:
        return await services.workspaces.by_name(name)
    match await services.workspaces.names():
        case []:
            raise NotFound("No workspaces yet. Run `pushkeeper workspace create NAME`")
        case [only]:
            return only
        case several:
            names = ", ".join(one.name for one in several[:10])
            raise BadRequest(
                "workspace",
                f"There are several workspaces ({names}). Choose one with --workspace or PUSHKEEPER_WORKSPACE",
                "missing",
                is_sentence=True,
            )


def _message(answer: Any, status: int) -> str:
    """What an answer of Customer.io's shape says of a refusal."""
    match answer:
        case {"errors": [{"detail": str(detail)}, *_]}:
            return detail
        case {"meta": {"error": str(detail)}} | {"meta": {"errors": [str(detail), *_]}}:
            return detail
        case _:
            return f"the server answered {status}"
