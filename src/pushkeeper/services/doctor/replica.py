"""The read replica: whether it can answer in the primary's place, and what keeps it from that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.services.doctor.finding import attention, ok, span, wrong
from pushkeeper.services.doctor.platform import SKEW_S, skewed
from pushkeeper.store.db.connections import where
from pushkeeper.store.db.replica import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.services.doctor.finding import Finding
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.replica import ReplicaSettings

_AWAY = "check that it is running and accepts the user of replica_url"
_TROUBLES = {
    Trouble.PRIMARY_AWAY: (
        "the primary does not report its position",
        "see the check of the database",
    ),
    Trouble.NOT_A_STANDBY: ("it is not a standby (any more)", "point replica_url at a standby"),
    Trouble.OTHER_DATABASE: (
        "it is no copy of our database: another cluster, or another database or schema of this one",
        "name a standby of database_url in replica_url, with the same database, user and options",
    ),
    Trouble.OTHER_TIMELINE: (
        "it follows another primary, such as the one before a failover, or has not caught up with this one",
        "let it follow the server of database_url",
    ),
}
# During these, reads use the primary instead: nothing is broken.
_MISDIRECTED = {Trouble.NOT_A_STANDBY, Trouble.OTHER_DATABASE}


async def of_replica(database: Database) -> list[Finding]:
    """Whether the replica is used, and its settings; nothing without one."""
    replica = database.replica
    if replica is None:
        return []
    at = where(replica.url)
    await replica.look()
    match replica.trouble:
        case None:
            pass
        case Trouble.LAGGING:
            said = f"{span(replica.lag_s or 0.0)} behind; the primary is used instead"
            return [
                attention(
                    "replica", said, "find out what delays its replay, or raise replica_max_lag_s", about=at
                )
            ]
        case trouble:
            said, todo = _TROUBLES.get(trouble, (f"not responding: {replica.error}", _AWAY))
            make = wrong if trouble in _MISDIRECTED else attention
            return [make("replica", said, todo, about=at)]
    before = datetime.now(UTC)
    settings = await replica.settings()
    after = datetime.now(UTC)
    skew_s = (settings.clock - (before + (after - before) / 2)).total_seconds()
    said = f"{settings.version}, {replica.lag_s or 0.0:.1f} s behind"
    return [ok("replica", said, about=at), *_settings(settings, at), skewed("the replica", skew_s, *SKEW_S)]


def _settings(settings: ReplicaSettings, at: str) -> Iterator[Finding]:
    if not settings.receives:
        said = "it has all that was written so far, and is connected to no primary"
        yield attention("replica", said, "see its primary_conninfo and its log", about=at)
    if not settings.feedback:
        said = "hot_standby_feedback is off: long counts are cancelled there, and asked again on the primary"
        yield attention("replica", said, "set hot_standby_feedback = on there", about=at)
    if not settings.may_see_timeline:
        said = "our user may not see which timeline it receives: after a failover it is not asked for some minutes"
        yield attention("replica", said, "grant pg_read_all_stats to the user of replica_url", about=at)
