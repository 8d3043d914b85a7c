"""SD-JWT (RFC 9901): the one import for issuers, holders and verifiers.

``sd_jwt_structure`` parses and processes, ``sd_jwt_issuer`` hides and signs, ``sd_jwt_holder`` shows and
binds. None of them decides whether a token is to be trusted: that is ``sd_jwt_vc``.
"""

from passport_shared.formats.sd_jwt_holder import (
    KEY_BINDING_TYP,
    add_key_binding,
    disclosable_paths,
    parse_issued,
    present,
)
from passport_shared.formats.sd_jwt_issuer import ALWAYS_PLAIN, issue
from passport_shared.formats.sd_jwt_structure import (
    DEFAULT_LIMITS,
    SD,
    Disclosed,
    Disclosure,
    Limits,
    Path,
    SdJwt,
    SdJwtError,
    SdJwtReason,
    digest_of,
    disclose,
    parse,
    parse_disclosure,
    process,
)

__all__ = [
    "ALWAYS_PLAIN",
    "DEFAULT_LIMITS",
    "KEY_BINDING_TYP",
    "SD",
    "Disclosed",
    "Disclosure",
    "Limits",
    "Path",
    "SdJwt",
    "SdJwtError",
    "SdJwtReason",
    "add_key_binding",
    "digest_of",
    "disclosable_paths",
    "disclose",
    "issue",
    "parse",
    "parse_disclosure",
    "parse_issued",
    "present",
    "process",
]
