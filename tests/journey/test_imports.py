"""`pushkeeper import` as an operator uses it, and kill -9 of the worker in the middle of it."""

import gzip
import json
from contextlib import ExitStack

from support import crowd
from support.processes import answer, run, running
from support.service import eventually

ROWS = 12_000
APNS = "1e21b0c5" * 8


def test_a_file_is_tried_applied_and_verified_from_the_command_line(workspace, tmp_path):
    file = tmp_path / "export.csv.gz"
    rows = [
        "id,identifier,external_user_id,device_type,invalid_identifier",
        f"1,{APNS},ann,0,f",
        f"2,fcm2:APA91b{'x' * 20},ben,1,t",
        f"3,fcm3:APA91b{'x' * 20},ben,1,f",
    ]
    file.write_bytes(gzip.compress("\n".join(rows).encode()))
    command = ("import", file, "--from", "onesignal", "--workspace", workspace.name, *workspace.on)
    dry = answer(*command)
    assert (dry["apply"], dry["devices"]["new"]) == (False, 1)
    assert dry["skipped"] == {"invalid_at_source": 1, "environment_unknown": 1}
    assert {one["line"] for one in dry["examples"]} == {2, 3}
    applied = answer(*command, "--apply", "--environment", "production")
    assert (applied["people"]["new"], applied["devices"]["new"]) == (2, 2)
    assert workspace.status(APNS) == ""
    assert [line["event"] for line in workspace.history(APNS)] == ["imported"]
    on = ("--workspace", workspace.name, *workspace.on)
    verified = answer("import", "verify", str(applied["import"]), *on)
    assert verified == {"devices": 2, "missing": 0, "wrong_owner": 0, "lines": []}
    assert [one["import"] for one in answer("import", "list", *on)["imports"]] == [
        applied["import"],
        dry["import"],
    ]
    assert APNS not in run("import", "show", str(applied["import"]), *on).stdout
    missing = run("import", tmp_path / "nothing.csv", "--from", "onesignal", *on)
    assert missing.returncode == 1
    assert "nothing.csv: cannot be read" in missing.stderr


def test_an_import_whose_worker_was_killed_goes_on_where_it_was(folder, tmp_path):
    file = tmp_path / "tokens.jsonl"
    with file.open("w") as opened:
        for number in range(ROWS):
            row = {"token": f"t{number}:APA91b{'x' * 20}", "platform": "android", "person": f"p{number}"}
            opened.write(json.dumps(row) + "\n")
    with ExitStack() as stack:
        on = ("--data", folder / "import-crash")
        api = stack.enter_context(running("serve", *on, "--port", "0", "--no-worker"))
        url = api["database_url"]
        answer("workspace", "create", "import-crash", *on)
        first = stack.enter_context(running("worker", *on))
        answer(
            "import", file, "--from", "generic", "--apply", "--no-wait", "--workspace", "import-crash", *on
        )
        eventually(lambda: crowd.query(url, "select from imports where records > 0"), within_s=60)
        first.kill()
        [(records, state, said)] = crowd.query(url, "select records, state, counts from imports")
        counts = json.loads(said)
        assert state == "pending"
        assert 0 < records < ROWS
        assert counts["devices"]["new"] == records == crowd.query(url, "select count(*) from devices")[0][0]
        crowd.query(url, "update imports set claimed_until = now()")
        stack.enter_context(running("worker", *on))
        eventually(lambda: crowd.query(url, "select from imports where state = 'done'"), within_s=120)
        [(records, said)] = crowd.query(url, "select records, counts from imports")
        counts = json.loads(said)
        assert records == counts["devices"]["new"] == counts["people"]["new"] == ROWS
        assert counts["verified"] == {"devices": ROWS, "missing": 0, "wrong_owner": 0, "lines": []}
        for table in ("devices", "people", "device_history"):
            assert crowd.query(url, f"select count(*) from {table}") == [(ROWS,)]
