"""Jobs: when one that failed is tried again, and how often. Pure."""

MOST_ATTEMPTS = 10
LONGEST_WAIT_S = 320.0
_FIRST_WAIT_S = 5.0


def wait_s(attempts: int, jitter: float) -> float:
    """How long to wait after so many failed attempts (from 1): twice as long each time, ± a quarter by `jitter` (0 to 1)."""
    grown = _FIRST_WAIT_S * 2.0 ** min(max(attempts, 1) - 1, 30)
    return min(grown, LONGEST_WAIT_S) * (0.75 + jitter / 2)
