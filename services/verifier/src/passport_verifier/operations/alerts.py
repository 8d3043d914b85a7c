"""Alerts: raised once about one thing, told in plain words, acknowledged by a named person (journey J7).

What an alert says of a person's records is sealed under the movement's data key, and goes with it. An alert
says what changed and what to do now; why is for the person and the employing trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.kek import KekError
from passport_shared.service.paging import PageQuery
from passport_verifier.context import Context
from passport_verifier.errors import NotFound
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules import alert_wording, wording
from passport_verifier.rules.outcome import Words
from passport_verifier.rules.watching import URGENT, AlertKind
from passport_verifier.store import alerts, movements
from passport_verifier.store.alerts import Alert
from passport_verifier.store.movements import Movement

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Told:
    """An alert with its sentences by language; None once the movement's data key is gone."""

    alert: Alert
    text: Mapping[str, str] | None
    findings: tuple[Mapping[str, str], ...]


async def raise_alert(
    ctx: Context,
    conn: AsyncConnection,
    movement: Movement,
    kind: AlertKind,
    words: Words,
    *,
    about: str,
    findings: Sequence[Words] = (),
    decision_id: str | None = None,
) -> bool:
    """Raise an alert in the caller's transaction, unless one about the same was raised; whether it was.

    Args:
        ctx: the verifier.
        conn: the caller's transaction.
        movement: which placement it is about.
        kind: what it tells.
        words: its own sentence (``rules.alert_wording``).
        about: what makes it the same again; stored as a commitment only.
        findings: sentences of a decision that say what is different now.
        decision_id: that decision.
    """
    try:
        key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
    except KekError:
        return False
    alert_id = new_id()
    said = {"words": _plain(words), "findings": [_plain(one) for one in findings]}
    raised = await alerts.add(
        conn,
        Alert(
            id=alert_id,
            ods=movement.ods,
            movement_id=movement.id,
            kind=kind,
            about=key.commit(f"alert|{kind}|{about}"),
            decision_id=decision_id,
            sealed=key.seal(said, decision_id=alert_id),
            urgent=kind in URGENT,
            raised_at=ctx.clock.now(),
            acknowledged_at=None,
            acknowledged_by=None,
        ),
    )
    if raised:
        await ctx.outbox.emit(
            conn,
            type="placement.alert_raised",
            subject=movement.id,
            organisation=movement.ods,
            data={"alert": alert_id, "kind": kind, "urgent": kind in URGENT},
        )
        log.info("alert.raised", alert=alert_id, movement=movement.id, kind=kind)
    return raised


def _plain(words: Words) -> dict[str, Any]:
    return {"key": words.key, "params": dict(words.params)}


def _words(said: Mapping[str, Any]) -> Words:
    return Words(key=said["key"], params=said["params"])


async def find(
    ctx: Context, ods: str, query: PageQuery, *, acknowledged: bool | None, movement_id: str | None
) -> tuple[list[Told], str | None]:
    """A page of a host's alerts, newest first."""
    async with ctx.db.read() as conn:
        found, following = await alerts.page(
            conn, ods, query, acknowledged=acknowledged, movement_id=movement_id
        )
        wrapped = await movements.data_keys(conn, ods, {one.movement_id for one in found})
    keys = {movement_id: _unwrapped(ctx, movement_id, key) for movement_id, key in wrapped.items()}
    return [_told(one, keys.get(one.movement_id)) for one in found], following


async def get(ctx: Context, ods: str, alert_id: str) -> Told:
    """One alert; NotFound for another host's."""
    async with ctx.db.read() as conn:
        alert = await alerts.get(conn, ods, alert_id)
        if alert is None:
            raise NotFound
        wrapped = await movements.data_keys(conn, ods, {alert.movement_id})
    return _told(alert, _unwrapped(ctx, alert.movement_id, wrapped.get(alert.movement_id, b"")))


def _unwrapped(ctx: Context, movement_id: str, wrapped: bytes) -> DataKey | None:
    try:
        return DataKey.unwrap(ctx.kek, wrapped, movement_id)
    except KekError:
        return None


def _told(alert: Alert, key: DataKey | None) -> Told:
    try:
        said = key.open(alert.sealed, decision_id=alert.id) if key else None
    except Unreadable:
        said = None
    if said is None:
        return Told(alert=alert, text=None, findings=())
    return Told(
        alert=alert,
        text=alert_wording.both(_words(said["words"])),
        findings=tuple(wording.both(_words(one)) for one in said["findings"]),
    )


async def acknowledge(ctx: Context, ods: str, alert_id: str, actor: Actor) -> None:
    """Record that a person has seen an alert; the first one counts, repeating it changes nothing.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        if await alerts.get(conn, ods, alert_id) is None:
            raise NotFound
    async with ctx.db.write() as conn:
        if await alerts.acknowledge(conn, alert_id, by=actor.as_dict(), at=ctx.clock.now()):
            await ctx.audit.record(
                conn,
                kind="alert.acknowledged",
                subject_ref=alert_id,
                actor=actor.as_dict(),
                organisation=ods,
            )
