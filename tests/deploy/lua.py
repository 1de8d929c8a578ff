"""Argo CD's Lua, as it runs it: Lua 5.1 with no library but tables, and of `os` the time alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lupa.lua51
import yaml

from .chart import CHECKOUT

CONFIG = CHECKOUT / "deploy" / "gitops" / "argocd" / "argocd-cm.yaml"
KIND = "archivmail.io_ImapAccount"
# What is left of the global names; `require` is ours.
ALLOWED = {"_G", "_VERSION", "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset"}
ALLOWED |= {"require", "select", "setmetatable", "table", "tonumber", "tostring", "type", "unpack"}


def customization(name: str) -> str:
    """The text under `resource.customizations.NAME.KIND`."""
    text: str = yaml.safe_load(Path(CONFIG).read_text())["data"][f"resource.customizations.{name}.{KIND}"]
    return text


def health(document: dict[str, Any]) -> tuple[str, str]:
    """Status and message."""
    found = _run(customization("health"), document)
    return found["status"], found["message"]


def actions(document: dict[str, Any]) -> set[str]:
    """Those that may be chosen now."""
    found = _run(yaml.safe_load(customization("actions"))["discovery.lua"], document)
    return {name for name, action in found.items() if not action.get("disabled")}


def act(name: str, document: dict[str, Any]) -> dict[str, Any]:
    """The object after that action."""
    definitions = yaml.safe_load(customization("actions"))["definitions"]
    (script,) = [each["action.lua"] for each in definitions if each["name"] == name]
    return _run(script, document)


def defined() -> set[str]:
    return {each["name"] for each in yaml.safe_load(customization("actions"))["definitions"]}


def _run(script: str, document: dict[str, Any]) -> dict[str, Any]:
    runtime = lupa.lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    names = runtime.globals()
    clock = runtime.eval("{time = os.time, date = os.date}")
    for name in list(names):
        if name not in ALLOWED:
            names[name] = None
    names["require"] = {"os": clock}.__getitem__
    names["obj"] = runtime.table_from(document, recursive=True)
    found = _python(runtime.execute(script))
    assert isinstance(found, dict)
    return found


def _python(value: Any) -> Any:
    """Tables as Argo CD reads them back: with 1..n as keys a list, else a map."""
    if lupa.lua51.lua_type(value) != "table":
        return value
    items = {key: _python(each) for key, each in value.items()}
    if items and set(items) == set(range(1, len(items) + 1)):
        return [items[key] for key in range(1, len(items) + 1)]
    return items
