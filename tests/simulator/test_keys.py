"""The data folder and the face of the simulator."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from cryptography import x509

from pushkeeper.simulator import Place, Simulator, keys


def contents(file):
    return Path(file).read_bytes()


def account_of(simulator):
    return json.loads(contents(simulator.service_account_file))


async def test_the_description_names_everything_that_a_client_needs(desk):
    described = desk.simulator.describe()
    assert set(described) == {
        *(
            "fcm_url",
            "oauth_url",
            "apns_url",
            "apns_sandbox_url",
            "webpush_url",
            "control_url",
            "ca_file",
            "service_account_file",
        ),
        *("apns_key_file", "apns_key_id", "apns_team_id", "apns_topic", "client_certificate_file", "pid"),
    }
    assert described["pid"] == os.getpid()
    assert described["oauth_url"].endswith("/token")
    assert json.loads(json.dumps(described)) == described


async def test_the_service_account_has_googles_form_and_points_here(desk):
    account = account_of(desk.simulator)
    assert account["type"] == "service_account"
    assert account["token_uri"] == desk.simulator.oauth_url
    assert {"project_id", "private_key_id", "private_key", "client_email", "client_id"} <= set(account)


async def test_a_folder_keeps_its_keys_and_nobody_else_can_read_them(tmp_path):
    folder = tmp_path / "data"
    async with Simulator(folder) as first:
        before = {name: (folder / name).read_bytes() for name in ("ca.pem", "server.pem")}
        key = contents(first.apns_key_file)
        account = account_of(first)
    async with Simulator(folder) as second:
        assert {name: (folder / name).read_bytes() for name in before} == before
        assert contents(second.apns_key_file) == key
        again = account_of(second)
        assert again["private_key"] == account["private_key"]
        assert again["token_uri"] == second.oauth_url
    private = [file for file in folder.iterdir() if b"PRIVATE KEY" in file.read_bytes()]
    assert len(private) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}


def test_a_place_of_its_own_has_a_certificate_for_its_name_and_five_ports_in_a_row(tmp_path):
    keys.prepare(tmp_path)
    before = (tmp_path / "ca.pem").read_bytes()
    made = keys.prepare(tmp_path, "simulator")
    assert made.ca_file.read_bytes() != before  # the former can sign for no such name
    ours = made.ca_file.read_bytes()
    assert keys.prepare(tmp_path, "simulator").ca_file.read_bytes() == ours
    assert keys.prepare(tmp_path).ca_file.read_bytes() == ours
    pem = made.server_file.read_bytes()
    certificate = x509.load_pem_x509_certificates(pem[pem.index(b"-----BEGIN CERTIFICATE") :])[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "simulator"}
    place = Place(host="simulator", first_port=8390)
    assert [place.port(number) for number in range(5)] == [8390, 8391, 8392, 8393, 8394]
    assert place.listens_at == "0.0.0.0"
    assert {Place(host=host).listens_at for host in ("localhost", "127.0.0.1", "::1")} == {"127.0.0.1"}
    assert Place().port(3) == 0
