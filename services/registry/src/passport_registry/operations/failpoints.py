"""The registry's named steps between two durable acts, where a test or a drill can end the process.

What they are for and how they are armed: `passport_shared.service.failpoints` (security.md D1, R4).
"""

from __future__ import annotations

from passport_shared.service.failpoints import hit, step, steps

__all__ = ["ALL", "hit"]

SERVICE = "registry"

AFTER_CODE_USED = step(SERVICE, "enrolment.after_code_used")
AFTER_CERTIFIED = step(SERVICE, "enrolment.after_signed")
AFTER_ENROLLED = step(SERVICE, "enrolment.after_completed")
AFTER_MARKS_PREPARED = step(SERVICE, "mark.after_prepared")
AFTER_MARKS_SIGNED = step(SERVICE, "mark.after_signed")
AFTER_MARKS_CURRENT = step(SERVICE, "mark.after_current")
AFTER_STATEMENTS = step(SERVICE, "statement.after_renewed")
AFTER_STATUS_SIGNED = step(SERVICE, "status_list.after_signed_by_registry")
AFTER_PARTS = step(SERVICE, "snapshot.after_parts")
AFTER_LINK_RESERVED = step(SERVICE, "publication.after_reserved")
AFTER_LINK_SIGNED = step(SERVICE, "publication.after_signed")
AFTER_LINK_PUBLISHED = step(SERVICE, "publication.after_published")
AFTER_SNAPSHOT = step(SERVICE, "publication.after_snapshot")
AFTER_DIRECTORY = step(SERVICE, "publication.after_directory")
AFTER_INGESTED = step(SERVICE, "activity.after_ingested")
AFTER_IMPORTED = step(SERVICE, "activity.after_imported")

ALL = steps(SERVICE)
