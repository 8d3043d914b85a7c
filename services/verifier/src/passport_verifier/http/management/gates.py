"""`…/movements/{id}/gates` and `…/licence`: what is in the way, and what a movement rests on in the end."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import Response

from passport_shared.service.pages import Pages, choose_locale, is_reader
from passport_shared.service.routes import management_router
from passport_shared.wire.clients import ClientKind
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ApiModel,
    Ctx,
    IdPath,
    Words,
    access,
)
from passport_verifier.operations import gates as operations
from passport_verifier.operations import licences, movements
from passport_verifier.rules import gate_words, licence_text, wording
from passport_verifier.rules.gates import Gate, GateCode
from passport_verifier.rules.outcome import Party
from passport_verifier.store.licences import Licence, LicenceState

router: APIRouter = management_router(f"{PREFIX}/movements/{{movement_id}}", tags=["movements"])
Reader = Annotated[Access, Depends(access("movements:read"))]


class GateFixerView(ApiModel):
    """Who can do something about it."""

    party: Party
    name: Words


class GateView(ApiModel):
    """One gate. It says nothing about the staff member."""

    code: GateCode
    name: Words
    holds: bool | None = Field(description="Null where it depends on who acts.")
    text: Words
    next_step: Words | None
    who_can_fix: GateFixerView | None


class GatesView(ApiModel):
    """Every gate of a movement, for the one who asks."""

    movement_id: str
    items: list[GateView]


class LicenceView(ApiModel):
    """A licence to attend: its text, and the three parts it rests on."""

    id: str
    movement_id: str
    state: LicenceState
    title: Words
    clauses: dict[str, list[str]] = Field(description="The text by language.")
    text_version: str
    staff_agreed_at: datetime
    release_serial: int | None
    decision_id: str
    document: dict[str, Any] = Field(description="What the hash is of, in canonical JSON (RFC 8785).")
    document_sha256: str
    made_at: datetime
    ended_at: datetime | None


def gate_view(gate: Gate) -> GateView:
    """A gate in words."""
    next_step = {locale: gate_words.next_step(gate, locale) for locale in wording.LOCALES}
    who = gate.who_can_fix
    return GateView(
        code=gate.code,
        name={locale: gate_words.name(gate.code, locale) for locale in wording.LOCALES},
        holds=gate.holds,
        text={locale: gate_words.says(gate, locale) for locale in wording.LOCALES},
        next_step={locale: text for locale, text in next_step.items() if text} or None,
        who_can_fix=(
            GateFixerView(party=who, name={locale: wording.party(who, locale) for locale in wording.LOCALES})
            if who
            else None
        ),
    )


@router.get("/gates", summary="Read what is in the way of a movement")
async def read_gates(movement_id: IdPath, who: Reader, ctx: Ctx) -> GatesView:
    """Every gate; those about who acts are judged for a person's client."""
    movement = await movements.get(ctx, who.ods, movement_id)
    actor = who.recorder(None) if who.caller.kind is ClientKind.PERSON else None
    found = await operations.judged(ctx, movement, actor=actor)
    return GatesView(movement_id=movement_id, items=[gate_view(gate) for gate in found])


@router.get(
    "/licence",
    summary="Read the licence to attend",
    responses={
        200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "The licence."}
    },
)
async def read_licence(movement_id: IdPath, who: Reader, ctx: Ctx, request: Request) -> LicenceView:
    """The newest licence; a page to print where `text/html` is asked for."""
    licence = await licences.get(ctx, who.ods, movement_id)
    observes = licences.observes(licence)
    clauses = {
        locale: _clauses(licence.document, licence.text_version, who.tenant.name, locale, observes=observes)
        for locale in wording.LOCALES
    }
    title = {locale: _title(licence.text_version, locale, observes=observes) for locale in wording.LOCALES}
    if is_reader(request):
        page = _page(request, licence, title, clauses)
        return page  # type: ignore[return-value]  # a response passes through as it is
    return LicenceView(
        id=licence.id,
        movement_id=licence.movement_id,
        state=licence.state,
        title=title,
        clauses=clauses,
        text_version=licence.text_version,
        staff_agreed_at=licence.staff_agreed_at,
        release_serial=licence.release_serial,
        decision_id=licence.decision_id,
        document=dict(licence.document),
        document_sha256=licence.document_sha256,
        made_at=licence.made_at,
        ended_at=licence.ended_at,
    )


def _title(version: str, locale: str, *, observes: bool) -> str:
    words = licence_text.text(version)[locale]
    return str(words["observer_title" if observes else "title"])


def _clauses(
    document: Mapping[str, Any], version: str, host: str | None, locale: str, *, observes: bool
) -> list[str]:
    words = licence_text.text(version)[locale]
    facts = {
        "host": host or document["host_ods"],
        "employer": document["employing_ods"],
        "sites": ", ".join(document["sites"]),
        "department": document["department"],
        "duties": document["duties"],
        "supervisor": document["supervisor"],
        "start": wording.day(date.fromisoformat(document["start"]), locale),
        "end": wording.day(date.fromisoformat(document["end"]), locale),
        "agreement": licence_text.agreement_name(document["agreement"], version, locale),
    }
    clauses = [str(clause).format_map(facts) for clause in words["clauses"]]
    return [*clauses, str(words["observer_clause"])] if observes else clauses


def _page(
    request: Request, licence: Licence, title: Mapping[str, str], clauses: Mapping[str, list[str]]
) -> Response:
    pages: Pages = request.app.state.pages
    locale = choose_locale(request)
    document = licence.document
    released = (
        pages.say(
            "licence.release_value",
            locale,
            serial=licence.release_serial,
            last=wording.day(date.fromisoformat(document["end"]), locale),
        )
        if licence.release_serial is not None
        else pages.say("licence.release_not_needed", locale)
    )
    parts = [
        (pages.say("licence.staff", locale), wording.moment(licence.staff_agreed_at, locale)),
        (pages.say("licence.release", locale), released),
        (pages.say("licence.decision", locale), licence.decision_id),
        (pages.say("licence.hash", locale), licence.document_sha256),
    ]
    return pages.render(
        request,
        "licence.html",
        title=title[locale],
        clauses=clauses[locale],
        parts=parts,
        in_force=licence.state is LicenceState.IN_FORCE,
    )
