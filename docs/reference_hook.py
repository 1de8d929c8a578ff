"""mkdocs hook: write the reference pages from the code, so that they cannot drift from it."""

import ast
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File, Files
from prometheus_client import Metric

import archivmail
from archivmail.kube.crd import render

SOURCE = Path(archivmail.__file__).parent


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages to reference/index.md, which names what each is made from."""
    pages = {
        "imapaccount": resource_page(),
        "cli": cli_page(),
        "settings": settings_page(),
        "metrics": metrics_page(),
        "modules": modules_page(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def resource_page() -> str:
    """Every field of the CRD with its type, default and description."""
    crd = yaml.safe_load(render())
    version = crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    lines = ["# ImapAccount", "", f"`{crd['spec']['group']}/{version['name']}`, namespaced; short name `imap`.", ""]
    for part in ("spec", "status"):
        lines += [f"## {part}", "", "| field | type | default | meaning |", "|---|---|---|---|"]
        lines += _rows(schema[part], part)
        lines.append("")
    lines += ["## Refusals", "", "What the API server says about an object that cannot work:", ""]
    lines += [f"- {message}" for message in dict.fromkeys(_messages(schema["spec"]))]
    return "\n".join(lines) + "\n"


def _rows(schema: dict[str, Any], path: str) -> list[str]:
    rows = []
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        default = f"`{_default(field['default'])}`" if "default" in field else ""
        kind = field["type"] + (f" of {field['items']['type']}" if field["type"] == "array" else "")
        choice = f" ({', '.join(field['enum'])})" if "enum" in field else ""
        rows.append(f"| `{here}` | {kind}{choice} | {default} | {_cell(field.get('description', ''))} |")
        rows += _rows(field, here)
        if field["type"] == "array":
            rows += _rows(field["items"], f"{here}[]")
    return rows


def _default(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("...").strip().replace("|", "\\|")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _messages(schema: dict[str, Any]) -> list[str]:
    found = [rule["message"] for rule in schema.get("x-kubernetes-validations", ()) if "message" in rule]
    for field in schema.get("properties", {}).values():
        found += _messages(field)
    if "items" in schema:
        found += _messages(schema["items"])
    return found


def cli_page() -> str:
    """`--help` of every command, as click prints it."""
    import click

    from archivmail.cli.main import cli

    context = click.Context(cli, info_name="archivmail", max_content_width=110)
    lines = ["# Command line", "", "```text", cli.get_help(context), "```", ""]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, max_content_width=110)
        lines += [f"## archivmail {name}", "", "```text", command.get_help(inner), "```", ""]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Every setting with its default and description."""
    from archivmail.settings import Settings

    lines = ["# Settings", "", "Environment of the process.", "", "| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else f"`{field.default}`"
        lines.append(f"| `ARCHIVMAIL_{name.upper()}` | {default} | {_cell(field.description or '')} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every series as a scrape of an operator with one account shows it."""
    lines = ["# Metrics", "", "Served at `/metrics`.", "", "| series | type | labels | meaning |", "|---|---|---|---|"]
    for family in _families():
        labels = sorted({name for sample in family.samples for name in sample.labels} - {"le"})
        name = family.name + ("_total" if family.type == "counter" else "")
        lines.append(f"| `{name}` | {family.type} | {', '.join(labels)} | {_cell(family.documentation)} |")
    lines += ["", "## Values of labels", "", *_label_values(), ""]
    return "\n".join(lines)


def modules_page() -> str:
    """Every module with the first sentences of its docstring."""
    lines = ["# Modules", "", "Each says itself what it is for; this is what stands at the head of it."]
    package = None
    for path in sorted(SOURCE.rglob("*.py"), key=lambda path: (path.parent, path.name)):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if path.name == "__init__.py" or "migrations" in path.parts:
            continue
        if path.parent != package:
            package = path.parent
            lines += ["", f"## {package.relative_to(SOURCE.parent)}/", "", "| module | what it is for |", "|---|---|"]
        lines.append(f"| `{path.name}` | {_cell(said.partition(chr(10) * 2)[0])} |")
    return "\n".join(lines) + "\n"


def _label_values() -> Iterable[str]:
    from archivmail.model.outcome import Result
    from archivmail.observe.labels import REASONS, STAGES

    yield "From closed sets, apart from `namespace` and `name` of an ImapAccount. Never a folder, an address or a host."
    yield ""
    yield f"- `result`: {_words(map(str, Result))}"
    yield f"- `stage`: {_words(sorted(STAGES))}"
    yield f"- `reason`, the word that stands in conditions and Events too: {_words(sorted(REASONS))}"
    yield "- `state`: `server`, `archived`, `pending`, `quarantined`"
    yield "- `shard`: the number of a replica, from 0 to `ARCHIVMAIL_SHARDS` - 1"
    yield "- `verb`, `resource`: the words of RBAC; `code`: the HTTP status, or `error` when there was no answer"


def _words(values: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in values)


def _families() -> Iterable[Metric]:
    from archivmail.model.account import AccountRef
    from archivmail.model.outcome import MessageCounts
    from archivmail.observe.accounts import AccountSeries
    from archivmail.observe.metrics import Metrics

    now = datetime.now(UTC)
    account = AccountSeries(AccountRef("ns", "name"), True, True, False, now, 600, 0, now, now, MessageCounts())
    metrics = Metrics()
    metrics.show_accounts(lambda: [account])
    metrics.verified(now, 0)
    metrics.lease_held(0, is_held=True)
    metrics.imap_failed("login", "ConnectionFailed")
    metrics.kube_request("get", "imapaccounts", "200")
    return metrics.registry.collect()
