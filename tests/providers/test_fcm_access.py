"""One access token for all: asked for once, renewed early, dropped when FCM does not know it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.core.delivery.outcome import BadCredentials, Silence, Unavailable
from pushkeeper.providers.credentials import ServiceAccount
from pushkeeper.providers.fcm.access_tokens import AccessTokens
from pushkeeper.providers.transport.response import NoResponse, Response

if TYPE_CHECKING:
    from pushkeeper.providers.transport.response import Answer


class TokenEndpoint:
    """Answers grants as it is told to, once it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Answer | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, request):
        assert b"assertion=" in request.body
        self.asked += 1
        number = self.asked
        await self.open.wait()
        if self.answer is not None:
            return self.answer
        return Response(200, (), json.dumps({"access_token": f"ya29.{number}", "expires_in": 3600}).encode())


@pytest.fixture
def account(rsa_pem):
    fields = {
        "project_id": "demo",
        "private_key": rsa_pem.decode(),
        "client_email": "sender@demo.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.example/token",
    }
    return ServiceAccount.parse(json.dumps(fields).encode())


@pytest.fixture
def endpoint():
    return TokenEndpoint()


@pytest.fixture
async def access(account, endpoint, clock):
    tokens = AccessTokens(account, endpoint, clock, lambda: None)
    yield tokens
    await tokens.aclose()


async def granted(access: AccessTokens) -> Any:
    assert access.ask() is None
    await access.settled()
    return access.current()


async def test_however_many_ask_one_request_is_made(access, endpoint):
    endpoint.open.clear()
    assert [access.ask() for _ in range(1000)] == [None] * 1000
    assert access.current() is None
    endpoint.open.set()
    await access.settled()
    assert access.current().header.value == b"Bearer ya29.1"
    assert endpoint.asked == 1


async def test_a_token_is_renewed_five_minutes_early_while_the_old_one_serves(access, endpoint, clock):
    first = await granted(access)
    clock.pass_(minutes=54, seconds=59)
    assert access.current() is first
    await access.settled()
    assert endpoint.asked == 1
    clock.pass_(seconds=1)
    assert access.current() is first
    await access.settled()
    assert endpoint.asked == 2
    assert access.current().header.value == b"Bearer ya29.2"


async def test_a_token_of_a_few_seconds_is_used_all_the_same(access, endpoint, clock):
    endpoint.answer = Response(200, (), b'{"access_token":"ya29.short","expires_in":4}')
    assert (await granted(access)).header.value == b"Bearer ya29.short"
    clock.pass_(seconds=2)
    assert access.current() is None


async def test_the_old_token_serves_until_its_end_while_the_endpoint_is_down(access, endpoint, clock):
    first = await granted(access)
    endpoint.answer = Response(503, (), b"")
    clock.pass_(minutes=56)
    assert access.current() is first
    await access.settled()
    assert isinstance(access.failure.outcome, Unavailable)
    assert access.current() is first
    clock.pass_(minutes=4)
    assert access.current() is None


async def test_a_failing_endpoint_is_asked_again_after_a_growing_wait_only(access, endpoint, clock):
    endpoint.answer = NoResponse(Silence.NOT_SENT, "refused")
    assert await granted(access) is None
    for _ in range(100):
        failure = access.ask()
        assert failure.code == "fcm_oauth_unavailable"
        assert failure.outcome.after_s >= 2
    assert endpoint.asked == 1
    clock.pass_(seconds=60)
    assert await granted(access) is None
    assert endpoint.asked == 2
    endpoint.answer = None
    clock.pass_(seconds=60)
    assert await granted(access) is not None
    assert access.failure is None


async def test_a_refused_account_is_asked_about_again_after_a_minute_only(access, endpoint, clock):
    endpoint.answer = Response(
        400, (), b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'
    )
    assert await granted(access) is None
    clock.pass_(seconds=59)
    assert isinstance(access.ask().outcome, BadCredentials)
    clock.pass_(seconds=1)
    assert access.ask() is None
    await access.settled()
    assert endpoint.asked == 2


async def test_a_token_that_fcm_refuses_is_dropped_once_and_not_again_when_its_successor_is_refused(
    access, endpoint, clock
):
    first = await granted(access)
    assert all(access.drop(first) for _ in range(1000))
    assert access.current() is None
    second = await granted(access)
    assert access.drop(first)
    assert not access.drop(second)
    assert access.current() is second
    clock.pass_(minutes=2)
    assert access.drop(second)
    assert endpoint.asked == 2


async def test_whatever_goes_wrong_while_asking_is_an_answer_and_it_is_asked_again(account, endpoint, clock):
    heard: list[int] = []

    async def ask(request):
        if not heard:
            raise RuntimeError("can't start new thread")
        return await endpoint(request)

    access = AccessTokens(account, ask, clock, lambda: heard.append(1))
    assert await granted(access) is None
    assert access.failure is not None
    assert isinstance(access.failure.outcome, Unavailable)
    assert heard == [1]
    clock.pass_(minutes=2)
    assert await granted(access) is not None


async def test_a_request_that_nobody_answers_ends_with_the_client(account, endpoint, clock):
    endpoint.open.clear()
    tokens = AccessTokens(account, endpoint, clock, lambda: None)
    tokens.ask()
    await tokens.aclose()
    assert tokens.current() is None
