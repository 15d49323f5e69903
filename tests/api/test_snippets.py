"""Snippets in Customer.io's App API: kept by name, checked when they are written, and not deleted while they are used."""

import pytest

from support.documented import SNIPPET, fits

PATH = "/v1/snippets"
LONGEST = 16_000


async def put(door, name, value):
    return await door.app("PUT", PATH, {"name": name, "value": value})


async def all_of(door):
    status, answer = await door.app("GET", PATH)
    assert status == 200
    fits(answer["snippets"], [SNIPPET])
    return {one["name"]: one["value"] for one in answer["snippets"]}


async def delete(door, name):
    status, body, _ = await door.raw("DELETE", f"{PATH}/{name}", None, authorization=door.bearer)
    return status, body


async def test_a_snippet_is_made_changed_listed_and_deleted(door, other_door):
    assert await all_of(door) == {}
    status, answer = await door.app("POST", PATH, {"name": " main address ", "value": " 1 Main St\n"})
    assert (status, answer["snippet"]["value"]) == (200, "1 Main St")
    fits(answer["snippet"], SNIPPET)
    status, answer = await put(door, "main address", "2 {{ customer.city }}")
    assert (status, answer["snippet"]["name"]) == (200, "main address")
    assert (await put(door, "Äpfel/b", "x" * LONGEST))[0] == 200
    assert (await put(other_door, "main address", "theirs"))[0] == 200
    assert await all_of(door) == {"main address": "2 {{ customer.city }}", "Äpfel/b": "x" * LONGEST}
    for name in ("main%20address", "%C3%84pfel%2Fb"):
        assert await delete(door, name) == (204, b"")
    assert (await delete(door, "main%20address"))[0] == 404
    assert (await all_of(door), await all_of(other_door)) == ({}, {"main address": "theirs"})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": " ", "value": "x"}, "/name"),
        ({"name": "n" * 151, "value": "x"}, "/name"),
        ({"name": 7, "value": "x"}, "/name"),
        ({"name": "n"}, "/value"),
        ({"name": "n", "value": " \n"}, "/value"),
        ({"name": "n", "value": "x" * (LONGEST + 1)}, "/value"),
        ({"name": "n", "value": ["x"]}, "/value"),
        ({"name": "n", "value": "{{ a"}, "/value"),
        ({"name": "n", "value": "{{ a | nonsense }}"}, "/value"),
        ({"name": "n", "value": "{{ snippets.other }}"}, "/value"),
        ({"name": "n", "value": "{{ snippets[a] }}"}, "/value"),
        (b"not json", "/body"),
    ],
)
async def test_a_bad_one_is_refused_by_its_field_and_nothing_is_kept(door, body, pointer):
    for method, expected in (("POST", 422), ("PUT", 400)):
        status, answer = await door.app(method, PATH, body)
        [error] = answer["errors"]
        assert (status, error["status"], error["source"]["pointer"]) == (expected, str(expected), pointer)
    assert await all_of(door) == {}


async def test_a_name_that_is_taken_is_refused_where_one_is_made(door):
    await put(door, "a", "1")
    status, answer = await door.app("POST", PATH, {"name": "a", "value": "2"})
    assert (status, answer["errors"][0]["source"]["pointer"]) == (422, "/name")
    assert await all_of(door) == {"a": "1"}


async def test_one_that_a_template_uses_is_not_deleted(door, other_door):
    for one in (door, other_door):
        await put(one, "a b", "1")
    template = {
        "kind": "broadcast",
        "name": "A",
        "title": "Hello",
        "translations": {"de": {"title": "Hallo", "custom_data": {"x": ["{{ snippets['a b'] }}"]}}},
    }
    made = (await door.app("POST", "/api/v1/templates", template))[1]["template"]["id"]
    status, body = await delete(door, "a%20b")
    assert (status, b"unable to delete snippet in use" in body) == (400, True)
    assert (await delete(other_door, "a%20b"))[0] == 204
    await door.raw("DELETE", f"/api/v1/templates/{made}", None, authorization=door.bearer)
    assert (await delete(door, "a%20b"))[0] == 204


async def test_a_workspace_has_so_many_at_most(door):
    await door.database.rows(
        "insert into snippets (workspace_id, name, value) select $1, 'n' || n, 'x' from generate_series(1, 500) n",
        door.workspace_id,
    )
    for method, status in (("POST", 422), ("PUT", 400)):
        assert (await door.app(method, PATH, {"name": "another", "value": "x"}))[0] == status
    assert (await put(door, "n7", "y"))[0] == 200


async def test_a_message_may_use_so_much_of_them(sender):
    for number in range(3):
        await put(sender, f"n{number}", "x" * LONGEST)
    send = {"identifiers": {"id": "42"}, "title": "{{ snippets.n0 | size }}{{ snippets.n1 | size }}"}
    assert (await sender.app("POST", "/v1/send/push", send))[0] == 200
    status, answer = await sender.app(
        "POST", "/v1/send/push", {**send, "message": "{{ snippets.n2 | size }}"}
    )
    assert (status, "snippets" in answer["meta"]["error"]) == (400, True)
    status, answer = await sender.app("POST", "/v1/send/push", {**send, "message": "{{ snippets[a] }}"})
    assert (status, "snippets" in answer["meta"]["error"]) == (400, True)


@pytest.mark.parametrize("name", ["%00", "%FF", "n" * 5_000])
async def test_a_name_that_none_can_have_is_not_there(door, name):
    assert (await delete(door, name))[0] in {400, 404}
