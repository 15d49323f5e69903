"""Calls Customer.io's `customerio-cdp-analytics`, whose package is named as their other one: an environment of its own."""

import json
import sys

from customerio import analytics

told = json.load(sys.stdin)
errors = []
client = analytics.Client(
    told["write_key"],
    host=told["host"],
    on_error=lambda error, _: errors.append(str(error)),
    sync_mode=told["sync_mode"],
    gzip=told["gzip"],
    max_retries=1,
)
for method, fields in told["calls"]:
    getattr(client, method)(**fields)
if not told["sync_mode"]:
    client.flush()
    client.join()
json.dump(errors, sys.stdout)
