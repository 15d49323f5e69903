"""What pywebpush does of the same pushes, in the environment that it is installed in; it imports nothing of ours."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import pywebpush
import requests

told = json.load(sys.stdin)
session = requests.Session()
session.trust_env = False  # or environment variables replace the CA file
session.verify = told["ca_file"]


def send(subscription: dict[str, Any]) -> None:
    pywebpush.webpush(
        subscription,
        told["text"],
        vapid_private_key=told["private_key"],
        vapid_claims={"sub": "mailto:ops@example.com"},
        ttl=60,
        requests_session=session,
    )


subscriptions = told["subscriptions"]
send(subscriptions[0])
before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
for number in range(told["requests"]):
    send(subscriptions[number % len(subscriptions)])
elapsed_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
found = {
    "requests_per_s": told["requests"] / elapsed_s,
    "cpu_s_per_10k": cpu_s / told["requests"] * 10_000,
}
json.dump(found, sys.stdout)
