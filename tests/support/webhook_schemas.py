"""What Customer.io says that the bodies of its reporting webhooks are.

The constraints of its OpenAPI document (docs.customer.io/files/journeys-webhooks.json, `components.schemas`), restated. Three
of them are not taken as they stand there:

- `push_drafted` has the enum of `push_attempted`, a slip: the metric is `drafted`;
- a change of subscription preferences is said to name the message that led to it, and also that there may be none;
- `device_platform` is an enum of two, from before Customer.io had web push, whose platform is `web`.
"""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
TEXT_OR_NULL = {"type": ["string", "null"]}
NUMBER_OR_NULL = {"type": ["integer", "null"]}
PLATFORM = {"enum": ["android", "ios", "web"]}


def having(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object that has all of one kind of property, and may have the other and more."""
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
    }


IDENTIFIERS = having({"id": TEXT_OR_NULL}, {"email": TEXT_OR_NULL, "cio_id": TEXT})
_DELIVERY = {"delivery_id": TEXT, "identifiers": IDENTIFIERS}
_STEP = {"customer_id": TEXT, "journey_id": TEXT, "parent_action_id": NUMBER}
SOURCE = {
    "oneOf": [
        having(
            {**_DELIVERY, "trigger_id": NUMBER, "broadcast_id": NUMBER_OR_NULL, "action_id": NUMBER}, _STEP
        ),
        having(
            {**_DELIVERY, "campaign_id": NUMBER_OR_NULL, "action_id": NUMBER},
            {**_STEP, "trigger_event_id": TEXT_OR_NULL},
        ),
        having({**_DELIVERY, "newsletter_id": NUMBER_OR_NULL}, {"customer_id": TEXT, "content_id": NUMBER}),
        having({**_DELIVERY, "transactional_message_id": {}}, {"customer_id": TEXT}),
    ]
}


def _recipients(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "array", "items": having({"device_id": TEXT, **required}, optional)}


_REPORTED = {"recipients": _recipients({}, {"device_platform": PLATFORM})}
_REFUSED = {"recipients": _recipients({"device_platform": PLATFORM, "failure_message": TEXT})}
_DATA: dict[str, dict[str, Any]] = {
    "drafted": having({}),
    "attempted": having({"failure_message": TEXT}),
    "sent": having(
        {"recipients": _recipients({}, {"device_platform": PLATFORM, "failure_message": TEXT})},
        {"content": TEXT},
    ),
    "delivered": having(_REPORTED),
    "opened": having(_REPORTED),
    "converted": having(_REPORTED),
    "clicked": having({**_REPORTED, "href": TEXT, "link_id": NUMBER}),
    "bounced": having(_REFUSED),
    "dropped": having(_REFUSED),
    "failed": having({"failure_message": TEXT}),
    "undeliverable": having({"failure_message": TEXT}),
}
_CUSTOMER = having({"identifiers": IDENTIFIERS, "customer_id": TEXT, "email_address": TEXT_OR_NULL})


def _body(object_type: str, metric: str, data: dict[str, Any]) -> dict[str, Any]:
    return having(
        {
            "event_id": TEXT,
            "object_type": {"const": object_type},
            "metric": {"const": metric},
            "timestamp": NUMBER,
            "data": data,
        }
    )


SCHEMAS = {
    **{f"push_{metric}": _body("push", metric, {"allOf": [SOURCE, data]}) for metric, data in _DATA.items()},
    "customer_subscribed": _body("customer", "subscribed", _CUSTOMER),
    "customer_unsubscribed": _body("customer", "unsubscribed", _CUSTOMER),
    "customer_subscription_preferences_changed": _body(
        "customer",
        "cio_subscription_preferences_changed",
        {**_CUSTOMER, "properties": {**_CUSTOMER["properties"], "content": TEXT}},
    ),
}
