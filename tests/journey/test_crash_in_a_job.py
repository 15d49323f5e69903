"""kill -9 of the worker that has a job in hand: another does it, and it is done once."""

import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support import crowd
from support.processes import running
from support.service import Workspace, eventually


class Files(ThreadingHTTPServer):
    """Sends the first line of a file, and the rest once it may."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = 0
        self.may_end = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/people"


class _Handler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self):
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"id": "p0"}\n')
        self.server.may_end.wait(60)
        self.wfile.write(b'{"id": "p1"}\n')

    def log_message(self, *_):
        pass


def test_the_job_of_a_worker_that_was_killed_is_done_once_by_another(folder, simulator):
    with ExitStack() as stack:
        on = ("--data", folder / "job-crash")
        env = {"PUSHKEEPER_WEBHOOKS_MAY_BE_PRIVATE": "true"}
        api = stack.enter_context(running("serve", *on, "--port", "0", "--no-worker", env=env))
        first = stack.enter_context(running("worker", *on, env=env))
        workspace = Workspace("crash", api, simulator)
        workspace.add_fcm()
        for person, token in zip(("p0", "p1"), workspace.mint("android", 2), strict=True):
            workspace.register(person, token, "android")
        template = {"kind": "broadcast", "name": "News", "title": "Hello"}
        _, made = workspace.app.request("POST", "/api/v1/templates", template)
        files = Files()
        serving = threading.Thread(target=files.serve_forever)
        serving.start()
        stack.callback(serving.join)
        stack.callback(files.shutdown)
        path = f"/v1/campaigns/{made['template']['id']}/triggers"
        number = workspace.app("POST", path, {"data_file_url": files.url})["id"]
        eventually(lambda: files.asked == 1, within_s=30)

        first.kill()
        url = api["database_url"]
        [(attempts, claim)] = crowd.query(url, "select attempts, claim_id from broadcasts")
        assert attempts == 1
        assert claim is not None
        crowd.query(url, "update broadcasts set claimed_until = now()")
        files.may_end.set()
        stack.enter_context(running("worker", *on, env=env))

        eventually(lambda: len(crowd.query(url, "select from pushes")) == 2, within_s=60)
        assert workspace.app("GET", f"{path}/{number}")["devices"] == 2
        assert files.asked == 2
        assert crowd.query(url, "select count(*) from broadcast_people") == [(2,)]
        assert crowd.query(url, "select attempts, last_error from broadcasts") == [(0, None)]
