"""Topics of FCM: subscriptions in its API (`topicSubscriptions`, discovery document of 2026-10-23) and by Instance ID's batch calls.

Also the rules for topic names and conditions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from pushkeeper.simulator import fcm_errors
from pushkeeper.simulator.fcm_errors import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushkeeper.simulator.world import Installation

_SUBSCRIPTIONS = re.compile(r"/v1/projects/([^/]+)/registrations/([^/]+)/topicSubscriptions(?:/([^/]+))?")
_BATCHES = {"/iid/v1:batchAdd": True, "/iid/v1:batchRemove": False}
_TOPIC = re.compile(r"[a-zA-Z0-9_.~%-]{1,900}")
_CONDITION_TOKEN = re.compile(r"\s*(?:('[a-zA-Z0-9_.~%-]+'\s+in\s+topics\b)|(&&|\|\||[!()]))")
_MOST_IN_A_CONDITION = 5
_MOST_TOPICS = 2000
_LARGEST_BATCH = 1000
_PREFIX = "/topics/"


def is_topic(name: str) -> bool:
    """Whether FCM takes this as a topic's name; with or without `/topics/`, which is older than its API."""
    return _TOPIC.fullmatch(name.removeprefix(_PREFIX)) is not None


def is_condition(text: str) -> bool:
    """Whether this reads as a condition: topics joined by `&&` and `||`, under `!` and in parentheses."""
    # A topic is an operand, a pair of parentheses becomes one: what is left in the end is a single operand.
    shape, at = "", 0
    text = text.rstrip()
    while at < len(text):
        found = _CONDITION_TOKEN.match(text, at)
        if found is None:
            return False
        shape += "t" if found[1] else found[2][0]
        at = found.end()
    if shape.count("t") > _MOST_IN_A_CONDITION:
        return False
    before = ""
    while shape != before:
        before, shape = shape, re.sub(r"!t|\(t\)|t[&|]t", "t", shape)
    return shape == "t"


@dataclass(frozen=True, slots=True)
class Call:
    """One call about subscriptions.

    Attributes:
        project: as the path has it; None in a batch call, which names none.
        tokens: of which registrations.
        topic: its name; "" in a call for all topics of a registration.
        missing_is_fine: whether what is not there may be taken away, and what is there put there again.
    """

    verb: str
    project: str | None
    tokens: tuple[str, ...]
    topic: str
    missing_is_fine: bool = False


def read(method: str, target: str, body: bytes) -> Call | Decision | None:
    """The call that a request makes, its refusal, or None where it is about something else."""
    where = urlsplit(target)
    if where.path in _BATCHES:
        return _batch(method, body, adds=_BATCHES[where.path])
    path = _SUBSCRIPTIONS.fullmatch(where.path)
    if path is None:
        return None
    query = {name: values[-1] for name, values in parse_qs(where.query).items()}
    named = path[3] if path[3] is not None else query.get("topic_name", query.get("topicName", ""))
    verbs = {"GET": "list", "POST": "create"}
    if path[3] is not None:
        verbs = {"GET": "get", "PATCH": "update", "DELETE": "delete"}
    if method not in verbs:
        return fcm_errors.PAGE_NOT_FOUND
    topic = unquote(named)
    if verbs[method] != "list" and not is_topic(topic):
        return fcm_errors.invalid("topic_name", "Invalid topic name.")
    fine = verbs[method] != "get" and query.get("allow_missing", query.get("allowMissing")) == "true"
    return Call(verbs[method], path[1], (unquote(path[2]),), topic, missing_is_fine=fine)


def _batch(method: str, body: bytes, *, adds: bool) -> Call | Decision:
    if method != "POST":
        return fcm_errors.PAGE_NOT_FOUND
    try:
        asked: Any = msgspec.json.decode(body)
        topic, tokens = asked["to"], asked["registration_tokens"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return _batch_refused(400, "INVALID_ARGUMENT")
    if not isinstance(topic, str) or not topic.startswith(_PREFIX) or not is_topic(topic):
        return _batch_refused(400, "INVALID_ARGUMENT")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        return _batch_refused(400, "INVALID_ARGUMENT")
    if not 0 < len(tokens) <= _LARGEST_BATCH:
        return _batch_refused(400, "TOO_MANY_TOKENS" if tokens else "INVALID_ARGUMENT")
    topic = topic.removeprefix(_PREFIX)
    return Call("add" if adds else "remove", None, tuple(tokens), topic, missing_is_fine=True)


def _batch_refused(http: int, error: str) -> Decision:
    return Decision(http, error, msgspec.json.encode({"error": error}))


def carry_out(call: Call, find: Callable[[str], Installation | Decision], now_s: float) -> Decision:
    """Apply the operation; `find` returns the installation of a token, or FCM's error for it."""
    if call.project is None:
        return _carry_out_batch(call, find, now_s)
    installation = find(call.tokens[0])
    if isinstance(installation, Decision):
        return installation
    parent = f"projects/{call.project}/registrations/{installation.token}"
    if call.verb == "list":
        shown = [_shown(parent, name, at_s) for name, at_s in installation.topics.items()]
        return _answer({"topicSubscriptions": shown})
    if (refusal := _refused(call, installation.topics)) is not None:
        return refusal
    if call.verb == "delete":
        installation.topics.pop(call.topic, None)
        return _answer({})
    if call.verb != "get":
        installation.topics.setdefault(call.topic, now_s)
    return _answer(_shown(parent, call.topic, installation.topics[call.topic]))


def _refused(call: Call, topics: Mapping[str, float]) -> Decision | None:
    if call.topic in topics:
        return fcm_errors.refuse(409, "Requested entity already exists.") if call.verb == "create" else None
    if call.verb != "create" and not call.missing_is_fine:
        return fcm_errors.refuse(404, "Requested entity was not found.")
    if call.verb in {"create", "update"} and len(topics) >= _MOST_TOPICS:
        return fcm_errors.over_quota(None)
    return None


def _carry_out_batch(call: Call, find: Callable[[str], Installation | Decision], now_s: float) -> Decision:
    """Instance ID answers 200 with a result for each token."""
    results = []
    for token in call.tokens:
        installation = find(token)
        if isinstance(installation, Decision):
            results.append({"error": "NOT_FOUND" if installation.http == 404 else "INVALID_ARGUMENT"})  # noqa: PLR2004 - HTTP's own
            continue
        if call.verb == "remove":
            installation.topics.pop(call.topic, None)
        elif len(installation.topics) >= _MOST_TOPICS:
            results.append({"error": "TOO_MANY_TOPICS"})
            continue
        else:
            installation.topics.setdefault(call.topic, now_s)
        results.append({})
    return _answer({"results": results})


def _answer(shown: dict[str, Any]) -> Decision:
    return Decision(200, "", msgspec.json.encode(shown))


def _shown(parent: str, topic: str, created_at_s: float) -> dict[str, str]:
    created = datetime.fromtimestamp(created_at_s, UTC).isoformat().replace("+00:00", "Z")
    return {"name": f"{parent}/topicSubscriptions/{topic}", "topicName": topic, "createTime": created}
