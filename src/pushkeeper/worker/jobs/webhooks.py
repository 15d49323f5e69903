"""Posts queued webhook events: signed, in order for each endpoint, and never to a forbidden address."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpcore
import msgspec

from pushkeeper.core import webhook_signature
from pushkeeper.core.identity import cio_id
from pushkeeper.core.messages.links import link_id
from pushkeeper.core.model import PersonId
from pushkeeper.errors import Misconfigured
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.services.webhooks import seal_label
from pushkeeper.store import jobs, webhooks
from pushkeeper.store.db.database import storable
from pushkeeper.store.webhooks import Call
from pushkeeper.worker.http_client import CANNOT_CALL, NOT_ANSWERING, Checked
from pushkeeper.worker.jobs import failures as job_failures
from pushkeeper.worker.tasks import until_done

if TYPE_CHECKING:
    from pushkeeper.core.delivery.delivery_id import DeliveryIds
    from pushkeeper.core.destination import Destinations
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.jobs import Claim
    from pushkeeper.store.webhooks import PendingCall, WebhookTarget
    from pushkeeper.worker.metrics import WorkerMetrics

log = logger("webhooks")

TIMEOUT_S = 4.0
_IN_A_TURN = 10
_REASON_CHARACTERS = 200
_LONGEST_ANSWER_BYTES = 65_536


class _Said(NamedTuple):
    """The result of a call: its time, its status if any, and why it failed if it did."""

    at: datetime
    status: int | None
    failure: str | None
    took_ms: int


class Poster:
    """The client that posts a webhook's queue."""

    kind = jobs.WEBHOOK

    def __init__(
        self, database: Database, vault: Vault, metrics: WorkerMetrics, *, destinations: Destinations
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._vault = vault
        self._http = httpcore.AsyncConnectionPool(
            max_connections=self.kind.at_once,
            max_keepalive_connections=self.kind.at_once,
            keepalive_expiry=30.0,
            network_backend=Checked(destinations),
        )

    async def do(self, claim: Claim) -> None:
        """Post queued events, in order, until one fails or it is others' turn.

        Posted events are saved as soon as the database responds: otherwise they would be posted again.
        """
        turn = await webhooks.turn(self._database, claim.workspace_id, claim.item_id)
        if turn is None:
            return None
        calls: list[Call] = []
        for waiting in await webhooks.waiting(
            self._database, claim.workspace_id, claim.item_id, most=_IN_A_TURN
        ):
            calls.append(await self._post(turn, waiting))
            if calls[-1].failure is not None and not calls[-1].left_out:
                return await self._fail(claim, turn, calls)
        return await until_done(partial(webhooks.settle, self._database, claim, calls))

    async def aclose(self) -> None:
        """Leave all endpoints."""
        await self._http.aclose()

    async def ping(self, workspace: WorkspaceId, webhook_id: int) -> tuple[bool, str]:
        """Call an endpoint once, signed, about nothing; whether it took that, and what it answered."""
        turn = await webhooks.turn(self._database, workspace, webhook_id)
        if turn is None:
            return False, "the webhook is gone"
        ping = _ping()
        said = await self._send(turn, msgspec.json.encode(ping))
        call = Call(
            outbox_id=None,
            event_id=ping["event_id"],
            object_type=ping["object_type"],
            metric=ping["metric"],
            **said._asdict(),
        )
        await webhooks.log(self._database, workspace, webhook_id, call)
        took = f"{said.took_ms} ms"
        return (
            (True, f"taken, in {took}") if said.failure is None else (False, f"{said.failure}, after {took}")
        )

    async def _fail(self, claim: Claim, turn: WebhookTarget, calls: list[Call]) -> None:
        """The last of these calls was not taken."""
        last, some_taken = calls[-1], any(call.failure is None for call in calls)
        failures = 1 if some_taken else turn.failures + 1
        since = None if some_taken else turn.failing_since
        give_up = since is not None and datetime.now(UTC) - since >= webhook_signature.GIVE_UP_AFTER
        wait_s = webhook_signature.wait_s(failures, last.status)
        settle = partial(webhooks.settle, self._database, claim, calls, wait_s=wait_s, give_up=give_up)
        await until_done(settle)
        log.warning(
            "webhook_failed", webhook=turn.webhook_id, reason=last.failure, wait_s=wait_s, disabled=give_up
        )

    async def _post(self, turn: WebhookTarget, waiting: PendingCall) -> Call:
        body = self._body(turn, waiting)
        said = _left_out() if body is None else await self._send(turn, body)
        return Call(
            outbox_id=waiting.outbox_id,
            event_id=waiting.event_id,
            object_type=waiting.object_type,
            metric=waiting.metric,
            message_id=waiting.message_id,
            person_id=waiting.person_id,
            attempt=waiting.attempts + 1,
            left_out=body is None,
            **said._asdict(),
        )

    def _body(self, turn: WebhookTarget, waiting: PendingCall) -> bytes | None:
        """The body to post; None if the event cannot be read, which is recorded and skipped, so that later events don't wait."""
        ids = self._database.delivery_ids
        with isolated(log, "event_left_out", webhook=turn.webhook_id, outbox_id=waiting.outbox_id) as tried:
            return msgspec.json.encode(
                posted_json(turn.workspace_id, waiting, ids, with_content=turn.with_content)
            )
        if tried.error is not None:
            self._database.unreadable.note(turn.workspace_id, "outbox", waiting.outbox_id, tried.error)
        return None

    async def _send(self, turn: WebhookTarget, body: bytes) -> _Said:
        at, started = datetime.now(UTC), time.perf_counter()
        status, failure = await self._exchange(turn, body, int(at.timestamp()))
        # How long it took not to be able to call would tell why.
        took_ms = 0 if failure == CANNOT_CALL else round((time.perf_counter() - started) * 1_000)
        return _Said(at=at, status=status, failure=failure, took_ms=took_ms)

    async def _exchange(
        self, turn: WebhookTarget, body: bytes, timestamp: int
    ) -> tuple[int | None, str | None]:
        """The status, if there is one, and why it was not taken, or None when it was."""
        expected = (Misconfigured, TimeoutError, *NOT_ANSWERING)
        status = 0
        try:
            with isolated(log, "webhook_not_called", passing=expected, webhook=turn.webhook_id) as tried:
                status = await self._call(turn, body, timestamp)
        except Misconfigured as error:
            return None, error.message
        except TimeoutError:
            self._metrics.posted("unanswered")
            return None, f"no answer within {TIMEOUT_S:g} seconds"
        except NOT_ANSWERING as error:
            self._metrics.posted("unanswered")
            return None, storable(str(error) or type(error).__name__)[:_REASON_CHARACTERS]
        if tried.error is not None:
            self._metrics.posted("unanswered")
            return None, job_failures.reason(tried.error)
        self._metrics.posted("taken" if webhook_signature.is_success(status) else "refused")
        return status, None if webhook_signature.is_success(status) else f"answered {status}"

    async def _call(self, turn: WebhookTarget, body: bytes, timestamp: int) -> int:
        key = self._vault.open(turn.sealed, seal_label(turn.workspace_id))
        headers: dict[bytes | str, bytes | str] = {
            "host": urlsplit(turn.endpoint).netloc.rpartition("@")[2],
            "content-type": "application/json",
            "content-length": str(len(body)),
            "user-agent": "Pushkeeper",
            "x-cio-timestamp": str(timestamp),
            "x-cio-signature": webhook_signature.signature(key, timestamp, body),
        }
        async with asyncio.timeout(TIMEOUT_S):
            return await self._status_of(turn.endpoint, headers, body)

    async def _status_of(self, endpoint: str, headers: dict[bytes | str, bytes | str], body: bytes) -> int:
        async with self._http.stream("POST", endpoint, headers=headers, content=body) as response:
            read = 0
            # What is read to its end leaves a connection that can be used again; nobody has to send us a book.
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > _LONGEST_ANSWER_BYTES:
                    break
            status: int = response.status
        return status


def _left_out() -> _Said:
    return _Said(datetime.now(UTC), None, "skipped: the event cannot be read; see the log", 0)


def _ping() -> dict[str, Any]:
    return {
        "event_id": uuid4(),
        "object_type": "webhook",
        "metric": "ping",
        "timestamp": int(time.time()),
        "data": {},
    }


def posted_json(
    workspace: WorkspaceId, waiting: PendingCall, ids: DeliveryIds, *, with_content: bool
) -> dict[str, Any]:
    """What is posted, as Customer.io posts it (customerio.md 7.2); of devices, in the same shape."""
    person = None if waiting.person_id is None else PersonId(waiting.person_id)
    data: dict[str, Any] = {
        "customer_id": waiting.id or "",
        "identifiers": {
            "id": waiting.id,
            "email": waiting.email,
            "cio_id": None if person is None else cio_id(person),
        },
    }
    if waiting.object_type == "customer":
        data["email_address"] = waiting.email
    if waiting.message_id is not None and person is not None:
        data["delivery_id"] = ids.text(workspace, waiting.message_id, person)
        data |= _source(waiting)
    data |= waiting.data
    if waiting.metric == "clicked":
        data["link_id"] = link_id(data["href"])
    if with_content and waiting.metric == "sent" and waiting.content is not None:
        data["content"] = msgspec.json.encode(waiting.content).decode()
    return {
        "event_id": waiting.event_id,
        "object_type": waiting.object_type,
        "metric": waiting.metric,
        "timestamp": int(waiting.happened_at.timestamp()),
        "data": data,
    }


def _source(waiting: PendingCall) -> dict[str, Any]:
    """What the push was sent for."""
    if waiting.kind != "broadcast":
        return {"transactional_message_id": waiting.template_id or 0}
    # A trigger is what we call a broadcast, and what they call a broadcast is its template.
    return {
        "trigger_id": waiting.broadcast_id or 0,
        "broadcast_id": waiting.template_id or 0,
        "action_id": waiting.template_id or 0,
    }
