"""What the database itself refuses or corrects: triggers, the same on a new catalog and on one that was upgraded.

A person with the right to write the database can drop a trigger, so this guards against mistakes and careless tools;
against the others stands the chain of hashes (trail.py).
"""

_REFUSE = "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"

# SQLite gives the highest id of a table again when its row was removed. The text index would then find the new message
# by the words of the old one, until they are taken out of it.
_NEW_ID = """
    CREATE TRIGGER contents_new_id AFTER INSERT ON contents
    WHEN NEW.id <= (SELECT coalesce(max(content), 0) FROM removed_texts)
    BEGIN UPDATE contents SET id = (SELECT max(content) + 1 FROM removed_texts) WHERE id = NEW.id; END
"""

SQLITE = (
    f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit {_REFUSE}",
    f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit {_REFUSE}",
    _NEW_ID.strip(),
)
