"""Answers that no row of the decision table names: no device is bounced for them, and no push is lost by a proxy's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.simulator.script import Step
from support.engine import eventually
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.endpoint import Endpoint
    from support.engine import Engine, Tenant

DEVICES = 4  # fewer than those of whom a page is believed
PAGE = "<!DOCTYPE html><title>Sign in</title>"
NOT_OURS = ["", PAGE, "{}", "[]", "null", '{"ok": false}', '{"error": "no"}', '{"reason": 7}']


def googles(status: int, name: str, *details: Mapping[str, object]) -> str:
    error = {"code": status, "message": "Something new.", "status": name, "details": details}
    return json.dumps({"error": error})


FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
NEW_CODE = {"@type": FCM_ERROR, "errorCode": "NEW_CODE"}
# What the services might say one day, and what of it came through.
OF_FCM = [
    googles(404, "NOT_FOUND", NEW_CODE),
    googles(400, "INVALID_ARGUMENT", NEW_CODE),
    googles(403, "PERMISSION_DENIED", NEW_CODE),
    googles(410, "NOT_FOUND", {"@type": FCM_ERROR, "errorCode": "UNREGISTERED"})[:60],
    googles(400, "INVALID_ARGUMENT", {"@type": "type.googleapis.com/google.rpc.BadRequest"}),
]
OF_APNS = [
    '{"reason":"NewWord"}',
    '{"reason":"Unregistered"',
    '{"timestamp":1795435200000}',
    '"Unregistered"',
]
STATUSES = [
    201,
    204,
    301,
    302,
    307,
    400,
    401,
    402,
    403,
    404,
    405,
    406,
    407,
    408,
    409,
    410,
    411,
    412,
    413,
    414,
    415,
]
STATUSES += [
    417,
    418,
    421,
    422,
    425,
    426,
    429,
    431,
    451,
    499,
    500,
    501,
    502,
    503,
    504,
    505,
    507,
    511,
    520,
    599,
]
KINDS = st.sampled_from(["text/html", "application/json", "text/plain", "application/octet-stream"])


def answers(bodies: list[str]) -> st.SearchStrategy[Step]:
    return st.builds(
        lambda status, body, kind: Step(status=status, body=body, headers={"content-type": kind}),
        st.sampled_from(STATUSES),
        st.sampled_from([*NOT_OURS, *bodies]),
        KINDS,
    )


async def told_strange_things(tenant: Tenant, platform: str, provider: str, steps: list[Step]) -> None:
    """Each device has been sent to once, and hears one strange answer to its second push."""
    tokens = tenant.mint(platform, len(steps), provider=provider)
    for number, token in enumerate(tokens):
        await tenant.register(f"p{number}", token, platform)
        await tenant.push(f"p{number}")
    await tenant.settled(len(steps))
    for token, step in zip(tokens, steps, strict=True):
        tenant.simulator.world.script(token, [step])
    for number in range(len(steps)):
        await tenant.push(f"p{number}")

    async def over() -> bool:
        waiting = await tenant.queued()
        known = len(await tenant.pushes()) + sum(batch["devices"] for batch in waiting)
        heard = all(len(tenant.asked(token)) > 1 for token in tokens)
        # A pause may have come before some were asked at all.
        paused = any(route["paused_at"] for route in (await tenant.routes()).values())
        idle = known == 2 * len(steps) and not any(batch["claimed"] for batch in waiting)
        return idle and (heard or paused)

    await eventually(over)
    for token, step in zip(tokens, steps, strict=True):
        assert await tenant.status(token) == "sent", step
        assert {line["event"] for line in await tenant.history(token)} <= {"registered", "accepted"}, step


SETTINGS = settings(
    max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SETTINGS
@given(steps=st.lists(answers(OF_FCM), min_size=DEVICES, max_size=DEVICES))
async def test_no_android_phone_is_bounced_for_an_answer_that_says_nothing_of_it(
    running: Engine, steps: list[Step]
) -> None:
    tenant = await running.tenant()
    await tenant.add_fcm()
    await told_strange_things(tenant, "android", "fcm", steps)


@SETTINGS
@given(steps=st.lists(answers(OF_APNS), min_size=DEVICES, max_size=DEVICES))
async def test_no_iphone_is_bounced_for_an_answer_that_says_nothing_of_it(
    running: Engine, steps: list[Step]
) -> None:
    tenant = await running.tenant()
    await tenant.add_apns()
    await told_strange_things(tenant, "ios", "apns", steps)


@pytest.mark.parametrize(
    ("form", "field"),
    [("payload_field", "message.data[0].value"), ("no_recipient", "Recipient of the message")],
)
async def test_the_failure_message_names_the_field_of_a_malformed_message(
    tenant: Tenant, endpoint: Endpoint, form: str, field: str
) -> None:
    webhook = {"name": "ours", "endpoint": endpoint.url, "events": ["push_failed"]}
    await tenant.call("POST", "/v1/reporting_webhooks", webhook)
    [token] = tenant.mint("android")
    await tenant.register("ann", token, "android")
    tenant.simulator.world.script(token, [Step(form=form)])
    delivery = await tenant.push("ann")
    await tenant.settled(1)
    assert field in (await tenant.message(delivery))["failure_message"]

    async def posted() -> bool:
        return bool(endpoint.told)

    await eventually(posted)
    [told] = endpoint.told
    assert field in told["data"]["failure_message"]
    assert field in told["data"]["recipients"][0]["failure_message"]
