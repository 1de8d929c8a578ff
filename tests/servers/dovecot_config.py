"""The configuration that lets Dovecot run as one ordinary user, beside others of its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = r"""
# One user for everything: no process needs a privilege, so none is chrooted or changes its user.
base_dir = {run}
state_dir = {run}
log_path = {log}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user}
mail_gid = {group}
default_vsz_limit = 1G

protocols = imap
listen = 127.0.0.1
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_debug = yes  # one line for each log-in, which the tests count
auth_failure_delay = 0
mail_max_userip_connections = {max_connections}

ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}

mail_location = {location}
mail_fsync = never
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={mail}/%u
}}

namespace inbox {{
  inbox = yes
  separator = /
  mailbox Archive {{
    special_use = \Archive
  }}
  mailbox Drafts {{
    special_use = \Drafts
  }}
  mailbox Junk {{
    special_use = \Junk
  }}
  mailbox Sent {{
    special_use = \Sent
  }}
  mailbox Trash {{
    special_use = \Trash
  }}
}}

service anvil {{
  chroot =
  # No penalty: it would delay the log-in after a refused one by up to 15 seconds.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
"""


@dataclass(slots=True)
class DovecotConfig:
    """Where everything of one server is; `write` puts the configuration file there."""

    folder: Path
    port: int
    tls_port: int
    user: str
    group: str
    mail_format: str
    extra: str = ""
    max_connections: int = 100  # for one user from one address
    run: Path = field(init=False)
    mail: Path = field(init=False)
    path: Path = field(init=False)
    users: Path = field(init=False)
    log: Path = field(init=False)
    certificate: Path = field(init=False)
    key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.run = self.folder / "run"
        self.mail = self.folder / "mail"
        self.path = self.folder / "dovecot.conf"
        self.users = self.folder / "users"
        self.log = self.folder / "dovecot.log"
        self.certificate = self.folder / "tls.crt"
        self.key = self.folder / "tls.key"

    @property
    def location(self) -> str:
        # LAYOUT=fs: a folder name may hold a dot, as with the other formats.
        return "maildir:~/mail:LAYOUT=fs" if self.mail_format == "maildir" else f"{self.mail_format}:~/mail"

    def write(self) -> None:
        names = ("run", "log", "user", "group", "max_connections", "certificate", "key", "location", "users", "mail")
        values = {name: getattr(self, name) for name in (*names, "port", "tls_port")}
        draft = self.path.with_suffix(".new")
        draft.write_text(TEMPLATE.format(**values) + self.extra + "\n")
        draft.chmod(0o644)
        draft.replace(self.path)
