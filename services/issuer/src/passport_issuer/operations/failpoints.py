"""The issuer's named steps between two durable acts, where a test or a drill can end the process.

What they are for and how they are armed: `passport_shared.service.failpoints` (security.md D1, R4).
"""

from __future__ import annotations

from passport_shared.service.failpoints import Crash, armed, hit, step, steps

__all__ = ["ALL", "CREDENTIAL", "NOTICE", "RELEASE", "Crash", "armed", "hit"]

SERVICE = "issuer"

AFTER_RESERVE = step(SERVICE, "credential.after_reserve")
AFTER_SIGN = step(SERVICE, "credential.after_sign")
AFTER_MARK_ISSUED = step(SERVICE, "credential.after_mark_issued")
AFTER_REVOKED = step(SERVICE, "credential.after_revoked")
AFTER_ACKNOWLEDGED = step(SERVICE, "credential.after_acknowledged")
AFTER_PASSPORT_MADE = step(SERVICE, "offer.after_passport_made")
AFTER_OFFERED = step(SERVICE, "offer.after_recorded")
AFTER_REDEEMED = step(SERVICE, "token.after_redeemed")
AFTER_LIST_MADE = step(SERVICE, "status_list.after_made")
AFTER_LIST_SIGNED = step(SERVICE, "status_list.after_signed")
AFTER_LIST_PUBLISHED = step(SERVICE, "status_list.after_published")
AFTER_HELD = step(SERVICE, "passport.after_held")
AFTER_RELEASE_ASKED = step(SERVICE, "release.after_asked")
AFTER_RELEASE_RESERVED = step(SERVICE, "release.after_reserve")
AFTER_RELEASE_SIGNED = step(SERVICE, "release.after_sign")
AFTER_PLACEMENT_TOLD = step(SERVICE, "placement.after_recorded")
AFTER_PLACEMENT_STEP = step(SERVICE, "placement.after_step")
AFTER_NOTICE_SENT = step(SERVICE, "notice.after_sent")
AFTER_GATHERED = step(SERVICE, "gathering.after_kept")
AFTER_FEED_FOLLOWED = step(SERVICE, "refresh.after_feed")
AFTER_RENEWALS_QUEUED = step(SERVICE, "renewal.after_queued")
AFTER_ABANDONED = step(SERVICE, "sweep.after_abandoned")
AFTER_EXPIRED = step(SERVICE, "sweep.after_expired")

CREDENTIAL = (AFTER_RESERVE, AFTER_SIGN, AFTER_MARK_ISSUED)
RELEASE = (AFTER_RELEASE_RESERVED, AFTER_RELEASE_SIGNED)
NOTICE = (AFTER_NOTICE_SENT,)
ALL = steps(SERVICE)
