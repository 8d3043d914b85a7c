"""The verifier's named steps between two durable acts, where a test or a drill can end the process.

What they are for and how they are armed: `passport_shared.service.failpoints` (security.md D1, R4).
"""

from __future__ import annotations

from passport_shared.service.failpoints import hit, step, steps

__all__ = ["ALL", "hit"]

SERVICE = "verifier"

AFTER_ASKED = step(SERVICE, "presentation_request.after_recorded")
AFTER_CHAINS_KEPT = step(SERVICE, "response.after_chains")
AFTER_DECIDED = step(SERVICE, "response.after_decided")
AFTER_FOLLOWED = step(SERVICE, "response.after_followed")
AFTER_HELD_JUDGED = step(SERVICE, "response.after_held_judged")
AFTER_RECHECKED = step(SERVICE, "decision.after_rechecked")
AFTER_MESSAGE_SIGNED = step(SERVICE, "release_request.after_signed")
AFTER_MESSAGE_KEPT = step(SERVICE, "release_request.after_kept")
AFTER_MESSAGE_POSTED = step(SERVICE, "release_request.after_posted")
AFTER_RELEASE_READ = step(SERVICE, "release.after_read")
AFTER_RELEASE_TAKEN = step(SERVICE, "release.after_taken")
AFTER_PLACED = step(SERVICE, "placement.after_started")
AFTER_TOLD = step(SERVICE, "placement.after_told")
AFTER_TAKEN = step(SERVICE, "placement.after_taken")
AFTER_ENDED = step(SERVICE, "placement.after_ended")
AFTER_LIST_FETCHED = step(SERVICE, "watch.after_list_fetched")
AFTER_LIST_KEPT = step(SERVICE, "watch.after_list_kept")
AFTER_COMPARED = step(SERVICE, "watch.after_compared")

ALL = steps(SERVICE)
