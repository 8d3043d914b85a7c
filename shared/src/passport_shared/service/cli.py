"""The command every service has: ``serve``, ``migrate``, ``check-config``, ``openapi``, and its own.

Settings are read from the environment when a command runs, never at import. A command answers a person: one
line that says what is wrong and what to do, exit code 1 for a refusal and 2 for a mistyped command.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy import MetaData
from sqlalchemy.exc import SQLAlchemyError

from passport_shared.service import backup, doctor
from passport_shared.service.db import Database, DatabaseInUse, DatabaseUnsafe
from passport_shared.service.migration import check, migrate, pending, revise
from passport_shared.service.observability import configure_logging
from passport_shared.service.server import CannotServe, serve
from passport_shared.service.settings import ServiceSettings, check_config, mistyped, settings_markdown
from passport_shared.service.tracing import TracesUnavailable

S = TypeVar("S", bound=ServiceSettings)


class CommandFailed(Exception):
    """A command cannot do what it was asked; the message is for the person who typed it."""


@dataclass(frozen=True, kw_only=True)
class Command(Generic[S]):
    """One further command of a service.

    Args:
        name: as typed; may hold a space for a group, such as ``tenant enrol``.
        help: one line.
        run: gets the parsed arguments and the settings; may be a coroutine function; returns an exit code or
            None.
        configure: adds the command's arguments.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace, S], int | Awaitable[int | None] | None]
    configure: Callable[[argparse.ArgumentParser], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class ServiceProgram(Generic[S]):
    """What the shared commands need to know of a service."""

    service: str
    package: str
    version: str
    settings: type[S]
    metadata: MetaData
    build: Callable[[S], FastAPI]
    commands: Sequence[Command[S]] = ()
    health: doctor.HealthPlan | None = None

    @property
    def prog(self) -> str:
        """The command's name."""
        return f"passport-{self.service}"


def main(program: ServiceProgram[S], argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    arguments = _parser(program).parse_args(argv)
    try:
        outcome = arguments.run(arguments)
    except (CommandFailed, CannotServe, DatabaseInUse, DatabaseUnsafe, TracesUnavailable) as error:
        print(f"{program.prog}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has had enough (`… | head`); nothing more can be written, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SQLAlchemyError, ConnectionError, TimeoutError, socket.gaierror) as error:
        cause = getattr(error, "orig", None) or error
        print(f"{program.prog}: the database does not answer ({type(cause).__name__})", file=sys.stderr)
        return 1
    return outcome or 0


def load_settings(settings_class: type[S]) -> S:
    """The settings from the environment.

    Raises:
        CommandFailed: with every fault, one per line.
    """
    faults = mistyped(settings_class, os.environ)
    try:
        settings = settings_class()
    except ValidationError:
        faults = check_config(settings_class)
        raise CommandFailed("the configuration is not usable:\n  " + "\n  ".join(faults)) from None
    if faults:
        raise CommandFailed("the configuration is not usable:\n  " + "\n  ".join(faults))
    return settings


def _parser(program: ServiceProgram[S]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program.prog, description=f"Staff Passport {program.service}.")
    parser.add_argument("--version", action="version", version=program.version)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, text, run, configure in (
        ("serve", "run the service", _serve, None),
        ("migrate", "bring the database to this version", _migrate, _migrate_arguments),
        ("check-config", "check the settings and say what is wrong", _check_config, _check_config_arguments),
        ("openapi", "print the OpenAPI document", _openapi, None),
        ("doctor", "look at the service and say what is wrong and what to do", _doctor, doctor.arguments),
        ("backup", "write a copy of the database while the service runs", _backup, backup.arguments),
        (
            "revision",
            "write a migration from the difference between tables and database",
            _revision,
            _revision_arguments,
        ),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        if configure is not None:
            configure(sub)
        sub.set_defaults(run=_bound(run, program))
    groups: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {"": commands}
    for command in program.commands:
        group, _, name = command.name.rpartition(" ")
        if group not in groups:
            groups[group] = commands.add_parser(group, help=f"{group} commands").add_subparsers(
                required=True, metavar="command"
            )
        sub = groups[group].add_parser(name, help=command.help, description=command.help)
        command.configure(sub)
        sub.set_defaults(run=_bound_command(command, program))
    return parser


def _bound(
    run: Callable[[argparse.Namespace, ServiceProgram[S]], int | None], program: ServiceProgram[S]
) -> Callable[[argparse.Namespace], int | None]:
    return lambda arguments: run(arguments, program)


def _bound_command(
    command: Command[S], program: ServiceProgram[S]
) -> Callable[[argparse.Namespace], int | None]:
    def run(arguments: argparse.Namespace) -> int | None:
        settings = load_settings(program.settings)
        configure_logging(program.service, program.version, level="warning")
        outcome = command.run(arguments, settings)
        return asyncio.run(_awaited(outcome)) if inspect.isawaitable(outcome) else outcome

    return run


async def _awaited(outcome: Awaitable[int | None]) -> int | None:
    return await outcome


def _serve(_: argparse.Namespace, program: ServiceProgram[S]) -> None:
    settings = load_settings(program.settings)
    faults = check_config(program.settings)
    if faults:
        raise CommandFailed("the configuration is not usable:\n  " + "\n  ".join(faults))
    missing = asyncio.run(_unready(settings, program))
    if missing:
        raise CommandFailed(
            f"the database lacks {len(missing)} migration(s) ({', '.join(missing)}): run '{program.prog} "
            f"migrate' first"
        )
    configure_logging(program.service, program.version, level=settings.log_level)
    serve(program.build(settings), settings)


async def _unready(settings: ServiceSettings, program: ServiceProgram[S]) -> list[str]:
    """What is pending; else open the database once, so that a refusal is one line and no stack."""
    missing = await pending(settings.database_url, program.package)
    if not missing:
        async with Database(settings.database_url, name=program.service, durable=settings.durable):
            pass
    return missing


def _migrate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if anything is pending or differs"
    )


def _migrate(arguments: argparse.Namespace, program: ServiceProgram[S]) -> int:
    settings = load_settings(program.settings)
    missing = asyncio.run(pending(settings.database_url, program.package))
    if arguments.check:
        differences = (
            [] if missing else asyncio.run(check(settings.database_url, program.package, program.metadata))
        )
        for line in [
            *(f"pending: {name}" for name in missing),
            *(f"differs: {item}" for item in differences),
        ]:
            print(line)
        return 1 if missing or differences else 0
    asyncio.run(migrate(settings.database_url, program.package))
    print(
        f"{program.prog}: applied {len(missing)} migration(s)"
        if missing
        else f"{program.prog}: nothing to migrate"
    )
    return 0


def _revision_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--message", required=True, help="what the migration does")


def _revision(arguments: argparse.Namespace, program: ServiceProgram[S]) -> None:
    settings = load_settings(program.settings)
    asyncio.run(revise(settings.database_url, program.package, program.metadata, arguments.message))


def _check_config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="print the settings table instead")


def _check_config(arguments: argparse.Namespace, program: ServiceProgram[S]) -> int:
    if arguments.markdown:
        print(settings_markdown(program.settings), end="")
        return 0
    faults = check_config(program.settings)
    for fault in faults:
        print(fault)
    if not faults:
        print(f"{program.prog}: the configuration is usable")
    return 1 if faults else 0


def _backup(arguments: argparse.Namespace, program: ServiceProgram[S]) -> None:
    settings = load_settings(program.settings)
    try:
        backup.command(arguments, settings)
    except backup.BackupFailed as error:
        raise CommandFailed(str(error)) from None


def _doctor(arguments: argparse.Namespace, program: ServiceProgram[S]) -> int:
    if program.health is None:
        raise CommandFailed("this service has nothing that could be looked at")
    # Findings are the output; the log would repeat them in a machine's words.
    configure_logging(program.service, program.version, level="critical")
    return asyncio.run(doctor.command(arguments, program.health, program.settings))


def _openapi(_: argparse.Namespace, program: ServiceProgram[S]) -> None:
    # The document is the same for every deployment, so it is made from the examples, not from the
    # environment.
    document = program.build(program.settings.example()).openapi()
    print(json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True))
