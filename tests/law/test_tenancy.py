"""No statement reaches a tenant's table but through a workspace, and no key or reference leaves the workspace out."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from pglast import parse_plpgsql

from pushkeeper.core.exports import columns
from pushkeeper.core.exports.columns import Exportable
from pushkeeper.core.filters.nodes import (
    And,
    Condition,
    DeviceCondition,
    InSegment,
    Match,
    Not,
    OneOf,
    Or,
    Order,
    Performed,
    SavedAudience,
    Subject,
    Unit,
)
from pushkeeper.store import jobs
from pushkeeper.store.audiences import audiences, filter_sql
from pushkeeper.store.broadcasts import planning
from pushkeeper.store.devices import pages as device_pages
from pushkeeper.store.exports import rows
from support.queries import FILES, STORE, loaded_by, name_of, queries_of
from support.sources import nodes
from support.tenancy import unbound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.store.db.database import Database

ACROSS = re.compile(r"^-- across workspaces: .+\.$", re.MULTILINE)
QUERIES = {f"{name_of(file)}.{name}": query for file in FILES for name, query in queries_of(file).items()}
# A key that is looked up to learn which workspace is meant, and the log of the whole installation.
GLOBAL_KEYS = {"keys": {"keys_pkey"}, "audit_log": {"audit_log_pkey"}, "workspaces": {"workspaces_name_key"}}
OUTSIDE = {"workspaces", "users"}  # what a tenant's row may refer to by its own key alone

PERSON = Condition(Subject.PERSON, "plan", OneOf(("pro",)))
DEVICE = Condition(Subject.DEVICE, "platform", OneOf(("ios",)))
LEAVES: tuple[Node, ...] = (
    PERSON,
    DEVICE,
    Condition(Subject.IDENTIFIER, "email", OneOf(("a@b.example",))),
    InSegment(1),
    Performed("bought", order=Order.GTE, count=1),
    Performed("bought", order=Order.LT, count=3, within_s=60),
    *(DeviceCondition(DEVICE, match) for match in Match),
    SavedAudience(1, Unit.PERSON, PERSON),
    SavedAudience(1, Unit.DEVICE, DEVICE),
)
NODES: tuple[Node, ...] = (*LEAVES, *(Not(leaf) for leaf in LEAVES), And(LEAVES), Or(LEAVES))
OF_DEVICES = re.compile(r"devices d (\{people\}|join|tablesample)|join devices d on")
UNITS = (Unit.PERSON, Unit.DEVICE)
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module")
async def tenants(database: Database) -> frozenset[str]:
    """The tables whose rows belong to workspaces."""
    rows = await database.rows(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where a.attname = 'workspace_id' and not a.attisdropped and c.relkind in ('r', 'p') "
        "and not c.relispartition and c.relnamespace = 'public'::regnamespace"
    )
    return frozenset(row["relname"] for row in rows)


def filled(query: str) -> Iterator[str]:
    """A query with whatever is put into it when it is asked."""
    joined = {
        "{people}": audiences.JOINED,
        "{listed}": "",
        "{asks}": "true, false, false, null",
        "{zone}": "'known'",
        "{said}": planning.ZONE,
        "{indexed}": "",
        "{meant}": "true",
        "{which}": "b.broadcast_id = $2",
        "{columns}": "1",
    }
    for hole, text in joined.items():
        query = query.replace(hole, text)
    query = query.replace("{numbers}", "array[1]").replace("{query};", "select 1")
    query = jobs.of_all(query.replace("{most_batches}", "1"))
    if "{key}" in query or "{open}" in query:
        yield from (kind.query(query) for kind in jobs.KINDS)
    elif "{table}" in query:
        yield from (query.replace("{table}", table) for table in ("people", "devices"))
    elif "{source}" in query:
        sources = (text for name, text in QUERIES.items() if name.startswith("people.activities.feed_of_"))
        yield from (query.replace("{source}", source.removesuffix(";")) for source in sources)
    elif "{of_people}" in query:
        for node in NODES:
            people, devices = (filter_sql.condition(node, first=20, now=NOW, unit=unit).sql for unit in UNITS)
            yield query.replace("{of_people}", people).replace("{of_devices}", devices)
    elif "{condition}" in query:
        units = UNITS if OF_DEVICES.search(query) else UNITS[:1]
        for node, unit in product(NODES, units):
            yield query.replace("{condition}", filter_sql.condition(node, first=20, now=NOW, unit=unit).sql)
    else:
        yield query


@pytest.mark.parametrize("name", QUERIES)
def test_every_table_in_a_query_is_bound_to_a_workspace(name: str, tenants: frozenset[str]) -> None:
    crosses = ACROSS.search(QUERIES[name]) is not None
    for query in filled(QUERIES[name]):
        assert unbound(query, tenants, crosses=crosses) == [], query


@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if ACROSS.search(query)])
def test_a_query_that_says_that_it_crosses_workspaces_does(name: str, tenants: frozenset[str]) -> None:
    bound = {
        query: unbound(query, tenants) == [] and not re.search(r"\b(from|join) workspaces\b", query)
        for query in filled(QUERIES[name])
    }
    assert not all(bound.values())


def test_whom_a_broadcast_goes_to_is_bound_whatever_it_asks_for(tenants: frozenset[str]) -> None:
    whom = planning.Targeting(now=NOW, again=NOW.date(), device_ids=[], node=PERSON)
    where = planning.conditions(whom, first=13)
    for query in (planning.SQL["devices"].replace("{people}", audiences.JOINED), planning.SQL["listed"]):
        assert unbound(query.replace("{condition}", where.sql), tenants) == []
    sample = device_pages.SQL["share"].replace("{people}", audiences.JOINED).replace("{condition}", "true")
    assert unbound(sample, tenants) == []


@pytest.mark.parametrize("kind", [kind for kind in Exportable if kind is not Exportable.MEMBERS])
def test_what_is_exported_is_bound_whichever_columns_are_chosen(
    kind: Exportable, tenants: frozenset[str]
) -> None:
    chosen = columns.chosen(kind, [column.name for column in columns.of(kind)])
    for node in (None, *NODES):
        query, _ = rows.statement(rows.RowQuery(kind=kind, columns=chosen, node=node))
        assert unbound(query, tenants) == [], query


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("select 1 from devices where device_id = $1", ["devices as devices"]),
        ("select 1 from devices where workspace_id = $1 or device_id = $2", ["devices as devices"]),
        ("select 1 from devices where workspace_id <> $1", ["devices as devices"]),
        ("select 1 from devices d join people p using (person_id) where d.workspace_id = $1", ["people as p"]),
        ("select 1 from devices d left join people p on p.workspace_id = d.workspace_id where d.workspace_id = $1", []),
        ("select (select 1 from people p where p.person_id = d.person_id) from devices d where d.workspace_id = $1",
         ["people as p"]),
        ("select 1 from devices d where d.workspace_id = $1 and exists (select from people where person_id = 1)",
         ["people as people"]),
        ("with a as (select * from devices) select 1 from a join people p using (workspace_id, person_id)",
         ["devices as devices", "people as p"]),
        ("with a as (select person_id from devices where workspace_id = $1) select 1 from a join people using (person_id)",
         ["people as people"]),
        ("update devices d set status = '' from unnest($1::bytea[]) as g (device_id) where d.device_id = g.device_id",
         ["devices as d"]),
        ("delete from people where person_id = $1", ["people as people"]),
        ("insert into identifiers (kind, key, value, person_id) values ('id', $1, $1, $2)",
         ["identifiers without naming workspace_id"]),
        ("select 1 from devices d, lateral (select 1 from people p where p.person_id = d.person_id) x where d.workspace_id = $1",
         ["people as p"]),
        ("select 1 from devices where workspace_id = 7", ["devices as devices"]),
    ],
)  # fmt: skip
def test_what_leaves_the_workspace_out_is_found(sql: str, found: list[str], tenants: frozenset[str]) -> None:
    assert unbound(sql, tenants) == found


# Modules whose statements workers run for many workspaces at a time, each row of theirs bound by its own.
OF_WORKERS = {"delivery.queue", "messages.render_context", "delivery.held_refusals"}
# What the installation writes of a workspace: its log, and the workspace itself with its first keys.
OF_THE_INSTALLATION = {"admin.audit.begin", "admin.workspaces.create"}


def test_what_is_of_a_workspace_is_asked_by_a_role_that_sees_no_other(tenants: frozenset[str]) -> None:
    """A statement that is not for all workspaces goes by `database.of(…)`, or by the connection of a transaction.

    So does no survey: decision 0019 says why.
    """
    found: list[str] = []
    for file in sorted(STORE.rglob("*.py")):
        if name_of(file) in OF_WORKERS:
            continue
        loaded = loaded_by(file)
        for node in nodes(file) if loaded else ():
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            asked = re.match(r"SQL\['(\w+)'\]", ast.unparse(node.args[0]))
            if asked is None or ast.unparse(node.func.value) != "database" or node.func.attr == "survey":
                continue
            query = QUERIES[f"{loaded}.{asked[1]}"]
            if not ACROSS.search(query) and any(
                re.search(rf"(?<!')\b{table}\b", re.sub("--.*", "", query))
                for table in tenants - {"workspaces"}
            ):
                found.append(f"{loaded}.{asked[1]}")
    assert set(found) == OF_THE_INSTALLATION


OF_MIGRATIONS = {"mend_times"}  # which repair the rows of all workspaces


async def test_functions_and_triggers_are_bound_by_what_they_are_given(
    database: Database, tenants: frozenset[str]
) -> None:
    functions = await database.rows(
        "select p.proname as name, l.lanname as language, p.prosrc as body, pg_get_functiondef(p.oid) as definition "
        "from pg_proc p join pg_language l on l.oid = p.prolang "
        "where p.pronamespace = 'public'::regnamespace and l.lanname in ('sql', 'plpgsql')"
    )
    read = 0
    for function in functions:
        if function["name"] in OF_MIGRATIONS:
            continue
        bodies = [function["body"]] if function["language"] == "sql" else _statements(function["definition"])
        for body in bodies:
            read += 1
            assert unbound(body, tenants, given=("new", "old", function["name"])) == [], function["name"]
    assert read > 20


def _statements(definition: str) -> list[str]:
    """The statements in a function of PL/pgSQL; of an expression, what it stands for."""
    found: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            query = node.get("query")
            if isinstance(query, str):
                found.append(
                    query
                    if re.match(r"(select|insert|update|delete|with)\b", query.strip())
                    else f"select {query}"
                )
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(parse_plpgsql(definition))
    return [query for query in found if ":=" not in query]


async def test_the_workspace_is_in_every_key_and_every_reference(
    database: Database, tenants: frozenset[str]
) -> None:
    rows = await database.rows(
        "select c.relname as of, n.conname as name, n.contype::text as kind, coalesce(f.relname, '') as to, "
        "array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum = any (n.conkey)) as columns "
        "from pg_constraint n join pg_class c on c.oid = n.conrelid left join pg_class f on f.oid = n.confrelid "
        "where n.contype in ('p', 'u', 'f') and not c.relispartition and c.relnamespace = 'public'::regnamespace "
        "union all "
        "select c.relname, i.relname, 'i', '', "
        "array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum = any (x.indkey)) "
        "from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid "
        "where x.indisunique and not c.relispartition and c.relnamespace = 'public'::regnamespace"
    )
    without = {
        (row["of"], row["name"])
        for row in rows
        if row["of"] in tenants
        and "workspace_id" not in row["columns"]
        and row["to"] not in OUTSIDE
        and row["name"] not in GLOBAL_KEYS.get(row["of"], ())
    }
    assert without == set()
    assert {row["to"] for row in rows if row["kind"] == "f"} & tenants, "there are references at all"
