"""Writes tests/vectors/status_list/: long status lists of our making for 1, 2, 4 and 8 bits.

Each vector names some entries out of many; all others are 0. Compressed bytes may differ between versions of
zlib, so an existing file is kept as long as it decodes to the same list: `make vectors` then changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from passport_shared.formats.strict import b64url_encode  # noqa: E402

FOLDER = HERE / "status_list"
CASES = [
    (1, 1_048_576, 40, 9),
    (2, 131_072, 60, 9),
    (2, 131_072, 1_500, 1),
    (4, 65_536, 60, 6),
    (8, 4_096, 256, 0),
]


def entries(bits: int, size: int, count: int) -> dict[int, int]:
    """Index and status of `count` entries, drawn from a hash; the first and last entry always among them."""
    chosen: dict[int, int] = {0: 1, size - 1: (1 << bits) - 1}
    number = 0
    while len(chosen) < count:
        number += 1
        drawn = hashlib.sha256(f"status {bits} {size} {count} {number}".encode()).digest()
        chosen[int.from_bytes(drawn[:8], "big") % size] = drawn[8] % (1 << bits)
    return dict(sorted(chosen.items()))


def packed(bits: int, size: int, chosen: dict[int, int]) -> bytes:
    """Pack entries without the product's code: by whole numbers, least significant bit first."""
    total = 0
    for idx, status in chosen.items():
        total |= status << (idx * bits)
    return total.to_bytes(size * bits // 8, "little")


def vectors() -> dict[str, dict[str, Any]]:
    """The content of each file by its name."""
    made = {}
    for bits, size, count, level in CASES:
        chosen = entries(bits, size, count)
        raw = packed(bits, size, chosen)
        made[f"bits_{bits}_{count}_entries_level_{level}.json"] = {
            "status_list": {"bits": bits, "lst": b64url_encode(zlib.compress(raw, level))},
            "size": size,
            "sha256_of_packed": hashlib.sha256(raw).hexdigest(),
            "entries": {str(idx): status for idx, status in chosen.items()},
        }
    return made


def _says_the_same(path: Path, vector: dict[str, Any]) -> bool:
    if not path.exists():
        return False
    held = json.loads(path.read_text(encoding="utf-8"))
    bare = [{**content, "status_list": content["status_list"]["bits"]} for content in (held, vector)]
    return bare[0] == bare[1]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, vector in vectors().items():
        if not _says_the_same(FOLDER / file_name, vector):
            text = json.dumps(vector, indent=1) + "\n"
            (FOLDER / file_name).write_text(text, encoding="utf-8")
