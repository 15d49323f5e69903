"""A running service and simulator, spoken to over HTTP."""

import copy
import http.client
import json
import ssl
import time
from base64 import b64encode
from urllib.parse import quote, urlsplit

from support import processes


class Http:
    """One origin, with an Authorization header."""

    def __init__(self, origin, authorization=None, ca_file=None):
        self.parts = urlsplit(origin)
        self.headers = {"content-type": "application/json"}
        if authorization:
            self.headers["authorization"] = authorization
        self.context = ssl.create_default_context(cafile=ca_file) if ca_file else None

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.parts.netloc, timeout=60)
        if self.parts.scheme == "https":
            connection = http.client.HTTPSConnection(self.parts.netloc, timeout=60, context=self.context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self.headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def __call__(self, method, path, body=None):
        status, answer = self.request(method, path, body)
        assert status in {200, 201, 202}, (method, path, status, answer)
        return answer


class Workspace:
    """A workspace of a running service, with the simulator's keys, and the doors to both."""

    def __init__(self, name, service, simulator, env=None):
        self.name = name
        self.on = ("--data", service["data_dir"])
        self.env = env
        self.keys = processes.answer("workspace", "create", name, *self.on, env=env)
        self.simulator = simulator
        self.control = Http(simulator["control_url"])
        self._open(service)

    def at(self, service):
        """The same workspace, at a service that was started again."""
        again = copy.copy(self)
        again._open(service)
        return again

    def _open(self, service):
        self.url = service["url"]
        basic = b64encode(f"{self.keys['site_id']}:{self.keys['api_key']}".encode()).decode()
        self.track = Http(service["url"], f"Basic {basic}", service["ca_file"])
        self.app = Http(service["url"], f"Bearer {self.keys['app_api_key']}", service["ca_file"])

    def add_fcm(self, **replaced):
        options = {
            "--service-account": self.simulator["service_account_file"],
            "--endpoint": self.simulator["fcm_url"],
            "--ca": self.simulator["ca_file"],
            **replaced,
        }
        return self._add("fcm", options)

    def add_apns(self, verb="add", **replaced):
        options = {
            "--key": self.simulator["apns_key_file"],
            "--key-id": self.simulator["apns_key_id"],
            "--team-id": self.simulator["apns_team_id"],
            "--topic": self.simulator["apns_topic"],
            "--environment": "production",
            "--endpoint": self.simulator["apns_url"],
            "--ca": self.simulator["ca_file"],
            **replaced,
        }
        return self._add("apns", options, verb)

    def update_apns(self):
        return self.add_apns(verb="update")

    def _add(self, provider, options, verb="add"):
        given = [word for option in options.items() if option[1] is not None for word in option]
        return processes.answer(
            "credentials", verb, provider, "--workspace", self.name, *self.on, *given, env=self.env
        )

    def mint(self, platform, count=1, **more):
        return self.control("POST", "/tokens", {"platform": platform, "count": count, **more})["tokens"]

    def register(self, person, token, platform, **more):
        device = {"id": token, "platform": platform, **more}
        self.track("PUT", f"/api/v1/customers/{quote(person, safe='')}/devices", {"device": device})

    def push(self, person, title="Hello", **more):
        body = {"identifiers": {"id": person}, "title": title, "message": "text", **more}
        return self.app("POST", "/v1/send/push", body)["delivery_id"]

    def message(self, delivery_id):
        return self.app("GET", f"/v1/messages/{quote(delivery_id, safe='')}")["message"]

    def device(self, token):
        return self.app("GET", f"/api/v1/devices/{quote(token, safe='')}")

    def status(self, token):
        return self.device(token)["last_status"]

    def history(self, token):
        return self.app("GET", f"/api/v1/devices/{quote(token, safe='')}/history")["history"]

    def pushes(self):
        """How many pushes are settled, by how they ended and why."""
        counts: dict[tuple[str, str], int] = {}
        for row in self.app("GET", "/api/v1/stats/pushes")["counts"]:
            key = (row["ending"], row["reason"])
            counts[key] = counts.get(key, 0) + row["pushes"]
        return counts

    def journal(self, token):
        """What the push services were asked for this token, bodies read."""
        requests = self.control("GET", f"/journal?token={quote(token, safe='')}")["requests"]
        return [{**request, "body": json.loads(request["body"])} for request in requests]

    def push_and_wait(self, person, **more):
        """Push, and return the message once nothing of it is waiting."""
        before = sum(self.pushes().values())
        delivery_id = self.push(person, **more)
        eventually(lambda: sum(self.pushes().values()) > before)
        return self.message(delivery_id)


def good(answers):
    """What a client's calls answered, none of which failed."""
    assert [answer for answer in answers if "error" in answer] == []
    return [answer["answer"] for answer in answers]


def eventually(condition, within_s=60.0):
    """Ask until it is so; what it answered. What is costly to ask is asked less often, as others have work to do."""
    give_up_at = time.monotonic() + within_s
    while True:
        asked_at = time.monotonic()
        if answer := condition():
            return answer
        now = time.monotonic()
        assert now < give_up_at, f"not so within {within_s} s"
        time.sleep(min(max(0.02, 3 * (now - asked_at)), 0.5))
