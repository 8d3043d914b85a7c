"""Refusals of the registry that the common catalogue has no word for, each with its whole answer.

Operations raise these; how they look is decided in `passport_shared.service.problems`. Rules return findings
and know none of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from passport_shared.service.problems import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    PassportError,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    TooManyRequests,
    WhoCanFix,
)

__all__ = [
    "PROBLEMS",
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "EnrolmentCodeRefused",
    "EnrolmentKeysConflict",
    "EventIdReused",
    "FieldError",
    "Forbidden",
    "HostKeysDiffer",
    "HostNotReachable",
    "Invalid",
    "NotFound",
    "NotInitialised",
    "PreconditionFailed",
    "PreconditionRequired",
    "RenewalRefused",
    "SecondPersonNeeded",
    "SignatureRefused",
    "TooManyRequests",
    "field_errors",
    "fields",
]

_EXISTS = Problem(
    slug="already_exists",
    title="Something with this identifier exists",
    status=409,
    explanation="The identifier is taken. Read what is there; change it instead of adding it again.",
)
_RENEWAL_REFUSED = Problem(
    slug="renewal_refused",
    title="The renewal is not accepted",
    status=403,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation=(
        "The entity is not enrolled, is suspended for integrity, or did not sign the request with a"
        " federation key the registry knows of it. The registry operator makes a new enrolment code."
    ),
)
_CODE_REFUSED = Problem(
    slug="enrolment_code_refused",
    title="The enrolment code is not accepted",
    status=403,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation=(
        "The code is unknown, has expired or was replaced by a newer one. The registry operator makes a new"
        " code; codes are valid for 24 hours."
    ),
)
_KEYS_CONFLICT = Problem(
    slug="enrolment_keys_conflict",
    title="These keys contradict an earlier enrolment",
    status=409,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation=(
        "The code has been used with other keys, or one of the keys has a certificate already. A code "
        "enrols one set of keys and repeats its answer for that set only. Ask for a new code to enrol new "
        "keys."
    ),
)
_HOST_KEYS_DIFFER = Problem(
    slug="host_keys_differ",
    title="The host does not show these federation keys",
    status=409,
    who_can_fix=WhoCanFix.SERVICE_OPERATOR,
    explanation=(
        "The entity configuration served at the Entity Identifier carries other federation keys than the "
        "one that was sent, or is not a valid entity configuration. The service that enrols must already "
        "serve it."
    ),
)
_HOST_NOT_REACHABLE = Problem(
    slug="host_not_reachable",
    title="The entity's host could not be asked",
    status=503,
    retryable=True,
    who_can_fix=WhoCanFix.SERVICE_OPERATOR,
    explanation=(
        "The registry fetches the entity configuration from the Entity Identifier before it enrols a key, "
        "and got no usable answer. The code is not used up: repeat the request once the host answers."
    ),
)
_SECOND_PERSON = Problem(
    slug="second_person_needed",
    title="A second person must approve",
    status=409,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation=(
        "What gives authority takes two people. Somebody other than the one who proposed must approve."
    ),
)
_SIGNATURE_REFUSED = Problem(
    slug="signature_refused",
    title="The signature of the message is not accepted",
    status=401,
    who_can_fix=WhoCanFix.SERVICE_OPERATOR,
    explanation=(
        "An activity event is signed as a whole (RFC 9421: method, target URI, content type and digest; "
        "ES256; at most five minutes old) with a live key of an active API client. Register the key that "
        "`passport-issuer client-key` or `passport-verifier client-key` prints, and keep clocks right."
    ),
)
_EVENT_REUSED = Problem(
    slug="event_id_reused",
    title="An event with this id says something else",
    status=409,
    who_can_fix=WhoCanFix.CALLER,
    explanation=(
        "An event id belongs to one fact for ever: the same fact may be sent again, another fact needs an id "
        "of its own. Nothing of the request was counted."
    ),
)
_NOT_INITIALISED = Problem(
    slug="not_initialised",
    title="The registry has no anchor yet",
    status=503,
    who_can_fix=WhoCanFix.SERVICE_OPERATOR,
    explanation="Run `passport-registry init` once, then repeat the request.",
)

PROBLEMS: tuple[Problem, ...] = (
    _EXISTS,
    _CODE_REFUSED,
    _RENEWAL_REFUSED,
    _KEYS_CONFLICT,
    _HOST_KEYS_DIFFER,
    _HOST_NOT_REACHABLE,
    _SECOND_PERSON,
    _NOT_INITIALISED,
    _SIGNATURE_REFUSED,
    _EVENT_REUSED,
)


class AlreadyExists(PassportError):
    """409: the identifier is taken."""

    def __init__(self, detail: str) -> None:
        super().__init__(_EXISTS, detail)


class EnrolmentCodeRefused(PassportError):
    """403: the code is unknown, expired or replaced; which of them is nobody's business."""

    def __init__(self) -> None:
        super().__init__(_CODE_REFUSED, "The enrolment code is unknown or no longer valid.", field="/code")


class RenewalRefused(PassportError):
    """403: this entity may not renew its keys by itself; which reason it is is nobody's business."""

    def __init__(self) -> None:
        super().__init__(_RENEWAL_REFUSED, "The entity cannot renew its keys by itself: enrol with a code.")


class EnrolmentKeysConflict(PassportError):
    """409: another set of keys than the one this code enrolled, or a key that has a certificate."""

    def __init__(self, detail: str) -> None:
        super().__init__(_KEYS_CONFLICT, detail)


class HostKeysDiffer(PassportError):
    """409: holding the code is not enough without the host."""

    def __init__(self, detail: str) -> None:
        super().__init__(_HOST_KEYS_DIFFER, detail)


class HostNotReachable(PassportError):
    """503: the host gave no usable answer; the code stays unused."""

    def __init__(self, detail: str) -> None:
        super().__init__(_HOST_NOT_REACHABLE, detail, retry_after=timedelta(seconds=10))


class SecondPersonNeeded(PassportError):
    """409: proposer and approver are not two people, as this network counts them."""

    def __init__(self) -> None:
        super().__init__(
            _SECOND_PERSON,
            "A second person has to approve this: a person client other than the one that proposed it.",
        )


class NotInitialised(PassportError):
    """503: `init` has not been run."""

    def __init__(self) -> None:
        super().__init__(
            _NOT_INITIALISED, "The registry's anchor has not been made.", retry_after=timedelta(seconds=60)
        )


class SignatureRefused(PassportError):
    """401: a signed message that does not verify, or whose key no client has."""

    def __init__(self, reason: str) -> None:
        super().__init__(_SIGNATURE_REFUSED, f"The message's signature was refused ({reason}).")


class EventIdReused(PassportError):
    """409: the id of another fact."""

    def __init__(self, field: str | None = None) -> None:
        super().__init__(
            _EVENT_REUSED, "An event with this id is known and says something else.", field=field
        )


def field_errors(
    faults: Iterable[tuple[str, str]], *, code: str = "invalid", under: str = ""
) -> list[FieldError]:
    """Return a rule's (field, sentence) findings as pointers into the body."""
    return [FieldError(pointer=f"{under}/{field}", code=code, detail=sentence) for field, sentence in faults]


def fields(faults: Sequence[tuple[str, str]], *, under: str = "") -> Invalid:
    """Return the 422 that names every field at fault."""
    return Invalid(
        "The request does not match what the register can hold.", field_errors(faults, under=under)
    )
