"""Fuzz every parser of outside data for as long as it is given: by coverage with atheris, and by mutation.

``python -m tests.soak fuzz --minutes 60``. Each target runs in child processes of its own: one under atheris
(bounded memory, one input at most 64 KiB; left out, and said so, where there is no atheris), one that only
mutates and measures: how long a refusal takes, and how much memory stays. Findings are kept below
``out/fuzz``, and end the run with 1; so does a refusal slower, or memory larger, than security.md R1 allows.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

OUT = Path("out") / "fuzz"
MAX_LEN = 65_536
RSS_LIMIT_MB = 1_024
ONE_INPUT_S = 10
P99_S, MAX_S, GROWTH_MIB = 0.020, 1.0, 64
WARM_UP = 2_000
RATIO_OF_ATHERIS = 0.6


@dataclass(frozen=True)
class Ran:
    """What one child came to. Times are of one input, processor seconds."""

    executions: int
    told: str
    held: bool


def main(arguments: list[str]) -> int:
    """Run, print a line per target, and answer 0 if nothing was found."""
    options = _options().parse_args(arguments)
    if options.child:
        return _child(options.child, options.engine, options.seconds, options.seed)
    from tests.fuzz.targets import TARGETS

    names = [name for name in TARGETS if options.only.lower() in name.lower()]
    engines = ["mutation"] if importlib.util.find_spec("atheris") is None else ["atheris", "mutation"]
    if len(engines) == 1:
        print("there is no atheris for this machine: by mutation alone")
    share = options.minutes * 60 * options.jobs / len(names)
    total, found = 0, []

    def one(name: str) -> tuple[str, list[Ran]]:
        parts = (
            {"mutation": 1.0}
            if len(engines) == 1
            else {"atheris": RATIO_OF_ATHERIS, "mutation": 1 - RATIO_OF_ATHERIS}
        )
        return name, [
            _run(name, engine, max(2.0, share * part), options.seed) for engine, part in parts.items()
        ]

    with ThreadPoolExecutor(options.jobs) as pool:
        for name, ran in pool.map(one, names):
            total += sum(one.executions for one in ran)
            found += [name for one in ran if not one.held]
            print(
                f"{name:36} {sum(one.executions for one in ran):>10,}  {'; '.join(one.told for one in ran)}",
                flush=True,
            )
    print(f"{total:,} executions of {len(names)} targets; {len(found)} findings {found or ''}")
    return 1 if found else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak fuzz")
    parser.add_argument("--minutes", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--only", default="", help="targets whose name has this in it")
    parser.add_argument("--jobs", type=int, default=1, help="children at once")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other mutations")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser


def _run(name: str, engine: str, seconds: float, seed: int) -> Ran:
    command = [sys.executable, "-m", "tests.soak", "fuzz", "--child", name, "--engine", engine]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    folder = _folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{engine}.log").write_text(ended.stdout + ended.stderr, encoding="utf-8")
    text = ended.stdout + ended.stderr
    if engine == "atheris":
        numbers = {key: int(value) for key, value in re.findall(r"stat::(\w+):\s+(\d+)", text)}
        executions = numbers.get("number_of_executed_units", 0)
        told = f"atheris: coverage {_coverage(text)}, {numbers.get('peak_rss_mb', 0)} MiB at most"
    else:
        match = re.search(r"^executions (\d+); (.*)$", text, re.MULTILINE)
        executions, told = (int(match[1]), match[2]) if match else (0, "")
    if ended.returncode:
        told += f" FOUND: {_last_line(text)} (see {folder})"
    return Ran(executions, told, ended.returncode == 0)


def _folder(name: str) -> Path:
    return OUT / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _coverage(text: str) -> str:
    found = re.findall(r"cov: (\d+)", text)
    return f"{found[0]} to {found[-1]}" if found else "unknown"


def _last_line(text: str) -> str:
    lines = [
        line
        for line in text.splitlines()
        if re.match(r"\S*(Error|Exception|ERROR|finding)", line.strip(" ="))
    ]
    return lines[-1].strip(" =")[:200] if lines else "the child ended badly"


def _child(name: str, engine: str, seconds: float, seed: int) -> int:
    return _under_atheris(name, seconds, seed) if engine == "atheris" else _by_mutation(name, seconds, seed)


def _under_atheris(name: str, seconds: float, seed: int) -> int:
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    packages = [
        "passport_shared",
        "passport_issuer",
        "passport_registry",
        "passport_verifier",
        "passport_wallet",
    ]
    with atheris.instrument_imports(include=packages):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.mutate import mutated

    target, folder = TARGETS[name], _folder(name)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, known in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(known[:MAX_LEN])

    def run(data: bytes) -> None:
        target.run(data)

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        source = random.Random(seed)  # noqa: S311 - one number, one input
        return mutated(data, source, target.seeds)[:max_size]

    limits = [f"-max_total_time={int(seconds)}", f"-max_len={MAX_LEN}", f"-rss_limit_mb={RSS_LIMIT_MB}"]
    limits += [
        f"-timeout={ONE_INPUT_S}",
        f"-seed={seed}",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup(["fuzz", *limits, str(corpus)], run, custom_mutator=mutator)
    atheris.Fuzz()
    return 0


def _by_mutation(name: str, seconds: float, seed: int) -> int:
    from tests.fuzz.mutate import mutated
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    source = random.Random(seed)  # noqa: S311 - one number, one run
    end, times, executions, resident = time.monotonic() + seconds, [], 0, 0
    while time.monotonic() < end:
        number = source.getrandbits(64)
        data = mutated(source.choice(target.seeds), random.Random(number), target.seeds)  # noqa: S311
        start = time.process_time()
        try:
            target.run(data)
        except Exception:
            folder = _folder(name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"finding-{number:016x}").write_bytes(data)
            raise
        times.append(time.process_time() - start)
        executions += 1
        if executions == WARM_UP:
            resident = _resident_kib()
    return _report(executions, times, (_resident_kib() - resident) / 1_024 if resident else 0.0)


def _report(executions: int, times: Sequence[float], growth: float) -> int:
    ordered = sorted(times)
    p99, worst = ordered[int(len(ordered) * 0.99)], ordered[-1]
    told = f"p99 {p99 * 1e3:.2f} ms, most {worst * 1e3:.0f} ms"
    print(f"executions {executions}; {told}, memory +{growth:.0f} MiB")
    over = [
        f"{what} over its bound"
        for what, beyond in (
            ("the slowest hundredth", p99 > P99_S),
            ("the slowest input", worst > MAX_S),
            ("memory", growth > GROWTH_MIB),
        )
        if beyond
    ]
    if over:
        print(f"finding: {', '.join(over)}")
    return 1 if over else 0


def _resident_kib() -> int:
    """The most this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
