import json
import signal
import subprocess
import sys
from urllib.request import urlopen

import psutil

from support.processes import CLEAN, answer
from support.service import Http, eventually


def test_the_demo_tells_its_story_once_and_ends():
    told = answer("demo", "--once", "--devices", "200")
    assert told["devices"] == 200
    after = {played["name"]: played["after"] for played in told["rounds"]}
    assert after["registered"] == {"unused": 200, "sent": 0, "bounced": 0, "suppressed": 0}
    assert after["first push"] == {"unused": 0, "sent": 200, "bounced": 0, "suppressed": 0}
    assert after["uninstalled"] == {"unused": 0, "sent": 160, "bounced": 40, "suppressed": 0}
    assert after["still gone"] == {"unused": 0, "sent": 160, "bounced": 0, "suppressed": 40}
    assert after["left alone"] == after["still gone"]
    assert after["back again"] == {"unused": 0, "sent": 180, "bounced": 0, "suppressed": 20}
    for earlier, later in zip(told["rounds"], told["rounds"][1:], strict=False):
        assert later["before"] == earlier["after"]
    assert sum(count["devices"] for count in told["by_platform"]) == 200
    skipped = [row["pushes"] for row in told["answers"] if row["ending"] == "skipped"]
    assert skipped == [40 + 20]


def test_the_demo_stays_until_it_is_ended_and_takes_its_processes_with_it():
    command = [sys.executable, "-m", "pushkeeper", "demo", "--devices", "20", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=CLEAN) as demo:
        assert demo.stdout is not None
        told = json.loads(demo.stdout.readline())
        assert told["devices"] == 20
        started = psutil.Process(demo.pid).children(recursive=True)
        assert len(started) >= 2
        # The dashboard shows a running story: a sale is announced to everybody.
        app = Http(told["url"], f"Bearer {told['app_api_key']}")
        path = f"/api/v1/broadcasts/{told['broadcast']}"
        eventually(lambda: app("GET", path)["broadcast"]["state"] == "sending")
        assert app("GET", path)["broadcast"]["content"]["title"].startswith("The summer sale")
        with urlopen(told["setup_url"], timeout=60) as page:
            assert b"Create admin account" in page.read()
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(20) == 0
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
