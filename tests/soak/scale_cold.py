"""A verifier that was restarted, in a process that holds nothing else: `python -m tests.soak.scale_cold URL`.

Everything is stored and there is no network. Prints one JSON object: seconds and CPU seconds until the
snapshot is verified and in memory, and resident megabytes before and after it and the client directory.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx

from passport_shared.outbound import Outbound
from passport_verifier.app import Parts, open_context
from passport_verifier.settings import VerifierSettings
from tests.soak.scale_report import resident_mb


async def start(url: str, folder: Path) -> dict[str, float]:
    """Open the verifier and read what is stored."""
    settings = VerifierSettings(
        public_url="https://verifier.example",
        database_url=url,
        kek_file=folder / "verifier.kek",
        trust_file=folder / "trust.json",
        environment="test",
    )
    refusing = httpx.MockTransport(lambda _: httpx.Response(503))
    ctx = open_context(settings, Parts(outbound=Outbound(transport=refusing), background=False))
    before, begun, worked = resident_mb(), time.perf_counter(), time.process_time()
    if await ctx.snapshots.latest() is None:
        raise RuntimeError("the stored snapshot was not accepted")
    took, cpu = time.perf_counter() - begun, time.process_time() - worked
    await ctx.directory.directory()
    return {"took_s": took, "cpu_s": cpu, "before_mb": before, "after_mb": resident_mb()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(start(sys.argv[1], Path(sys.argv[2])))))
