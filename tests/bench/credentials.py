"""The credential endpoint: a proof in, a signed credential out, with its two transactions; against its floor.

Every request collects another credential with a holder key and a nonce of its own; seven credentials of six
to seventeen disclosures make an offer. One surgeon is recorded, and offered everything, by the issuer's own
API; the others are copies of those rows under new ids, because recording people takes longer than measuring.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules import codes
from passport_issuer.rules.passports import CredentialState, OfferState
from passport_issuer.store import tables as t
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.jose import SigningKey
from passport_shared.service.db import Database
from passport_testkit.issuers import ENTITY, IssuerBench, running_issuer
from tests.bench import load
from tests.bench.floor import ALGORITHM, MESSAGE
from tests.bench.paired import Comparison, Side, compare
from tests.bench.places import Place
from tests.bench.processes import running

JSON = "application/json"
TOKEN_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class Prepared:
    """Requests that are each valid once, for both sides."""

    ours: list[bytes] = field(default_factory=list)
    floors: list[bytes] = field(default_factory=list)


async def measure(place: Place, *, requests: int, repetitions: int) -> Comparison:
    """Measure; the credentials are counted in the database afterwards.

    Raises:
        RuntimeError: an answer was not 200, or a credential is missing.
    """
    whole = requests * (repetitions + 1)
    config: dict[str, Any] = {
        "folder": str(place.folder),
        "database_url": await place.database("passport_issuer"),
        "background": False,
    }
    floor_config = {"database_url": await place.database(None)}
    prepared = Prepared(floors=_floor(floor_config, whole))
    async with running_issuer(place.folder, config["database_url"]) as bench:
        config["at"] = bench.clock.now().isoformat()
        prepared.ours.extend(await requests_of(bench, whole))
    with ExitStack() as stack:
        ours = stack.enter_context(
            running(
                ["python", "-m", "tests.bench.serving", "issuer", place.write("issuer.json", config)],
                log=place.folder / "issuer.log",
                core=place.server_core,
                environment=place.environment,
            )
        )
        floor = stack.enter_context(
            running(
                [
                    *("python", "-m", "tests.bench.floor_apps", "credential"),
                    place.write("floor.json", floor_config),
                ],
                log=place.folder / "floor.log",
                core=place.server_core,
                environment=place.environment,
            )
        )
        found = await compare(
            Side(ours, prepared.ours),
            Side(floor, prepared.floors),
            requests=requests,
            repetitions=repetitions,
        )
    await _check(config["database_url"], whole)
    return found


async def _check(url: str, expected: int) -> None:
    async with Database(url, name="bench", durable=False) as db, db.read() as conn:
        issued = select(func.count()).where(t.credentials.c.state == CredentialState.ISSUED.value)
        count = (await conn.execute(issued)).scalar_one()
    if count != expected:
        raise RuntimeError(f"{expected} requests became {count} credentials")


async def requests_of(bench: IssuerBench, count: int) -> list[bytes]:
    """Requests of one credential each, for as many people as are needed."""
    staff_id = await bench.surgeon()
    offer = await bench.offer(staff_id)
    made: list[bytes] = []
    async with bench.ctx.db.write() as conn:
        template = await _rows(conn, staff_id, offer["id"])
        while len(made) < count:
            made += await _collect(bench, conn, template)
    return made[:count]


_Rows = Mapping[str, list[dict[str, Any]]]


async def _rows(conn: AsyncConnection, staff_id: str, offer_id: str) -> _Rows:
    async def of(table: Table, condition: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in (await conn.execute(select(table).where(condition))).mappings()]

    return {
        "staff": await of(t.staff, t.staff.c.id == staff_id),
        "passports": await of(t.passports, t.passports.c.staff_id == staff_id),
        "offers": await of(t.credential_offers, t.credential_offers.c.id == offer_id),
        "datasets": await of(t.offer_datasets, t.offer_datasets.c.offer_id == offer_id),
    }


async def _collect(bench: IssuerBench, conn: AsyncConnection, template: _Rows) -> list[bytes]:
    """One more person with an offer that is redeemed, and the requests that collect it."""
    now, token = bench.clock.now(), codes.new_access_token()
    staff, passport, offer = new_id(), new_id(), random_token(16)
    await conn.execute(insert(t.staff).values({**template["staff"][0], "id": staff}))
    row = {**template["passports"][0], "id": passport, "staff_id": staff, "holder_ref": random_token(16)}
    await conn.execute(insert(t.passports).values(row))
    row = {**template["offers"][0], "id": offer, "staff_id": staff, "passport_id": passport}
    row |= {"state": OfferState.ACCEPTED.value, "redeemed_at": now}
    await conn.execute(insert(t.credential_offers).values(row))
    datasets = [{**row, "id": random_token(16), "offer_id": offer} for row in template["datasets"]]
    await conn.execute(insert(t.offer_datasets), datasets)
    await conn.execute(
        insert(t.access_tokens_table).values(
            token_hash=codes.token_hash(token),
            ods="RBV",
            offer_id=offer,
            by_identifier=False,
            issued_at=now,
            expires_at=now + TOKEN_LIFE,
            revoked_at=None,
        )
    )
    return [_request(bench, token, row["configuration_id"]) for row in datasets]


def _request(bench: IssuerBench, token: str, configuration_id: str) -> bytes:
    nonce = codes.new_nonce(bench.ctx.secrets.nonces, "RBV", bench.clock.now())
    proof = bench.wallet().proof(ENTITY, nonce, key=SigningKey.generate())
    body = {"credential_configuration_id": configuration_id, "proofs": {"jwt": [proof]}}
    return load.post("/RBV/credential", json.dumps(body).encode(), JSON, f"Authorization: Bearer {token}")


def _floor(config: dict[str, str], count: int) -> list[bytes]:
    holder, issuer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    public = holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    config["holder_der"] = base64.b64encode(public).decode()
    config["issuer_private_der"] = base64.b64encode(SigningKey.from_private(issuer).to_der()).decode()
    bodies = (
        {"proof": base64.urlsafe_b64encode(holder.sign(MESSAGE, ALGORITHM)).decode()} for _ in range(count)
    )
    return [load.post("/credential", json.dumps(body).encode(), JSON) for body in bodies]
