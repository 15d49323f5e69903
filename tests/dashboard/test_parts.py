"""The parts that think: completion, the timeline, what needs somebody, tokens of forms, pieces of tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery.delivery_id import DeliveryIds
from pushkeeper.core.filters import from_text
from pushkeeper.core.model import Environment, PersonId, Provider, RouteId, Secret, WorkspaceId
from pushkeeper.dashboard.pages import attention, timeline
from pushkeeper.dashboard.pages.attention import AttentionInput
from pushkeeper.dashboard.pages.timeline import PAGE, Start
from pushkeeper.dashboard.ui import labels
from pushkeeper.dashboard.ui.filter_completion import complete
from pushkeeper.dashboard.ui.page_request import Form, path_of, said_of
from pushkeeper.errors import BadRequest, Conflict
from pushkeeper.services.routes import RouteRecord
from pushkeeper.store.admin.credentials import CredentialRecord
from pushkeeper.store.audiences.suggestions import Known
from pushkeeper.store.db import pagination
from pushkeeper.store.delivery.routes import Alert, Health, PauseKind, Route
from pushkeeper.store.devices.devices import HistoryLine, PushLine
from pushkeeper.store.devices.pages import HistoryRow, LineKey
from pushkeeper.store.webhooks import Webhook
from pushkeeper.web import cookies

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
KNOWN = Known(
    of_devices={
        "app_version": ["4.2", "4.1"],
        "model": ["Pixel 8"],
        "app": ["com.example"],
        "odd name": ["x"],
    },
    of_people={"plan": ["pro", "free"], "first name": ["Ann"]},
    events=["bought", "Order Completed"],
    segments=[(7, "Old iPhones")],
)


def offered(text: str, at: int | None = None) -> list[str]:
    return [word for word, _ in complete(text, len(text) if at is None else at, KNOWN).offers]


# Completion.


@pytest.mark.parametrize(
    ("typed", "some"),
    [
        ("", ["platform", "last_status"]),
        ("plat", ["platform"]),
        ("platform ", ["=", "!=", "in ("]),
        ("platform = ", ["ios", "android", "web"]),
        ("platform = i", ["ios"]),
        ("last_status in (", ["sent", "unused", "bounced", "suppressed"]),
        ("last_status in (sent, b", ["bounced"]),
        ("platform = ios ", ["and", "or"]),
        ("platform = ios and ", ["platform"]),
        ("not ", ["platform"]),
        ("segment ", ["7"]),
        ("everybody ", ["and", "or"]),
        ("all(", ["platform"]),
        ("last_used ", ["within", "before", "after"]),
        ("last_used within ", ["24h", "7d"]),
        ("app_version < ", ["4.2", "4.1"]),
        ("model = ", ['"Pixel 8"']),
        ("model starts ", ["with"]),
        ("model starts with ", ['"Pixel 8"']),
        ("pers", ["person.plan", "person.email"]),
        ("person.plan = ", ["pro", "free"]),
        ('person."first name" = ', ["Ann"]),
        ("od", ['"odd name"']),
        ("event ", ["bought", '"Order Completed"']),
        ("event bought ", [">=", "within", "and"]),
        ("event bought within ", ["7d"]),
        ("app = ", ["com.example"]),
    ],
)
def test_what_may_come_next_is_offered(typed: str, some: list[str]) -> None:
    assert set(some) <= set(offered(typed))


def test_a_word_that_is_whole_is_not_offered_again() -> None:
    assert offered("platform") == []
    assert offered("platform = ios") == []


def test_what_is_typed_is_replaced_and_what_comes_after_it_stays() -> None:
    found = complete("plat = ios", 4, KNOWN)
    assert (found.start, found.end) == (0, 4)
    assert found.offers[0][0] == "platform"


@given(st.text(max_size=60), st.integers(0, 60))
def test_nothing_that_is_typed_breaks_the_completion(text: str, at: int) -> None:
    found = complete(text, min(at, len(text)), KNOWN)
    assert 0 <= found.start <= found.end <= len(text)
    assert len(found.offers) <= 12


# What asks for a number, a time or a closing bracket, none of which is offered.
TO_BE_TYPED = {"<", "<=", ">", ">=", "before", "after", "in (", "segment", "any(", "all(", "none(", ")"}


@given(st.data())
def test_wherever_and_is_offered_what_was_taken_so_far_is_a_filter(data: st.DataObject) -> None:
    text, ends = "", 0
    while ends < 3:
        words_offered = [word for word in offered(text) if word not in TO_BE_TYPED]
        if "and" in words_offered:
            ends += 1
            from_text.parse(text)
        if not words_offered:
            return
        text += f"{data.draw(st.sampled_from(words_offered))} "


# The timeline.


def line(minutes: int, number: int) -> HistoryRow:
    at = NOW - timedelta(minutes=minutes)
    told = HistoryLine(
        at=at,
        event="refused",
        from_status="sent",
        to_status="bounced",
        from_person_id=PersonId(1),
        to_person_id=PersonId(1),
        generation=1,
        message_id=None,
        provider="apns",
        provider_status=410,
        provider_reason="Unregistered",
        request_id=None,
        strikes=1,
        undone=False,
    )
    return HistoryRow(told, LineKey(at, number))


def push(minutes: int) -> PushLine:
    return PushLine(
        message_id=UUID(int=(1 << 100) - minutes),
        ending="accepted",
        reason="",
        provider="apns",
        provider_status=200,
        provider_reason=None,
        attempts=1,
        settled_at=NOW - timedelta(minutes=minutes),
    )


delivery = partial(DeliveryIds(Secret(bytes(32))).of, WorkspaceId(1))


@given(
    st.sets(st.integers(0, 100_000), max_size=160).map(sorted),
    st.sets(st.integers(0, 100_000), max_size=160).map(sorted),
)
def test_pages_of_a_timeline_come_to_all_events_in_their_order(
    told: Sequence[int], sent: Sequence[int]
) -> None:
    lines, pushes = [line(n, -n) for n in told], [push(n) for n in sent]
    events: list[timeline.Event] = []
    start: Start | None = Start()
    while start is not None:
        start = Start.parse(str(start))
        some = [one for one in lines if start.line is None or one.key < start.line]
        more = [one for one in pushes if start.message is None or one.message_id < start.message]
        page = timeline.timeline(start, some[: PAGE + 1], more[: PAGE + 1], PersonId(1), delivery)
        assert page.events or page.following is None
        events += page.events
        start = page.following
    assert len(events) == len(lines) + len(pushes)
    assert [event.at for event in events] == sorted((event.at for event in events), reverse=True)


def test_a_push_that_changed_the_device_is_listed_once_with_the_change() -> None:
    refused = push(5)
    refused = replace(refused, ending="bounced", reason="apns_unregistered")
    turned = line(5, 1)
    turned = HistoryRow(replace(turned.line, message_id=refused.message_id), turned.key)
    [event, earlier] = timeline.timeline(Start(), [turned], [refused, push(9)], PersonId(1), delivery).events
    assert (event.what, event.to_status) == ("Push rejected", "bounced")
    assert event.because == labels.because("apns_unregistered")
    assert earlier.what == "Push accepted"


# What needs somebody.


def route(*, held: int = 0, alerts: tuple[Alert, ...] = (), **changes: Any) -> RouteRecord:
    facts: dict[str, Any] = {
        "route_id": RouteId(1),
        "credential_id": 1,
        "workspace_id": WorkspaceId(1),
        "provider": Provider.APNS,
        "app": "com.example.app",
        "environment": Environment.PRODUCTION,
        "leg": "",
        "changed_at": NOW,
        **changes,
    }
    health = Health(
        route_id=RouteId(1), accepted=0, ambiguous=0, definite=0, other=0, waiting=0, held_verdicts=held
    )
    return RouteRecord(route=Route(**facts), health=health, alerts=alerts)


def credential(expires_at: datetime | None) -> CredentialRecord:
    return CredentialRecord(
        credential_id=1,
        provider=Provider.APNS,
        kind="certificate",
        app="com.example.app",
        environment=Environment.PRODUCTION,
        facts={"expires_at": expires_at.isoformat()} if expires_at else {},
        endpoint_url=None,
        created_at=NOW,
        changed_at=NOW,
    )


def webhook(**changes: Any) -> Webhook:
    facts: dict[str, Any] = {
        "webhook_id": 1,
        "workspace_id": WorkspaceId(1),
        "name": "warehouse",
        "endpoint": "https://example.com",
        "events": ["push_sent"],
        "disabled": False,
        "full_resolution": False,
        "with_content": False,
        "failing_since": None,
        "failure": None,
        "failures": 0,
        "due_at": NOW,
        "created_at": NOW,
        "waiting": 0,
        **changes,
    }
    return Webhook(**facts)


def needs(**changes: Any) -> list[str]:
    facts: dict[str, Any] = {
        "routes": [],
        "credentials": [],
        "webhooks": [],
        "workers": 1,
        "now": NOW,
        **changes,
    }
    return [todo.what for todo in attention.todos(AttentionInput(**facts))]


def test_a_healthy_workspace_needs_no_attention() -> None:
    assert (
        needs(
            routes=[route(accepted_at=NOW)],
            credentials=[credential(None), credential(NOW + timedelta(days=31))],
            webhooks=[webhook(), webhook(disabled=True)],
        )
        == []
    )


def test_each_trouble_is_told_with_what_to_do_the_worst_first() -> None:
    alert = Alert(
        route_id=RouteId(1),
        reason="apns_invalid_request",
        alert="the key is about to end",
        detail="",
        times=3,
        first_at=NOW,
        last_at=NOW,
    )
    found = needs(
        routes=[
            route(held=7, alerts=(alert,)),
            route(paused_at=NOW, pause_kind=PauseKind.GUARD, pause_reason="a wave"),
        ],
        credentials=[credential(NOW + timedelta(days=29)), credential(NOW)],
        webhooks=[
            webhook(failing_since=NOW, failure="answered 500"),
            webhook(failing_since=NOW, failure="answered 500", disabled=True),
        ],
        workers=0,
    )
    assert found == [
        "No worker is running. Nothing is being sent.",
        "apns:production:com.example.app is paused: a wave",
        "Webhook 1 “warehouse” was disabled after 7 days of failures: answered 500",
        "The certificate of com.example.app has expired on 2026-01-31",
        "7 rejections on hold on apns:production:com.example.app",
        "apns:production:com.example.app: the key is about to end",
        "Webhook 1 “warehouse” is failing: answered 500",
        "The certificate of com.example.app expires on 2026-03-01",
    ]


def test_an_alert_of_yesterday_needs_nobody() -> None:
    old = NOW - timedelta(days=1)
    alert = Alert(
        route_id=RouteId(1),
        reason="apns_invalid_request",
        alert="x",
        detail="",
        times=1,
        first_at=old,
        last_at=old,
    )
    assert needs(routes=[route(alerts=(alert,))]) == []


@pytest.mark.parametrize("kind", PauseKind)
def test_of_every_kind_of_pause_it_is_said_what_to_do(kind: PauseKind) -> None:
    facts = AttentionInput(
        routes=[route(paused_at=NOW, pause_kind=kind, pause_reason="why")],
        credentials=[],
        webhooks=[],
        workers=1,
        now=NOW,
    )
    [todo] = attention.todos(facts)
    assert len(todo.do) > 30


# The rest.


@given(st.text(max_size=400))
def test_a_notice_survives_its_cookie(text: str) -> None:
    names = cookies.names(secure=False)
    _, header = names.note(text)
    value = header.decode().partition("=")[2].partition(";")[0]
    assert cookies.read_notice(value) == text.encode("utf-8", "replace").decode()


@given(st.lists(st.text(min_size=1, max_size=20).filter(str.isprintable), min_size=1, max_size=3))
def test_an_address_of_any_segments_is_one_path(segments: list[str]) -> None:
    path = path_of(*segments)
    assert path.count("/") == len(segments)
    assert path.isascii()
    assert not set(path) & set(" ?#\"'<>")


def test_an_error_is_said_without_its_fields_name() -> None:
    assert said_of(BadRequest("max_pushes_per_s", "expected a number")) == "Expected a number."
    assert said_of(BadRequest("key", "a key must be one.", is_sentence=True)) == "A key must be one."
    assert said_of(Conflict("name: it is taken")) == "name: it is taken."
    assert Form(problem=BadRequest("service_account.private_key", "…")).about == "service_account"


def test_every_last_status_metric_and_ending_has_a_word_and_a_tone() -> None:
    assert set(labels.STATUSES) == set(labels.STATUS_NAMES) == set(labels.STATUS_MEANS)
    assert labels.because("apns_unregistered")
    assert labels.because("no_route") == "No credentials for this platform, app and environment"
    assert labels.share(1, 3) == "33.3%"
    assert labels.share(0, 0) == "–"  # noqa: RUF001 - a dash
    assert labels.plural(1, "person", "people") == "1 person"
    assert labels.plural(1_000, "device") == "1,000 devices"
    assert labels.rounded(123_456) == 120_000


@given(
    st.lists(st.booleans(), max_size=300),
    st.integers(1, 40),
)
async def test_pieces_of_a_table_come_to_all_that_is_so(matching: list[bool], limit: int) -> None:
    """Whatever the time that a page has, pages come to all rows, each once and in their order."""
    wanted = [n for n, matches in enumerate(matching) if matches]

    async def read(after: int, rows: int, look: int) -> tuple[list[int], int | None]:
        piece = range(after + 1, min(after + 1 + look % 7 + 1, len(matching)))
        found = [n for n in piece if matching[n]][:rows]
        if len(found) == rows:
            return found, found[-1]
        return found, piece[-1] if piece and piece[-1] < len(matching) - 1 else None

    got: list[int] = []
    after: int | None = -1
    while after is not None:
        page = await pagination.filled(read, after, limit, within_s=0.0)
        assert len(page.rows) <= limit
        got += page.rows
        after = page.following
    assert got == wanted


async def test_a_page_is_filled_from_so_many_rows_however_slowly_they_are_read() -> None:
    """On a busy machine the time is up at once: what is in a small table is shown all the same."""
    looked = 0

    async def read(after: int, rows: int, look: int) -> tuple[list[int], int | None]:
        nonlocal looked
        looked += look
        return [n for n in range(after, after + look) if n == pagination.LEAST - 1][:rows], after + look

    page = await pagination.filled(read, 0, 50, within_s=0.0)
    assert (page.rows, page.whole) == ([pagination.LEAST - 1], False)
    assert looked < pagination.LEAST + pagination.LARGEST
