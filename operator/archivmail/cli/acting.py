"""Who acts, for the audit trail: the command and the user of the system. No address and no secret."""

import os
import pwd


def actor(command: str) -> str:
    """As in `archivmail erase (alice)`."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        name = f"uid {os.getuid()}"
    return f"archivmail {command} ({name})"
