"""The tables of the catalog: placements, envelopes, the ledger and the audit trail (design §5).

Columns that end in `_s` are seconds and in `_us` microseconds since 1970 in UTC; 0 means "none". Numbers that the
design bounds to 32 bits unsigned (UID, UIDVALIDITY) are 64-bit columns. The tables must equal the newest Alembic
revision; a test compares them. Knows no query: each stands beside the function that runs it.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

UNKNOWN_CRC = -1
"""Of a pack that a version without them wrote, until it is verified in full."""

# STRICT tables of SQLite know INTEGER (64 bits there) but not BIGINT.
NUMBER: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


def _table(name: str, *items: SchemaItem) -> Table:
    return Table(name, metadata, *items, sqlite_strict=True)


def _key(name: str = "id") -> Column[int]:
    return Column(name, NUMBER, primary_key=True, autoincrement=True)


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, NUMBER, nullable=False, server_default=text(str(default)))


def _words(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def _reference(name: str, target: str, *, primary_key: bool = False, ondelete: str | None = None) -> Column[int]:
    return Column(name, NUMBER, ForeignKey(target, ondelete=ondelete), nullable=False, primary_key=primary_key)


accounts = _table(
    "accounts",
    _key(),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("namespace", "name"),
)

folders = _table(
    "folders",
    _key(),
    _reference("account_id", "accounts.id"),
    Column("name", LargeBinary, nullable=False),  # raw octets as the server writes them: the identity
    Column("delimiter", LargeBinary, nullable=False),  # empty: the server told none
    _words("display"),  # decoded for people and for `folder:` in queries
    UniqueConstraint("account_id", "name"),
)

epochs = _table(
    "epochs",
    _key(),
    _reference("folder_id", "folders.id"),
    Column("origin", Text, nullable=False),
    _number("uid_validity"),
    _number("number"),
    UniqueConstraint("folder_id", "number"),
)

packs = _table(
    "packs",
    _key(),
    _reference("account_id", "accounts.id"),
    Column("name", Text, nullable=False),  # packs/NAMESPACE/ACCOUNT/ID.tar.zst, below the archive's root
    _number("size"),
    _number("members"),  # all frames but the end marker's
    _number("dead"),  # octets of frames whose messages were removed
    _number("dead_since_us"),
    _number("replaced"),  # names of older packs that this one carries as replaced
    _number("crc", UNKNOWN_CRC),  # CRC-32 of the pack
    UniqueConstraint("name"),
    Index("ix_packs_account_id_name", "account_id", "name"),
)

RULES = 2
"""Version of what the indexer extracts and writes; with another one a revision makes `ix_contents_waiting` anew."""
WAITS = f"indexed < {RULES}"

contents = _table(
    "contents",
    _key(),
    _reference("account_id", "accounts.id"),
    Column("sha256", LargeBinary, nullable=False),
    _number("size"),  # raw octets
    _reference("pack_id", "packs.id"),
    _number("frame_offset"),  # of the zstd frame in the pack
    _number("frame_length"),
    # What follows is written by the indexer; `indexed` is 0 until then and afterwards the version of its rules. While
    # it is below RULES the content waits to be indexed, or to be indexed anew.
    _number("indexed"),
    _number("sent_s"),
    _words("message_id"),
    _words("sender"),
    _words("recipients"),
    _words("subject"),
    _number("attachments"),
    # sha256 first: one index serves the look-up within an account and that of a shortened id in all of them.
    UniqueConstraint("sha256", "account_id"),
    Index("ix_contents_pack_id", "pack_id"),
    Index("ix_contents_sent_s", "sent_s"),  # newest first, whatever the query
    Index("ix_contents_account_id_sent_s", "account_id", "sent_s"),
    Index("ix_contents_waiting", "id", sqlite_where=text(WAITS), postgresql_where=text(WAITS)),
)

placements = _table(
    "placements",
    _key(),
    _reference("account_id", "accounts.id"),  # follows from the epoch; here so that one index gives an account by date
    _reference("folder_id", "folders.id"),  # likewise
    _reference("epoch_id", "epochs.id"),
    _number("uid"),
    _reference("content_id", "contents.id"),
    _reference("pack_id", "packs.id"),  # that of this sighting's member; the octets may lie in another
    _words("internal_date"),  # raw
    _number("received_s"),  # internal_date as a number; 0 where it could not be read
    _words("flags"),  # separated by spaces
    _words("email_id"),  # immutable id of the server, "" when it gave none
    _words("assembled"),  # "header+text" or "partial" when the octets did not come as one BODY[], "" when they did
    _words("labels"),  # of Gmail, separated by line feeds: a label may hold anything else
    UniqueConstraint("epoch_id", "uid", "content_id"),
    Index("ix_placements_content_id", "content_id"),
    Index("ix_placements_pack_id", "pack_id"),
    Index("ix_placements_received_s", "received_s"),
    Index("ix_placements_account_id_received_s", "account_id", "received_s"),
    Index("ix_placements_folder_id_received_s", "folder_id", "received_s"),
    Index(
        "ix_placements_assembled",
        "account_id",
        "epoch_id",
        sqlite_where=text("assembled <> ''"),
        postgresql_where=text("assembled <> ''"),
    ),
    Index(
        "ix_placements_email_id",
        "account_id",
        "email_id",
        sqlite_where=text("email_id <> ''"),
        postgresql_where=text("email_id <> ''"),
    ),
)

ledger = _table(
    "ledger",
    _reference("epoch_id", "epochs.id", primary_key=True),
    Column("uid", NUMBER, primary_key=True, autoincrement=False),
    _number("attempts"),
    _words("reason"),
    _words("error"),
    _number("next_try_us"),
    _number("quarantined"),  # 0 or 1
)

folder_states = _table(
    "folder_states",
    _reference("folder_id", "folders.id", primary_key=True),
    _reference("epoch_id", "epochs.id"),
    _number("uid_next"),
    _number("messages"),
    _number("last_uid"),
    _number("server"),
    _number("archived"),
    _number("pending"),
    _number("quarantined"),
    _number("passed_at_us"),
    _number("compared_at_us"),
    _number("complete"),  # 0 or 1
)

account_statuses = _table(
    "account_statuses",
    _reference("account_id", "accounts.id", primary_key=True),
    Column("document", Text, nullable=False),  # JSON, the wire form of AccountStatus
)

fences = _table(
    "fences",
    _reference("account_id", "accounts.id", primary_key=True),
    _words("token"),  # of whoever took the account last
)

policies = _table(
    "policies",
    _reference("account_id", "accounts.id", primary_key=True),
    _number("keep_for_s"),  # 0: for ever
    _number("hold"),  # 0 or 1
)

# What is left of a sighting whose message was removed. No row here and in placements for one (epoch, uid, sha256).
tombstones = _table(
    "tombstones",
    _key(),
    _reference("account_id", "accounts.id"),
    _reference("folder_id", "folders.id"),
    _reference("epoch_id", "epochs.id"),
    _number("uid"),
    Column("sha256", LargeBinary, nullable=False),
    _number("received_s"),
    _words("gone"),  # "expired REMOVAL" or "erased REMOVAL"
    UniqueConstraint("epoch_id", "uid", "sha256"),
    Index("ix_tombstones_account_id_sha256", "account_id", "sha256"),
)

# Packs whose place another took, or that were never needed: removed from the store after a time of grace.
retired_packs = _table(
    "retired_packs",
    Column("name", Text, primary_key=True, nullable=False),
    _reference("account_id", "accounts.id"),
    _number("size"),
    _number("retired_at_us"),
)

# Contents that are gone, but whose words are still in the text index.
removed_texts = _table("removed_texts", Column("content", NUMBER, primary_key=True, autoincrement=False))

audit = _table(
    "audit",
    _key("seq"),
    _number("at_us"),
    _words("kind"),
    _words("namespace"),
    _words("account"),
    Column("facts", Text, nullable=False, server_default=text("'{}'")),  # JSON, keys sorted
    Column("previous", LargeBinary, nullable=False),  # hash of the entry before; 32 zero octets for the first
    Column("hash", LargeBinary, nullable=False),  # SHA-256 over `previous` and the fields above
    UniqueConstraint("previous"),  # two writers cannot both follow the same entry
)

# What verification found damaged or missing: the octets of a content, the record of a sighting. A row goes when they
# are stored again.
damaged_contents = _table(
    "damaged_contents", _reference("content_id", "contents.id", primary_key=True, ondelete="CASCADE")
)
damaged_sightings = _table(
    "damaged_sightings", _reference("placement_id", "placements.id", primary_key=True, ondelete="CASCADE")
)

verifications = _table("verifications", _key(), _number("ended_at_us"))  # one row, after the first

# One line of words for each content (wording.py); rowid or content_id = contents.id. See fts5.py and tsvector.py.
TEXT_INDEX = "message_text"
TEXT_INDEX_DDL = (
    f"CREATE VIRTUAL TABLE {TEXT_INDEX} USING fts5(words, content='', columnsize=0, tokenize='ascii')",
    f"INSERT INTO {TEXT_INDEX} ({TEXT_INDEX}, rank) VALUES ('hashsize', 8388608)",  # noqa: S608 - octets of memory
)
"""Of SQLite; on PostgreSQL only Alembic makes tables."""
