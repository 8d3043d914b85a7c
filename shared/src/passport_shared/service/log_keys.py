"""The names under which facts stand in log lines and metric labels: one spelling for the whole suite.

A log line is an event, ``<noun of the specification>.<past participle>``, and facts under these keys. Facts
are ids, codes and durations; personal data has no key here.
"""

from __future__ import annotations

from typing import Final

REQUEST_ID: Final = "request_id"
SERVICE: Final = "service"
VERSION: Final = "version"
TRACEPARENT: Final = "traceparent"

METHOD: Final = "method"
ROUTE: Final = "route"
STATUS: Final = "status"
DURATION_MS: Final = "duration_ms"

REASON: Final = "reason"
ERROR: Final = "error"
CLIENT_ID: Final = "client_id"
ORGANISATION: Final = "organisation"
ENTITY_ID: Final = "entity_id"
JTI: Final = "jti"
KID: Final = "kid"
VCT: Final = "vct"
CREDENTIAL_CONFIGURATION_ID: Final = "credential_configuration_id"
SEQUENCE: Final = "sequence"
AGE_S: Final = "age_s"
URI: Final = "uri"
JOB: Final = "job"
COUNT: Final = "count"
AUDIT: Final = "audit"
