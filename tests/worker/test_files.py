"""Files of recipients: whatever address passes the door, and whatever is found there, fails no other way than with a reason."""

from __future__ import annotations

import json
import string

import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushkeeper.core.destination import Destinations, url_fault
from pushkeeper.errors import BadRequest
from pushkeeper.worker.http_client import NOT_ANSWERING, Checked
from pushkeeper.worker.jobs import recipient_files

REFUSED = (
    "http://example.com:99999/x",
    "http://example.com:-1/",
    "http://example.com:0/",
    "http://x:abc/",
    f"http://{'a' * 64}.test/",
    f"http://{'a.' * 130}test/",
    "http://a..b/",
    "http://.a/",
    "http://./",
    "http://[::1",
    "http://[",
    "http://]",
    "http://[::g]/",
    "http://[v1.x]/",
    "http://",
    "http:///path",
    "http://a b/",
    "http://a\\b/",
    "http://a/\n",
    "http://ex\u00e4mple.com/",
    "http://user:secret@example.com/",
    "http://@example.com/",
    "ftp://example.com/",
    "//example.com/",
    "",
)
ACCEPTED = (
    "https://example.com/people.jsonl?token=a%20b#part",
    "http://example.com.:65535/",
    "http://my_host-1.example",
    "http://192.0.2.1/",
    "http://[2001:db8::1]:8080/x",
    f"http://{'a' * 63}.test/",
)
_NEAR_URLS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https", "HTTP", "ftp", ""]),
    st.text(st.sampled_from(string.ascii_letters + string.digits + "-_.:[]@%\\\u0130\u3002 "), max_size=80),
    st.sampled_from(["", ":", ":80", ":99999", ":x", ":0"]),
    st.text(st.sampled_from(string.printable + "\u00e9\ud800"), max_size=20),
)


@pytest.mark.parametrize("url", REFUSED)
def test_what_can_not_be_called_is_refused_when_it_is_asked_for(url: str) -> None:
    assert url_fault(url) is not None


@pytest.mark.parametrize("url", ACCEPTED)
def test_what_can_be_called_is_not(url: str) -> None:
    assert url_fault(url) is None


async def _no_address(_: str, __: int) -> list[str]:
    return []


@given(st.one_of(_NEAR_URLS, st.text(max_size=40), st.sampled_from(ACCEPTED)))
@example("http://\u0130.test/")
async def test_whatever_passes_the_door_fails_as_something_that_does_not_answer(url: str) -> None:
    if url_fault(url) is not None:
        return
    backend = Checked(Destinations(), resolve=_no_address)
    async with httpcore.AsyncConnectionPool(network_backend=backend) as pool:
        with pytest.raises(NOT_ANSWERING):
            await pool.request("GET", url)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "email", "data", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.one_of(st.binary(max_size=60), _JSON.map(lambda value: json.dumps(value).encode())))
@example(b"[" * 50_000)
@example(b'{"a":' * 20_000)
@example(b'{"id": 1' + b"0" * 5_000 + b"}")
@example(b"\xff\xfe")
@example(b'{"id": "\\ud800"}')
def test_whatever_a_line_holds_is_somebody_or_refused_by_its_number(line: bytes) -> None:
    try:
        place = recipient_files._recipient(line, 7).place
    except BadRequest as error:
        place = error.field
    assert place == "line 7"
