"""What the issuer refuses on its management interface, each with its code.

Status and who can put it right.
"""

from __future__ import annotations

from passport_shared.service.problems import PassportError
from passport_shared.wire.problems import Problem, WhoCanFix

NOT_AUTHORISED_TO_ISSUE = Problem(
    slug="not_authorised_to_issue",
    title="The trust may not issue this type now",
    status=409,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation=(
        "The network register does not authorise this trust to issue the type at this moment: the "
        "type is not in its mark, the authorisation or the key's window has ended, or the trust is "
        "suspended."
    ),
)
REGISTER_TOO_OLD = Problem(
    slug="register_too_old",
    title="The network register has not been read for too long",
    status=503,
    retryable=True,
    who_can_fix=WhoCanFix.SERVICE_OPERATOR,
    explanation=(
        "Nothing is issued while the newest copy of the network register is older than 24 hours, or"
        " before the first copy arrived. It is fetched every 30 seconds; repeat the request later."
    ),
)
NOTHING_TO_ISSUE = Problem(
    slug="nothing_to_issue",
    title="None of the requested types is held",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=("What the trust has not checked is never issued. `errors` says per type what is missing."),
)
IDENTITY_NOT_CONFIRMED = Problem(
    slug="identity_not_confirmed",
    title="The person's identity is not confirmed",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "An offer is made at an appointment that confirmed the person. After a mismatch they must "
        "be seen face to face."
    ),
)
WRONG_STATE = Problem(
    slug="wrong_state",
    title="The present state does not allow this step",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=("The detail names the state. Read the resource again and decide."),
)
EXTERNAL_ID_TAKEN = Problem(
    slug="external_id_taken",
    title="Another member of staff has this external identifier",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "An external identifier of one kind belongs to one person within a trust. Find that person "
        "with `?external_id=KIND:value`."
    ),
)

PROBLEMS = (
    NOT_AUTHORISED_TO_ISSUE,
    REGISTER_TOO_OLD,
    NOTHING_TO_ISSUE,
    IDENTITY_NOT_CONFIRMED,
    WRONG_STATE,
    EXTERNAL_ID_TAKEN,
)


class WrongState(PassportError):
    """409: the resource's state does not allow the step."""

    def __init__(self, detail: str) -> None:
        super().__init__(WRONG_STATE, detail)
