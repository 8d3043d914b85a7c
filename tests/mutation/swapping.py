"""Put a mutated module in the place of a loaded one, without importing anything again.

The mutated source is executed beside the real module, and what differs is copied over: the code and defaults
of functions, plain constants (also where another module imported them by name). Objects keep their identity,
so everybody who imported them runs the mutant. Caches are emptied. Only ever done in a fork.
"""

from __future__ import annotations

import ast
import functools
import gc
import re
import sys
import types
from datetime import timedelta
from typing import Any

_PLAIN = (int, float, str, bytes, bool, timedelta, re.Pattern, type(None))


def caches() -> list[Any]:
    """Every ``lru_cache`` there is; asked once, before forking."""
    return [one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper)]


def swap(module: types.ModuleType, tree: ast.Module) -> None:
    """Make a loaded module behave as ``tree`` says."""
    beside: dict[str, Any] = {
        name: value
        for name, value in vars(module).items()
        if name.startswith("__") and name != "__builtins__"
    }
    made = types.ModuleType(module.__name__)
    made.__dict__.update(beside)
    sys.modules[module.__name__] = made
    try:
        exec(compile(tree, str(module.__file__), "exec"), made.__dict__)  # noqa: S102 - our own source
    finally:
        sys.modules[module.__name__] = module
    for name, new in vars(made).items():
        old = vars(module).get(name)
        if _own(old, module):
            _copy(old, new)
        elif _differs(old, new):
            _everywhere(name, old, new)


def _own(value: Any, module: types.ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__


def _copy(old: Any, new: Any) -> None:
    old, new = _function(old), _function(new)
    if isinstance(old, types.FunctionType) and isinstance(new, types.FunctionType):
        if old.__code__ != new.__code__:
            old.__code__ = new.__code__
        if _differ(old.__defaults__, new.__defaults__):
            old.__defaults__ = new.__defaults__
        if _differ(old.__kwdefaults__, new.__kwdefaults__):
            old.__kwdefaults__ = new.__kwdefaults__
    elif isinstance(old, type) and isinstance(new, type):
        for name, value in list(vars(new).items()):
            mine = vars(old).get(name)
            if isinstance(_function(mine), types.FunctionType):
                _copy(mine, value)
            elif not name.startswith("__") and _differs(mine, value):
                setattr(old, name, value)


def _function(value: Any) -> Any:
    """What is called in the end: behind properties, class methods and wrappers that say what they wrap."""
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    if isinstance(value, functools.cached_property):
        value = value.func
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value


def _plain(value: Any) -> bool:
    if isinstance(value, tuple | frozenset | set | list):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.keys())) and all(map(_plain, value.values()))
    return isinstance(value, _PLAIN)


def _differs(old: Any, new: Any) -> bool:
    return _plain(old) and _plain(new) and (type(old) is not type(new) or old != new)


def _differ(old: Any, new: Any) -> bool:
    """Whether defaults differ in something plain; others are kept, with the identity tests may rely on."""
    if old is None or new is None:
        return False
    pairs = (
        [(old.get(name), value) for name, value in new.items()]
        if isinstance(old, dict)
        else list(zip(old, new, strict=True))
    )
    return any(_differs(mine, other) for mine, other in pairs)


def _everywhere(name: str, old: Any, new: Any) -> None:
    """A constant of the module, and the copies that other modules hold by the same name."""
    for other in list(sys.modules.values()):
        if isinstance(other, types.ModuleType) and vars(other).get(name) is old:
            setattr(other, name, new)
