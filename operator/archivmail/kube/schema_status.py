"""`.status` of an ImapAccount as pydantic models (design §3.1): what the CRD and the reference in the docs say of it.

Only a description: statuses are written and read by model/wireform, and a test holds both equal.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from archivmail.model.uidset import MAX_UID
from archivmail.model.wireform import (
    MAX_CONDITIONS,
    MAX_FOLDERS,
    MAX_NAME,
    MAX_QUARANTINED_UIDS,
    MAX_TEXT,
    MAX_TOKEN,
)

MAX_TYPE: Final = 316  # metav1.Condition
MAX_REASON: Final = 1024  # metav1.Condition

Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Number32 = Annotated[int, Field(ge=0, le=MAX_UID, json_schema_extra={"format": "int64"})]


class Part(BaseModel):
    """An object within the status."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Messages(Part):
    """Messages of the selected folders."""

    server: Count = Field(default=0, description="UIDs that the server listed in the last pass of each folder.")
    archived: Count = Field(default=0, description="Those of them that are archived.")
    pending: Count = Field(default=0, description="Those of them that are still to be archived.")
    quarantined: Count = Field(
        default=0, description="Those of them that could not be archived in several attempts; tried again daily."
    )
    added_last_run: Count = Field(default=0, description="Messages that the last run added.")


class FolderSummary(Part):
    """Folders of the mailbox."""

    selected: Count = Field(default=0, description="Folders that spec.folders selects.")
    excluded: Count = Field(default=0, description="Folders that spec.folders leaves out.")
    complete: Count = Field(default=0, description="Selected folders of which every message is archived.")
    failed: Count = Field(default=0, description="Selected folders that could not be read in the last run.")


class Folder(Part):
    """One folder."""

    name: Annotated[str, Field(max_length=MAX_NAME)] = Field(
        description="Name of the folder, decoded; one that is not valid modified UTF-7 has its octets percent-encoded."
    )
    uid_validity: Number32 = Field(
        default=0, description="UIDVALIDITY of the folder (RFC 9051, section 2.3.1.1); 0 when the server gives none."
    )
    last_uid: Number32 = Field(alias="lastUID", default=0, description="Highest UID that is archived.")
    server: Count = Field(default=0, description="UIDs that the server listed in the last pass.")
    archived: Count = Field(default=0, description="Those of them that are archived.")
    pending: Count = Field(default=0, description="Those of them that are still to be archived; absent means 0.")
    quarantined: Count = Field(
        default=0,
        description="Those of them that could not be archived in several attempts; absent means 0.",
    )
    last_sync_time: datetime | None = Field(default=None, description="End of the last pass that got through.")
    error: Annotated[str, Field(max_length=MAX_TEXT)] | None = Field(
        default=None, description="Why the folder could not be read, or something to know about it."
    )
    quarantined_uids: Annotated[list[Number32], Field(max_length=MAX_QUARANTINED_UIDS)] | None = Field(
        default=None,
        description="The first of the quarantined UIDs.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class Condition(Part):
    """One aspect of the state (metav1.Condition)."""

    type: Annotated[str, Field(max_length=MAX_TYPE)] = Field(
        description="Ready: runs get through; False after several that did not, or when a person has to act. Complete: "
        "every message that the server listed is archived. Reconciling, Stalled, FoldersDegraded, LimitedView and "
        "UIDValidityChanged are there only while True."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    observed_generation: Count = Field(default=0, description="metadata.generation that this speaks of.")
    last_transition_time: datetime = Field(description="When status last changed.")
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON)] = Field(
        description="The cause in one word, for programs; the same word in Events and metrics."
    )
    message: Annotated[str, Field(max_length=32768)] = Field(
        description="The cause in a sentence, and what to do about it."
    )


class Status(Part):
    """What the operator last saw of the mailbox."""

    observed_generation: Annotated[int, Field(ge=-1, json_schema_extra={"format": "int64"})] = Field(
        default=-1, description="metadata.generation that the operator last acted on; -1: none yet."
    )
    last_handled_reconcile_at: Annotated[str, Field(max_length=MAX_TOKEN)] | None = Field(
        default=None, description="Value of the annotation archivmail.io/requestedAt that was last acted on."
    )
    observed_secret_version: Annotated[str, Field(max_length=MAX_TOKEN)] | None = Field(
        default=None, description="resourceVersion of the Secret that the last run used."
    )
    last_attempt_time: datetime | None = Field(default=None, description="Start of the last run.")
    last_sync_time: datetime | None = Field(default=None, description="End of the last run that succeeded.")
    next_sync_time: datetime | None = Field(
        default=None, description="When the next run is due; absent when none is planned."
    )
    last_sync_duration_seconds: Count | None = Field(default=None, description="How long the last run took.")
    last_result: Literal["Succeeded", "Partial", "Failed", "Interrupted"] | None = Field(
        default=None,
        description="How the last run ended. Partial: some folders or messages could not be archived. Interrupted: it "
        "was told to stop, and goes on next time.",
    )
    consecutive_failures: Count = Field(default=0, description="Runs that failed since the last one that did not.")
    messages: Messages | None = Field(
        default=None,
        description="Messages of the selected folders: server = archived + pending + quarantined. What the server has "
        "removed stays in the archive and is in none of these.",
    )
    folder_summary: FolderSummary | None = Field(default=None, description="Folders of the mailbox.")
    folders: Annotated[list[Folder], Field(max_length=MAX_FOLDERS)] | None = Field(
        default=None,
        description=f"State of single folders: failing ones first, then the most recent; at most {MAX_FOLDERS}.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    folders_truncated: bool | None = Field(default=None, description="True: there are more folders than are listed.")
    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS)] | None = Field(
        default=None,
        description="Aspects of the state, as kubectl wait and GitOps tools read them.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
