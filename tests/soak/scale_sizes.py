"""How large the network of a scale run is, and how its staff are spread: one huge trust and a long tail."""

from __future__ import annotations

from dataclasses import dataclass

MAJOR = 20
"""Trusts that join and enrol by the real operations; the others are copies of the first of them."""
TYPES_PER_PASSPORT = 5


@dataclass(frozen=True, kw_only=True)
class Size:
    """The rows of a run; ``of(1)`` is the network the design names."""

    organisations: int
    majors: int
    staff: int
    largest: int
    credentials: int
    placements: int

    @classmethod
    def of(cls, scale: float) -> Size:
        """A part of the whole, never less than a handful."""
        organisations = max(12, round(10_000 * scale))
        return cls(
            organisations=organisations,
            majors=max(3, min(MAJOR, organisations // 4)),
            staff=max(400, round(1_500_000 * scale)),
            largest=max(60, round(30_000 * scale)),
            credentials=max(200, round(1_000_000 * scale)),
            placements=max(100, round(200_000 * scale)),
        )

    def majors_codes(self) -> list[str]:
        """ODS codes of the trusts that enrol for real."""
        return [f"RM{number:02d}" for number in range(self.majors)]

    def copies(self) -> list[str]:
        """ODS codes of the others."""
        return [f"S{number:04d}" for number in range(self.organisations - self.majors)]

    def codes(self) -> list[str]:
        """All ODS codes, the largest trust first."""
        return [*self.majors_codes(), *self.copies()]

    def staff_of(self) -> list[tuple[str, int, int]]:
        """(ODS code, staff, of them with a passport) of every trust, the largest first."""
        codes = self.codes()
        weights = [1 / (rank + 5) ** 0.6 for rank in range(1, len(codes))]
        rest, total = self.staff - self.largest, sum(weights)
        sizes = [self.largest, *(max(1, round(rest * weight / total)) for weight in weights)]
        share = self.credentials / TYPES_PER_PASSPORT / self.staff
        return [
            (code, size, min(size, max(1, round(size * share))))
            for code, size in zip(codes, sizes, strict=True)
        ]
