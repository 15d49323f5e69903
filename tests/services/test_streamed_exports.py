"""Exports that are streamed: of one moment, of one workspace, and the same again after they are imported into an empty one."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.actor import Actor, ActorKind
from pushkeeper.core.exports.columns import Exportable
from pushkeeper.core.exports.writers import ExportFormat
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.model import Token, device_id, id_kind_of
from pushkeeper.errors import BadRequest, Conflict, NotFound, TooManyRequests, TooSlow
from pushkeeper.services.audiences import Audiences, Draft
from pushkeeper.services.audit import Audit, AuditFilter
from pushkeeper.services.exports.service import Exports, NewExport
from pushkeeper.services.imports.service import Imports, NewImport
from pushkeeper.store.admin import workspaces
from support.actors import BY
from support.examples import examples
from support.imports import work
from support.jobs import VAULT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from pushkeeper.store.db.database import Database

START = datetime(2026, 1, 1, tzinfo=UTC)
APNS = "1e21b0c5" * 8
TIMES = st.integers(0, 300 * 86_400 * 10**6).map(lambda us: START + timedelta(microseconds=us))
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*"=+-@;\t\r\n\"'|, \xa0\u200b\ufeff\u2212“é漢🎈"]),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=3),
    ),
    max_size=5,
).map("".join)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=4,
)
# An empty text says that there is no such attribute.
ATTRIBUTES = st.dictionaries(
    TEXTS.filter(lambda text: bool(text.strip())), VALUES.filter(lambda value: value != ""), max_size=3
)
STATUSES = {"": 0, "sent": 0, "bounced": 1, "suppressed": 2}


@st.composite
def devices(draw: st.DrawFn) -> dict[str, Any]:
    is_ios = draw(st.booleans())
    status = draw(st.sampled_from(sorted(STATUSES)))
    return {
        "platform": "ios" if is_ios else "android",
        "environment": draw(st.sampled_from(["production", "sandbox"])) if is_ios else "",
        "app": draw(st.sampled_from(["", "com.acme.shop", "=acme"])),
        "status": status,
        "failure_reason": "UNREGISTERED" if STATUSES[status] else None,
        "attributes": draw(ATTRIBUTES),
        "last_used": draw(TIMES),
        "registered_at": draw(TIMES),
    }


@st.composite
def people(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "id": draw(TEXTS.filter(lambda text: bool(text.strip()))),
        "has_email": draw(st.booleans()),
        "attributes": draw(ATTRIBUTES),
        "unsubscribed": draw(st.booleans()),
        "created_at": draw(TIMES),
        "devices": draw(st.lists(devices(), max_size=3)),
    }


CROWDS = st.lists(people(), max_size=4, unique_by=lambda one: one["id"])


async def fill(database: Database, workspace: WorkspaceId, crowd: Sequence[dict[str, Any]]) -> None:
    """Put these people and their devices where the export reads them."""
    of = database.of(workspace)
    for number, one in enumerate(crowd):
        person = await of.value(
            "insert into people (workspace_id, attributes, unsubscribed, created_at) values ($1, $2, $3, $4) "
            "returning person_id",
            *(workspace, one["attributes"], one["unsubscribed"], one["created_at"]),
        )
        email = f"P{number}+é@Example.com"
        identifiers = [("id", one["id"], one["id"])]
        identifiers += [("email", email.lower(), email)] if one["has_email"] else []
        for kind, key, value in identifiers:
            query = "insert into identifiers (workspace_id, kind, key, value, person_id) values ($1, $2, $3, $4, $5)"
            await of.rows(query, workspace, kind, key, value, person)
        for place, device in enumerate(one["devices"]):
            token = Token(
                f"a1{number:030x}{place:032x}"
                if device["platform"] == "ios"
                else f"d{number}_{place}:APA91b-_x"
            )
            await of.rows(
                "insert into devices (workspace_id, device_id, person_id, token, id_kind, platform, app, environment, "
                "attributes, status, strikes, failure_reason, last_used, registered_at) "
                "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                *(workspace, device_id(workspace, token), person, token.value, id_kind_of(token).value),
                *(device["platform"], device["app"], device["environment"], device["attributes"]),
                *(device["status"], STATUSES[device["status"]], device["failure_reason"]),
                *(device["last_used"], device["registered_at"]),
            )


class Room:
    """Exports of a workspace."""

    def __init__(self, database: Database, workspace: WorkspaceId) -> None:
        self.database = database
        self.workspace = workspace
        self.exports = Exports(database)

    async def file(self, kind: str = "devices", form: str = "csv", **wanted: Any) -> bytes:
        """The bytes of an export."""
        new = NewExport(kind=Exportable(kind), format=ExportFormat(form), **{"whole_tokens": True, **wanted})
        stream = await self.exports.stream(BY, self.workspace, new)
        return b"".join([part async for part in stream.parts])

    async def rows(self, kind: str = "devices", **wanted: Any) -> list[dict[str, str]]:
        """The rows of an export as CSV."""
        file = await self.file(kind, **wanted)
        return list(csv.DictReader(io.StringIO(file.decode(), newline="")))

    async def load(self, file: bytes, source: str = "pushkeeper") -> None:
        """Import a file, with the statuses that it has; all of it is taken."""
        imports = Imports(self.database, VAULT)
        new = NewImport(source=source, name="file", options={"keep_status": True}, apply=True)
        made = await imports.make(BY, self.workspace, new, parts(file))
        await work(self.database)
        found = await imports.one(self.workspace, made.import_id)
        assert (found.state, found.counts.get("skipped")) == ("done", {}), found


async def parts(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
def room(database: Database, workspace: tuple[Workspace, NewKeys]) -> Room:
    return Room(database, workspace[0].workspace_id)


async def another(database: Database) -> Room:
    made, _ = await workspaces.create(database, f"w{datetime.now(UTC).timestamp()}")
    return Room(database, made.workspace_id)


def known(file: bytes) -> list[dict[str, Any]]:
    """The rows of a file in JSON lines, without what another workspace numbers by itself."""
    rows = [json.loads(line) for line in file.splitlines()]
    for row in rows:
        for own in ("cio_id", "person_cio_id"):
            row.pop(own, None)
        for device in row.get("devices", []):
            assert device["token"]
        row.get("devices", []).sort(key=lambda device: device["token"])
    return sorted(rows, key=json.dumps)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(crowd=CROWDS, form=st.sampled_from(["csv", "jsonl"]), kind=st.sampled_from(["people", "devices"]))
async def test_an_export_comes_out_of_another_workspace_as_it_went_in(
    database: Database, crowd: list[dict[str, Any]], form: str, kind: str
) -> None:
    one, other = await another(database), await another(database)
    await fill(database, one.workspace, crowd)
    if not any(person["devices"] for person in crowd) and (kind == "devices" or not crowd):
        return
    await other.load(await one.file(kind, form))
    assert known(await other.file(kind, "jsonl")) == known(await one.file(kind, "jsonl"))


PEOPLE = [
    {
        "id": name,
        "has_email": name == "ann",
        "attributes": {"plan": plan, "visits": number, "=note": "-1"},
        "unsubscribed": False,
        "created_at": START,
        "devices": [
            {
                "platform": platform,
                "environment": "production" if platform == "ios" else "",
                "app": "",
                "status": status,
                "failure_reason": None,
                "attributes": {"app_version": "4.1", "device_model": "=Pixel", "n": -5},
                "last_used": START + timedelta(days=number),
                "registered_at": START,
            }
            for platform, status in (("ios", "sent"), ("android", "suppressed" if name == "ben" else ""))
        ],
    }
    for number, (name, plan) in enumerate((("ann", "pro"), ("ben", "free")))
]


async def test_columns_attributes_and_filters_are_chosen(room: Room) -> None:
    await fill(room.database, room.workspace, PEOPLE)
    names = ["person_id", "attribute.device_model", "attribute.n", "person_attribute.plan", "attribute.none"]
    found = await room.rows(columns=names, filter="platform = ios and person.plan = pro")
    values = ("ann", "'=Pixel", "-5", "pro", "")
    assert found == [dict(zip(names, values, strict=True))]
    status = {"field": "last_status", "operator": "eq", "value": "suppressed"}
    tree = {"device": {"attribute": status}}
    assert [row["person_id"] for row in await room.rows(filter=tree)] == ["ben"]
    people = await room.rows(
        "people", filter="person.plan = pro", columns=["id", "email", "attribute.visits", "devices"]
    )
    assert [(row["id"], row["email"], row["attribute.visits"]) for row in people] == [
        ("ann", "P0+é@Example.com", "0")
    ]
    assert {one["last_status"] for one in json.loads(people[0]["devices"])} == {"sent", "unused"}


async def test_tokens_are_masked_unless_they_are_asked_for(room: Room) -> None:
    await fill(room.database, room.workspace, PEOPLE)
    whole = {row["token"] for row in await room.rows()}
    for kind, form in (("devices", "csv"), ("devices", "jsonl"), ("people", "jsonl"), ("people", "csv")):
        text = (await room.file(kind, form, whole_tokens=False)).decode()
        assert "…" in text
        assert not [token for token in whole if token in text]
    with pytest.raises(BadRequest, match="whole tokens"):
        await room.file("devices", "onesignal", whole_tokens=False)


async def test_a_file_for_onesignal_is_one_that_its_reader_reads(room: Room) -> None:
    await fill(room.database, room.workspace, PEOPLE)
    other = await another(room.database)
    file = await room.file("devices", "onesignal")
    # Neither an iPhone's environment nor an app is a column of OneSignal's.
    imports = Imports(room.database, VAULT)
    options = {"keep_status": True, "environment": "production"}
    new = NewImport(source="onesignal", name="file", options=options, apply=True)
    made = await imports.make(BY, other.workspace, new, parts(file))
    await work(room.database)
    assert (await imports.one(other.workspace, made.import_id)).counts["skipped"] == {}
    columns = ["token", "platform", "person_id", "last_used", "attribute.device_model"]
    ours, theirs = [{tuple(row.values()) for row in await one.rows(columns=columns)} for one in (room, other)]
    assert theirs == ours
    suppressed = await other.rows(filter="last_status = suppressed", columns=["person_id"])
    assert suppressed == [{"person_id": "ben"}]


async def test_members_of_an_audience_are_devices_or_people(room: Room) -> None:
    await fill(room.database, room.workspace, PEOPLE)
    audiences = Audiences(room.database)
    drafts = [
        Draft(name="phones", description="", filter="platform = ios", unit=Unit.DEVICE),
        Draft(name="payers", description="", filter="person.plan = pro", unit=Unit.PERSON),
    ]
    phones, payers = [(await audiences.make(BY, room.workspace, draft)).segment_id for draft in drafts]
    assert {row["platform"] for row in await room.rows("members", audience=phones)} == {"ios"}
    [ann] = await room.rows("members", audience=payers)
    assert ann["id"] == "ann"
    assert await room.rows("members", audience=phones, filter="person.plan = gold") == []
    for wanted, field in (
        ({}, "audience"),
        ({"audience": 999_999}, "audience"),
        ({"audience": payers, "columns": ["token"]}, "columns"),
    ):
        with pytest.raises(BadRequest) as refused:
            await room.rows("members", **wanted)
        assert refused.value.field == field


async def test_history_and_pushes_are_exported_of_a_time(room: Room) -> None:
    await fill(room.database, room.workspace, PEOPLE[:1])
    [device] = await room.rows(columns=["device", "person_cio_id"], filter="platform = ios")
    of, key = room.database.of(room.workspace), bytes.fromhex(device["device"])
    person, now = int(device["person_cio_id"], 16), datetime.now(UTC).replace(microsecond=0)
    for event, before, after, at in (("registered", None, "", now), ("refused", "", "bounced", now)):
        await of.rows(
            "insert into device_history (at, workspace_id, device_id, event, from_status, to_status, to_person_id, "
            "generation) values ($1, $2, $3, $4, $5, $6, $7, 1)",
            *(at, room.workspace, key, event, before, after, person),
        )
    history = await room.rows("history")
    assert {(row["event"], row["from_status"], row["to_status"]) for row in history} == {
        ("registered", "", "unused"),
        ("refused", "unused", "bounced"),
    }
    assert {row["token"] for row in history} == {f"a1{0:062x}"}
    assert await room.rows("history", until=now) == []
    assert len(await room.rows("history", since=now, filter="platform = ios")) == 2
    assert await room.rows("history", filter="platform = android") == []
    assert await room.rows("pushes") == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"filter": "platform is"}, "filter"),
        ({"filter": "segment 987654"}, "filter"),
        ({"columns": ["nothing"]}, "columns"),
        ({"since": START}, "since"),
        ({"audience": 1}, "audience"),
        ({"form": "onesignal", "columns": ["token"]}, "columns"),
        ({"kind": "people", "form": "onesignal"}, "format"),
    ],
)
async def test_what_cannot_be_exported_is_refused_before_anything_is_begun(
    room: Room, wanted: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        await room.file(**wanted)
    assert refused.value.field == field
    assert await room.exports.all(room.workspace) == []


async def test_one_workspace_sees_nothing_of_another(room: Room) -> None:
    other = await another(room.database)
    await fill(room.database, other.workspace, PEOPLE)
    for kind in ("devices", "people", "history", "pushes"):
        assert await room.rows(kind) == []
    await other.file()
    [export, *_] = await other.exports.all(other.workspace)
    with pytest.raises(NotFound):
        await room.exports.one(room.workspace, export.export_id)
    with pytest.raises(NotFound):
        await room.exports.cancel(BY, room.workspace, export.export_id)


async def test_the_list_and_the_audit_log_say_who_exported_what(room: Room) -> None:
    await fill(room.database, room.workspace, PEOPLE)
    by = Actor(kind=ActorKind.KEY, name="abc…")
    new = NewExport(kind=Exportable.DEVICES, filter="platform = ios", whole_tokens=True)
    stream = await room.exports.stream(by, room.workspace, new)
    assert [part async for part in stream.parts]
    [one] = await room.exports.all(room.workspace)
    assert (one.state, one.lines, one.actor_kind, one.actor_name) == ("done", 2, "key", "abc…")
    assert one.asked == {"kind": "devices", "filter": "platform = ios", "whole_tokens": True}
    [line] = await Audit(room.database).lines(AuditFilter(workspace_id=room.workspace, limit=10))
    assert (line.target, line.detail) == (str(one.export_id), "devices, csv, whole tokens")


async def many(room: Room, count: int) -> None:
    await fill(room.database, room.workspace, [{**PEOPLE[0], "devices": []}])
    await room.database.of(room.workspace).rows(
        "insert into devices (workspace_id, device_id, person_id, token, platform) "
        "select $1, token_device($1, 'tok' || n), person_id, 'tok' || n, 'android' "
        "from people, generate_series(1, $2::int) n where workspace_id = $1",
        room.workspace,
        count,
    )


async def test_an_export_is_of_one_moment_while_devices_are_written(room: Room) -> None:
    await many(room, 3_000)
    new = NewExport(kind=Exportable.DEVICES, columns=["token", "last_status"], format=ExportFormat.JSONL)
    stream = await room.exports.stream(BY, room.workspace, new)
    pages = [await anext(stream.parts), await anext(stream.parts)]
    of = room.database.of(room.workspace)
    await of.rows("update devices set status = 'sent' where workspace_id = $1", room.workspace)
    await of.rows("delete from devices where workspace_id = $1 and token like '%7'", room.workspace)
    pages += [part async for part in stream.parts]
    rows = [json.loads(line) for line in b"".join(pages).splitlines()]
    assert len(rows) == 3_000
    assert {row["last_status"] for row in rows} == {"unused"}


async def test_an_export_that_is_cancelled_ends_and_is_none_that_is_done(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushkeeper.services.exports.service._NOTED_EVERY_S", 0.0)
    await many(room, 3_000)
    new = NewExport(kind=Exportable.DEVICES)
    stream = await room.exports.stream(BY, room.workspace, new)
    assert await anext(stream.parts)
    assert await anext(stream.parts)
    number = stream.export.export_id
    await room.exports.cancel(BY, room.workspace, number)
    with pytest.raises(Conflict):
        async for _ in stream.parts:
            pass
    found = await room.exports.one(room.workspace, number)
    assert found.state == "cancelled"
    assert found.lines < 3_000
    with pytest.raises(Conflict):
        await room.exports.cancel(BY, room.workspace, number)
    assert await room.file()  # its place is free again


async def test_a_client_that_disconnects_ends_its_export_and_frees_the_connection(room: Room) -> None:
    await many(room, 3_000)
    for _ in range(3):
        stream = await room.exports.stream(BY, room.workspace, NewExport(kind=Exportable.DEVICES))
        assert await anext(stream.parts)
        assert await anext(stream.parts)
        with pytest.raises(TooManyRequests):
            await room.file()
        await stream.parts.aclose()
        assert (await room.exports.one(room.workspace, stream.export.export_id)).state == "cancelled"

    async def take() -> None:
        stream = await room.exports.stream(BY, room.workspace, NewExport(kind=Exportable.DEVICES))
        async for _ in stream.parts:
            taken.set()
            await asyncio.Event().wait()

    taken = asyncio.Event()
    task = asyncio.create_task(take())
    await taken.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await room.rows()) == 3_000


async def test_an_export_that_fails_says_why_and_is_none_that_is_done(room: Room) -> None:
    await many(room, 3_000)
    new = NewExport(kind=Exportable.DEVICES)
    stream = await room.exports.stream(BY, room.workspace, new, longest_s=0.0)
    with pytest.raises(TooSlow):
        async for _ in stream.parts:
            pass
    found = await room.exports.one(room.workspace, stream.export.export_id)
    assert (found.state, found.failure) == ("failed", "The export took longer than 0 s.")


async def test_an_export_that_is_not_updated_for_a_minute_is_interrupted(room: Room) -> None:
    stream = await room.exports.stream(BY, room.workspace, NewExport(kind=Exportable.DEVICES))
    number = stream.export.export_id
    assert (await room.exports.one(room.workspace, number)).state == "running"
    await room.database.of(room.workspace).rows(
        "update exports set updated_at = now() - interval '2 minutes' where export_id = $1 and workspace_id = $2",
        number,
        room.workspace,
    )
    assert (await room.exports.one(room.workspace, number)).state == "interrupted"
    await stream.parts.aclose()
