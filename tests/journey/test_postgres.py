"""`pushkeeper postgres` runs PostgreSQL's own programs on the database that the service uses."""

import json

import pytest

from pushkeeper.cli.postgres import variables
from support.processes import run


def test_a_program_is_run_on_the_database_of_the_service_and_ends_as_it_ends(service):
    on = ("--data", service["data_dir"])
    said = run("postgres", *on, "--", "psql", "-Atc", "select count(*) > 0 from migrations")
    assert (said.returncode, said.stdout) == (0, "t\n")
    said = run("postgres", *on, "--", "sh", "-c", "pg_dump --version; exit 7")
    assert (said.returncode, "PostgreSQL" in said.stdout) == (7, True)


def test_a_program_that_is_not_there_is_refused(service):
    # What comes behind the program is the program's.
    said = run("postgres", "--json", "--data", service["data_dir"], "nosuch")
    assert said.returncode == 1
    assert json.loads(said.stderr)["error"]["message"] == "Invalid command: program not found: nosuch."


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "postgresql://ann:p%40ss@db.example.com:5433/push?sslmode=require",
            {
                "PGUSER": "ann",
                "PGPASSWORD": "p@ss",
                "PGHOST": "db.example.com",
                "PGPORT": "5433",
                "PGDATABASE": "push",
                "PGSSLMODE": "require",
            },
        ),
        (
            "postgresql://postgres:@/postgres?host=/var/lib/pushkeeper/postgres",
            {"PGUSER": "postgres", "PGDATABASE": "postgres", "PGHOST": "/var/lib/pushkeeper/postgres"},
        ),
        ("postgresql://localhost/push", {"PGHOST": "localhost", "PGDATABASE": "push"}),
    ],
)
def test_the_address_is_told_as_libpq_takes_it(url, told):
    assert variables(url) == told
