"""The checker of the audit chain: every way to tamper is found, by its own name where there is one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from passport_shared.formats.jose import sign
from passport_shared.service.audit_chain import (
    CHECKPOINT_TYP,
    GENESIS,
    ChainEntry,
    ChainFault,
    checkpoint_hash,
    commitment,
    entry_hash,
    sign_checkpoint,
    verify_chain,
)
from passport_testkit.clock import NOON
from passport_testkit.keys import key

ISSUER = "https://issuer.example"
AUDIT = key("audit")


def chain(count: int = 12, *, step: timedelta = timedelta(seconds=10)) -> list[ChainEntry]:
    entries: list[ChainEntry] = []
    prev = GENESIS
    for seq in range(1, count + 1):
        entry = ChainEntry(
            seq=seq,
            prev_hash=prev,
            hash="",
            id=f"id-{seq}",
            recorded_at=NOON + seq * step,
            kind="credential.issued",
            organisation="RBV",
            subject_ref=f"staff-{seq}",
            actor={"client_id": "rbv-hr", "kind": "PERSON"},
            details={"n": seq},
        )
        entry = replace(entry, hash=entry_hash(entry))
        entries.append(entry)
        prev = entry.hash
    return entries


def checkpoints(entries: list[ChainEntry], *seqs: int) -> list[str]:
    tokens: list[str] = []
    for seq in seqs:
        entry = entries[seq - 1]
        token = sign_checkpoint(
            AUDIT,
            issuer=ISSUER,
            seq=seq,
            head=entry.hash,
            previous=tokens[-1] if tokens else None,
            at=entry.recorded_at + timedelta(seconds=1),
        )
        tokens.append(token)
    return tokens


def relinked(entries: list[ChainEntry]) -> list[ChainEntry]:
    """What a superuser who can compute hashes makes of changed entries."""
    fixed: list[ChainEntry] = []
    prev = GENESIS
    for seq, entry in enumerate(entries, start=1):
        linked = replace(entry, seq=seq, prev_hash=prev)
        linked = replace(linked, hash=entry_hash(linked))
        fixed.append(linked)
        prev = linked.hash
    return fixed


def faults(entries: list[ChainEntry], tokens: list[str], **more: Any) -> set[ChainFault]:
    report = verify_chain(entries, tokens, AUDIT.public, issuer=ISSUER, **more)
    return {finding.fault for finding in report.findings}


def test_a_whole_chain_is_whole() -> None:
    entries = chain()
    report = verify_chain(entries, checkpoints(entries, 4, 8, 12), AUDIT.public, issuer=ISSUER)
    assert report.whole
    assert (report.entries, report.head_seq, report.head_hash) == (12, 12, entries[-1].hash)


def test_an_empty_chain_and_one_without_checkpoints_are_whole() -> None:
    assert faults([], []) == set()
    assert faults(chain(), []) == set()


def test_entries_behind_the_last_checkpoint_are_checked_among_themselves() -> None:
    entries = chain()
    assert faults(entries, checkpoints(entries, 4)) == set()


def test_a_check_goes_on_where_the_last_one_ended() -> None:
    entries = chain()
    tokens = checkpoints(entries, 4, 8, 12)
    assert faults(entries[6:], tokens, after=(6, entries[5].hash)) == set()
    assert faults(entries[8:], tokens, after=(8, entries[7].hash)) == set()
    assert ChainFault.PREV_HASH in faults(entries[6:], tokens, after=(6, entries[4].hash))
    assert ChainFault.CHECKPOINT_MISMATCH in faults(entries[8:], tokens, after=(8, "0" * 64))


EDITS: dict[str, Callable[[ChainEntry], ChainEntry]] = {
    "kind": lambda e: replace(e, kind="credential.revoked"),
    "organisation": lambda e: replace(e, organisation="R0A"),
    "subject_ref": lambda e: replace(e, subject_ref="staff-99"),
    "actor": lambda e: replace(e, actor={"client_id": "somebody-else", "kind": "PERSON"}),
    "details": lambda e: replace(e, details={"n": 99}),
    "recorded_at": lambda e: replace(e, recorded_at=e.recorded_at + timedelta(microseconds=1)),
    "id": lambda e: replace(e, id="id-99"),
    "hash": lambda e: replace(e, hash="f" * 64),
    "prev_hash": lambda e: replace(e, prev_hash="f" * 64),
    "seq": lambda e: replace(e, seq=e.seq + 100),
    "details that have no canonical form": lambda e: replace(e, details={"n": 2**60}),
}


@pytest.mark.parametrize("field", EDITS)
@pytest.mark.parametrize("index", [0, 5, 11])
def test_every_edited_field_is_found(field: str, index: int) -> None:
    entries = chain()
    tokens = checkpoints(entries, 4, 8, 12)
    edited = [*entries]
    edited[index] = EDITS[field](edited[index])
    assert faults(edited, tokens)


@pytest.mark.parametrize("field", ["kind", "organisation", "subject_ref", "actor", "details"])
def test_an_edit_with_recomputed_hashes_is_found_by_the_checkpoint(field: str) -> None:
    entries = chain()
    edited = [*entries]
    edited[2] = EDITS[field](edited[2])
    assert ChainFault.CHECKPOINT_MISMATCH in faults(relinked(edited), checkpoints(entries, 4, 8, 12))


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("index", range(11))
def test_deletion_is_found(index: int, *, recomputed: bool) -> None:
    entries = chain()
    left = entries[:index] + entries[index + 1 :]
    assert faults(relinked(left) if recomputed else left, checkpoints(entries, 4, 8, 12))


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("index", range(12))
def test_insertion_is_found(index: int, *, recomputed: bool) -> None:
    entries = chain()
    more = [*entries[:index], replace(entries[index], id="id-forged"), *entries[index:]]
    assert faults(relinked(more) if recomputed else more, checkpoints(entries, 4, 8, 12))


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("index", range(11))
def test_reordering_is_found(index: int, *, recomputed: bool) -> None:
    entries = chain()
    swapped = [*entries]
    swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
    assert faults(relinked(swapped) if recomputed else swapped, checkpoints(entries, 4, 8, 12))


@pytest.mark.parametrize("kept", range(12))
def test_truncation_is_found(kept: int) -> None:
    entries = chain()
    assert ChainFault.TRUNCATED in faults(entries[:kept], checkpoints(entries, 4, 8, 12))


def test_a_missing_start_is_found() -> None:
    entries = chain()
    assert faults(entries[4:], checkpoints(entries, 4, 8, 12)) >= {ChainFault.GAP, ChainFault.PREV_HASH}


def test_a_removed_checkpoint_is_found() -> None:
    entries = chain()
    first, second, third = checkpoints(entries, 4, 8, 12)
    assert ChainFault.CHECKPOINT_ORDER in faults(entries, [first, third])
    assert ChainFault.CHECKPOINT_ORDER in faults(entries, [second, third])
    assert ChainFault.CHECKPOINT_ORDER in faults(entries, [second, first, third])
    assert ChainFault.CHECKPOINT_ORDER in faults(entries, [first, second, second, third])


def test_a_fork_is_found() -> None:
    entries = chain()
    forked = [*entries]
    forked[6] = replace(forked[6], details={"n": 0})
    other = relinked(forked)
    first, _ = checkpoints(entries, 4, 8)
    _, theirs = checkpoints(other, 4, 8)
    assert ChainFault.CHECKPOINT_MISMATCH in faults(entries, [first, theirs])


def test_a_clock_that_was_set_back_is_found() -> None:
    entries = chain()
    late = [*entries]
    late[9] = replace(late[9], recorded_at=NOON - timedelta(days=30))
    rewritten = relinked(late)
    tokens = checkpoints(rewritten, 4, 8, 12)
    assert faults(rewritten, tokens) == {ChainFault.TIME}


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ("not a token", ChainFault.CHECKPOINT_SIGNATURE),
        (
            sign_checkpoint(key("other"), issuer=ISSUER, seq=12, head="0" * 64, previous=None, at=NOON),
            ChainFault.CHECKPOINT_SIGNATURE,
        ),
        (sign({"iss": ISSUER}, AUDIT, typ="JWT"), ChainFault.CHECKPOINT_SIGNATURE),
        (
            sign({"iss": ISSUER, "iat": 1, "seq": 1}, AUDIT, typ=CHECKPOINT_TYP),
            ChainFault.CHECKPOINT_MALFORMED,
        ),
        (
            sign({"iss": ISSUER, "iat": "1", "seq": 1, "hash": "", "prev": ""}, AUDIT, typ=CHECKPOINT_TYP),
            ChainFault.CHECKPOINT_MALFORMED,
        ),
        (
            sign_checkpoint(AUDIT, issuer="https://other.example", seq=1, head="", previous=None, at=NOON),
            ChainFault.CHECKPOINT_MALFORMED,
        ),
    ],
)
def test_checkpoints_that_prove_nothing_are_found(token: str, fault: ChainFault) -> None:
    assert fault in faults(chain(), [token])


def test_keys_are_looked_up_by_id_after_a_rotation() -> None:
    entries = chain()
    first = checkpoints(entries, 4)[0]
    newer = key("audit, newer")
    second = sign_checkpoint(
        newer, issuer=ISSUER, seq=8, head=entries[7].hash, previous=first, at=entries[7].recorded_at
    )
    both = {AUDIT.kid: AUDIT.public, newer.kid: newer.public}
    assert verify_chain(entries, [first, second], both, issuer=ISSUER).whole
    assert not verify_chain(entries, [first, second], {newer.kid: newer.public}, issuer=ISSUER).whole


def test_a_thousand_random_tampers_are_all_found() -> None:
    entries = chain(40)
    tokens = checkpoints(entries, 10, 20, 30, 40)
    chance = random.Random(20260901)  # noqa: S311 - the same thousand every time
    missed = []
    for number in range(1_000):
        tampered, what = tamper(entries, chance)
        if not faults(tampered, tokens):
            missed.append((number, what))
    assert missed == []


def tamper(entries: list[ChainEntry], chance: random.Random) -> tuple[list[ChainEntry], str]:
    changed = [*entries]
    index = chance.randrange(len(changed) - 1)
    what = chance.choice(["edit", "delete", "insert", "reorder", "truncate"])
    if what == "edit":
        field = chance.choice(["kind", "organisation", "subject_ref", "actor", "details"])
        changed[index] = EDITS[field](changed[index])
        if changed[index] == entries[index]:
            changed[index] = replace(changed[index], id="id-changed")
    elif what == "delete":
        del changed[index]
    elif what == "insert":
        changed.insert(index, replace(changed[index], id="id-forged"))
    elif what == "reorder":
        changed[index], changed[index + 1] = changed[index + 1], changed[index]
    else:
        changed = changed[: index + 1]
    return (relinked(changed) if chance.random() < 0.5 else changed), what


def test_the_hash_is_domain_separated_and_covers_a_fixed_form() -> None:
    entry = ChainEntry(
        seq=1,
        prev_hash=GENESIS,
        hash="",
        id="id",
        recorded_at=NOON,
        kind="a.b",
        organisation="RBV",
        subject_ref="s",
        actor={"z": 1, "a": "é"},
        details={},
    )
    form = (
        '{"actor":{"a":"é","z":1},"details":{},"id":"id","kind":"a.b","organisation":"RBV",'
        f'"prev_hash":"{GENESIS}","recorded_at":"2026-09-01T12:00:00.000000+00:00","seq":1,"subject_ref":"s"}}'
    )
    import hashlib

    assert entry_hash(entry) == hashlib.sha256(b"\x00" + form.encode()).hexdigest()


def test_commitments_say_nothing_without_the_salt() -> None:
    salt = bytes(range(16))
    assert commitment(salt, "Aisha Khan") == commitment(salt, "Aisha Khan")
    assert commitment(salt, "Aisha Khan") != commitment(salt, "Aisha Kahn")
    assert commitment(salt, "Aisha Khan") != commitment(bytes(16), "Aisha Khan")
    assert "Aisha" not in commitment(salt, "Aisha Khan")
    with pytest.raises(ValueError, match="16"):
        commitment(b"short", "Aisha Khan")


def test_the_first_checkpoint_names_the_beginning() -> None:
    assert checkpoint_hash(None) == GENESIS
    assert checkpoint_hash("a.b.c") != GENESIS
