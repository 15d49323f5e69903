"""The named queries of the store, as the law tests read them."""

from __future__ import annotations

from pathlib import Path

from pushkeeper.store.db.queries import load_queries

STORE = Path(__file__).parents[2] / "src" / "pushkeeper" / "store"
FILES = sorted(file for file in STORE.rglob("*.sql") if file.parent.name != "migrations")


def name_of(file: Path) -> str:
    """The module beside a file of queries, from the store on: `devices.pages`."""
    return ".".join(file.relative_to(STORE).with_suffix("").parts)


def queries_of(file: Path) -> dict[str, str]:
    """The queries of a file, by name."""
    return dict(load_queries(f"pushkeeper.store.{name_of(file)}"))


def loaded_by(module: Path) -> str:
    """The name of the file that a module loads its queries of; empty if it loads none."""
    text = module.read_text()
    if "load_queries(__name__)" in text:
        return name_of(module)
    _, found, after = text.partition('load_queries("pushkeeper.store.')
    return after.partition('"')[0] if found else ""
