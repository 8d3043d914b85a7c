"""Staff, passports, credentials and their status lists of a scale run, by INSERT … SELECT.

Every tenant has a status key of its own. The copies' certificates are those of the trust they were copied
from, which nobody checks while a list is signed; the lists of the trusts that enrolled verify like any other.
Invented people only: a name is a number.
"""

from __future__ import annotations

import json

import asyncpg

from passport_shared.formats.jose import SigningKey
from passport_shared.service.clock import SystemClock
from passport_shared.wire.catalogue import TYPES
from tests.soak.scale_sizes import TYPES_PER_PASSPORT, Size
from tests.soak.scale_world import ISSUER, World

KINDS = tuple(TYPES)[:TYPES_PER_PASSPORT]
# Of person s of trust n: ids grow with time, as those the service makes.
_HEX = "lpad(to_hex((s::bigint << 16) | t.n), 12, '0')"
_PERSON = f"substr({_HEX},1,8)||'-'||substr({_HEX},9,4)||'-7000-8000-'||substr(md5('s'||{_HEX}),1,12)"
_TAIL = f"substr(md5({{}}||{_HEX}),1,12)"
_OF = f"substr({_HEX},1,8)||'-'||substr({_HEX},9,4)||'-7{{}}-8000-'||"


def _id(block: str, salt: str) -> str:
    return f"{_OF.format(block)} " + _TAIL.format(f"'{salt}'")


async def seed(world: World, size: Size) -> None:
    """Everything the issuer holds."""
    async with world.sql("issuer") as conn:
        await _tenants(world, conn, size)
        spread = [(n, ods, staff, passports) for n, (ods, staff, passports) in enumerate(size.staff_of())]
        await conn.execute("CREATE TEMP TABLE spread (n int, ods text, staff int, passports int)")
        await conn.copy_records_to_table("spread", records=spread)
        for statement in (*_PEOPLE, *_RECORDS, *_PASSPORTS):
            await conn.execute(statement)
        await conn.execute("ANALYZE")


async def _tenants(world: World, conn: asyncpg.Connection, size: Size) -> None:
    ctx, now = world.context("issuer"), SystemClock().now()
    template = await conn.fetchrow(
        "SELECT * FROM tenant_certificates WHERE ods = $1 AND use = 'status'", size.majors_codes()[0]
    )
    copies = size.copies()
    await conn.copy_records_to_table(
        "tenants",
        records=[(ods, f"{ISSUER}/{ods}", f"Trust {ods}", "ACTIVE", now, now) for ods in copies],
        columns=["ods", "entity_id", "name", "state", "created_at", "enrolled_at"],
    )
    keys, certificates = [], []
    kek = ctx.keys._kek
    for ods in copies:
        key = SigningKey.generate()
        context = f"key\x1f{key.kid}\x1f{ods}\x1fstatus"
        wrapped = kek.wrap(key.to_der(), context=context)
        jwk = json.dumps(dict(key.public.jwk))
        keys.append((key.kid, ods, "status", "ACTIVE", kek.version, jwk, wrapped, now, now))
        certificates.append((ods, "status", key.kid, *list(template)[3:]))
    await conn.copy_records_to_table(
        "signing_keys",
        records=keys,
        columns=["kid", "owner", "purpose", "state", "kek_version", "public_jwk", "wrapped"]
        + ["created_at", "changed_at"],
    )
    await conn.copy_records_to_table("tenant_certificates", records=certificates)
    # The list of a tenant that has none yet, as the service makes it.
    await conn.execute(
        """INSERT INTO status_lists (id, ods, size, allocated, usable_from, version, published_version,
             created_at)
           SELECT left(translate(encode(sha256(ods::bytea), 'base64'), '+/', '-_'), 22), ods, 131072, 0,
             now() - interval '1 day', 1, 0, now() - interval '1 day'
           FROM tenants WHERE ods NOT IN (SELECT ods FROM status_lists)"""
    )


_PEOPLE = (
    f"""INSERT INTO staff (id, ods, legal_given, legal_family, birthdate, work_email, employment_status,
          preferences, visiting, version, created_at, created_by, updated_at)
        SELECT {_PERSON}, t.ods, 'Given ' || s, 'Family ' || s, date '1960-01-01' + (s * 37 + t.n) % 14000,
          'person' || s || '@' || lower(t.ods) || '.invalid', 'ACTIVE', '{{}}', false, 1,
          now() - interval '400 days', 'scale', now() - interval '400 days'
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.staff) s""",
    f"""INSERT INTO staff_external_ids (ods, kind, value, staff_id, system, source)
        SELECT t.ods, 'ESR_PERSON', (10000000 + s)::text, {_PERSON}, 'ESR', 'MANUAL'
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.staff) s""",
)
_RECORDS = (
    f"""INSERT INTO assignments (id, ods, staff_id, ref, "primary", type, fte, title, staff_group, job_role,
          start, status, source, version, created_at, created_by, updated_at)
        SELECT {_id("001", "a")}, t.ods, {_PERSON}, 'A' || s, true, 'PERMANENT', 1.0, 'Consultant urologist',
          'Medical and Dental', 'Consultant', date '2015-08-05', 'ACTIVE', 'MANUAL', 1, now(), 'scale', now()
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.passports) s""",
    f"""INSERT INTO checks (id, ods, staff_id, check_type, outcome, performed_on, performed_by, source,
          fields, provenance, next_due, created_at, created_by)
        SELECT {_OF.format("00'||k.i||'")} {_TAIL.format("k.kind")}, t.ods, {_PERSON}, k.kind, 'CLEARED',
          date '2026-01-15', 'scale', 'MANUAL', k.fields, '{{}}',
          current_date + 20 + (s * 13 + t.n) % 700, now() - interval '300 days', 'scale'
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.passports) s
        CROSS JOIN (VALUES (1, 'IDENTITY', '{{"identity_scheme":"NHS_IDENTITY_CHECK_STANDARD"}}'),
          (2, 'RTW', '{{"permission":"UNLIMITED","permission_expires":"NONE","route":"LIST_A"}}'),
          (3, 'OH', '{{"role_category":"SURGICAL","epp_cleared":"YES"}}')) k(i, kind, fields)""",
    f"""INSERT INTO training (id, ods, staff_id, subject_code, level, completed_on, provider_ods, framework,
          framework_version, competency_name, assessed, learning_method, source, created_at, created_by)
        SELECT {_OF.format("00'||k.i||'")} {_TAIL.format("'t'||k.subject")}, t.ods, {_PERSON}, k.subject, '1',
          date '2026-01-15', t.ods, 'CSTF', '1', 'NHS CSTF ' || k.subject, true, 'E_LEARNING', 'MANUAL',
          now() - interval '300 days', 'scale'
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.passports) s
        CROSS JOIN (VALUES (1, 'FS'), (2, 'IPC'), (3, 'RES')) k(i, subject)""",
)
_KINDS = ", ".join(f"({number}, '{kind}')" for number, kind in enumerate(KINDS))
_PASSPORTS = (
    f"""INSERT INTO passports (id, ods, staff_id, state, holder_ref, created_at, created_by, first_issued_at,
          version)
        SELECT {_id("002", "p")}, t.ods, {_PERSON}, 'ACTIVE', md5('h' || {_HEX}), now() - interval '200 days',
          'scale', now() - interval '200 days', 2
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.passports) s""",
    f"""INSERT INTO credential_offers (id, ods, passport_id, staff_id, configuration_ids, not_held, state,
          reviewed, wrong_tx_codes, expires_at, redeemed_at, created_at, created_by)
        SELECT {_id("003", "o")}, t.ods, {_id("002", "p")}, {_PERSON}, '[]', '[]', 'ACCEPTED', true, 0,
          now() - interval '199 days', now() - interval '200 days', now() - interval '200 days', 'scale'
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.passports) s""",
    f"""INSERT INTO offer_datasets (id, offer_id, position, type, configuration_id, source_ref)
        SELECT {_OF.format("00'||(4+k.i)||'")} {_TAIL.format("'d'||k.i")}, {_id("003", "o")}, k.i, k.kind,
          k.kind, 'x'
        FROM spread t CROSS JOIN LATERAL generate_series(1, t.passports) s
        CROSS JOIN (VALUES {_KINDS}) k(i, kind)""",
    # An odd factor runs through every index of a list once: unique, and scattered as the service draws them.
    f"""INSERT INTO credentials (id, ods, passport_id, staff_id, offer_id, dataset_id, type, source_ref, vct,
          schema_version, status_list_id, status_idx, state, holder_jkt, payload_digest, issuer_jwt_sha256,
          request_id, notification_id, prepared_at, issued_at, expires_at, acknowledged_at)
        SELECT {_OF.format("01'||k.i||'")} {_TAIL.format("'c'||k.i")}, t.ods, {_id("002", "p")}, {_PERSON},
          {_id("003", "o")}, {_OF.format("00'||(4+k.i)||'")} {_TAIL.format("'d'||k.i")}, k.kind, 'x',
          'https://registry.example/vct/' || k.kind || '/1', 1, l.id,
          (((s - 1) * {TYPES_PER_PASSPORT} + k.i)::bigint * 40503 % 131072)::int, 'ACTIVE',
          md5('j' || {_HEX}), md5('y' || k.i || {_HEX}), md5('w' || k.i || {_HEX}), md5('r' || {_HEX}),
          md5('n' || {_HEX}), now() - interval '200 days', now() - interval '200 days',
          now() + ((s * 17 + t.n * 5 + k.i) % 365 || ' days')::interval + interval '1 hour',
          now() - interval '200 days'
        FROM spread t
        CROSS JOIN LATERAL (SELECT id FROM status_lists WHERE ods = t.ods ORDER BY created_at LIMIT 1) l
        CROSS JOIN LATERAL generate_series(1, t.passports) s
        CROSS JOIN (VALUES {_KINDS}) k(i, kind)""",
    """UPDATE status_lists SET allocated = n FROM
        (SELECT status_list_id, count(*) n FROM credentials GROUP BY 1) c WHERE c.status_list_id = id""",
)
