"""The list of what is raced for is whole: nothing that is consumed once or changes state is missing."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator

from sqlalchemy import MetaData, Table, UniqueConstraint

from passport_testkit import race_catalogue as catalogue
from passport_testkit.contract_worlds import SERVICES, operations
from passport_testkit.corpora import REPOSITORY

READS = frozenset({"GET", "HEAD", "OPTIONS"})


def tables(service: str) -> Iterable[Table]:
    importlib.import_module(f"passport_{service}.app")
    metadata: MetaData = importlib.import_module(f"passport_{service}.store.metadata").metadata
    return metadata.tables.values()


def keys_of(table: Table) -> Iterator[str]:
    """The keys of a table that something can win: all but an id that is made for the row."""
    found = [[column.name for column in table.primary_key.columns]]
    found += [
        [column.name for column in one.columns]
        for one in table.constraints
        if isinstance(one, UniqueConstraint)
    ]
    found += [[column.name for column in index.columns] for index in table.indexes if index.unique]
    # A key of many dimensions is a counter's, and named by its table.
    named = {
        f"{table.name} {','.join(one)}" if len(one) < 5 else table.name for one in found if one != ["id"]
    }
    yield from sorted(named)


def missing(found: Iterable[str], named: Iterable[str], what: str) -> list[str]:
    known, there = set(named), set(found)
    return [
        *(f"{one} is not in {what}" for one in sorted(there - known)),
        *(f"{one} is in {what} and nowhere else" for one in sorted(known - there)),
    ]


def test_every_operation_that_changes_something_is_in_the_list() -> None:
    found = {str(one) for one in operations() if one.method not in READS}
    assert not missing(found, catalogue.OPERATIONS, "OPERATIONS")


def test_every_key_of_every_table_is_in_the_list() -> None:
    shared, own = set(), set()
    for service in SERVICES:
        for table in tables(service):
            for one in keys_of(table):
                if one in catalogue.SHARED_UNIQUE:
                    shared.add(one)
                else:
                    own.add(f"{service} {one}")
    assert not missing(own, catalogue.UNIQUE, "UNIQUE")
    assert not missing(shared, catalogue.SHARED_UNIQUE, "SHARED_UNIQUE")


def test_every_kept_state_is_in_the_list() -> None:
    shared, own = set(), set()
    for service in SERVICES:
        for table in tables(service):
            if "state" not in table.columns:
                continue
            if table.name in catalogue.SHARED_STATES:
                shared.add(table.name)
            else:
                own.add(f"{service} {table.name}")
    assert not missing(own, catalogue.STATES, "STATES")
    assert not missing(shared, catalogue.SHARED_STATES, "SHARED_STATES")


def test_every_test_that_is_named_is_there() -> None:
    named = {test for raced in catalogue.OPERATIONS.values() for test in raced.by}
    for table in (catalogue.UNIQUE, catalogue.SHARED_UNIQUE, catalogue.STATES, catalogue.SHARED_STATES):
        named |= {test for tests in table.values() for test in tests}
    absent = []
    for one in sorted(named):
        file, _, name = one.partition("::")
        path = REPOSITORY / file
        there = path.is_file() and re.search(rf"^(async )?def {name}\(", path.read_text(), re.MULTILINE)
        absent += [] if there else [one]
    assert not absent
    assert len(named) > 60
