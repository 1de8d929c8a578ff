"""The first catalog: accounts, folders, epochs, contents, placements, ledger, statuses, audit trail, text index."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NUMBER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def key(name: str = "id") -> sa.Column[int]:
    return sa.Column(name, NUMBER, primary_key=True, autoincrement=True)


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, NUMBER, nullable=False, server_default=sa.text("0"))


def words(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text(f"'{default}'"))


def octets(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def reference(table: str, name: str, target: str, *, primary_key: bool = False) -> sa.Column[int]:
    foreign = sa.ForeignKey(f"{target}.id", name=f"fk_{table}_{name}")
    return sa.Column(name, NUMBER, foreign, nullable=False, primary_key=primary_key)


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def index(table: str, *columns: str, where: str | None = None, name: str | None = None) -> None:
    condition = None if where is None else sa.text(where)
    title = name or f"ix_{table}_{'_'.join(columns)}"
    op.create_index(title, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    _accounts()
    _contents()
    _placements()
    _passes()
    _trail()
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE message_text USING fts5("
            "subject, sender, recipients, attachments, body, content='', tokenize=\"unicode61 remove_diacritics 2\")"
        )


def _accounts() -> None:
    op.create_table(
        "accounts",
        key(),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        unique("accounts", "namespace", "name"),
        sqlite_strict=True,
    )
    op.create_table(
        "folders",
        key(),
        reference("folders", "account_id", "accounts"),
        octets("name"),
        octets("delimiter"),
        words("display"),
        unique("folders", "account_id", "name"),
        sqlite_strict=True,
    )
    op.create_table(
        "epochs",
        key(),
        reference("epochs", "folder_id", "folders"),
        sa.Column("origin", sa.Text, nullable=False),
        number("uid_validity"),
        number("number"),
        unique("epochs", "folder_id", "number"),
        sqlite_strict=True,
    )


def _contents() -> None:
    op.create_table(
        "packs",
        key(),
        reference("packs", "account_id", "accounts"),
        sa.Column("name", sa.Text, nullable=False),
        number("size"),
        number("members"),
        unique("packs", "name"),
        sqlite_strict=True,
    )
    index("packs", "account_id", "name")
    op.create_table(
        "contents",
        key(),
        reference("contents", "account_id", "accounts"),
        octets("sha256"),
        number("size"),
        reference("contents", "pack_id", "packs"),
        number("frame_offset"),
        number("frame_length"),
        number("indexed"),
        number("sent_s"),
        words("message_id"),
        words("sender"),
        words("recipients"),
        words("subject"),
        number("attachments"),
        unique("contents", "sha256", "account_id"),
        sqlite_strict=True,
    )
    index("contents", "pack_id")
    index("contents", "sent_s")
    index("contents", "id", where="indexed = 0", name="ix_contents_waiting")


def _placements() -> None:
    op.create_table(
        "placements",
        key(),
        reference("placements", "account_id", "accounts"),
        reference("placements", "folder_id", "folders"),
        reference("placements", "epoch_id", "epochs"),
        number("uid"),
        reference("placements", "content_id", "contents"),
        reference("placements", "pack_id", "packs"),
        words("internal_date"),
        number("received_s"),
        words("flags"),
        words("email_id"),
        unique("placements", "epoch_id", "uid", "content_id"),
        sqlite_strict=True,
    )
    index("placements", "content_id")
    index("placements", "pack_id")
    index("placements", "received_s")
    index("placements", "account_id", "received_s")
    index("placements", "folder_id", "received_s")
    index("placements", "account_id", "email_id", where="email_id <> ''", name="ix_placements_email_id")


def _passes() -> None:
    op.create_table(
        "ledger",
        reference("ledger", "epoch_id", "epochs", primary_key=True),
        sa.Column("uid", NUMBER, primary_key=True, autoincrement=False),
        number("attempts"),
        words("reason"),
        words("error"),
        number("next_try_us"),
        number("quarantined"),
        sqlite_strict=True,
    )
    op.create_table(
        "folder_states",
        reference("folder_states", "folder_id", "folders", primary_key=True),
        reference("folder_states", "epoch_id", "epochs"),
        number("uid_next"),
        number("messages"),
        number("last_uid"),
        number("server"),
        number("archived"),
        number("pending"),
        number("quarantined"),
        number("passed_at_us"),
        number("compared_at_us"),
        number("complete"),
        sqlite_strict=True,
    )
    op.create_table(
        "account_statuses",
        reference("account_statuses", "account_id", "accounts", primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_strict=True,
    )


def _trail() -> None:
    op.create_table(
        "audit",
        key("seq"),
        number("at_us"),
        words("kind"),
        words("namespace"),
        words("account"),
        words("facts", "{}"),
        octets("previous"),
        octets("hash"),
        unique("audit", "previous"),
        sqlite_strict=True,
    )
