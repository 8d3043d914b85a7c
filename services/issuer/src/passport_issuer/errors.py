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
GATE_NOT_PASSED = Problem(
    slug="gate_not_passed",
    title="A gate does not let this step through yet",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "The detail says what is missing and who can put it right. Issuing needs an HR user the trust has "
        "named in the network register, with training that is in date or lapsed by at most 30 days."
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

RELEASE_REQUEST_REFUSED = Problem(
    slug="release_request_refused",
    title="The release request is not acceptable",
    status=400,
    explanation=(
        "Nothing was stored. `errors` names the rule and the claim: signature, type, times, audience, "
        "organisations or form. Correct the request and sign it again."
    ),
)
REQUESTER_NOT_AUTHORISED = Problem(
    slug="requester_not_authorised",
    title="The trust that asks may not ask now",
    status=403,
    who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
    explanation=(
        "A release request is accepted from a verifier of the network whose mark is current and not "
        "suspended. The detail says which of these does not hold. Nothing was stored."
    ),
)
RELEASE_REQUEST_REUSED = Problem(
    slug="release_request_reused",
    title="Another release request has this id",
    status=409,
    explanation="A request's `jti` belongs to one content. Sign a new request with a new `jti`.",
)
RELEASE_REQUEST_EXPIRED = Problem(
    slug="release_request_expired",
    title="The release request was not answered in time",
    status=410,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "Nobody answered before the request's `exp`, or a newer version of the movement took its place. "
        "Ask again with a new request."
    ),
)
PERSON_NOT_LINKED = Problem(
    slug="person_not_linked",
    title="Nobody has said yet which member of staff is meant",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "A person is released, not a name. HR chooses the member of staff first; declining needs no choice."
    ),
)
SEPARATION_OF_DUTIES = Problem(
    slug="separation_of_duties",
    title="Another person has to do this",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "Line manager and HR are two people, and nobody answers for their own move (gate G-C). Let the "
        "right person answer."
    ),
)
CHANNEL_NOT_AVAILABLE = Problem(
    slug="channel_not_available",
    title="The person cannot be reached by this channel",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "No address of this kind is recorded for the person, or this service sends no messages by the "
        "channel. Record the address, choose another channel, or print the invitation."
    ),
)
OFFERS_PAUSED = Problem(
    slug="offers_paused",
    title="The person asked for no invitations or offers by message",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "The member of staff paused offers in their preferences. Speak to them, or print the invitation and "
        "hand it over."
    ),
)

CONNECTION_NAME_TAKEN = Problem(
    slug="connection_name_taken",
    title="Another connection has this name",
    status=409,
    explanation="Names tell people which system is meant; each is used once within a trust.",
)
CONNECTION_IN_USE = Problem(
    slug="connection_in_use",
    title="The connection is in use",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "People are linked through the connection, or the change would make it lead to another kind of "
        "system. Unlink the people first, or add another connection."
    ),
)
CONNECTION_PAUSED = Problem(
    slug="connection_paused",
    title="The connection is paused",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="Somebody of the trust has paused it. Set its state to ACTIVE to use it again.",
)
WORKFORCE_SYSTEM_FAILED = Problem(
    slug="workforce_system_failed",
    title="The workforce system gave no usable answer",
    status=503,
    retryable=True,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "The detail says how it failed. Only this connection is affected. Try again, test the connection, or "
        "record what is needed by hand with evidence."
    ),
)
LINK_TAKEN = Problem(
    slug="link_taken",
    title="Another member of staff is linked to this person",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "One person of a workforce system is one member of staff. The detail names both; nothing was merged "
        "or moved. Find out which link is right, and unlink the other."
    ),
)
DIFFERENCES_NOT_ACCEPTED = Problem(
    slug="differences_not_accepted",
    title="The two records differ and nobody has said why that is in order",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "`errors` names what differs. If it is the same person all the same, send `differences_accepted` "
        "with the reason and which evidence was seen."
    ),
)
NOTHING_LINKED = Problem(
    slug="nothing_linked",
    title="The person is linked to no workforce system",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation="Search a connection for the person and choose the right candidate, or record by hand.",
)
ITEM_NOT_USABLE = Problem(
    slug="item_not_usable",
    title="An item cannot be applied",
    status=409,
    who_can_fix=WhoCanFix.ORGANISATION,
    explanation=(
        "`errors` names the items: not usable (the gathering says why), or of a source that was refused as a "
        "whole. Nothing was applied. Leave them out, or record by hand with evidence."
    ),
)

PROBLEMS = (
    CHANNEL_NOT_AVAILABLE,
    OFFERS_PAUSED,
    NOT_AUTHORISED_TO_ISSUE,
    REGISTER_TOO_OLD,
    NOTHING_TO_ISSUE,
    IDENTITY_NOT_CONFIRMED,
    GATE_NOT_PASSED,
    WRONG_STATE,
    EXTERNAL_ID_TAKEN,
    RELEASE_REQUEST_REFUSED,
    REQUESTER_NOT_AUTHORISED,
    RELEASE_REQUEST_REUSED,
    RELEASE_REQUEST_EXPIRED,
    PERSON_NOT_LINKED,
    SEPARATION_OF_DUTIES,
    CONNECTION_NAME_TAKEN,
    CONNECTION_IN_USE,
    CONNECTION_PAUSED,
    WORKFORCE_SYSTEM_FAILED,
    LINK_TAKEN,
    DIFFERENCES_NOT_ACCEPTED,
    NOTHING_LINKED,
    ITEM_NOT_USABLE,
)


class WrongState(PassportError):
    """409: the resource's state does not allow the step."""

    def __init__(self, detail: str) -> None:
        super().__init__(WRONG_STATE, detail)
