"""Uses the Python client that is generated of our description: reads a folder for it, a URL, a CA and a key; prints what it got."""

import json
import ssl
import sys

sys.path.insert(0, sys.argv[1])

from pushkeeper_client.api.audiences import count_audience
from pushkeeper_client.api.devices import list_devices
from pushkeeper_client.api.templates import create_template, get_template
from pushkeeper_client.client import AuthenticatedClient
from pushkeeper_client.models import (
    ApiError,
    Comparison,
    ComparisonOperator,
    CountRequest,
    FilterAnd,
    FilterAttribute,
    FilterDevice,
    FilterDeviceDevice,
    NewTemplate,
    NewTemplateTranslationsType0,
    TemplateContent,
    TemplateKind,
)


def attribute(field: str, value: str) -> Comparison:
    return Comparison(field=field, operator=ComparisonOperator.EQ, value=value)


def main(url: str, ca: str, key: str) -> None:
    context = ssl.create_default_context(cafile=ca)
    client = AuthenticatedClient(base_url=url, token=key, verify_ssl=context)
    of_device = FilterDevice(device=FilterDeviceDevice(attribute=attribute("platform", "ios")))
    tree = FilterAnd(and_=[FilterAttribute(attribute=attribute("plan", "pro")), of_device])
    counted = count_audience.sync(client=client, body=CountRequest(filter_=tree))
    assert counted is not None
    assert not isinstance(counted, ApiError)
    translations = NewTemplateTranslationsType0()
    translations["de"] = TemplateContent(title="Hallo")
    new = NewTemplate(
        kind=TemplateKind.TRANSACTIONAL, name="Welcome", title="Hello", translations=translations
    )
    made = create_template.sync(client=client, body=new)
    assert made is not None
    assert not isinstance(made, ApiError)
    listed = list_devices.sync(client=client, limit=10)
    assert listed is not None
    assert not isinstance(listed, ApiError)
    missing = get_template.sync(str(made.template.id + 1), client=client)
    assert isinstance(missing, ApiError)
    sys.stdout.write(
        json.dumps(
            {
                "people": counted.people,
                "template": made.template.to_dict()["translations"],
                "devices": [device.platform.value for device in listed.devices],
                "error": missing.error.code,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[2:])
