"""Libraries that others wrote for FCM and APNs, unmodified, against the simulator: only the endpoint and the CA are ours.

What each says of a dead token, another project or topic, another key and a message that is too large is what it says of
the real service (their own error tables, and the answers in providers.md).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.service import Http

HERE = Path(__file__).parent
PYTHON = HERE / "senders" / ".venv" / "bin" / "python"
NODE = HERE / "node"

FCM_MESSAGES = ("installed", "another", "gone", "nonsense", "other project", "too large")
APNS_MESSAGES = ("installed", "gone", "nonsense", "other topic", "too large")

_ERRORS = ["UnregisteredError", "InvalidArgumentError", "SenderIdMismatchError", "InvalidArgumentError"]
_CODES = [
    "messaging/registration-token-not-registered",
    *("messaging/invalid-argument", "messaging/mismatched-credential", "messaging/invalid-argument"),
]
_PYFCM = ["FCMNotRegisteredError", "InvalidDataError", "FCMSenderIdMismatchError", "InvalidDataError"]
_KEPT = [
    *("UnregisteredError, deactivated", "InvalidArgumentError, active"),
    *("SenderIdMismatchError, deactivated", "InvalidArgumentError, active"),
]
_REASONS = ["Unregistered", "BadDeviceToken", "DeviceTokenNotForTopic", "PayloadTooLarge"]
_WITH_STATUS = [f"{status} {reason}" for status, reason in zip((410, 400, 400, 413), _REASONS, strict=True)]

# By language and library: the outcomes of FCM_MESSAGES, and of one message with another key.
FCM = {
    ("python", "firebase-admin"): (["sent", "sent", *_ERRORS], "RefreshError"),
    ("python", "firebase-admin each"): (["sent", "sent", *_ERRORS], "UnknownError"),
    ("python", "firebase-admin each async"): (["sent", "sent", *_ERRORS], "UnknownError"),
    ("python", "firebase-admin multicast"): (["sent", "sent", *_ERRORS], "UnknownError"),
    ("python", "fcm-django"): (["sent, active", "sent, active", *_KEPT], "UnknownError, active"),
    ("python", "async-firebase"): (["sent", "sent", *_ERRORS], "AsyncFirebaseError"),
    ("python", "async-firebase http2"): (["sent", "sent", *_ERRORS], "AsyncFirebaseError"),
    ("python", "pyfcm"): (["sent", "sent", *_PYFCM], "InvalidDataError"),
    ("node", "firebase-admin"): (["sent", "sent", *_CODES], "app/invalid-credential"),
    ("node", "firebase-admin each"): (["sent", "sent", *_CODES], "app/invalid-credential"),
    ("node", "firebase-admin multicast"): (["sent", "sent", *_CODES], "app/invalid-credential"),
}

# The outcome of subscribing the tokens of FCM_MESSAGES to a topic.
_NOT_TAKEN = "messaging/invalid-registration-token"
TOPICS = {
    ("python", "firebase-admin topics"): ["UNREGISTERED", "INVALID_ARGUMENT", "SENDER_ID_MISMATCH"],
    ("python", "firebase-admin legacy topics"): ["NOT_FOUND", "INVALID_ARGUMENT", "INVALID_ARGUMENT"],
    ("node", "firebase-admin topics"): [_CODES[0], _NOT_TAKEN, _NOT_TAKEN],
}

# The outcomes of APNS_MESSAGES, and of one message with another key.
APNS = {
    ("python", "kalyke-apns"): (["sent", *_REASONS], "InvalidProviderToken"),
    ("python", "aioapns"): (["sent", *_WITH_STATUS], "403 InvalidProviderToken"),
    ("node", "@parse/node-apn"): (["sent", *_WITH_STATUS], "403 InvalidProviderToken"),
    ("node", "@parse/node-apn channels"): (["sent"] * 5, "403 InvalidProviderToken"),
    ("node", "apns2"): (["sent", *_REASONS], "InvalidProviderToken"),
}


# What sends many messages in one call: over HTTP/2 more than FCM allows streams.
BURSTS = [
    ("python", "firebase-admin each"),
    ("python", "firebase-admin each async"),
    ("python", "async-firebase"),
    ("python", "async-firebase http2"),
    ("node", "firebase-admin each"),
    ("node", "firebase-admin multicast"),
]
BURST = 300


@pytest.fixture(scope="module")
def phones(simulator):
    """Makes the messages of these names, each for a phone of its own."""
    control = Http(simulator["control_url"])

    def mint(platform, name):
        other = {
            "other project": {"project": "another-project"},
            "other topic": {"topic": "com.example.other"},
        }
        [token] = control("POST", "/tokens", {"platform": platform, "count": 1, **other.get(name, {})})[
            "tokens"
        ]
        if name == "gone":
            control("POST", "/uninstall", {"tokens": [token]})
        return token

    def messages(platform, names):
        made = []
        for name in names:
            token = "nonsense" if name == "nonsense" else mint(platform, name)
            made.append({"token": token, "body": "x" * 5000 if name == "too large" else "text"})
        return made

    return messages


@pytest.fixture(scope="module")
def crowd(simulator):
    """A message for each of many phones."""
    asked = {"platform": "android", "count": BURST}
    tokens = Http(simulator["control_url"])("POST", "/tokens", asked)["tokens"]
    return [{"token": token, "body": "text"} for token in tokens]


@pytest.fixture(scope="module")
def other_keys(simulator, tmp_path_factory):
    """Files of keys that are as good as the simulator's, but not its own: for FCM and for APNs."""
    folder = tmp_path_factory.mktemp("keys")

    def pem(key):
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    account = json.loads(Path(simulator["service_account_file"]).read_text())
    account["private_key"] = pem(rsa.generate_private_key(65537, 2048))
    (folder / "account.json").write_text(json.dumps(account))
    (folder / "key.p8").write_text(pem(ec.generate_private_key(ec.SECP256R1())))
    return str(folder / "account.json"), str(folder / "key.p8")


@pytest.fixture(scope="module")
def planned(simulator, phones, crowd, other_keys):
    """What is tried with every library: (language and library, its name, key file, messages, dry run)."""
    account, key = simulator["service_account_file"], simulator["apns_key_file"]
    other_account, other_key = other_keys
    return [
        *((of, "sending", account, phones("android", FCM_MESSAGES), False) for of in FCM),
        *((of, "dry run", account, phones("android", ["installed", "nonsense"]), True) for of in FCM),
        *((of, "other key", other_account, phones("android", ["installed"]), False) for of in FCM),
        *((of, "sending", account, phones("android", FCM_MESSAGES[1:5]), False) for of in TOPICS),
        *((of, "burst", account, crowd, False) for of in BURSTS),
        *((of, "sending", key, phones("ios", APNS_MESSAGES), False) for of in APNS),
        *((of, "other key", other_key, phones("ios", ["installed"]), False) for of in APNS),
    ]


@pytest.fixture(scope="module")
def outcomes(simulator, planned):
    """The outcomes of the messages, by library and case: one process for each language."""
    made = {}

    def of(language, library, tried):
        if language not in made:
            ours = [(name, *rest) for (spoken, name), *rest in planned if spoken == language]
            calls = [[name, *rest] for name, _, *rest in ours]
            answers = run(language, {"simulator": simulator.facts, "calls": calls})
            made[language] = dict(zip([one[:2] for one in ours], answers, strict=True))
        return made[language][library, tried]

    return of


def run(language, told):
    if language == "python" and not PYTHON.exists():
        pytest.skip("`make test` installs the libraries")
    if language == "node" and not (
        (NODE / "node_modules" / "firebase-admin").exists() and shutil.which("node")
    ):
        pytest.skip("Node is not installed, or `make test` has not installed the libraries")
    command = {"python": [str(PYTHON), "-W", "ignore", "senders/send.py"], "node": ["node", "node/send.mjs"]}
    ca_file = told["simulator"]["ca_file"]
    trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), ca_file)
    done = subprocess.run(
        command[language],
        cwd=HERE,
        input=json.dumps(told),
        env={**os.environ, **trusted},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("language", "library"), [*FCM, *APNS])
def test_a_library_sends_and_hears_what_the_real_service_says(outcomes, language, library):
    expected, _ = {**FCM, **APNS}[language, library]
    assert outcomes(language, library, "sending") == expected


@pytest.mark.parametrize(("language", "library"), [*FCM, *APNS])
def test_a_library_hears_that_its_key_is_not_taken(outcomes, language, library):
    _, expected = {**FCM, **APNS}[language, library]
    assert outcomes(language, library, "other key") == [expected]


@pytest.mark.parametrize(("language", "library"), FCM)
def test_a_dry_run_finds_what_is_malformed_and_sends_nothing(outcomes, language, library):
    (good, *_, _, bad, _, _), _ = FCM[language, library]
    assert outcomes(language, library, "dry run") == [good, bad]


@pytest.mark.parametrize(("language", "library"), TOPICS)
def test_a_library_subscribes_to_a_topic(outcomes, language, library):
    assert outcomes(language, library, "sending") == ["sent", *TOPICS[language, library]]


@pytest.mark.parametrize(("language", "library"), BURSTS)
def test_a_library_sends_more_at_once_than_fcm_allows_streams(outcomes, language, library):
    assert outcomes(language, library, "burst") == ["sent"] * BURST
