"""Alembic's entry: runs the revisions on the connection that the caller opened; it never opens one itself."""

from alembic import context

from archivmail.archive.catalog.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
