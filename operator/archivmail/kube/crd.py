"""The CustomResourceDefinition of ImapAccount, made from the models. `deploy/crds` and the chart hold copies of it."""

from typing import Any, Final

from pydantic import TypeAdapter

from archivmail.kube.resource import API_VERSION, KIND
from archivmail.kube.schema import CheckedSpec
from archivmail.kube.schema_status import Status
from archivmail.kube.structural import Schema, structural

GROUP, VERSION = API_VERSION.split("/")
PLURAL: Final = "imapaccounts"

HEADER: Final = """\
# ImapAccount: a mailbox to archive. Made by `make crds` from the models of the operator; not edited by hand.
# Install it with: kubectl apply --server-side -f FILE
"""
LINE_WIDTH: Final = 110


def render() -> str:
    """The CRD as YAML."""
    import yaml  # noqa: PLC0415 - the command line reads PLURAL and its neighbours without it

    class Indented(yaml.SafeDumper):
        """Lists stand one level further in, as most charts have them."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
            super().increase_indent(flow, False)

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    return HEADER + yaml.dump(definition(), Dumper=Indented, sort_keys=False, width=LINE_WIDTH, allow_unicode=True)


def definition() -> dict[str, Any]:
    """The CRD as an object."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "imapaccount",
                "shortNames": ["imap"],
                "categories": ["mail"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".spec.host"}, {"jsonPath": ".spec.suspend"}],
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": object_schema()},
                }
            ],
        },
    }


def object_schema() -> Schema:
    """The structural schema of a whole ImapAccount."""
    spec = structural(TypeAdapter(CheckedSpec).json_schema(by_alias=True))
    # Only observedGeneration has a default: what the operator has not said must not be there.
    status = structural(Status.model_json_schema(by_alias=True), with_defaults=False)
    return {
        "description": "A mailbox to archive. From then on every message that the IMAP server shows is in the archive, "
        "byte for byte, and the status says how complete the archive is.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{API_VERSION}.", "type": "string"},
            "kind": {"description": f"{KIND}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": {
                "description": status.pop("description"),
                "type": status.pop("type"),
                # A new object is not up to date until the operator has seen it (kstatus).
                "default": {"observedGeneration": -1},
                **status,
            },
        },
    }


def _columns() -> list[dict[str, Any]]:
    def of_condition(name: str, part: str) -> str:
        return f'.status.conditions[?(@.type=="{name}")].{part}'

    def column(name: str, path: str, kind: str = "string", **more: Any) -> dict[str, Any]:
        return {"name": name, "type": kind, "jsonPath": path, **more}

    return [
        column("Host", ".spec.host"),
        column("Ready", of_condition("Ready", "status")),
        column("Status", of_condition("Ready", "reason")),
        column("Folders", ".status.folderSummary.complete", "integer"),
        column("Last Sync", ".status.lastSyncTime", "date"),
        column("Complete", of_condition("Complete", "status"), priority=1),
        # Type date would print an age, and "<invalid>" for what is yet to come.
        column("Next Sync", ".status.nextSyncTime", format="date-time", priority=1),
        column("Suspended", ".spec.suspend", "boolean", priority=1),
        column("Interval", ".spec.interval", priority=1),
        column("Message", of_condition("Ready", "message"), priority=1),
        column("Age", ".metadata.creationTimestamp", "date"),
    ]
