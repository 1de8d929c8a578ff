"""Alembic environment and revisions of the catalog, carried inside the package."""
