"""The dashboard's pages, as a benchmark opens them. A page that is added has its line here; a test holds the list against the doors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


class Page(NamedTuple):
    """A page, by the path of its door and its query; braces contain a column of the query `ids`."""

    name: str
    path: str
    query: str = ""
    p95_ms: int = 200  # the goal

    def address(self, ids: Mapping[str, str]) -> str:
        """The page of this workspace, device, person …."""
        path = self.path.format_map({name: quote(value, safe="") for name, value in ids.items()})
        query = self.query
        for name in ("broadcast", "device", "delivery"):
            query = query.replace(f"{{{name}}}", ids[name])
        return f"{path}?{quote(query, safe='=&')}" if query else path


_HERE = "/w/{workspace}"

PAGES = (
    Page("overview", _HERE, p95_ms=300),
    Page("overview, a year", _HERE, "span=1y", p95_ms=300),
    Page("devices", f"{_HERE}/devices"),
    Page("devices, a filter true of many", f"{_HERE}/devices", "filter=platform = ios"),
    Page(
        "devices, a filter true of few",
        f"{_HERE}/devices",
        "filter=last_status = bounced and person.visits = 7",
    ),
    Page("devices, a filter true of none", f"{_HERE}/devices", "filter=person.city = Nowhere"),
    Page("devices, how many", f"{_HERE}/devices/count", "filter=platform = ios and app_version < 4.2"),
    Page("devices, what may be typed next", f"{_HERE}/devices/complete", "filter=person.c&at=8"),
    Page("device", f"{_HERE}/devices/{{device}}"),
    Page("people", f"{_HERE}/people"),
    Page("people, a filter true of many", f"{_HERE}/people", "filter=person.plan = pro"),
    Page("people, a filter true of few", f"{_HERE}/people", "filter=person.plan = pro and person.visits = 7"),
    Page("people, a filter true of none", f"{_HERE}/people", "filter=person.city = Nowhere"),
    Page("person", f"{_HERE}/people/{{person}}"),
    Page("erasures", f"{_HERE}/erasures"),
    Page("imports", f"{_HERE}/imports"),
    Page("import", f"{_HERE}/imports/{{import}}"),
    Page("new import", f"{_HERE}/imports/new"),
    Page("erasure", f"{_HERE}/erasures/{{erasure}}"),
    Page("exports", f"{_HERE}/exports"),
    Page("exports, the list", f"{_HERE}/exports/list"),
    Page("audiences", f"{_HERE}/audiences"),
    Page("a new audience", f"{_HERE}/audiences/new"),
    Page(
        "a new audience, who is in it",
        f"{_HERE}/audiences/members",
        "filter=platform = ios and app_version < 4.2",
    ),
    Page("audience", f"{_HERE}/audiences/{{audience}}"),
    Page("broadcasts", f"{_HERE}/broadcasts"),
    Page("broadcasts, the worst first", f"{_HERE}/broadcasts", "sort=worst"),
    Page("broadcast", f"{_HERE}/broadcasts/{{broadcast}}"),
    Page("broadcast, content problems", f"{_HERE}/broadcasts/{{broadcast}}/unrenderable"),
    Page(
        "two broadcasts compared",
        f"{_HERE}/broadcasts/compare",
        "broadcast={broadcast}&broadcast={broadcast}",
    ),
    Page("a new broadcast", f"{_HERE}/broadcasts/new", "from={broadcast}"),
    Page(
        "a new broadcast, on two phones",
        f"{_HERE}/broadcasts/preview",
        "title=Hi {{ person.plan }}&filter=platform = ios",
    ),
    Page("messages", f"{_HERE}/messages"),
    Page("messages, what bounced", f"{_HERE}/messages", "metric=bounced"),
    Page("message", f"{_HERE}/messages/{{delivery}}"),
    Page("message to many", f"{_HERE}/messages/to-many/{{message}}"),
    Page("message to many, what bounced", f"{_HERE}/messages/to-many/{{message}}", "ending=bounced"),
    Page("explain", f"{_HERE}/explain"),
    Page("explain, a device and a message", f"{_HERE}/explain", "device={device}&message={delivery}"),
    Page("undo", f"{_HERE}/undo"),
    Page("what was undone", f"{_HERE}/undo/former"),
    Page("report on people", f"{_HERE}/reports"),
    Page("report on pushes", f"{_HERE}/reports/pushes"),
    Page("report on refusals", f"{_HERE}/reports/refusals"),
    Page("report on comebacks", f"{_HERE}/reports/comebacks"),
    Page("report on broadcasts", f"{_HERE}/reports/broadcasts"),
    Page("report on tokens", f"{_HERE}/reports/tokens"),
    Page("templates", f"{_HERE}/templates"),
    Page("template", f"{_HERE}/templates/{{template}}"),
    Page("routes", f"{_HERE}/routes"),
    Page("route", f"{_HERE}/routes/{{route}}"),
    Page("credential", f"{_HERE}/routes/credentials/{{credential}}"),
    Page("add credentials", f"{_HERE}/routes/add"),
    Page("add an FCM account", f"{_HERE}/routes/add/fcm"),
    Page("add an APNs key", f"{_HERE}/routes/add/apns"),
    Page("add a VAPID key", f"{_HERE}/routes/add/webpush"),
    Page("sending", f"{_HERE}/sending"),
    Page("jobs", f"{_HERE}/jobs"),
    Page("webhooks", f"{_HERE}/webhooks"),
    Page("add a webhook", f"{_HERE}/webhooks/add"),
    Page("webhook", f"{_HERE}/webhooks/{{webhook}}"),
    Page("settings", f"{_HERE}/settings"),
    Page("workspaces", "/workspaces"),
    Page("users", "/users"),
    Page("user", "/users/{user}"),
    Page("audit", "/audit"),
    Page("account", "/account"),
)

# Addresses that are looked at and not measured; nor are files, which are as long as what is in them.
NOT_MEASURED = {
    "/": "leads to a workspace",
    "/login": "is for whoever is not logged in",
    "/link/{link}": "works once",
    "/w/{workspace}/audiences/count": "takes the time that it may, and then tells from a part",
    "/w/{workspace}/audiences/apart": "compares all devices, in the time that it may",
    "/w/{workspace}/audiences/plan": "counts to say how it counts",
    "/w/{workspace}/broadcasts/size": "takes the time that it may, and then tells from a part",
    "/w/{workspace}/broadcasts/{broadcast}/live": "lasts as long as anybody looks",
    "/w/{workspace}/broadcasts/{broadcast}/edit": "is the form of a new one",
    "/w/{workspace}/simulator": "asks the simulator",
    "/w/{workspace}/{rest:path}": "is nothing",
}
