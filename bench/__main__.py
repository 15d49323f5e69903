"""`python -m bench [--json]`: every benchmark there is."""

from __future__ import annotations

import json
import sys

from bench import sender, startup


def main() -> None:
    """Run all and print figures for people, or one JSON object a line."""
    for measure in (sender.measure, startup.measure):
        for figure in measure():
            print(json.dumps(figure) if "--json" in sys.argv else describe(figure), flush=True)


def describe(figure: dict[str, object]) -> str:
    """One figure in a line, and what stood beside it in lines below."""
    beside = figure.pop("beside", None)
    line = "  ".join(f"{name} {value}" for name, value in figure.items())
    others = [f"    beside {other}" for other in beside] if isinstance(beside, list) else []
    return "\n".join([line, *others])


if __name__ == "__main__":
    main()
