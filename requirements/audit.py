"""Look for known vulnerabilities in what a service runs on; `make check` does, where the advisories can be had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parent / "runtime.lock"
WITHIN_S = 60
COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes", "--disable-pip"),
    *("--progress-spinner", "off", "--timeout", "5", "--format", "json"),
)


def verdict(said: str) -> tuple[str, int]:
    """What to print and how to end, for what pip-audit printed; nothing means that it had nobody to ask."""
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return "audit: skipped, as the advisories can't be had from here", 0
    known = [one for one in packages if "vulns" in one]
    found = [
        f"audit: {one['name']} {one['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no release'}"
        for one in known
        for vulnerability in one["vulns"]
    ]
    if found:
        return "\n".join(found), 1
    if not known:
        return f"audit: skipped, as none of {len(packages)} packages is known where was asked", 0
    return f"audit: no known vulnerability in {len(known)} of {len(packages)} packages", 0


def main() -> int:
    """Ask, and say what is known."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, check=False, timeout=WITHIN_S)  # noqa: S603 - ours
        text, code = verdict(done.stdout)
    except subprocess.TimeoutExpired:
        text, code = verdict("")
    sys.stdout.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
