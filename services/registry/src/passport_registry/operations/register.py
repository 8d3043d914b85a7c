"""The public register: which trusts are in the network, what they do, and whom to ask (domain.md §10g).

Everything here is meant for the public: a trust's name, its standing and its office's contact, nobody's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from passport_registry.context import Context
from passport_registry.operations.standings import Derived, TrustView
from passport_registry.rules.entities import Role
from passport_registry.rules.onboarding import OnboardingState, Step, StepState, effective_state, london_day

PUBLIC_CONTACTS = ("hr_team", "phone", "out_of_hours", "appointment_url")


@dataclass(frozen=True, kw_only=True)
class RegisterStep:
    """One line of a trust's tick-list."""

    step: Step
    state: StepState
    done_on: date | None


@dataclass(frozen=True, kw_only=True)
class RegisterEntry:
    """What anybody may know about a trust."""

    ods_code: str
    name: str
    aliases: tuple[str, ...]
    locality: str | None
    sandbox: bool
    state: OnboardingState
    live_to_issue: bool
    live_to_verify: bool
    contacts: dict[str, str]
    steps: tuple[RegisterStep, ...]


async def public_register(ctx: Context) -> list[RegisterEntry]:
    """Return every organisation of the network, by name."""
    kept = ctx.derived.setdefault("register", Derived(_entry))
    found: list[RegisterEntry] = await kept.every(ctx.db, ctx.clock.now())
    return sorted(found, key=lambda entry: (entry.name.casefold(), entry.ods_code))


def _entry(view: TrustView) -> RegisterEntry:
    today = london_day(view.at)
    contacts = view.organisation.contacts
    return RegisterEntry(
        ods_code=view.organisation.ods_code,
        name=view.organisation.name,
        aliases=tuple(view.organisation.aliases),
        locality=view.organisation.locality,
        sandbox=view.organisation.sandbox,
        state=view.state,
        live_to_issue=view.live(Role.ISSUER),
        live_to_verify=view.live(Role.VERIFIER),
        contacts={name: contacts[name] for name in PUBLIC_CONTACTS if contacts.get(name)},
        steps=tuple(
            RegisterStep(
                step=step,
                state=effective_state(view.steps[step], today)
                if step in view.steps
                else StepState.NOT_STARTED,
                done_on=view.steps[step].done_on if step in view.steps else None,
            )
            for step in Step
        ),
    )
