"""`pushkeeper export` as an operator uses it: out of one workspace and into another, and kill -9 in the middle of it."""

import json
import secrets
import signal
import subprocess
import sys
from contextlib import ExitStack

from support import crowd
from support.processes import CLEAN, answer, run, running

APNS = "1e21b0c5" * 8
FCM = f"fcm2:APA91b{'x' * 20}"


def test_a_workspace_is_exported_and_comes_out_of_another_as_it_went_in(workspace, tmp_path):
    file = tmp_path / "theirs.csv"
    file.write_text(
        "token,platform,person,environment,status,attribute.note,person_attribute.plan,last_used\n"
        f"{APNS},ios,ann,production,sent,=1+1,pro,1780000000\n"
        f"{FCM},android,+49 30 é漢,,suppressed,-5,free,1780000001\n"
    )
    here = ("--workspace", workspace.name, *workspace.on)
    answer("import", file, "--from", "generic", "--apply", "--status", "keep", *here)
    for form in ("csv", "jsonl"):
        name = f"other-{form}-{secrets.token_hex(4)}"
        answer("workspace", "create", name, *workspace.on)
        there = ("--workspace", name, *workspace.on)
        out = tmp_path / f"people.{form}"
        said = answer("export", "people", "--format", form, "--output", out, *here)
        assert (said["rows"], said["file"]) == (2, str(out))
        assert out.stat().st_mode & 0o077 == 0
        answer("import", out, "--from", "pushkeeper", "--apply", "--status", "keep", *there)
        found = [
            sorted(run("export", "devices", "--columns", COLUMNS, *on).stdout.splitlines())
            for on in (here, there)
        ]
        assert found[0] == found[1]
        assert len(found[0]) == 3
    listed = answer("export", "list", *here)["exports"]
    assert {(one["kind"], one["state"]) for one in listed} == {("people", "done"), ("devices", "done")}
    onesignal = run("export", "devices", "--format", "onesignal", *here).stdout
    assert onesignal.startswith("id,identifier,")
    assert FCM in onesignal
    assert FCM not in run("export", "devices", "--tokens", "masked", *here).stdout
    wrong = run("export", "devices", "--columns", "tokens", "--output", tmp_path / "none", *here)
    assert wrong.returncode == 1
    assert "'tokens' is not a column of devices" in wrong.stderr
    assert not [*tmp_path.glob("none*")]


COLUMNS = (
    "token,platform,environment,last_status,last_used,registered_at,person_id,attributes,person_attributes"
)


def test_an_export_that_was_killed_leaves_no_file_that_looks_whole(folder, tmp_path):
    with ExitStack() as stack:
        on = ("--data", folder / "export-crash")
        service = stack.enter_context(running("serve", *on, "--port", "0", "--no-worker"))
        answer("workspace", "create", "export-crash", *on)
        url = service["database_url"]
        crowd.query(
            url,
            "with made as (insert into people (workspace_id) select workspace_id from workspaces returning *) "
            "insert into devices (workspace_id, device_id, person_id, token, platform, attributes) "
            "select workspace_id, token_device(workspace_id, 'tok' || n), person_id, 'tok' || n, 'android', "
            "jsonb_build_object('a', repeat('x', 200)) from made, generate_series(1, 30000) n",
        )
        command = [sys.executable, "-m", "pushkeeper", "export", "devices", "--workspace", "export-crash"]
        # Nobody reads its output: it is in the middle of the export for as long as it lives.
        export = subprocess.Popen([*command, *map(str, on)], stdout=subprocess.PIPE, env=CLEAN)
        assert export.stdout is not None
        assert export.stdout.read(10_000)
        [(state, lines)] = crowd.query(url, "select state, lines from exports")
        assert (state, lines) == ("running", 0)
        export.kill()
        assert export.wait() == -signal.SIGKILL
        export.stdout.close()
        crowd.query(url, "update exports set updated_at = now() - interval '2 minutes'")
        [one] = answer("export", "list", "--workspace", "export-crash", *on)["exports"]
        assert one["state"] == "interrupted"

        out = tmp_path / "devices.jsonl"
        output = ("--format", "jsonl", "--output", str(out))
        export = subprocess.Popen([*command, *output, *map(str, on)], env=CLEAN)
        while not [*tmp_path.glob("devices.jsonl*")] and export.poll() is None:
            pass
        export.kill()
        export.wait()
        assert not out.exists()
        answer(*command[3:], *output, *on)
        assert len([json.loads(line) for line in out.read_text().splitlines()]) == 30_000
