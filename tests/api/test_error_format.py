"""Every error of the native API: a documented code, a sentence, the ID of the request, and where the code is explained."""

import json
import re

import pytest

from pushkeeper import errors
from pushkeeper.api.openapi.operations import OPERATIONS
from support.requests import filled

KNOWN = {one.code for codes in errors.reference() for one in codes}
SENTENCE = re.compile(r"\S.*[.!?]", re.DOTALL)


def error_of(answer, headers):
    error = json.loads(answer)["error"]
    assert error["code"] in KNOWN
    assert error["docs_url"] == errors.docs_url(error["code"])
    assert error["request_id"] == headers["x-request-id"]
    assert SENTENCE.fullmatch(error["message"]), error
    assert ("path" in error) == ("field" in error)
    return error


@pytest.mark.parametrize("route", [f"{method} {path}" for method, path in OPERATIONS])
async def test_an_error_of_any_route_has_all_that_a_client_needs(door, route):
    method, path = route.split()
    without_key = await door.raw(method, filled(path))
    assert (without_key[0], error_of(*without_key[1:])["code"]) == (401, "unauthorized")
    of_no_method = await door.raw("TRACE", filled(path), authorization=door.bearer)
    assert (of_no_method[0], error_of(*of_no_method[1:])["code"]) == (405, "method_not_allowed")
    body = None if method in {"GET", "DELETE"} else b"{"
    wrong = await door.raw(method, f"{filled(path)}?nonsense=1", body, authorization=door.bearer)
    if wrong[0] >= 400:
        error_of(*wrong[1:])


async def test_a_path_that_does_not_exist_is_answered_in_the_same_format(door):
    status, answer, headers = await door.raw("GET", "/api/v1/nowhere/at/all", authorization=door.bearer)
    assert (status, error_of(answer, headers)["code"]) == (404, "not_found")


async def test_the_service_explains_every_code(door):
    status, page, _ = await door.raw("GET", errors.DOCS_PATH)
    assert status == 200
    assert set(re.findall(r"<section id='(\w+)'>", page.decode())) == KNOWN


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.BadRequest("limit", "expected a whole number"), "Invalid limit: expected a whole number."),
        (
            errors.BadRequest("content.title", "cannot be longer than 9 bytes"),
            "content.title cannot be longer than 9 bytes.",
        ),
        (errors.BadRequest("query", "Provide exactly one.", is_sentence=True), "Provide exactly one."),
        (errors.NotFound("Device not found"), "Device not found."),
        (errors.Conflict("schedule.at is over"), "schedule.at is over."),
        (errors.Conflict("the name is taken"), "The name is taken."),
    ],
)
def test_messages_are_sentences(error, sentence):
    assert error.sentence == sentence
