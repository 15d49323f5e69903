"""The VAPID keys of a sender: the current one, and those that older subscriptions were made with. Pure.

A browser takes pushes only from the key that it subscribed with, so that a key is replaced by being moved behind another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.model import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def packed(private_keys: Sequence[str]) -> Secret:
    """Private keys as they are sealed, the current one first; each is 32 bytes in URL-safe base64."""
    return Secret(msgspec.json.encode({"keys": private_keys}))


def unpacked(secret: Secret) -> list[str]:
    """Undo `packed`; an empty list if it is something else."""
    try:
        return msgspec.json.decode(secret.value, type=dict[str, list[str]]).get("keys", [])
    except msgspec.MsgspecError:
        return []


def ids(facts: dict[str, Any]) -> list[str]:
    """The ids of all keys, the current one first."""
    return [facts["key_id"], *facts["former_key_ids"]]


def rotated(
    new: tuple[dict[str, Any], Secret], former: tuple[dict[str, Any], Secret], used: Collection[str]
) -> tuple[dict[str, Any], Secret]:
    """Facts and keys of a new key in the place of a former one, which is kept behind it.

    So are older ones that are `used`; the former key is kept in any case, as a browser may just be subscribing with it.
    """
    facts, secret = new
    [key, *_] = unpacked(secret)
    older = zip(ids(former[0]), unpacked(former[1]), strict=False)
    kept = [
        (name, one)
        for name, one in older
        if name != facts["key_id"] and (name in used or name == former[0]["key_id"])
    ]
    return (
        {**facts, "former_key_ids": [name for name, _ in kept]},
        packed([key, *(one for _, one in kept)]),
    )


def with_the_same_key(
    new: tuple[dict[str, Any], Secret], former: tuple[dict[str, Any], Secret]
) -> tuple[dict[str, Any], Secret]:
    """Facts and keys where all but the keys is new."""
    kept = {name: former[0][name] for name in ("public_key", "key_id", "former_key_ids")}
    return {**new[0], **kept}, former[1]
