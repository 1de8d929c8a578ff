"""One text index for SQLite and PostgreSQL: lines of words that archivmail makes itself.

Every content is indexed anew, in the background and not here: a content waits while `indexed` is below the number of
the indexer's rules, 2 from now on. Its envelope stays, so lists and dates are right meanwhile.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQLITE = (
    "DROP TABLE message_text",
    "CREATE VIRTUAL TABLE message_text USING fts5(words, content='', columnsize=0, tokenize='ascii')",
    "INSERT INTO message_text (message_text, rank) VALUES ('hashsize', 8388608)",
)
LINES = """CREATE TABLE message_text (
    content_id BIGINT NOT NULL,
    words TEXT NOT NULL,
    CONSTRAINT pk_message_text PRIMARY KEY (content_id),
    CONSTRAINT fk_message_text_content_id FOREIGN KEY (content_id) REFERENCES contents (id) ON DELETE CASCADE
) WITH (toast_tuple_target = 128)"""
WORDS = """CREATE INDEX ix_message_text_words ON message_text
USING gin (array_to_tsvector(string_to_array(words, ' '))) WITH (gin_pending_list_limit = 1024)"""
POSTGRESQL = (LINES, WORDS)


def upgrade() -> None:
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
    op.drop_index("ix_contents_waiting", "contents")
    waits = sa.text("indexed < 2")
    op.create_index("ix_contents_waiting", "contents", ["id"], sqlite_where=waits, postgresql_where=waits)
    op.create_index("ix_contents_account_id_sent_s", "contents", ["account_id", "sent_s"])
