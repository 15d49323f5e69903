"""Every column of the schema has a verdict: what it can hold of a person, and what erasing does about it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from support.personal import NOTHING, PERSONAL, Verdict, columns_of

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database


async def test_every_column_of_every_table_has_one_verdict(database: Database) -> None:
    rows = await database.owned.rows(
        "select c.table_name, c.column_name from information_schema.columns c "
        "join pg_class r on r.oid = format('%I.%I', c.table_schema, c.table_name)::regclass "
        "where c.table_schema = 'public' and r.relkind in ('r', 'p') and not r.relispartition"
    )
    there = {(row["table_name"], row["column_name"]) for row in rows}
    judged = Counter(column for verdict in Verdict for column in columns_of(verdict))
    judged.update((table, column) for table, columns in NOTHING.items() for column in columns.split())
    assert there - set(judged) == set(), "say in tests/support/personal.py what it holds of a person"
    assert set(judged) - there == set(), "there is no such column any more"
    assert [column for column, times in judged.items() if times > 1] == []
    assert len(there) > 300
    assert PERSONAL.keys() <= NOTHING.keys()
