"""Who is who: anonymous ids tie earlier events and devices to the first person who identifies with them, and name nobody."""

import itertools
import json
import secrets
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.services.people import People, RequestedBy
from support.actors import BY
from support.examples import examples

APIS = ("cdp", "v1", "v2")
CREATED, DELETED = "Device Created or Updated", "Device Deleted"
TABLET, TOKEN = "family-tablet", "token-of-the-tablet"


class Clients:
    """What a workspace's clients send, by the API that is named first."""

    def __init__(self, door):
        self.door = door

    async def identify(self, api, who, anonymous_id=None, **attributes):
        tie = {} if anonymous_id is None else {"anonymous_id": anonymous_id}
        if api == "cdp":
            await self.cdp("identify", who, anonymous_id, traits=attributes)
        elif api == "v1":
            await self.v1("PUT", f"/api/v1/customers/{who}", {**attributes, **tie})
        else:
            await self.v2("identify", who, attributes={**attributes, **tie})

    async def event(self, api, who, name, anonymous_id=None):
        if api == "cdp":
            await self.cdp("track", who, anonymous_id, event=name)
        elif api == "v1":
            path, tie = "/api/v1/events", {"anonymous_id": anonymous_id}
            if who is not None:
                path, tie = f"/api/v1/customers/{who}/events", {}
            await self.v1("POST", path, {"name": name, **tie})
        else:
            identifiers = {"anonymous_id": anonymous_id} if who is None else None
            await self.v2("event", who, identifiers=identifiers, name=name)

    async def register(self, api, who, token, anonymous_id=None):
        if api == "cdp" or who is None:
            await self.cdp("track", who, anonymous_id, event=CREATED, context=self.phone(token))
        elif api == "v1":
            device = {"id": token, "platform": "ios"}
            await self.v1("PUT", f"/api/v1/customers/{who}/devices", {"device": device})
        else:
            await self.v2("add_device", who, device={"token": token, "platform": "ios"})

    async def forget(self, api, who, token, anonymous_id=None):
        if api == "cdp" or who is None:
            await self.cdp("track", who, anonymous_id, event=DELETED, context=self.phone(token))
        elif api == "v1":
            await self.v1("DELETE", f"/api/v1/customers/{who}/devices/{token}")
        else:
            await self.v2("delete_device", who, device={"token": token})

    async def alias(self, who, previous):
        await self.cdp("alias", who, previousId=previous)

    async def merge(self, api, primary, secondary):
        body = {"primary": {"id": primary}, "secondary": {"id": secondary}}
        if api == "v1":
            await self.v1("POST", "/api/v1/merge_customers", body)
        else:
            item = {"type": "person", "action": "merge", **body}
            assert await self.door.track("POST", "/api/v2/entity", item) == (200, {})

    @staticmethod
    def phone(token):
        return {"device": {"token": token, "type": "ios"}}

    async def cdp(self, kind, who, anonymous_id=None, **more):
        item = {"type": kind, "userId": who or "", "messageId": secrets.token_hex(8), **more}
        if anonymous_id is not None:
            item["anonymousId"] = anonymous_id
        body = json.dumps({"writeKey": self.door.keys.write_key, "batch": [item]}).encode()
        assert (await self.door.raw("POST", "/v1/b", body, **{"x-strict-mode": "1"}))[0] == 200

    async def v1(self, method, path, body=None):
        assert await self.door.track(method, path, body) == (200, {})

    async def v2(self, action, who, identifiers=None, **more):
        named = identifiers or {"email" if "@" in who else "id": who}
        item = {"type": "person", "action": action, "identifiers": named, **more}
        assert await self.door.track("POST", "/api/v2/entity", item) == (200, {})

    # What the workspace holds.

    async def people(self):
        """The attributes of everybody by their id, or email where they have no id."""
        rows = await self.door.database.rows(
            "select p.attributes, "
            "(select value from identifiers i where i.person_id = p.person_id and kind = 'id') as id, "
            "(select value from identifiers i where i.person_id = p.person_id and kind = 'email') as email "
            "from people p where p.workspace_id = $1",
            self.door.workspace_id,
        )
        return {row["id"] or row["email"]: row["attributes"] for row in rows}

    async def _owned(self, table, column):
        rows = await self.door.database.rows(
            f"select t.{column} as thing, (select i.value from identifiers i "
            "where i.person_id = t.person_id order by kind desc limit 1) as who "
            f"from {table} t where t.workspace_id = $1",
            self.door.workspace_id,
        )
        return {row["thing"]: row["who"] for row in rows}

    async def owners(self):
        return await self._owned("devices", "token")

    async def doers(self):
        return await self._owned("events", "name")


@pytest.fixture
def clients(door):
    return Clients(door)


# Two people on one tablet, whose anonymous id stays (rudderlabs/rudder-sdk-js#206).


@pytest.mark.parametrize(("first", "second"), list(itertools.product(APIS, repeat=2)))
@pytest.mark.parametrize(
    ("ann", "bob"),
    [
        ("ann@example.com", "bob"),
        ("ann", "bob@example.com"),
        ("ann", "bob"),
        ("ann@example.com", "bob@example.com"),
    ],
)
async def test_two_people_who_identify_with_one_anonymous_id_stay_two(clients, first, second, ann, bob):
    await clients.event(first, None, "before", TABLET)
    await clients.register("cdp", None, TOKEN, TABLET)
    await clients.identify(first, ann, TABLET, first_name="Ann")
    await clients.event(second, None, "between", TABLET)
    await clients.register("cdp", None, "second-token", TABLET)
    await clients.identify(second, bob, TABLET, first_name="Bob")
    await clients.identify(first, ann, TABLET, city="Bern")
    assert await clients.people() == {ann: {"first_name": "Ann", "city": "Bern"}, bob: {"first_name": "Bob"}}
    assert await clients.owners() == {TOKEN: ann}
    assert await clients.doers() == {"before": ann, "between": None}
    await clients.register(second, bob, TOKEN)
    assert await clients.owners() == {TOKEN: bob}, "whoever registers it now has it"


@pytest.mark.parametrize("order", [1, -1])
async def test_an_email_trait_beside_the_anonymous_id_of_another_is_kept(clients, order):
    people = {"ann": "ann@example.com", "bob": "bob@example.com"}
    for who, email in list(people.items())[::order]:
        await clients.identify("cdp", who, TABLET, email=email)
    for who, email in people.items():
        assert (await clients.door.person(who))["identifiers"]["email"] == email


@pytest.mark.parametrize("api", APIS)
async def test_nobody_is_found_by_the_value_of_an_anonymous_id(clients, api):
    await clients.identify(api, "ann", "a1", plan="pro")
    await clients.identify(api, "a1", plan="free")
    assert await clients.people() == {"ann": {"plan": "pro"}, "a1": {"plan": "free"}}


async def test_an_alias_of_another_users_id_renames_and_merges_nobody(clients):
    await clients.identify("cdp", "ann", "a1", plan="pro", email="ann@example.com")
    await clients.register("cdp", "ann", TOKEN)
    await clients.event("cdp", "ann", "bought")
    for previous in ("ann", "ann@example.com"):
        await clients.alias("bob", previous)
        await clients.identify("cdp", "bob", previous, plan="free")
    assert await clients.people() == {"ann": {"plan": "pro"}, "bob": {"plan": "free"}}
    assert await clients.owners() == {TOKEN: "ann"}
    assert await clients.doers() == {"bought": "ann"}


async def test_a_group_changes_nobody(clients):
    await clients.identify("cdp", "ann", "a1", plan="pro")
    await clients.cdp("group", "bob", "a1", groupId="ann", traits={"plan": "free"})
    assert await clients.people() == {"ann": {"plan": "pro"}}


async def test_a_form_with_an_anonymous_id_alone_is_refused(clients):
    data = {"anonymous_id": "a1", "plan": "pro"}
    status, _ = await clients.door.track("POST", "/api/v1/forms/f/submit", {"data": data})
    assert (status, await clients.people()) == (400, {})


async def test_a_form_takes_what_was_done_before_it(clients):
    await clients.event("v1", None, "looked", "a1")
    body = json.dumps({"data": {"id": "ann", "anonymous_id": "a1"}}).encode()
    path, basic = "/api/v1/forms/f/submit", clients.door.basic
    assert (await clients.door.raw("POST", path, body, authorization=basic))[0] == 204
    assert await clients.doers() == {"looked": "ann"}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("bad", [[], {}, True, "a" * 151])
async def test_a_bad_anonymous_id_is_refused_by_its_name_and_changes_nothing(clients, api, bad):
    door = clients.door
    if api == "cdp":
        body = json.dumps({"writeKey": door.keys.write_key, "event": "e", "anonymousId": bad}).encode()
        status, answer, _ = await door.raw("POST", "/v1/track", body, **{"x-strict-mode": "1"})
        field = json.loads(answer)["field"]
    elif api == "v1":
        status, answer = await door.track("PUT", "/api/v1/customers/ann", {"anonymous_id": bad})
        field = answer["meta"]["errors"][0].partition(":")[0]
    else:
        item = {"type": "person", "action": "identify", "identifiers": {"id": "ann"}}
        item["attributes"] = {"anonymous_id": bad}
        status, answer = await door.track("POST", "/api/v2/entity", item)
        field = answer["errors"][0]["field"]
    assert (status, await clients.people(), await clients.doers()) == (400, {}, {})
    assert field.rpartition(".")[2] in {"anonymousId", "anonymous_id"}


# What is tied, and for how long.


@pytest.mark.parametrize("api", APIS)
async def test_an_identify_that_is_refused_ties_nothing(clients, api):
    await clients.event(api, None, "looked", "a1")
    await clients.identify("v1", "ann", **{f"a{n}": n for n in range(300)})
    door, too_many = clients.door, {"one_more": 1}
    if api == "cdp":
        await clients.cdp("track", None, "a2", event="a neighbour's")
        item = {"type": "identify", "userId": "ann", "anonymousId": "a1", "traits": too_many}
        body = json.dumps({"writeKey": door.keys.write_key, "batch": [item]}).encode()
        assert (await door.raw("POST", "/v1/b", body))[0] == 200
    elif api == "v1":
        told = {**too_many, "anonymous_id": "a1"}
        assert (await door.track("PUT", "/api/v1/customers/ann", told))[0] == 400
    else:
        item = {"type": "person", "action": "identify", "identifiers": {"id": "ann"}}
        item["attributes"] = {**too_many, "anonymous_id": "a1"}
        assert (await door.track("POST", "/api/v2/entity", item))[0] == 400
    await clients.identify(api, "bob", "a1")
    assert (await clients.doers())["looked"] == "bob"


@pytest.mark.parametrize("api", APIS)
async def test_what_came_before_somebody_who_is_suppressed_is_nobodys(clients, api):
    await clients.identify("v1", "ann")
    await clients.v1("POST", "/api/v1/customers/ann/suppress", {})
    await clients.event(api, None, "before", TABLET)
    await clients.register("cdp", None, TOKEN, TABLET)
    await clients.identify(api, "ann", TABLET)
    await clients.identify(api, "bob", TABLET)
    assert (await clients.people(), await clients.owners()) == ({"bob": {}}, {})
    assert await clients.doers() == {"before": None}


async def test_merged_people_leave_their_anonymous_ids_to_the_primary(clients):
    await clients.identify("v1", "second", "a1")
    await clients.identify("v1", "first")
    await clients.merge("v1", "first", "second")
    await clients.event("v1", None, "later", "a1")
    await clients.identify("v1", "third", "a1")
    assert await clients.doers() == {"later": None}


async def test_an_anonymous_id_is_free_again_once_its_person_is_deleted(clients, door):
    await clients.identify("v1", "ann", "a1")
    ann = Identifier(IdentifierKind.ID, "ann")
    await People(door.database).erase(BY, door.workspace_id, ann, by=RequestedBy.API)
    await clients.event("v1", None, "since", "a1")
    await clients.identify("v1", "bob", "a1")
    assert await clients.doers() == {"since": "bob"}


@pytest.mark.parametrize("anonymous_id", ["a1", "another", None])
async def test_a_phone_that_reports_its_token_gone_while_nobody_is_logged_in_gets_nobodys_pushes(
    clients, anonymous_id
):
    await clients.register("cdp", None, TOKEN, "a1")
    await clients.identify("cdp", "ann", "a1")
    assert await clients.owners() == {TOKEN: "ann"}
    await clients.forget("cdp", None, TOKEN, anonymous_id)
    assert await clients.owners() == {}


# Any calls of several people over a few anonymous ids, tokens and APIs, against a model of them.

_apis, _people = st.sampled_from(APIS), st.sampled_from(["ann", "bob", "eve"])
_anonymous, _tokens = st.sampled_from(["a1", "a2", "ann"]), st.sampled_from(["t1", "t2"])
_calls = st.one_of(
    st.tuples(st.just("identify"), _apis, _people, st.none() | _anonymous),
    st.tuples(st.just("event"), _apis, st.none() | _people, _anonymous),
    st.tuples(st.just("register"), _apis, st.none() | _people, _tokens, _anonymous),
    st.tuples(st.just("forget"), _apis, st.none() | _people, _tokens, _anonymous),
    st.tuples(st.just("alias"), _people, _anonymous | _people),
    st.tuples(st.just("merge"), st.sampled_from(["v1", "v2"]), _people, _people),
)


class Model:
    """The rules, as plainly as can be."""

    def __init__(self):
        self.people = {}  # id: attributes
        self.claimed = {}  # anonymous id: who identified with it first
        self.owners = {}  # token: who
        self.doers = {}  # event: who, or None
        self.waiting = defaultdict(list)  # anonymous id: events
        self.kept = {}  # token: anonymous id
        self._number = itertools.count()

    async def apply(self, clients, what):
        call, *rest = what
        await getattr(self, call)(clients, *rest)

    async def identify(self, clients, api, who, anonymous_id):
        value = next(self._number)
        await clients.identify(api, who, anonymous_id, plan=value)
        self.people.setdefault(who, {})["plan"] = value
        self._claim(who, anonymous_id)

    async def alias(self, clients, who, previous):
        await clients.alias(who, previous)
        self.people.setdefault(who, {})
        self._claim(who, previous)

    async def event(self, clients, api, who, anonymous_id):
        name = f"event {next(self._number)}"
        await clients.event(api, who, name, anonymous_id)
        self.doers[name] = who
        if who is None:
            self.waiting[anonymous_id].append(name)
        else:
            self.people.setdefault(who, {})

    async def register(self, clients, api, who, token, anonymous_id):
        await clients.register(api, who, token, anonymous_id)
        if who is None:
            self.kept[token] = anonymous_id
        else:
            self.people.setdefault(who, {})
            self.owners[token] = who
            self.kept.pop(token, None)

    async def forget(self, clients, api, who, token, anonymous_id):
        await clients.forget(api, who, token, anonymous_id)
        if who is None:
            self.kept.pop(token, None)
        if who is None or self.owners.get(token) == who:
            self.owners.pop(token, None)

    async def merge(self, clients, api, primary, secondary):
        await clients.merge(api, primary, secondary)
        if primary != secondary and {primary, secondary} <= self.people.keys():
            self.people[primary] = {**self.people.pop(secondary), **self.people[primary]}
            for things in (self.claimed, self.owners, self.doers):
                things.update({thing: primary for thing, who in things.items() if who == secondary})

    def _claim(self, who, anonymous_id):
        if anonymous_id is None or anonymous_id in self.claimed:
            return
        self.claimed[anonymous_id] = who
        for name in self.waiting[anonymous_id]:
            self.doers[name] = who
        for token in [token for token, kept in self.kept.items() if kept == anonymous_id]:
            self.owners[token] = who
            del self.kept[token]


@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls=st.lists(_calls, max_size=25))
async def test_calls_of_several_people_come_to_what_the_model_says(new_door, calls):
    clients, model = Clients(await new_door()), Model()
    for what in calls:
        await model.apply(clients, what)
    assert await clients.people() == model.people
    assert await clients.owners() == model.owners
    assert await clients.doers() == model.doers
