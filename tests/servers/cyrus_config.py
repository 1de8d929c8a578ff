"""The configuration that lets Cyrus IMAP run as one ordinary user, beside others of its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ADMIN = "cyrus"  # may create users' mailboxes and act as any user

SETTINGS = """\
configdirectory: {state}
defaultpartition: default
partition-default: {spool}
cyrus_user: {user}
cyrus_group: {group}
admins: {admin}
proxyservers: {admin}
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {passwords}
allowplaintext: yes
failedloginpause: 0
specialuse_protect: \\Important
tls_server_cert: {certificate}
tls_server_key: {key}
unixhierarchysep: yes
altnamespace: yes
munge8bit: no
delete_mode: immediate
expunge_mode: immediate
skiplist_unsafe: yes
"""
PROGRAMS = """\
START {{
  recover cmd="{programs}/ctl_cyrusdb -C {settings} -r"
}}
SERVICES {{
  imap cmd="{programs}/imapd -C {settings} -U 30" listen="127.0.0.1:{port}" prefork=0
  imaps cmd="{programs}/imapd -C {settings} -U 30 -s" listen="127.0.0.1:{tls_port}" prefork=0
}}
EVENTS {{
}}
"""


@dataclass(slots=True)
class CyrusConfig:
    """Where everything of one server is; `write` puts the configuration files there."""

    folder: Path
    programs: Path
    port: int
    tls_port: int
    user: str
    group: str
    state: Path = field(init=False)
    spool: Path = field(init=False)
    settings: Path = field(init=False)
    services: Path = field(init=False)
    passwords: Path = field(init=False)
    certificate: Path = field(init=False)
    key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.folder / "state"
        self.spool = self.folder / "spool"
        self.settings = self.folder / "imapd.conf"
        self.services = self.folder / "cyrus.conf"
        self.passwords = self.folder / "mux"
        self.certificate = self.folder / "tls.crt"
        self.key = self.folder / "tls.key"

    def write(self) -> None:
        names = ("state", "spool", "user", "group", "passwords", "certificate", "key")
        values = {name: getattr(self, name) for name in names}
        self.settings.write_text(SETTINGS.format(**values, admin=ADMIN))
        names = ("programs", "settings", "port", "tls_port")
        self.services.write_text(PROGRAMS.format(**{name: getattr(self, name) for name in names}))
