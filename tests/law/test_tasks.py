"""Whatever is started to run by itself is known here, with the test that shows that it outlives errors."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.started import STARTING, calls, modules

ROOT = Path(__file__).parents[2]
# Who starts tasks: the test that shows how an error in them is handled. Awaiting a finished task raises its error.
STARTED_BY = {
    "services/api_keys.py": "api/test_not_now.py::test_every_route_says_so_with_a_time_to_come_back",
    "cli/children.py": "journey/test_workers.py::test_serve_runs_workers_beside_it_restarts_what_dies_and_drains_all",
    "cli/starting.py": "journey/test_without_database.py::test_while_it_waits_it_is_alive_and_says_when_to_come_back",
    "store/db/connections.py": "store/test_patience.py::test_a_statement_that_takes_longer_is_cut_off_and_the_server_told_to_cancel_it",
    "cli/server.py": "store/test_embedded.py::test_who_looks_after_the_server_outlives_any_error",
    "cli/supervisor.py": "journey/test_processes.py::test_one_that_is_killed_is_missed_by_nobody_and_comes_back",
    "dashboard/ui/live.py": "dashboard/test_live.py::test_what_many_watch_is_asked_for_once",
    "web/request.py": "dashboard/test_live.py::test_it_ends_when_what_is_shown_cannot_be_had",
    "dashboard/ui/undo_jobs.py": "dashboard/test_undo_page.py::test_an_interrupted_revert_shows_its_progress_and_continues",
    "services/metrics_snapshot.py": "store/test_errors_aside.py::test_a_scrape_is_answered_whatever_the_database_says",
    "providers/fcm/access_tokens.py": "providers/test_fcm_access.py::test_whatever_goes_wrong_while_asking_is_an_answer_and_it_is_asked_again",
    "providers/webpush/origins.py": "providers/test_webpush_client.py::test_what_is_under_way_over_http1_is_answered_when_the_sender_closes",
    "providers/transport/pool.py": "providers/transport/test_pool.py::test_whatever_goes_wrong_while_connecting_is_answered_and_tried_again",
    "rendering/renderer.py": "rendering/test_renderer.py::test_a_process_that_cannot_be_started_is_nobodys_fault",
    "store/db/group_commit.py": "store/test_combine.py::test_an_unreachable_server_is_told_to_every_caller_of_the_group_and_not_asked_again_for_each",
    "store/db/listening.py": "worker/test_tasks.py::test_every_task_of_a_worker_outlives_every_error_of_the_driver",
    "store/db/replica.py": "store/test_replica.py::test_one_that_is_not_there_or_lets_nobody_in_is_left",
    "store/db/statistics.py": "store/test_errors_aside.py::test_what_is_done_aside_fails_nobody",
    "store/db/unreadable.py": "store/test_errors_aside.py::test_what_is_done_aside_fails_nobody",
    "store/db/streams.py": "services/test_streamed_exports.py::test_a_client_that_disconnects_ends_its_export_and_frees_the_connection",
    "store/db/watchdog.py": "store/test_errors_aside.py::test_who_looks_whether_the_database_answers_looks_again_whatever_is_raised",
    "web/protocol.py": "web/test_room.py::test_who_leaves_is_counted_as_long_as_its_request_runs",
    "web/server.py": "web/test_time.py::test_a_tls_handshake_that_is_not_ended_is_closed",
    "worker/jobs/runner.py": "worker/test_jobs.py::test_whatever_an_item_raises_costs_it_alone",
    "worker/listener.py": "worker/test_tasks.py::test_every_task_of_a_worker_outlives_every_error_of_the_driver",
    "worker/worker.py": "worker/test_tasks.py::test_every_task_of_a_worker_outlives_every_error_of_the_driver",
    "worker/provider_clients.py": "worker/test_tasks.py::test_a_sender_that_cannot_be_closed_is_no_reason_to_lose_outcomes",
}


def test_who_starts_tasks_is_known() -> None:
    assert {path for path, module in modules().items() if calls(module, STARTING)} == set(STARTED_BY)


@pytest.mark.parametrize("named", sorted(set(STARTED_BY.values())))
def test_the_test_that_shows_it_is_there(named: str) -> None:
    file, _, test = named.partition("::")
    assert f"def {test}(" in (ROOT / "tests" / file).read_text()


def test_a_worker_starts_no_task_but_those_that_are_kept() -> None:
    """A task in the group that raised would end all others: each is run by `keep`, and so in the test of all of them."""
    [started] = calls(modules()["worker/worker.py"], {"create_task"})
    [what] = started.args
    assert isinstance(what, ast.Call)
    assert isinstance(what.func, ast.Name)
    assert what.func.id == "keep"
