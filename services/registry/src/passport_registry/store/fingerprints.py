"""Fingerprints of organisations: what tells that something was recorded about one since it was looked at.

Sums of versions and counts of rows, of the whole network in one query: reading what they stand for costs a
hundred times as much.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import tables

_O = tables.organisations
_S = tables.onboarding_steps
_E = tables.entities
_C = tables.certificates
_A = tables.authorisations

Fingerprint = tuple[object, ...]

_steps = (
    select(_S.c.ods_code, func.count().label("n"), func.sum(_S.c.version).label("versions"))
    .group_by(_S.c.ods_code)
    .subquery()
)
# What the publisher derives and keeps is no edit and raises no version.
_KEPT = ("live_since", "issuing_closed_at", "suspended_at")
_entities = (
    select(
        _E.c.ods_code,
        func.count().label("n"),
        func.sum(_E.c.version).label("versions"),
        *(func.max(_E.c[name]).label(name) for name in _KEPT),
    )
    .group_by(_E.c.ods_code)
    .subquery()
)
_certificates = (
    select(
        _E.c.ods_code,
        func.count(_C.c.der).label("n"),
        func.max(_C.c.state_changed_at).label("changed_at"),
        func.min(_C.c.not_after_signing).label("signing_ends"),
    )
    .join(_C, _C.c.entity_id == _E.c.entity_id)
    .group_by(_E.c.ods_code)
    .subquery()
)
_authorisations = (
    select(_E.c.ods_code, func.count().label("n"), func.sum(_A.c.version).label("versions"))
    .join(_A, _A.c.entity_id == _E.c.entity_id)
    .group_by(_E.c.ods_code)
    .subquery()
)


async def every(conn: AsyncConnection) -> dict[str, Fingerprint]:
    """Return the fingerprint of every organisation, by ODS code."""
    query = select(
        _O.c.ods_code,
        _O.c.version,
        *(table.c[name] for table in (_steps, _entities, _authorisations) for name in ("n", "versions")),
        *(_entities.c[name] for name in _KEPT),
        *(_certificates.c[name] for name in ("n", "changed_at", "signing_ends")),
    ).select_from(_O)
    query = query.outerjoin(_steps, _steps.c.ods_code == _O.c.ods_code)
    query = query.outerjoin(_entities, _entities.c.ods_code == _O.c.ods_code)
    query = query.outerjoin(_certificates, _certificates.c.ods_code == _O.c.ods_code)
    query = query.outerjoin(_authorisations, _authorisations.c.ods_code == _O.c.ods_code)
    return {row[0]: tuple(row[1:]) for row in await conn.execute(query.order_by(_O.c.ods_code))}
