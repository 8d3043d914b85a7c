"""What each measurement is compared with: the least work the cryptography itself needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHM = ECDSA(SHA256())
MESSAGE = b"x" * 900


@dataclass(frozen=True)
class Floor:
    """Two raw verifications, one with a key imported from its coordinates; one raw signature with hashes."""

    verify: Callable[[], None]
    issue: Callable[[], None]


def build(disclosures: int) -> Floor:
    """Prepare keys and signatures once, as a service with cached keys would."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    numbers = public.public_numbers()
    signature = private.sign(MESSAGE, ALGORITHM)

    def verify() -> None:
        public.verify(signature, MESSAGE, ALGORITHM)
        imported = EllipticCurvePublicNumbers(numbers.x, numbers.y, ec.SECP256R1()).public_key()
        imported.verify(signature, MESSAGE, ALGORITHM)

    def issue() -> None:
        for _ in range(disclosures):
            hashlib.sha256(MESSAGE[:80]).digest()
        private.sign(MESSAGE, ALGORITHM)

    return Floor(verify, issue)
