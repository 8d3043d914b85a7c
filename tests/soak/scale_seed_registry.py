"""Organisations of a scale run: some join, enrol and are granted authority for real; the others are copies.

A copy has rows of its own everywhere (organisation, steps, entities, certificates, authorisations) with the
keys of the trust it was copied from under thumbprints of its own. Marks, statements and the snapshot are not
seeded: the registry's own publishing makes them.
"""

from __future__ import annotations

import json
from datetime import date, timedelta

import asyncpg

from passport_registry.rules.authorisations import Action
from passport_registry.rules.entities import Role
from passport_registry.store import tables as registry_tables
from passport_shared.formats.jose import SigningKey
from passport_shared.service.clock import SystemClock
from passport_shared.wire.catalogue import TYPES
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.scopes import scopes_of
from passport_testkit.clients import ApiClientKit
from passport_verifier.rules.asking import asked
from passport_verifier.rules.policies import policies
from tests.soak.scale_sizes import Size
from tests.soak.scale_world import HOSTS, World, enrol

MONTHS = 12
_OWN = "translate(rtrim(encode(sha256(({}||c.ods)::bytea),'base64'),'='),'+/','-_')"
_ID = "md5({}||c.ods)::uuid::text"


async def join_majors(world: World, size: Size) -> None:
    """Let the first trusts join: every step done, both entities enrolled, everything granted."""
    bench = world.registry
    purposes = tuple(sorted({policy.movement_type for policy in policies().values()}))
    claims: dict[str, set[tuple[str | int | None, ...]]] = {}
    for policy in policies().values():
        for entry in asked(policy):
            claims.setdefault(entry.credential, set()).update(tuple(path) for path in entry.paths)
    for ods in size.majors_codes():
        await bench.join(ods, name=f"Trust {ods} NHS Foundation Trust")
        await bench.pass_steps(ods)
        for service in ("issuer", "verifier"):
            await enrol(world, service, ods)
        for name in TYPES:
            await bench.grant(ods, Role.ISSUER, bench.issue_grant(name))
        for name, paths in claims.items():
            grant = bench.issue_grant(
                name,
                action=Action.ASK,
                claims=tuple(sorted(paths, key=str)),
                purposes=purposes,
                max_validity_s=None,
            )
            await bench.grant(ods, Role.VERIFIER, grant)


async def copy_organisations(conn: asyncpg.Connection, size: Size) -> None:
    """Copy the first trust as often as the size wants."""
    template = size.majors_codes()[0]
    await conn.execute("CREATE TEMP TABLE codes (n int, ods text)")
    await conn.copy_records_to_table("codes", records=list(enumerate(size.copies())))
    renamed = f"replace({{}}, '{template}', c.ods)"
    entity = {"entity_id": renamed.format("t.entity_id")}
    own: dict[str, dict[str, str]] = {
        "organisations": {"ods_code": "c.ods", "name": renamed.format("t.name")},
        "onboarding_steps": {"ods_code": "c.ods"},
        "entities": {"ods_code": "c.ods", **entity},
        "enrolment_codes": {
            "id": _ID.format("t.id"),
            "code_hmac": _OWN.format("t.code_hmac"),
            **entity,
        },
        "certificates": {
            "serial": "'7' || lpad(c.n::text, 6, '0') || right(t.serial, 20)",
            "enrolment_id": _ID.format("t.enrolment_id"),
            "jkt": _OWN.format("t.jkt"),
            "x5t_s256": _OWN.format("t.x5t_s256"),
            "subject": renamed.format("t.subject"),
            **entity,
        },
        "authorisations": {"id": _ID.format("t.id"), **entity},
    }
    for name, changes in own.items():
        columns = [column.name for column in registry_tables.metadata.tables[name].columns]
        said = [changes.get(column, f't."{column}"') for column in columns]
        mine = "t.ods_code = $1" if "ods_code" in columns else "t.entity_id LIKE '%/' || $1"
        quoted = ", ".join(f'"{column}"' for column in columns)
        await conn.execute(
            f"INSERT INTO {name} ({quoted}) SELECT {', '.join(said)} FROM {name} t "
            f"CROSS JOIN codes c WHERE {mine}",
            template,
        )


async def add_clients(world: World, conn: asyncpg.Connection, size: Size) -> int:
    """An API client with a key of its own for every organisation, and those that this run asks with."""
    now = SystemClock().now()
    largest = size.majors_codes()[0]
    asking = [world.client(service, ods) for service in HOSTS for ods in (largest, "*")]
    rows, keys = [], []
    scopes = json.dumps(sorted({*scopes_of("issuer"), *scopes_of("verifier")}))
    for ods in size.codes():
        public = SigningKey.generate().public
        rows.append(
            (f"hr-{ods.lower()}", f"HR system of {ods}", ClientKind.MACHINE.value, ods, scopes, "ACTIVE")
        )
        keys.append((public.thumbprint, f"hr-{ods.lower()}", json.dumps(public.as_jwk())))
    for kit in asking:
        rows.append(_client_row(kit))
        public = kit.key.public
        keys.append((public.thumbprint, kit.client_id, json.dumps(public.as_jwk())))
    await conn.copy_records_to_table(
        "api_clients",
        records=[(*row, now, "scale", 1) for row in rows],
        columns=["client_id", "name", "kind", "organisation", "scopes", "state", "created_at"]
        + ["created_by", "version"],
    )
    await conn.copy_records_to_table(
        "api_client_keys",
        records=[(kid, client, 1, jwk, now) for kid, client, jwk in keys],
        columns=["kid", "client_id", "slot", "jwk", "added_at"],
    )
    return len(rows)


def _client_row(kit: ApiClientKit) -> tuple[str, str, str, str, str, str]:
    record = kit.record
    return (
        record.client_id,
        record.name,
        record.kind.value,
        record.organisation,
        json.dumps(sorted(record.scopes)),
        record.state.value,
    )


async def add_activity(conn: asyncpg.Connection, size: Size) -> int:
    """A year of counted facts and durations of every organisation; how many counts."""
    first = date.today().replace(day=1) - timedelta(days=330)  # noqa: DTZ011 - months of an invented year
    await conn.execute("CREATE TEMP TABLE IF NOT EXISTS all_codes (n int, ods text)")
    await conn.copy_records_to_table("all_codes", records=list(enumerate(size.codes())))
    await conn.execute(
        """INSERT INTO activity_counts (kind, source, month, ods, employing_ods, host_ods, movement_type,
             role_profile, workforce_group, use_case, channel, would_have_needed, outcome, reason,
             n, timed, seconds, first_day, last_day)
           SELECT k.kind, 'live', to_char(m.first, 'YYYY-MM'), c.ods, e.ods, c.ods, 'SERVICE_NEED_URGENT',
             'UROLOGY_SURGEON', 'Clinicians', 'SERVICE_NEED', k.channel, 'LETTER_OF_AUTHORITY',
             CASE WHEN k.kind = 'passport.verified' THEN 'READY' ELSE '' END, '',
             1 + (c.n * 7 + m.i * 3) % 9, 1 + (c.n * 7 + m.i * 3) % 9, 200 * (1 + (c.n + m.i) % 9),
             m.first, m.first + 27
           FROM all_codes c
           JOIN all_codes e ON e.n = (c.n * 31 + 17) % $2
           CROSS JOIN (SELECT i, ($1::date + (i || ' months')::interval)::date AS first
                       FROM generate_series(0, $3 - 1) i) m
           CROSS JOIN (VALUES ('passport.issued', 'FACE_TO_FACE'), ('passport.verified', 'FACE_TO_FACE'),
                              ('passport.verified', 'VIDEO')) k(kind, channel)""",
        first,
        size.organisations,
        MONTHS,
    )
    await conn.execute(
        """INSERT INTO activity_durations (step, ods, channel, source, month, seconds, n)
           SELECT s.step, c.ods, 'FACE_TO_FACE', 'live', to_char($1::date + (m || ' months')::interval,
             'YYYY-MM'), 60 + b * 40 + c.n % 7, 1 + b
           FROM all_codes c CROSS JOIN generate_series(0, $2 - 1) m CROSS JOIN generate_series(0, 3) b
           CROSS JOIN (VALUES ('time_to_issue'), ('time_to_verify')) s(step)""",
        first,
        MONTHS,
    )
    return int(await conn.fetchval("SELECT count(*) FROM activity_counts"))
