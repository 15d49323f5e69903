"""PostgreSQL knows the time zones that we know, by the same spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.broadcasts import schedule
from pushkeeper.store.broadcasts import planning
from support.examples import examples

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

zones = st.sampled_from(sorted(schedule.zones()))
spellings = st.one_of(
    zones,
    zones.map(str.upper),
    st.tuples(st.text(schedule.ZONE_BLANKS), zones.map(str.lower), st.text(schedule.ZONE_BLANKS)).map(
        "".join
    ),
    zones.map(lambda zone: zone.replace("_", " ").replace("k", "\u212a")),
    st.sampled_from(["GMT+9", "GMT+0530", "+09:00", "", " ", "\u00a0UTC"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
KEYS = (
    f"select {planning.ZONE_KEY} as key, {planning.ZONE_KEY} = any ($2::text[]) as known "
    "from unnest($1::text[]) with ordinality as t (said, n), "
    "lateral (select jsonb_build_object('timezone', t.said) as attributes) d, "
    'lateral (select jsonb \'{"timezone": "UTC"}\' as attributes) p order by t.n'
)


@settings(
    max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(spellings, min_size=1, max_size=20))
async def test_postgresql_knows_a_zone_by_the_spellings_by_which_we_do(
    database: Database, said: list[str]
) -> None:
    rows = await database.rows(KEYS, said, planning.zone_keys())
    for text, row in zip(said, rows, strict=True):
        zone = schedule.canonical_zone(text)
        assert row["known"] == (zone is not None), text
        if zone is not None:
            assert row["key"] == schedule.zone_key(zone)
