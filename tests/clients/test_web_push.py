"""Web Push beside what others wrote: pywebpush sends to our simulator, and http-ece decrypts what we encrypt."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from pushkeeper.core.devices.browser_keys import encoded
from pushkeeper.core.model import Browser
from pushkeeper.providers.webpush import encryption
from pushkeeper.providers.webpush.vapid import VapidKey
from pushkeeper.simulator import Simulator
from pushkeeper.simulator.browser import ENDPOINTS
from pushkeeper.simulator.browser import Browser as Receiver

HERE = Path(__file__).parent
SENDERS = HERE / "senders"
PYTHON = SENDERS / ".venv" / "bin" / "python"
TEXTS = [
    "",
    "a",
    '{"title":"Grüße","body":"שלום עולם — مرحبا — 你好 — 👩‍👩‍👧"}',
    "x" * 3900,
    "漢" * 1300,
    "e\u0301" * 900,
]

pytestmark = pytest.mark.skipif(
    not list(SENDERS.glob(".venv/lib/*/site-packages/http_ece")), reason="`make clients` installs pywebpush"
)


async def run(asked: dict[str, object]) -> dict[str, list[object]]:
    done = await asyncio.to_thread(
        subprocess.run,
        [str(PYTHON), "-W", "ignore", str(SENDERS / "web.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


async def test_what_we_encrypt_is_read_by_a_library_of_others() -> None:
    bodies = []
    for number, text in enumerate(TEXTS):
        receiver = Receiver.subscribe("mozilla", number, 1, None, None)
        private = receiver.private_key.private_numbers().private_value.to_bytes(32, "big")
        body = encryption.encrypted(text.encode(), Browser(receiver.public_key, receiver.auth))
        bodies.append(
            {"body": encoded(body), "auth": encoded(receiver.auth), "private_key": encoded(private)}
        )
    assert (await run({"bodies": bodies}))["read"] == TEXTS


async def test_a_library_of_others_sends_to_the_simulated_services_and_is_answered_as_by_the_real_ones(
    tmp_path: Path,
) -> None:
    key = VapidKey.generate()
    async with Simulator(tmp_path) as simulator:
        world = simulator.world
        made = [
            browser
            for family in ENDPOINTS
            for browser in world.subscribe(1, family, vapid_key=key.public, origin=simulator.webpush_url)
        ]
        [gone, others] = world.subscribe(2, vapid_key=key.public, origin=simulator.webpush_url)
        world.uninstall([gone.endpoint])
        stranger = VapidKey.generate()
        [theirs] = world.subscribe(1, "apple", vapid_key=stranger.public, origin=simulator.webpush_url)
        asked = [*made, gone, theirs]
        for text in (TEXTS[2], "漢" * 1300):
            found = await run(
                {
                    "subscriptions": [{"endpoint": one.endpoint, "keys": one.keys} for one in asked],
                    "text": text,
                    "private_key": encoded(key.private.value),
                    "ca_file": simulator.ca_file,
                }
            )
            assert found["sent"] == [201] * len(made) + [410, 403]
            for browser in made:
                entry = list(world.journal.read(browser.endpoint))[-1]
                assert (entry.body.decode(), entry.reason) == (text, "")
        assert not list(world.journal.read(others.endpoint))
