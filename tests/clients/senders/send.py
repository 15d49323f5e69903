"""Sends through libraries that others wrote for FCM and APNs, unmodified: only the endpoint and the CA are the simulator's.

Reads on standard input what to send; writes for each library and each key the outcome of every message: `sent`, or the
error by the name that the library gives it.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path

import aioapns
import async_firebase
import async_firebase.messages
import django
import firebase_admin
import kalyke.models
import pyfcm
from aioapns.connection import APNsProductionClientProtocol
from django.conf import settings
from firebase_admin import credentials, messaging
from kalyke.clients.apns import ApnsClient as KalykeClient

TITLE = "Hello"
TOPIC = "news"


class Library:
    """One library with one key: `send` sends one message, or raises."""

    def __init__(self, simulator, key_file):
        self.simulator = simulator
        self.key_file = key_file

    def outcomes(self, messages, *, dry_run):
        outcomes = []
        for message in messages:
            try:
                self.send(message, dry_run=dry_run)
                outcomes.append("sent")
            except Exception as error:  # noqa: BLE001 - what a library raises is what is asked
                outcomes.append(type(error).__name__)
        return outcomes

    def send(self, message, *, dry_run):
        raise NotImplementedError


class FirebaseAdmin(Library):
    """firebase-admin, one message at a time."""

    def __init__(self, simulator, key_file):
        super().__init__(simulator, key_file)
        messaging._MessagingService.FCM_URL = simulator["fcm_url"] + "/v1/projects/{0}/messages:send"
        messaging._MessagingService.IID_URL = simulator["fcm_url"]
        name = str(len(firebase_admin._apps))
        self.app = firebase_admin.initialize_app(credentials.Certificate(key_file), name=name)
        service = messaging._get_messaging_service(self.app)
        project = self.app.project_id
        service._fcm_topic_url = f"{simulator['fcm_url']}/v1/projects/{project}/registrations"

    def message(self, message):
        return messaging.Message(
            token=message["token"],
            notification=messaging.Notification(TITLE, message["body"]),
            android=messaging.AndroidConfig(priority="high", ttl=60),
        )

    def send(self, message, *, dry_run):
        messaging.send(self.message(message), dry_run=dry_run, app=self.app)


class FirebaseAdminEach(FirebaseAdmin):
    """firebase-admin, all messages in one call."""

    def responses(self, messages, *, dry_run):
        made = [self.message(message) for message in messages]
        return messaging.send_each(made, dry_run=dry_run, app=self.app).responses

    def outcomes(self, messages, *, dry_run):
        responses = self.responses(messages, dry_run=dry_run)
        return ["sent" if one.success else type(one.exception).__name__ for one in responses]


class FirebaseAdminEachAsync(FirebaseAdminEach):
    """firebase-admin over HTTP/2."""

    def responses(self, messages, *, dry_run):
        made = [self.message(message) for message in messages]
        return asyncio.run(messaging.send_each_async(made, dry_run=dry_run, app=self.app)).responses


class FirebaseAdminMulticast(FirebaseAdminEach):
    """firebase-admin, one text to many: a call for each of the texts."""

    def responses(self, messages, *, dry_run):
        responses = []
        for body in dict.fromkeys(message["body"] for message in messages):
            tokens = [message["token"] for message in messages if message["body"] == body]
            made = messaging.MulticastMessage(tokens, notification=messaging.Notification(TITLE, body))
            sent = messaging.send_each_for_multicast(made, dry_run=dry_run, app=self.app)
            responses += sent.responses
        return responses


class FirebaseAdminTopics(FirebaseAdmin):
    """firebase-admin: subscriptions to a topic, by FCM's own API."""

    def outcomes(self, messages, *, dry_run):  # noqa: ARG002 - a subscription has no dry run
        return _subscribed(messages, messaging.subscribe_to_topic, app=self.app)


class FirebaseAdminLegacyTopics(FirebaseAdmin):
    """firebase-admin: the same by Instance ID."""

    def outcomes(self, messages, *, dry_run):  # noqa: ARG002 - as above
        return _subscribed(messages, messaging.subscribe_to_topic_legacy, app=self.app)


def _subscribed(messages, subscribe, **more):
    tokens = [message["token"] for message in messages]
    failed = {error.index: error.reason for error in subscribe(tokens, TOPIC, **more).errors}
    return [failed.get(number, "sent") for number in range(len(tokens))]


class FcmDjango(FirebaseAdmin):
    """fcm-django: what it keeps active of the devices of a table."""

    def __init__(self, simulator, key_file):
        super().__init__(simulator, key_file)
        if not settings.configured:
            database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
            applications = ["django.contrib.contenttypes", "django.contrib.auth", "fcm_django"]
            settings.configure(
                DATABASES={"default": database},
                INSTALLED_APPS=applications,
                DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            )
            django.setup()
            django.core.management.call_command("migrate", verbosity=0)
        from fcm_django.models import FCMDevice

        self.devices = FCMDevice.objects

    def outcomes(self, messages, *, dry_run):
        self.devices.all().delete()
        self.devices.bulk_create(
            [self.devices.model(registration_id=message["token"], type="android") for message in messages]
        )
        outcomes = super().outcomes(messages, dry_run=dry_run)
        active = set(self.devices.filter(active=True).values_list("registration_id", flat=True))
        kept = ["active" if message["token"] in active else "deactivated" for message in messages]
        return [f"{outcome}, {state}" for outcome, state in zip(outcomes, kept, strict=True)]

    def send(self, message, *, dry_run):
        made = messaging.Message(notification=messaging.Notification(TITLE, message["body"]))
        device = self.devices.filter(registration_id=message["token"])
        [response] = device.send_message(made, app=self.app, dry_run=dry_run).response.responses
        if response.exception:
            raise response.exception


class AsyncFirebase(Library):
    """async-firebase, over HTTP/1.1 as it does unless it is told to."""

    http2 = False

    def outcomes(self, messages, *, dry_run):
        return asyncio.run(self._outcomes(messages, dry_run=dry_run))

    async def _outcomes(self, messages, *, dry_run):
        async_firebase._credentials.TOKEN_URL = self.simulator["oauth_url"]
        async with async_firebase.AsyncFirebaseClient(use_http2=self.http2) as client:
            client.BASE_URL = self.simulator["fcm_url"]
            client.creds_from_service_account_file(self.key_file)
            made = [
                async_firebase.messages.Message(
                    token=message["token"],
                    notification=async_firebase.messages.Notification(TITLE, message["body"]),
                    android=client.build_android_config(priority="high", ttl=60),
                )
                for message in messages
            ]
            sent = await client.send_each(made, dry_run=dry_run)
            return ["sent" if one.success else type(one.exception).__name__ for one in sent.responses]


class AsyncFirebaseHttp2(AsyncFirebase):
    """async-firebase over HTTP/2."""

    http2 = True


class Pyfcm(Library):
    """pyfcm."""

    def __init__(self, simulator, key_file):
        super().__init__(simulator, key_file)
        self.client = pyfcm.FCMNotification(service_account_file=key_file)
        self.client.FCM_END_POINT_BASE = f"{simulator['fcm_url']}/v1/projects"

    def send(self, message, *, dry_run):
        self.client.notify(
            fcm_token=message["token"],
            notification_title=TITLE,
            notification_body=message["body"],
            android_config={"priority": "high", "ttl": "60s"},
            dry_run=dry_run,
        )


class Aioapns(Library):
    """aioapns, which names no protocol in its TLS handshake."""

    def outcomes(self, messages, *, dry_run):  # noqa: ARG002 - APNs has no dry run
        return asyncio.run(self._outcomes(messages))

    async def _outcomes(self, messages):
        key = await asyncio.to_thread(Path(self.key_file).read_text)
        host, _, port = self.simulator["apns_url"].removeprefix("https://").partition(":")
        client = aioapns.APNs(
            key=key,
            key_id=self.simulator["apns_key_id"],
            team_id=self.simulator["apns_team_id"],
            topic=self.simulator["apns_topic"],
            ssl_context=ssl.create_default_context(cafile=self.simulator["ca_file"]),
        )
        where = {"APNS_SERVER": host, "APNS_PORT": int(port)}
        client.pool.protocol_class = type("Simulated", (APNsProductionClientProtocol,), where)
        requests = [
            aioapns.NotificationRequest(
                device_token=message["token"],
                message={"aps": {"alert": {"title": TITLE, "body": message["body"]}}},
            )
            for message in messages
        ]
        sent = [await client.send_notification(request) for request in requests]
        client.pool.close()
        return ["sent" if one.is_successful else f"{one.status} {one.description}" for one in sent]


class Kalyke(Library):
    """kalyke-apns, whose provider token has its time as text."""

    def send(self, message, *, dry_run):  # noqa: ARG002 - APNs has no dry run
        client = KalykeClient(
            use_sandbox=False,
            team_id=self.simulator["apns_team_id"],
            auth_key_id=self.simulator["apns_key_id"],
            auth_key_filepath=self.key_file,
        )
        shown = kalyke.models.PayloadAlert(title=TITLE, body=message["body"])
        sent = client.send_message(
            device_token=message["token"],
            payload=kalyke.models.Payload(alert=shown),
            apns_config=kalyke.models.ApnsConfig(
                topic=self.simulator["apns_topic"], push_type=kalyke.models.ApnsPushType.ALERT
            ),
        )
        asyncio.run(sent)

    def outcomes(self, messages, *, dry_run):
        KalykeClient._base_url = self.simulator["apns_url"]
        return super().outcomes(messages, dry_run=dry_run)


LIBRARIES = {
    "firebase-admin": FirebaseAdmin,
    "firebase-admin each": FirebaseAdminEach,
    "firebase-admin each async": FirebaseAdminEachAsync,
    "firebase-admin multicast": FirebaseAdminMulticast,
    "firebase-admin topics": FirebaseAdminTopics,
    "firebase-admin legacy topics": FirebaseAdminLegacyTopics,
    "fcm-django": FcmDjango,
    "async-firebase": AsyncFirebase,
    "async-firebase http2": AsyncFirebaseHttp2,
    "pyfcm": Pyfcm,
    "aioapns": Aioapns,
    "kalyke-apns": Kalyke,
}


def main():
    told = json.load(sys.stdin)
    answers = []
    for name, key_file, messages, dry_run in told["calls"]:
        library = LIBRARIES[name](told["simulator"], key_file)
        try:
            answers.append(library.outcomes(messages, dry_run=dry_run))
        except Exception as error:  # noqa: BLE001 - as above
            answers.append([type(error).__name__] * len(messages))
    json.dump(answers, sys.stdout)


main()
