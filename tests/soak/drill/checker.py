"""What must hold when the last crash is over, found from outside: the ledger against what is served and kept.

Nothing is repaired first. The checker waits for what the services do by themselves within seconds (lists
published, events delivered, entries sealed), then compares.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from passport_shared.formats.jose import PublicKey
from passport_shared.formats.status_list import INVALID, VALID, StatusList, read_token
from passport_shared.service import audit
from passport_shared.service.audit_chain import ChainEntry, verify_chain
from passport_shared.service.clock import SystemClock
from passport_shared.service.db import Database, new_metadata
from passport_shared.wire.activity import ACTIVITY_TYPES
from tests.soak.drill.api import Api, GaveUp
from tests.soak.drill.ledger import Ledger
from tests.soak.drill.load import HOME, HOST
from tests.soak.drill.network import SERVICES, Network

SETTLE_S = 150
REVOKED_AT_THE_END = 20


@dataclass
class Checker:
    """Compares; `violations` is empty where everything held."""

    network: Network
    api: Api
    ledger: Ledger
    violations: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Every check."""
        self._once()
        checks = [self._credentials, self._indices, self._decisions, self._placements, self._events]
        checks += [partial(self._audit, name) for name in SERVICES]
        for check in checks:
            try:
                await check()
            except Exception as fault:
                self.violations.append(f"could not be checked: {type(fault).__name__}: {str(fault)[:300]}")

    def _is(self, holds: bool, what: str) -> None:
        self.checked[what.split(":")[0]] += 1
        if not holds:
            self.violations.append(what)

    def _once(self) -> None:
        """No code, nonce or answer was taken twice; a key made one offer."""
        for kind, name in (("code", "code"), ("nonce", "nonce"), ("answer", "request")):
            for value, count in Counter(fact.said[name] for fact in self.ledger.of(kind)).items():
                self._is(count == 1, f"{kind} taken once: {value[:16]}… {count} times")
        offers: dict[str, set[str]] = {}
        for fact in self.ledger.of("offer"):
            offers.setdefault(fact.said["key"], set()).add(fact.said["id"])
        for key, ids in offers.items():
            self._is(len(ids) == 1, f"one offer per key: {key} made {len(ids)}")
        indices = Counter((fact.said["uri"], fact.said["idx"]) for fact in self.ledger.of("credential"))
        for entry, count in indices.items():
            self._is(count == 1, f"index given once: {entry} {count} times")

    async def _credentials(self) -> None:
        """Every acknowledged credential has a record and the acknowledged status, and can be revoked."""
        tried = {(f.said["uri"], f.said["idx"]) for f in self.ledger.of("revoking")}
        revoked = {(f.said["uri"], f.said["idx"]) for f in self.ledger.of("revoked")}
        rows = await self.rows("issuer", "SELECT id, status_list_id, status_idx, state FROM credentials")
        known = {(row[1], row[2]): (row[0], row[3]) for row in rows}
        acknowledged = [(f.said["uri"], f.said["idx"]) for f in self.ledger.of("credential")]
        for uri, idx in acknowledged:
            kept = known.get((uri.rsplit("/", 1)[-1], idx))
            self._is(kept is not None, f"acknowledged credential is recorded: {idx}")
            if kept is not None and (uri, idx) not in tried:
                self._is(kept[1] == "ISSUED", f"acknowledged credential stays issued: {idx} is {kept[1]}")
        for fact in self.ledger.of("not_found"):
            self._is(False, f"acknowledged credential is listed: {fact.said['idx']}")
        fresh = [entry for entry in acknowledged if entry not in tried][:REVOKED_AT_THE_END]
        for uri, idx in fresh:
            credential_id = known[(uri.rsplit("/", 1)[-1], idx)][0]
            path = f"{HOME}/credentials/{credential_id}/revoke"
            body = {"reason_code": "ISSUED_IN_ERROR", "actor": "hr-checker"}
            told = await self.api.manage("POST", "issuer", path, body)
            self._is(told.good, f"acknowledged credential can be revoked: {idx} {told.status}")
            revoked.add((uri, idx))
            tried.add((uri, idx))
        await self._lists(acknowledged, tried, revoked)

    async def _lists(
        self, acknowledged: list[tuple[str, int]], tried: set[tuple[str, int]], revoked: set[tuple[str, int]]
    ) -> None:
        lists: dict[str, StatusList] = {}

        async def published() -> bool:
            for uri in {uri for uri, _ in acknowledged}:
                lists[uri] = await self._status(uri)
            return all(lists[uri].get(idx) == INVALID for uri, idx in revoked)

        await self._settled(published, "lists published")
        for uri, idx in sorted(revoked):
            self._is(lists[uri].get(idx) == INVALID, f"acknowledged revocation is in the signed list: {idx}")
        for uri, idx in acknowledged:
            if (uri, idx) not in tried:
                self._is(lists[uri].get(idx) == VALID, f"acknowledged credential is valid in the list: {idx}")

    async def _status(self, uri: str) -> StatusList:
        answer = await self.api.send("GET", uri)
        given = json.loads((self.network.stack.folder / "trust.json").read_text())
        roots = [base64.b64decode(root) for root in given["x509_roots"]]
        return read_token(str(answer.body), uri=uri, roots=roots, now=SystemClock().now()).list

    async def _indices(self) -> None:
        """No index of any list belongs to two rows."""
        rows = await self.rows("issuer", "SELECT status_list_id, status_idx, state FROM credentials")
        used = Counter((row[0], row[1]) for row in rows)
        self._is(all(count == 1 for count in used.values()), "status index used once")
        nonces = await self.rows("issuer", "SELECT nonce_hash FROM used_nonces")
        self._is(len(nonces) == len({row[0] for row in nonces}), "nonce kept once")

    async def _decisions(self) -> None:
        """Every acknowledged answer has its decision."""
        for fact in self.ledger.of("answer"):
            path = f"{HOST}/presentation-requests/{fact.said['request']}"
            told = await self.api.manage("GET", "verifier", path)
            found = told.body.get("decision_id") if told.good else None
            self._is(found is not None, f"acknowledged answer has a decision: {fact.said['request']}")
        for fact in self.ledger.of("confirmed"):
            told = await self.api.manage("GET", "verifier", f"{HOST}/decisions/{fact.said['decision']}")
            shown = told.good and told.body.get("result") is not None
            self._is(shown, f"acknowledged confirmation stands: {fact.said['decision']}")
        for fact in self.ledger.of("movement"):
            told = await self.api.manage("GET", "verifier", f"{HOST}/movements/{fact.said['id']}")
            self._is(told.good, f"acknowledged movement is there: {fact.said['id']}")

    async def _placements(self) -> None:
        """Every placement stands as it was last acknowledged, unless a later change was tried."""
        last: dict[str, tuple[int, str]] = {}
        for fact in self.ledger.of("placed"):
            last[fact.said["id"]] = (fact.said["revision"], fact.said["step"])
        tried = {f.said["id"]: f.said["revision"] for f in self.ledger.of("placing")}
        for movement_id, (revision, step) in last.items():
            told = await self.api.manage("GET", "issuer", f"{HOST}/placements/{movement_id}")
            self._is(told.good, f"acknowledged placement is there: {movement_id}")
            if told.good and tried[movement_id] == revision:
                found = "end" if told.body["ended_at"] else ("hold" if told.body["on_hold"] else "running")
                wanted = "running" if step == "reinstate" else step
                self._is(found == wanted, f"placement stands as acknowledged: {movement_id} {found} {wanted}")
        for fact in self.ledger.of("started"):
            path = f"{HOST}/movements/{fact.said['movement']}/placement"

            async def offered(path: str = path) -> bool:
                told = await self.api.manage("GET", "verifier", path)
                return told.good and told.body["offer"] is not None

            self._is(await self._settled(offered, None), f"started placement reached its issuer: {fact.said}")

    async def _events(self) -> None:
        """Every activity fact that a service recorded is known at the registry, once."""
        marks = ",".join(f"'{name}'" for name in sorted(ACTIVITY_TYPES))
        for name in ("issuer", "verifier"):

            async def delivered(name: str = name) -> bool:
                sent = await self.rows(name, f"SELECT id FROM outbox_events WHERE type IN ({marks})")
                facts = await self.rows("registry", "SELECT event_id FROM activity_facts")
                known = [row[0] for row in facts]
                return {row[0] for row in sent} <= set(known) and len(known) == len(set(known))

            self._is(await self._settled(delivered, None), f"every event is known at the registry: {name}")
            aside = await self.rows(
                name, "SELECT event_id FROM outbox_refusals WHERE set_aside_at IS NOT NULL"
            )
            self._is(not aside, f"no event was set aside: {name} {len(aside)}")

    async def _audit(self, name: str) -> None:
        """The chain is whole by the public checkpoints, and nothing waits to be sealed."""
        keys = await self.rows(name, "SELECT kid, public_jwk FROM signing_keys WHERE purpose = 'audit'")
        public = {row[0]: PublicKey.from_jwk(_json(row[1])) for row in keys}
        tables = audit.tables(new_metadata())
        unsealed = "SELECT COUNT(*) FROM audit_entries WHERE seq IS NULL"

        async def sealed() -> bool:
            return int((await self.rows(name, unsealed))[0][0]) <= 1

        self._is(await self._settled(sealed, None), f"audit entries are sealed: {name}")
        async with Database(self._url(name), name="checker", shared=True, durable=False) as db:
            reader = audit.Sealer(
                db,
                tables,
                None,  # type: ignore[arg-type]  # reads only
                None,  # type: ignore[arg-type]
                SystemClock(),
                issuer=self.network.url(name),
            )
            entries: list[ChainEntry] = []
            checkpoints = await reader.checkpoints(limit=100_000)
            while page := await reader.export(after_seq=entries[-1].seq if entries else 0):
                entries += page
        report = verify_chain(entries, checkpoints, public, issuer=self.network.url(name))
        self._is(report.whole, f"audit chain is whole: {name} {report.findings[:3]}")
        self.checked[f"audit entries of the {name}"] = report.entries

    async def _settled(self, holds: Callable[[], Awaitable[bool]], what: str | None) -> bool:
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            try:
                if await holds():
                    return True
            except GaveUp:
                pass
            await asyncio.sleep(1)
        if what is not None:
            self.violations.append(f"did not settle: {what}")
        return False

    def _url(self, name: str) -> str:
        return self.network.stack.services[name].environment[f"PASSPORT_{name.upper()}_DATABASE_URL"]

    async def rows(self, name: str, sql: str) -> list[Any]:
        """Rows of a service's database, read beside it."""
        url = make_url(self._url(name))
        if url.get_backend_name() == "sqlite":
            with sqlite3.connect(f"file:{url.database}?mode=ro", uri=True, timeout=30) as file:
                return file.execute(sql).fetchall()
        conn = await asyncpg.connect(self._url(name))
        try:
            return [tuple(row) for row in await conn.fetch(sql)]
        finally:
            await conn.close()


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
