"""The doctor sees what is not as it should be, says what to do, and changes nothing."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import trustme

from pushkeeper import config, wiring
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Environment, Platform, Secret, Token, device_id
from pushkeeper.services.doctor import Doctor, State, platform, sending
from pushkeeper.services.doctor.finding import span
from pushkeeper.services.people import People
from pushkeeper.simulator import Simulator
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.retention import Keep
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people.people import PersonReference
from pushkeeper.web.localhost_tls import self_signed
from support.databases import own_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.doctor import Finding
    from pushkeeper.store.admin.credentials import Credential

KEEP = Keep(pushes_days=90, history_days=400, events_days=90, exports_days=30, outbox_days=30)
NOW = datetime.now(UTC)


class Clock:
    """The services' clock, as far ahead of ours as is set."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class Patient:
    """An installation of its own, with one workspace."""

    def __init__(
        self, database: Database, workspace: WorkspaceId, simulator: Simulator, folder: Path
    ) -> None:
        self.database = database
        self.workspace = workspace
        self.simulator = simulator
        self.vault = Vault(Secret(bytes(32)))
        self.settings = config.Settings(data_dir=folder)

    async def examined(self, *, probes: bool = False) -> list[Finding]:
        def open_prober(credential: Credential) -> sending.Prober:
            return wiring.open_sender(credential, lambda _: None)

        doctor = Doctor(self.database, self.vault, settings=self.settings, keep=KEEP, open_prober=open_prober)
        return await doctor.examine(probes=probes)

    async def of(self, check: str, *, probes: bool = False) -> list[Finding]:
        return [finding for finding in await self.examined(probes=probes) if finding.check == check]

    async def add(self, new: credentials.NewCredential) -> None:
        await credentials.put(self.database, self.vault, self.workspace, new)

    async def add_fcm(self, account: bytes | None = None) -> None:
        told = account or Path(self.simulator.service_account_file).read_bytes()  # noqa: ASYNC240 - a small file
        await self.add(wiring.fcm_credential(told, endpoint_url=self.simulator.fcm_url, ca_pem=self.ca))

    async def add_apns(self, **replaced: Any) -> None:
        app = {
            "topic": self.simulator.apns_topic,
            "environment": Environment.PRODUCTION,
            "endpoint_url": self.simulator.apns_url,
            "ca_pem": self.ca,
            **replaced,
        }
        key = Path(self.simulator.apns_key_file).read_bytes()  # noqa: ASYNC240 - a small file
        ids = {"key_id": self.simulator.apns_key_id, "team_id": self.simulator.apns_team_id}
        await self.add(wiring.apns_key(key, app=wiring.AppleApp(**app), **ids))

    @property
    def ca(self) -> str:
        return Path(self.simulator.ca_file).read_text()


@pytest_asyncio.fixture(loop_scope="session")
async def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(loop_scope="session")
async def patient(database: Database, clock: Clock) -> AsyncIterator[Patient]:
    with tempfile.TemporaryDirectory(prefix="pk-") as folder:
        async with (
            own_database(database, connections=3) as made,
            Simulator(Path(folder) / "sim", clock=clock) as simulator,
        ):
            workspace, _ = await workspaces.create(made, "shop")
            yield Patient(made, workspace.workspace_id, simulator, Path(folder))


async def test_a_healthy_installation_has_no_findings(patient: Patient) -> None:
    await patient.add_fcm()
    await patient.add_apns()
    found = await patient.examined(probes=True)
    assert [finding for finding in found if finding.state is State.WRONG] == []
    probes = {finding.about: finding for finding in found if finding.check == "probe"}
    assert set(probes) == {"shop: fcm simulated-project", "shop: apns com.example.app"}
    assert all("test push OK" in probe.said for probe in probes.values())
    assert {finding.about for finding in found if finding.check == "clock"} == {
        "the database",
        "shop: fcm simulated-project",  # Apple tells no time
    }
    assert all(finding.todo for finding in found if finding.state is not State.OK)


async def test_nothing_is_changed_by_an_examination(patient: Patient) -> None:
    await patient.add_fcm()
    query = "select xmin::text as x, * from credentials"
    before = [dict(row) for row in await patient.database.rows(query)]
    routes = "select xmin::text as x, * from routes order by route_id"
    stood = [dict(row) for row in await patient.database.rows(routes)]
    await patient.examined(probes=True)
    assert [dict(row) for row in await patient.database.rows(query)] == before
    assert [dict(row) for row in await patient.database.rows(routes)] == stood


async def test_without_keys_or_workers_somebody_should_look(patient: Patient) -> None:
    (keys,) = await patient.of("keys")
    assert (keys.state, keys.todo) == (State.ATTENTION, "pushkeeper credentials add fcm (or apns)")
    (workers,) = await patient.of("workers")
    assert (workers.state, workers.todo) == (State.ATTENTION, "pushkeeper serve, or pushkeeper worker")


async def test_a_key_that_the_provider_refuses_is_wrong(patient: Patient) -> None:
    account = json.loads(Path(patient.simulator.service_account_file).read_text())  # noqa: ASYNC240 - a small file
    await patient.add_fcm(json.dumps({**account, "project_id": "somebody-elses"}).encode())
    (probe,) = await patient.of("probe", probes=True)
    assert probe.about == "shop: fcm somebody-elses"
    assert (probe.state, probe.todo) == (State.WRONG, "pushkeeper credentials update")
    assert "fcm_permission_denied: 403" in probe.said


async def test_a_provider_that_cannot_be_reached_is_wrong(patient: Patient, closed_port: int) -> None:
    await patient.add_apns(endpoint_url=f"https://localhost:{closed_port}")
    (probe,) = await patient.of("probe", probes=True)
    assert probe.state is State.WRONG
    assert "connection_failed" in probe.said
    assert "firewall" in probe.todo


async def test_a_key_that_was_sealed_with_another_secret_key_is_wrong(patient: Patient) -> None:
    await patient.add_fcm()
    patient.vault = Vault(Secret(b"1" * 32))
    (key,) = await patient.of("keys", probes=True)
    assert key.state is State.WRONG
    assert "encrypted with another key" in key.said
    assert "secret key that was in use" in key.todo


async def test_a_credential_that_cannot_be_used_says_what_to_do(patient: Patient) -> None:
    leaf = trustme.CA().issue_cert("com.example.app").private_key_and_cert_chain_pem.bytes()
    app = wiring.AppleApp(topic="com.example.app", environment=Environment.PRODUCTION)
    fresh = wiring.apns_certificate(leaf, app)
    await patient.add(replace(fresh, secret=Secret(b"no certificate")))
    (key,) = await patient.of("keys")
    assert key.state is State.WRONG
    assert key.todo == "pushkeeper credentials update"


@pytest.mark.parametrize(
    ("days", "state"), [(-1, State.WRONG), (29, State.ATTENTION), (31, State.OK), (300, State.OK)]
)
async def test_a_certificate_is_looked_at_before_it_is_over(
    patient: Patient, days: int, state: State
) -> None:
    ends_at = NOW + timedelta(days=days, hours=1)
    leaf = trustme.CA().issue_cert("com.example.app")
    app = wiring.AppleApp(topic="com.example.app", environment=Environment.PRODUCTION)
    fresh = wiring.apns_certificate(leaf.private_key_and_cert_chain_pem.bytes(), app)
    await patient.add(replace(fresh, facts={"expires_at": ends_at}))  # as it is after a while
    (key,) = await patient.of("keys")
    assert key.state is state
    assert f"{ends_at:%Y-%m-%d}" in key.said


@pytest.mark.parametrize(
    ("version", "state"),
    [
        *(((3, 11, 7), State.ATTENTION), ((3, 11, 9), State.ATTENTION), ((3, 11, 10), State.OK)),
        *(
            ((3, 12, 3), State.ATTENTION),
            ((3, 12, 4), State.OK),
            ((3, 13, 0), State.OK),
            ((3, 14, 1), State.OK),
        ),
    ],
)
def test_a_python_without_security_fixes_is_reported(version: tuple[int, int, int], state: State) -> None:
    assert platform.python(version).state is state


def test_a_self_signed_certificate_is_looked_at_too(tmp_path: Path) -> None:
    settings = config.Settings(data_dir=tmp_path, tls_self_signed=True)
    self_signed(tmp_path, "127.0.0.1", NOW - timedelta(days=390))
    [found] = [one for one in platform.folder(settings) if one.check == "TLS certificate"]
    assert (found.state, "new ca.pem" in found.todo) == (State.ATTENTION, True)


async def test_the_certificate_that_is_served_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.write_bytes(
        trustme.CA()
        .issue_cert("push.example.com", not_after=NOW + timedelta(days=40))
        .cert_chain_pems[0]
        .bytes()
    )
    for days, state in ((0, State.OK), (30, State.ATTENTION), (41, State.WRONG)):
        assert platform.certificate(file, NOW + timedelta(days=days)).state is state
    file.write_text("no certificate")
    assert platform.certificate(file, NOW).state is State.WRONG


async def test_a_clock_that_differs_from_the_providers_is_wrong(patient: Patient, clock: Clock) -> None:
    await patient.add_fcm()
    clock.ahead_s = 100.0
    skew = {finding.about: finding for finding in await patient.of("clock", probes=True)}
    found = skew["shop: fcm simulated-project"]
    assert found.state is State.ATTENTION
    assert "ahead of" in found.said
    assert "NTP" in found.todo


@pytest.mark.parametrize(
    ("skew_s", "state"),
    [(0.2, State.OK), (-0.9, State.OK), (-2.0, State.ATTENTION), (31.0, State.WRONG), (-99.0, State.WRONG)],
)
def test_a_second_is_borne_and_half_a_minute_is_not(skew_s: float, state: State) -> None:
    assert platform.skewed("the database", skew_s, 1.0, 30.0).state is state


async def test_a_route_that_is_paused_says_who_lets_it_go_on(patient: Patient) -> None:
    await patient.add_apns()
    for kind, state, todo in (
        ("operator", State.ATTENTION, "routes resume"),
        ("credentials", State.WRONG, "credentials update"),
        ("untrusted", State.WRONG, "intercepting proxy"),
        ("guard", State.WRONG, "apply"),
    ):
        await patient.database.rows(
            "update routes set paused_at = now(), pause_kind = $1, pause_reason = 'a reason'", kind
        )
        (route,) = await patient.of("routes")
        assert (route.state, todo in route.todo, "a reason" in route.said) == (state, True, True), kind


async def test_alerts_and_held_refusals_are_told(patient: Patient) -> None:
    await patient.add_apns()
    await patient.database.rows(
        "insert into alerts (workspace_id, route_id, reason, alert, times) "
        "select workspace_id, route_id, 'apns_unrecognized_response', 'never seen', 7 from routes"
    )
    await patient.database.rows(
        "with m as (insert into messages (message_id, workspace_id, kind, content, expires_at) "
        "values (gen_random_uuid(), $1, 'broadcast', '{}', now()) returning message_id) "
        "insert into held_verdicts (message_id, device_id, workspace_id, route_id, person_id, generation, why, priority, "
        "attempt, first_attempt_at, reason, provider, provider_reason) "
        "select message_id, '', $1, route_id, 1, 1, 'guard', 0, 0, now(), 'apns_bad_device_token', 'apns', '' from m, routes",
        patient.workspace,
    )
    (alert,) = await patient.of("alerts")
    assert alert.said == "apns_unrecognized_response, 7 times: never seen"
    (held,) = await patient.of("held rejections")
    assert (held.said, held.state) == ("1", State.ATTENTION)


@pytest.mark.parametrize(
    ("minutes", "state"), [(0.1, State.OK), (2, State.ATTENTION), (11, State.WRONG), (-60, State.OK)]
)
async def test_what_is_due_for_long_is_told(patient: Patient, minutes: float, state: State) -> None:
    await patient.database.rows(
        "with m as (insert into messages (message_id, workspace_id, kind, person_id, content, expires_at) "
        "values (gen_random_uuid(), $1, 'transactional', 1, '{}', now()) returning message_id) "
        "insert into batches (workspace_id, message_id, person_id, pick, due_at) "
        "select $1, message_id, 1, 'all', now() - $2::float8 * interval '1 minute' from m",
        patient.workspace,
        minutes,
    )
    (queue,) = await patient.of("queue")
    assert queue.state is state
    (workers,) = await patient.of("workers")
    assert workers.state is (State.WRONG if minutes > 0 else State.ATTENTION)


async def test_webhooks_that_fail_are_told_and_those_that_were_given_up_are_wrong(patient: Patient) -> None:
    await patient.database.rows(
        "insert into webhooks (workspace_id, name, endpoint, events, sealed, failing_since, failure, disabled) "
        "select $1, name, 'https://example.com', '{push_sent}', '', now() - interval '1 day', 'answered 500', off "
        "from (values ('fails', false), ('given up', true)) as w (name, off)",
        patient.workspace,
    )
    found = {finding.about.split(" ", 2)[2]: finding for finding in await patient.of("webhooks")}
    assert found["fails"].state is State.ATTENTION
    assert found["given up"].state is State.WRONG
    assert "answered 500; 0 events queued" in found["fails"].said


async def test_a_day_without_its_partition_is_wrong_and_one_that_is_kept_too_long_is_told(
    patient: Patient,
) -> None:
    (well,) = await patient.of("partitions")
    assert well.state is State.OK
    await patient.database.owned.rows(
        "create table pushes_20200101 partition of pushes for values from ('2020-01-01') to ('2020-01-02')"
    )
    (old,) = await patient.of("partitions")
    assert (old.state, "pushes_20200101" in old.said) == (State.ATTENTION, True)
    tomorrow = await patient.database.value("select (now() at time zone 'utc')::date + 1")
    await patient.database.owned.rows(f"drop table pushes_{tomorrow:%Y%m%d}")
    (missing,) = await patient.of("partitions")
    assert (missing.state, missing.said) == (State.WRONG, f"missing: pushes of {tomorrow}")


async def test_a_device_that_is_not_what_its_history_says_is_wrong(patient: Patient) -> None:
    registry = People(patient.database)
    for token in ("first", "second"):
        await registry.register(
            PersonReference(workspace_id=patient.workspace, path=of_path("ann")),
            Registration(token=Token(token), platform=Platform.IOS, last_used=NOW),
        )
    (ledger,) = await patient.of("ledger")
    assert (ledger.state, ledger.said) == (State.OK, "2 devices consistent with their history")
    await patient.database.rows("update devices set status = 'sent' where token = 'first'")
    (ledger,) = await patient.of("ledger")
    assert ledger.state is State.WRONG
    assert "1 of 2 devices" in ledger.said
    assert device_id(patient.workspace, Token("first")).hex() in ledger.todo


async def test_a_schema_of_another_release_is_wrong_and_stops_further_checks(patient: Patient) -> None:
    await patient.database.rows("delete from migrations where number = 3")
    found = await patient.examined()
    assert (found[-1].check, found[-1].state) == ("migrations", State.WRONG)
    assert "0003 customerio" in found[-1].said
    assert found[-1].todo == "pushkeeper migrate, or start the service"
    await patient.database.rows("insert into migrations (number, name, checksum) values (9999, 'future', '')")
    (newer,) = await patient.of("migrations")
    assert "newer release" in newer.said


async def test_settings_under_which_a_2xx_promises_less_are_wrong(patient: Patient) -> None:
    name = await patient.database.value("select current_database()")
    await patient.database.owned.rows(f"alter database {name} set synchronous_commit = off")
    await patient.database.owned.rows(
        f"alter database {name} set default_transaction_isolation = 'serializable'"
    )
    other = await Database.open(patient.database.url, connections=1)
    try:
        found = {
            finding.said: finding
            for finding in await platform.server(other, config.Settings(data_dir=Path()))
        }
    finally:
        await other.close()
    told = [finding for finding in found.values() if finding.check == "database setting"]
    assert [finding.state for finding in told] == [State.WRONG, State.WRONG]
    assert any("synchronous_commit = off" in said for said in found)
    assert {finding.todo for finding in told} == {
        "set synchronous_commit = on",
        "set default_transaction_isolation = read committed",
    }


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"processes": 1}, 0),
        ({"processes": 8, "workers": 2}, 0),
        ({"processes": 8, "workers": 3}, 1),
        ({"workers": 64}, 1),
        ({"processes": 4, "database_connections": 42}, 1),
        ({"workers": 8, "worker_connections": 18}, 1),
    ],
)
def test_processes_that_may_open_more_connections_than_there_are_want_attention(
    asked: dict[str, int], told: int
) -> None:
    settings = config.Settings(data_dir=Path(), **asked)  # type: ignore[arg-type]
    found = platform.planned(settings, 220)
    assert [finding.state for finding in found] == [State.ATTENTION] * told


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.25, "0.2 s"), (90, "2 min"), (7_200, "2 h"), (172_800, "2 d")]
)
def test_a_length_of_time_is_said_in_its_greatest_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said
