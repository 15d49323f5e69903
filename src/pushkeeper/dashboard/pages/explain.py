"""Explain: why somebody did or didn't get a message, or whether a push would reach them now; the answer before its reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from pushkeeper.core import identity
from pushkeeper.core.devices.tokens import token_of
from pushkeeper.core.identity import Identifier, person_of_cio_id
from pushkeeper.core.model import DeviceId
from pushkeeper.dashboard.pages import people
from pushkeeper.dashboard.ui.page import view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, NotFound, PushkeeperError
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.explain.explain import Explanation
    from pushkeeper.core.model import Token
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.web.response import Response

_KEY_BYTES = 16
_LONGEST_ID = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainForm:
    """The form's values, empty by default."""

    person: str
    device: str
    message: str

    @property
    def is_asked(self) -> bool:
        """Whether anything is."""
        return bool(self.person or self.device or self.message)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The door of why."""
    return [view("/w/{workspace}/explain", _Explain(context).show)]


class _Explain:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._listings = context.services.listings

    async def show(self, request: PageRequest) -> Response:
        """The form, and the explanation of the query; a whole token is redirected to its device's key, so that it leaves the address."""
        asked = ExplainForm(**{name: request.asked(name) for name in ("person", "device", "message")})
        found, problem = None, None
        try:
            device = await self._device(request, asked)
            if isinstance(device, bytes) and device.hex() != asked.device:
                said = {"person": asked.person, "device": device.hex(), "message": asked.message}
                query = urlencode({name: value for name, value in said.items() if value})
                return see_other(f"{request.to('explain')}?{query}")
            found = await self._why(request, asked, device) if asked.is_asked else None
        except (BadRequest, NotFound) as error:
            problem = _named(error)
        answer = page(
            request,
            "explain.html",
            asked=asked,
            found=found,
            problem=problem,
            delivery=self._delivery(request, found),
            named=await self._name(request, found),
        )
        return answer if problem is None else replace(answer, status=400)

    def _delivery(self, request: PageRequest, found: Explanation | None) -> str:
        """The delivery that it is about, where both its message and its person are known."""
        if found is None or found.message is None or found.person is None:
            return ""
        person = person_of_cio_id(found.person)
        ids = self._listings.delivery_ids
        return "" if person is None else ids.text(request.workspace_id, UUID(found.message), person)

    async def _why(
        self, request: PageRequest, asked: ExplainForm, device: Token | DeviceId | None
    ) -> Explanation:
        return await self._context.services.explanations.why(
            request.workspace_id,
            person=_identifier(asked.person),
            device=device,
            message=asked.message or None,
        )

    async def _device(self, request: PageRequest, asked: ExplainForm) -> Token | DeviceId | None:
        """The device: by its key, or by its token, which is replaced by its key if the device exists."""
        if not asked.device:
            return None
        key = _key(asked.device)
        if key is not None and await self._is_known(request, key):
            return key
        token = token_of(asked.device)
        try:
            return (await self._context.services.people.device(request.workspace_id, token)).device_id
        except NotFound:
            return token

    async def _is_known(self, request: PageRequest, key: DeviceId) -> bool:
        """Whether there is or was a device of this key."""
        if await self._listings.device(request.workspace_id, key):
            return True
        return bool(await self._listings.device_history(request.workspace_id, key, before=None, limit=1))

    async def _name(self, request: PageRequest, found: Explanation | None) -> str:
        """What the person is best known by."""
        person = person_of_cio_id(found.person) if found and found.person else None
        return "" if person is None else (await people.named(self._context, request, [person]))[person]


def _identifier(text: str) -> Identifier | None:
    """The person; a cio_id works without `cio_` too, as pages show it.

    Raises:
        BadRequest: it is longer than an identifier can be.
    """
    if not text:
        return None
    if len(text.encode()) > _LONGEST_ID:
        raise BadRequest("person", f"cannot be longer than {_LONGEST_ID} bytes")
    return identity.of_path(text)


def _key(text: str) -> DeviceId | None:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return DeviceId(key) if len(key) == _KEY_BYTES else None


def _named(error: PushkeeperError) -> BadRequest:
    """What is wrong, by its field: a message that there is not is as wrong as one that is none."""
    if isinstance(error, BadRequest):
        return error
    lower = error.message.lower()
    field = next((name for name in ("message", "person", "device") if name in lower), "message")
    return BadRequest(field, error.message, is_sentence=True)
