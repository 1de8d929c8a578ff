"""Retention, tombstones, packs that another replaced, and an audit trail that the database itself protects."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NUMBER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def number(name: str, *, primary_key: bool = False) -> sa.Column[int]:
    if primary_key:
        return sa.Column(name, NUMBER, primary_key=True, autoincrement=False)
    return sa.Column(name, NUMBER, nullable=False, server_default=sa.text("0"))


def words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))


def reference(table: str, name: str, target: str, *, primary_key: bool = False) -> sa.Column[int]:
    foreign = sa.ForeignKey(f"{target}.id", name=f"fk_{table}_{name}")
    return sa.Column(name, NUMBER, foreign, nullable=False, primary_key=primary_key)


def upgrade() -> None:
    for column in ("dead", "dead_since_us", "replaced"):
        op.add_column("packs", number(column))
    op.create_table(
        "policies",
        reference("policies", "account_id", "accounts", primary_key=True),
        number("keep_for_s"),
        number("hold"),
        sqlite_strict=True,
    )
    op.create_table(
        "tombstones",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        reference("tombstones", "account_id", "accounts"),
        reference("tombstones", "folder_id", "folders"),
        reference("tombstones", "epoch_id", "epochs"),
        number("uid"),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        number("received_s"),
        words("gone"),
        sa.UniqueConstraint("epoch_id", "uid", "sha256", name="uq_tombstones_epoch_id_uid_sha256"),
        sqlite_strict=True,
    )
    op.create_index("ix_tombstones_account_id_sha256", "tombstones", ["account_id", "sha256"])
    op.create_table(
        "retired_packs",
        sa.Column("name", sa.Text, primary_key=True, nullable=False),
        reference("retired_packs", "account_id", "accounts"),
        number("size"),
        number("retired_at_us"),
        sqlite_strict=True,
    )
    op.create_table("removed_texts", number("content", primary_key=True), sqlite_strict=True)
    for statement in PROTECTION[op.get_bind().dialect.name]:
        op.execute(statement)


REFUSE = "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
NEW_ID = """
    CREATE TRIGGER contents_new_id AFTER INSERT ON contents
    WHEN NEW.id <= (SELECT coalesce(max(content), 0) FROM removed_texts)
    BEGIN UPDATE contents SET id = (SELECT max(content) + 1 FROM removed_texts) WHERE id = NEW.id; END
"""
RAISE = """
    CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
"""
NO_CHANGE = """
    CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()
"""
PROTECTION = {
    "sqlite": (
        f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit {REFUSE}",
        f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit {REFUSE}",
        NEW_ID.strip(),
    ),
    "postgresql": (RAISE, NO_CHANGE),
}
"""As of this revision; the newest form stands in `protection.py`."""
