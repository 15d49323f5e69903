"""What was sent to a person, in Customer.io's App API."""

import time

import pytest


async def sent(sender, count, person="42"):
    ids = []
    for number in range(count):
        body = {"identifiers": {"id": person}, "title": f"number {number}", "message": "text"}
        ids.append((await sender.app("POST", "/v1/send/push", body))[1]["delivery_id"])
    return ids


async def listed(sender, query="", person="42"):
    status, answer = await sender.app("GET", f"/v1/customers/{person}/messages{query}")
    assert status == 200, answer
    return answer


async def test_a_persons_messages_come_the_newest_first_and_in_pages(sender):
    ids = await sent(sender, 5)
    await sent(sender, 1, person="43")
    whole = await listed(sender)
    assert [message["id"] for message in whole["messages"]] == ids[::-1]
    assert (whole["next"], whole["messages"][0]["subject"]) == ("", "number 4")
    assert {message["customer_identifiers"]["id"] for message in whole["messages"]} == {"42"}
    seen, start = [], ""
    while True:
        page = await listed(sender, f"?limit=2&start={start}")
        seen += [message["id"] for message in page["messages"]]
        start = page["next"]
        if not start:
            break
    assert seen == ids[::-1]


async def test_messages_are_bounded_by_time(sender):
    ids = await sent(sender, 2)
    now = int(time.time())
    assert len((await listed(sender, f"?start_ts={now - 60}&end_ts={now + 60}"))["messages"]) == len(ids)
    assert (await listed(sender, f"?start_ts={now - 7200}&end_ts={now - 3600}"))["messages"] == []
    assert (await listed(sender, f"?start_ts={now + 60}&end_ts={now + 120}"))["messages"] == []


async def test_a_person_by_cio_id_or_email_has_the_same_messages(sender):
    await sender.track("PUT", "/api/v1/customers/42", {"email": "ann@example.com"})
    ids = await sent(sender, 1)
    cio_id = (await sender.person("42"))["identifiers"]["cio_id"]
    for who in ("ann@example.com", cio_id, f"{cio_id}"):
        query = "?id_type=email" if "@" in who else ""
        assert [message["id"] for message in (await listed(sender, query, who))["messages"]] == ids


async def test_merged_people_keep_their_deliveries_with_the_other(sender):
    await sender.track("PUT", "/api/v1/customers/42", {})
    [former] = await sent(sender, 1, person="43")
    body = {"primary": {"id": "42"}, "secondary": {"id": "43"}}
    await sender.track("POST", "/api/v1/merge_customers", body)
    [own] = await sent(sender, 1)
    assert [message["id"] for message in (await listed(sender))["messages"]] == [own, former]


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=1001", "?start=x!", "?start_ts=yesterday", "?id_type=phone"]
)
async def test_a_bad_question_is_refused(sender, query):
    await sender.track("PUT", "/api/v1/customers/42", {})
    assert (await sender.app("GET", f"/v1/customers/42/messages{query}"))[0] == 400


async def test_the_messages_of_nobody_are_not_found(sender):
    assert (await sender.app("GET", "/v1/customers/nobody/messages"))[0] == 404


@pytest.mark.parametrize("name", ["metric", "state"])
async def test_an_unknown_metric_is_rejected_by_the_name_in_the_query(sender, name):
    status, answer = await sender.app("GET", f"/v1/messages?{name}=eaten")
    assert (status, answer["errors"][0]["detail"].startswith(f"{name}: ")) == (400, True)
