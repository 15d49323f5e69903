"""What each column of the schema can hold of a person, and what erasing does about it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(StrEnum):
    DELETED = "deleted"  # the row goes with the person, at once or by the erasure
    CHANGED = "changed"  # the row stays, and what it held of the person is gone or stands for nobody
    AUTHORED = (
        "authored"  # written for many by those who run the workspace: theirs to change (docs/how-to/erase.md)
    )
    HASHED = "hashed"  # a keyed hash, which only this installation can make


# By table; columns that are not named here hold nothing of a person, and are named in NOTHING.
PERSONAL: Mapping[str, Mapping[Verdict, str]] = {
    "people": {Verdict.DELETED: "person_id attributes changed_at unsubscribed"},
    "identifiers": {Verdict.DELETED: "kind key value person_id"},
    "merged_people": {Verdict.DELETED: "former_id person_id"},
    "segment_members": {Verdict.DELETED: "person_id"},
    "failed_changes": {Verdict.DELETED: "person_id owner_id value former"},
    "devices": {
        Verdict.DELETED: "device_id person_id token attributes app environment platform id_kind status strikes struck_at "
        "failure_reason dropped_attributes browser_keys"
    },
    "anonymous_ids": {Verdict.DELETED: "anonymous_id person_id"},
    "anonymous_devices": {Verdict.DELETED: "device_id anonymous_id registration"},
    "events": {Verdict.DELETED: "person_id anonymous_id name data kind"},
    "device_history": {Verdict.CHANGED: "device_id from_person_id to_person_id request_id"},
    "messages": {Verdict.CHANGED: "person_id content wording"},
    "broadcast_people": {Verdict.DELETED: "person_id data"},
    "batches": {Verdict.CHANGED: "device_ids person_ids person_id"},
    "pushes": {Verdict.CHANGED: "device_id person_id detail provider_id"},
    "held_verdicts": {Verdict.CHANGED: "device_id person_id detail"},
    "reports": {Verdict.CHANGED: "person_id device_id href action"},
    "outbox": {Verdict.DELETED: "person_id data"},
    "webhook_calls": {Verdict.CHANGED: "person_id"},
    "object_notes": {Verdict.CHANGED: "said"},
    "export_parts": {Verdict.CHANGED: "text"},
    # A file is kept while its import runs, which is minutes.
    "import_parts": {Verdict.AUTHORED: "content"},
    "import_keys": {Verdict.HASHED: "key"},
    "imports": {Verdict.AUTHORED: "name description options mapping fetch_from fetched_to"},
    "audit_log": {Verdict.CHANGED: "target detail"},
    "unreadable_rows": {Verdict.DELETED: "key"},
    "erasures": {
        Verdict.CHANGED: "person_ids surrogates device_ids anonymous_ids names nonce",
        Verdict.HASHED: "hashes",
    },
    "blocked": {Verdict.HASHED: "key"},
    "broadcasts": {
        Verdict.CHANGED: "device_ids",
        Verdict.AUTHORED: "name content wording audience saved file_url",
    },
    "exports": {Verdict.AUTHORED: "asked attributes actor_name"},
    "segments": {Verdict.AUTHORED: "name description filter"},
    "templates": {
        Verdict.AUTHORED: "name trigger_name description content translations audience",
    },
    "snippets": {Verdict.AUTHORED: "name value"},
    "undos": {Verdict.AUTHORED: "selection why"},
}

# How far the plan of a broadcast has come: places in the order of keys, at which somebody's may be.
PLACES = {("broadcasts", "last_device"), ("broadcasts", "last_person")}

# What holds numbers, times, states and counts, or what is of those who run the service.
NOTHING: Mapping[str, str] = {
    "people": "workspace_id created_at",
    "identifiers": "workspace_id",
    "unreadable_rows": "workspace_id table_name reason first_at last_at",
    "merged_people": "workspace_id merged_at",
    "segment_members": "workspace_id segment_id",
    "failed_changes": "workspace_id failed_id name failed_at",
    "devices": "workspace_id generation stale_generation created_at registered_at last_used shared vapid_key",
    "anonymous_ids": "workspace_id",
    "anonymous_devices": "workspace_id told_at",
    "events": "workspace_id received_at event_id happened_at",
    "device_history": "at history_id workspace_id event from_status to_status generation message_id provider provider_status "
    "provider_reason strikes route_id undone_by",
    "messages": "message_id workspace_id kind send_to_unsubscribed created_at send_at expires_at malformed stopped_at "
    "stop_reason template_id platforms drafted retained",
    "broadcast_people": "workspace_id broadcast_id",
    "batches": "batch_id workspace_id message_id priority due_at attempt claims first_attempt_at pick claim_id lease_until "
    "lane parked slot_at",
    "pushes": "message_day message_id workspace_id generation ending reason provider provider_status provider_reason attempts "
    "settled_at route_id",
    "held_verdicts": "message_id workspace_id route_id generation why priority attempt first_attempt_at reason provider "
    "provider_status provider_reason held_at",
    "reports": "message_id metric workspace_id reported_at",
    "outbox": "outbox_id webhook_id event_id object_type metric message_id happened_at attempts workspace_id",
    "webhook_calls": "webhook_id call at event_id object_type metric message_id attempt status failure took_ms workspace_id",
    "object_notes": "note_id workspace_id at",
    "export_parts": "export_id part workspace_id",
    "audit_log": "audit_id at actor user_id user_name workspace_id workspace action outcome address",
    "erasures": "workspace_id erasure_id asked_by request_id asked_at counts done_at asked_in due_at claimed_until looks "
    "failure",
    "blocked": "workspace_id kind person blocked_at hashed",
    "broadcasts": "broadcast_id workspace_id version message_id send_to_unsubscribed template_id state listed ignore_missing last_device last_person "
    "devices failure created_at planned_at plan_failures plan_after unit schedule passes pass pass_at per_s next_slot_at "
    "skip_without_permission one_per_phone dry_run once asked preflight started_at paused_at cancelled_at attempts "
    "next_attempt_at claimed_until claim_id last_error",
    "broadcast_estimates": "workspace_id broadcast_id state failure asked_at attempts next_attempt_at claimed_until claim_id "
    "last_error",
    "exports": "export_id workspace_id kind actor_kind state lines failure created_at updated_at attempts next_attempt_at claimed_until "
    "claim_id last_error",
    "import_parts": "workspace_id import_id part",
    "import_keys": "workspace_id import_id",
    "imports": "import_id workspace_id source move apply state bytes read_bytes records counts checked checked_bytes began_at "
    "began_bytes failure attempts next_attempt_at claimed_until claim_id last_error created_at updated_at",
    "segments": "segment_id workspace_id created_at updated_at unit",
    "snippets": "workspace_id updated_at",
    "templates": "template_id workspace_id kind when_undefined send_to_unsubscribed created_at updated_at",
    "undos": "undo_id workspace_id strikes devices created_at finished_at meant_devices advanced_at",
    # Counts.
    "push_days": "workspace_id day platform seen ending reason provider_reason shard pushes",
    "bounce_days": "workspace_id day platform app app_version provider provider_reason shard pushes route",
    "broadcast_tallies": "message_id platform ending reason provider_reason shard pushes last_at workspace_id",
    "broadcast_engagement": "workspace_id message_id platform metric shard devices",
    "broadcast_minutes": "message_id minute ending shard pushes workspace_id",
    "route_hours": "route_id hour accepted ambiguous definite other workspace_id",
    "reach_now": "workspace_id counted_at took_ms asked_at people people_with_device people_reachable",
    "reach_snapshots": "workspace_id at people people_with_device people_reachable",
    "device_counts": "workspace_id platform app_version status devices",
    "device_snapshots": "workspace_id at platform app_version status devices",
    "insights": "workspace_id name counted_at took_ms asked_at found",
    "worker_figures": "worker_id series adds_up value",
    # The installation, and those who run it.
    "workspaces": "workspace_id name created_at suppress_after min_strike_gap_s suppress_on_definitive delete_unregistered "
    "max_pushes_per_s ramp_s token_ownership allow_placeholder_ids",
    "keys": "kind key_id workspace_id secret_hash created_at",
    "credentials": "credential_id workspace_id provider kind app environment facts sealed endpoint_url ca_pem created_at "
    "changed_at",
    "routes": "route_id credential_id leg accepted_at paused_at pause_reason pause_kind probe_at believed_until throttled_until "
    "slowed_to_per_s workspace_id",
    "sending_pauses": "workspace_id paused_at reason actor actor_name",
    "alerts": "route_id reason alert detail times first_at last_at workspace_id",
    "workers": "worker_id host pid started_at seen_at",
    "webhooks": "webhook_id workspace_id name endpoint events disabled full_resolution with_content sealed created_at due_at "
    "failures failing_since failure claimed_until calls attempts claim_id last_error",
    "users": "user_id name key role password_hash disabled_at created_at seen_at",
    "sessions": "token_hash user_id address created_at seen_at",
    "user_links": "token_hash user_id expires_at created_at",
    "login_failures": "at name_hash address",
    "seen_once": "workspace_id once seen_at",  # hashes of calls' ids, for a day
    "job_turns": "workspace_id kind claimed_at",
    "migrations": "number name checksum applied_at",
}


def columns_of(verdict: Verdict) -> set[tuple[str, str]]:
    """The columns of this verdict, each with its table."""
    return {
        (table, column)
        for table, verdicts in PERSONAL.items()
        for column in verdicts.get(verdict, "").split()
    }
