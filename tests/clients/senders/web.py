"""Web Push by libraries that others wrote, unmodified: pywebpush sends, and http-ece decrypts.

Reads on standard input what to do; writes for each push `201` or the status that pywebpush raises, and for each body what
http-ece makes of it.
"""

import json
import sys
from base64 import urlsafe_b64decode

import http_ece
import pywebpush
import requests
from cryptography.hazmat.primitives.asymmetric import ec


def raw(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sent(asked, subscription):
    session = requests.Session()
    session.trust_env = False  # or environment variables replace the CA file
    session.verify = asked["ca_file"]
    try:
        answer = pywebpush.webpush(
            subscription,
            asked["text"],
            vapid_private_key=asked["private_key"],
            vapid_claims={"sub": "mailto:ops@example.com"},
            ttl=60,
            requests_session=session,
        )
    except pywebpush.WebPushException as error:
        return error.response.status_code
    return answer.status_code


def read(one):
    key = ec.derive_private_key(int.from_bytes(raw(one["private_key"]), "big"), ec.SECP256R1())
    plain = http_ece.decrypt(
        raw(one["body"]), private_key=key, auth_secret=raw(one["auth"]), version="aes128gcm"
    )
    return plain.decode()


asked = json.load(sys.stdin)
found = {
    "sent": [sent(asked, one) for one in asked.get("subscriptions", ())],
    "read": [read(one) for one in asked.get("bodies", ())],
}
json.dump(found, sys.stdout)
