"""A simulator of FCM and APNs that imports nothing of the rest of pushkeeper.

It shares no table with the client, so that it can catch the client's mistakes. What Google and Apple document is built
in; what was only observed is a named switch of a `Profile` (connections), `FcmRules` or `ApnsRules`.
"""

from pushkeeper.simulator.apns import APNS_CONNECTION, ApnsRules
from pushkeeper.simulator.exchange import Profile
from pushkeeper.simulator.fcm import FCM_CONNECTION, FcmRules
from pushkeeper.simulator.profiles import PROFILES, Behaviour, UnknownFlag
from pushkeeper.simulator.script import Step
from pushkeeper.simulator.simulator import Place, Simulator
from pushkeeper.simulator.world import Origin, UnknownToken, World

__all__ = [
    "APNS_CONNECTION",
    "FCM_CONNECTION",
    "PROFILES",
    "ApnsRules",
    "Behaviour",
    "FcmRules",
    "Origin",
    "Place",
    "Profile",
    "Simulator",
    "Step",
    "UnknownFlag",
    "UnknownToken",
    "World",
]
