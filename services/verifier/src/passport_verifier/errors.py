"""Refusals of the verifier that the common catalogue has no word for, each with its whole answer.

Operations raise these; how they look is decided in ``passport_shared.service.problems``. What a wallet is
told is in ``operations.answers``: much less.
"""

from __future__ import annotations

from datetime import timedelta

from passport_shared.service.problems import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    PassportError,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    TooManyRequests,
    Unavailable,
    WhoCanFix,
)
from passport_verifier.rules import gate_words
from passport_verifier.rules.gates import Gate

__all__ = [
    "PROBLEMS",
    "AskingTooMuch",
    "AwaitingReturn",
    "Conflict",
    "EmployerNotFound",
    "FieldError",
    "GateNotPassed",
    "Invalid",
    "NotAcceptable",
    "NotEnrolled",
    "NotFound",
    "NotReadyToPlace",
    "PassportError",
    "PersonForgotten",
    "PersonNotConfirmed",
    "PersonNotMatching",
    "PlacementIssuerSilent",
    "PreconditionFailed",
    "PreconditionRequired",
    "RecordedAgreementNotAllowed",
    "RegisterTooOld",
    "SecondPersonNeeded",
    "TooManyRequests",
    "Unavailable",
    "UnknownPolicy",
    "WasRechecked",
    "one_field",
]

_ASKING_TOO_MUCH = Problem(
    slug="asking_too_much",
    title="The network register does not let this trust ask for this",
    status=409,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation="The policy asks for records, details or a purpose that the trust's entry in the network "
    "register does not cover. The registry operator widens the entry, or the host chooses another policy.",
)
_NOT_ENROLLED = Problem(
    slug="not_enrolled",
    title="This trust is not enrolled as a verifier yet",
    status=409,
    who_can_fix=WhoCanFix.SERVICE_OPERATOR,
    explanation="The service operator enrols the trust with the code of the registry operator "
    "(passport-verifier tenant enrol).",
)
_UNKNOWN_POLICY = Problem(
    slug="unknown_policy",
    title="There is no policy for this movement type and role profile",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="The list of policies names the movement types and role profiles this host can judge.",
)
_PERSON_NOT_CONFIRMED = Problem(
    slug="person_not_confirmed",
    title="The person has not been confirmed yet",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "Confirm that the person is the one whose records were shared; until then the result is withheld."
    ),
)
_PERSON_NOT_MATCHING = Problem(
    slug="person_not_matching",
    title="The name or date of birth is not the one that was shared",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="Compare with the document again. If it still differs, the records are not this "
    "person's: do not go on, and tell the employing trust's HR team.",
)
_AWAITING_RETURN = Problem(
    slug="awaiting_return",
    title="The person has not come back in the browser that started the request",
    status=409,
    retryable=True,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "A request on the same device counts only when the answer returns to the browser it was started in."
    ),
)
_SECOND_PERSON = Problem(
    slug="second_person_needed",
    title="A second person must approve",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="What a host asks for, and what it accepts with a reason, takes two people. Somebody other "
    "than the one who proposed must approve.",
)
_NOT_ACCEPTABLE = Problem(
    slug="not_acceptable_with_reason",
    title="This cannot be accepted with a reason",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="Only what the policy asks for as assurance, and refers to a person, can be accepted with a "
    "reason. What is needed for safety never can: somebody has to put it right.",
)
_WAS_RECHECKED = Problem(
    slug="was_rechecked",
    title="A newer decision replaces this one",
    status=409,
    who_can_fix=WhoCanFix.CALLER,
    explanation="Read the decision; `superseded_by` names the newer one. Act on that.",
)
_REGISTER_TOO_OLD = Problem(
    slug="register_too_old",
    title="The copy of the network register is too old to decide on",
    status=503,
    retryable=True,
    who_can_fix=WhoCanFix.SERVICE_OPERATOR,
    explanation=(
        "The network register could not be read for more than 72 hours. Nothing is decided until it can."
    ),
)
_GATE_NOT_PASSED = Problem(
    slug="gate_not_passed",
    title="Something has to be done before this step",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="The detail names the gate (G-A to G-H) and what to do next. "
    "`GET …/movements/{id}/gates` shows all of them, in both languages.",
)
_EMPLOYER_NOT_FOUND = Problem(
    slug="employing_trust_not_found",
    title="The network register knows no entity that may answer for the employing trust",
    status=409,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation="Either the ODS code is wrong, or the trust has no current entry as an issuer, or it is "
    "suspended. The release can be asked for when the register lists it.",
)
_RECORDED_NOT_ALLOWED = Problem(
    slug="recorded_agreement_not_allowed",
    title="The staff member has to agree themselves",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="HR may record what a staff member said for urgent moves only. Ask them to share their staff "
    "passport for this move, or send them a one-time link.",
)

_NOT_READY_TO_PLACE = Problem(
    slug="not_ready_to_place",
    title="The movement is not ready",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="A placement starts when staff agreement, Release and decision are there. The movement's "
    "gates and its newest decision say what is missing and who can put it right.",
)
_PERSON_FORGOTTEN = Problem(
    slug="person_forgotten",
    title="Who the placement is for is no longer kept",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="Names that were shared are kept for ten days at most, or were not shared. Ask the person to "
    "share again, and confirm them.",
)
_PLACEMENT_ISSUER_SILENT = Problem(
    slug="placement_issuer_silent",
    title="The trust's own issuer has not answered",
    status=503,
    retryable=True,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="The detail names why. Check where the issuer is (placement-issuer), that the registry lets "
    "this service call it (scope placements:write), and that its mark names TemporaryPlacement.",
)

PROBLEMS = (
    _NOT_READY_TO_PLACE,
    _PERSON_FORGOTTEN,
    _PLACEMENT_ISSUER_SILENT,
    _EMPLOYER_NOT_FOUND,
    _GATE_NOT_PASSED,
    _RECORDED_NOT_ALLOWED,
    _ASKING_TOO_MUCH,
    _NOT_ENROLLED,
    _UNKNOWN_POLICY,
    _PERSON_NOT_CONFIRMED,
    _PERSON_NOT_MATCHING,
    _AWAITING_RETURN,
    _WAS_RECHECKED,
    _SECOND_PERSON,
    _NOT_ACCEPTABLE,
    _REGISTER_TOO_OLD,
)


class AskingTooMuch(PassportError):
    """409: the trust's mark does not cover what the policy asks."""

    def __init__(self, detail: str) -> None:
        super().__init__(_ASKING_TOO_MUCH, detail)


class NotEnrolled(PassportError):
    """409: the tenant has no certificate to sign requests with."""

    def __init__(self) -> None:
        super().__init__(_NOT_ENROLLED, "This trust has no current certificate for asking.")


class UnknownPolicy(PassportError):
    """409: no such policy."""

    def __init__(self) -> None:
        super().__init__(_UNKNOWN_POLICY, "No policy covers this movement type and role profile.")


class PersonNotConfirmed(PassportError):
    """409: the result is withheld."""

    def __init__(self) -> None:
        super().__init__(_PERSON_NOT_CONFIRMED, "Confirm the person first.")


class PersonNotMatching(PassportError):
    """409: what was read from the document differs from what was shared."""

    def __init__(self) -> None:
        super().__init__(_PERSON_NOT_MATCHING, "The name or date of birth differs from what was shared.")


class AwaitingReturn(PassportError):
    """409: a same-device answer that did not come back to its browser."""

    def __init__(self) -> None:
        super().__init__(_AWAITING_RETURN, "The answer has not returned to the browser that started it.")


class SecondPersonNeeded(PassportError):
    """409: the one who proposed cannot approve."""

    def __init__(self) -> None:
        super().__init__(_SECOND_PERSON, "Somebody else has to approve this.")


class NotAcceptable(PassportError):
    """409: a finding that no reason overrides (R-14)."""

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(_NOT_ACCEPTABLE, detail, field=field)


class WasRechecked(PassportError):
    """409: a newer decision exists."""

    def __init__(self) -> None:
        super().__init__(_WAS_RECHECKED, "This decision has been replaced by a newer one.")


class RegisterTooOld(PassportError):
    """503: no snapshot that still says something."""

    def __init__(self) -> None:
        detail = "The copy of the network register is too old, or there is none yet."
        super().__init__(_REGISTER_TOO_OLD, detail, retry_after=timedelta(seconds=60))


class GateNotPassed(PassportError):
    """409: a gate before this step does not hold; the detail names it and what to do next."""

    def __init__(self, gate: Gate) -> None:
        said = gate_words.says(gate, "en-GB")
        then = gate_words.next_step(gate, "en-GB")
        super().__init__(_GATE_NOT_PASSED, f"{gate.code}: {said} {then or ''}".strip())
        self.gate = gate


class EmployerNotFound(PassportError):
    """409: nobody in the register may answer for the employing trust."""

    def __init__(self) -> None:
        super().__init__(_EMPLOYER_NOT_FOUND, "The employing trust cannot be asked through the network.")


class RecordedAgreementNotAllowed(PassportError):
    """409: this is no urgent move, so HR cannot record the agreement."""

    def __init__(self) -> None:
        super().__init__(
            _RECORDED_NOT_ALLOWED, "This type of move is agreed to by the staff member themselves."
        )


class NotReadyToPlace(PassportError):
    """409: the movement's state does not allow a placement."""

    def __init__(self, state: str) -> None:
        super().__init__(_NOT_READY_TO_PLACE, f"The movement is {state}.")


class PersonForgotten(PassportError):
    """409: names and birthdate are not kept any more."""

    def __init__(self) -> None:
        super().__init__(_PERSON_FORGOTTEN, "The person has to share again, and to be confirmed again.")


class PlacementIssuerSilent(PassportError):
    """503: the host's issuer could not be reached, or refused; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(
            _PLACEMENT_ISSUER_SILENT,
            f"The trust's own issuer has not taken it ({code}).",
            retry_after=timedelta(seconds=60),
        )


def one_field(pointer: str, code: str, detail: str) -> Invalid:
    """422 for one member of the body."""
    return Invalid(
        "The request does not match its schema.",
        [FieldError(pointer=pointer, code=code, detail=detail)],
        field=pointer,
    )
