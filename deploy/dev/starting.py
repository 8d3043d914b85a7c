"""Starting a stack in the one order that works: the network first, then who follows it, then the others."""

from __future__ import annotations

from deploy.dev import clients
from deploy.dev.clients import Clients
from deploy.dev.register import FOLLOWERS
from deploy.dev.stack import SIMULATORS, Stack


def start(stack: Stack, *, first: bool = True, simulators: bool = True) -> Clients:
    """Migrate and start everything; at the first start also make the network and its first API clients.

    Args:
        stack: prepared.
        first: whether nothing has ever run below its folder.
        simulators: whether the simulated workforce systems are wanted.
    """
    registry = stack.services["registry"]
    for service in stack.services.values():
        service.command("migrate")
    if first:
        registry.command("init", "--out", str(stack.folder / "trust.json"))
        clients.create(stack)
    known = clients.read(stack)
    registry.start()
    stack.wait_ready("registry")
    if first:
        clients.register_services(stack, known.machine)
    for name in FOLLOWERS:
        stack.services[name].start()
        stack.wait_ready(name)
    if simulators:
        stack.simulators.start()
        stack.wait_ready(SIMULATORS)
    return known
