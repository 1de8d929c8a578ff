"""Settings of the process, from its environment (design §3.4). The reference in the docs is made from this class.

Knows names, units and bounds; opens nothing.
"""

import re
from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from archivmail.model.errors import SpecInvalid

PREFIX: Final = "ARCHIVMAIL_"
MAX_SLOTS: Final = 256  # runs at once; an arbitrary size, beyond what one archive's disk or one catalog keeps up with
MAX_SHARDS: Final = 1000
LEASE_SECONDS: Final = (3, 15, 300)  # least, default and most; client-go's default is 15, too
HOST_CONNECTIONS: Final = (10, 1000)  # default and most; as in decide.connections, which this module does not import

NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
LEASE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,198}[a-z0-9])?", re.ASCII)
HOST_PATTERN: Final = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", re.ASCII)
# What Kubernetes puts into the environment for a Service, such as ARCHIVMAIL_METRICS_PORT for `archivmail-metrics`.
SERVICE_LINK: Final = re.compile(r"(tcp|udp|sctp)://")


def _split(value: object) -> object:
    """A comma-separated list; blanks around the commas do not count."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _namespace(text: str) -> str:
    if NAMESPACE.fullmatch(text) is None:
        raise ValueError("not the name of a namespace")
    return text


def _namespace_or_none(text: str) -> str:
    return _namespace(text) if text else text


def _lease_name(text: str) -> str:
    if LEASE_NAME.fullmatch(text) is None:
        raise ValueError("not the name of an object")
    return text


def _destination(text: str) -> str:
    """A CIDR, an address or a host pattern. Raises ValueError."""
    if HOST_PATTERN.fullmatch(text) is None or "/" in text:
        ip_network(text)
    return text


def _field(default: object, must_be: str, description: str, **more: Any) -> Any:
    """`must_be` ends the sentence that a wrong value gets."""
    return Field(default=default, description=description, json_schema_extra={"must_be": must_be}, **more)


Port = Annotated[int, Field(ge=1, le=65535)]
List = NoDecode, BeforeValidator(_split)


class Settings(BaseSettings):
    """Environment of the process; a variable that is empty counts as absent."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    archive: str = _field(
        "./archivmail-data",
        "a directory or a URL",
        "Where the archive is: a directory, file://, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.",
    )
    catalog: str = _field(
        "",
        "a database URL",
        "Database of the archive, as an SQLAlchemy URL such as postgresql+psycopg://user@host/name. Empty: SQLite "
        "beside a local archive.",
        repr=False,  # it may hold a password
    )
    slots: int = _field(
        8,
        f"a whole number from 1 to {MAX_SLOTS}",
        "Runs at once. Further accounts that are due wait in a fair queue.",
        ge=1,
        le=MAX_SLOTS,
    )
    host_connections: int = _field(
        HOST_CONNECTIONS[0],
        f"a whole number from 1 to {HOST_CONNECTIONS[1]}",
        "Connections to one mail server (host and port) that may be open at once, for all accounts of the process "
        "together. Further runs wait their turn. When the server finds them too many, archivmail lowers the number by "
        "itself and raises it again by one every 10 minutes.",
        ge=1,
        le=HOST_CONNECTIONS[1],
    )
    metrics_port: Port = _field(8080, "a port from 1 to 65535", "TCP port of /metrics.")
    health_port: Port = _field(8081, "a port from 1 to 65535", "TCP port of /healthz and /readyz.")
    watch_namespaces: Annotated[tuple[Annotated[str, AfterValidator(_namespace)], ...], *List] = _field(
        (),
        "names of namespaces with commas between them",
        "Namespaces whose ImapAccounts are archived, with commas between them. Empty: all.",
    )
    watch_secrets: bool = _field(
        False,
        "true or false",
        "Whether to watch Secrets with the label archivmail.io/watch=true, so that a change runs the accounts that use "
        "them at once. Needs leave to list and watch Secrets, which RBAC cannot limit to a label. Otherwise each run "
        "reads its Secret, and accounts that wait for a Secret look every 10 seconds.",
    )
    log_format: Annotated[Literal["auto", "json", "text"], BeforeValidator(_lower)] = _field(
        "auto",
        "json, text or auto",
        "Form of the log: json, text, or auto: text on a terminal, json elsewhere.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = _field(
        "info",
        "debug, info, warning or error",
        "Least level that is logged: debug, info, warning or error.",
    )
    shard: int = _field(
        0,
        "a whole number from 0 on",
        "Number of this process among ARCHIVMAIL_SHARDS, from 0 on. Each account belongs to one of them. In a "
        "StatefulSet it is the ordinal of the pod.",
        ge=0,
        lt=MAX_SHARDS,
    )
    shards: int = _field(
        1,
        f"a whole number from 1 to {MAX_SHARDS}",
        "Processes that share the accounts. More than 1 needs a catalog on PostgreSQL and an archive in an object "
        "store, and ARCHIVMAIL_SHARD in each of them.",
        ge=1,
        le=MAX_SHARDS,
    )
    lease_name: Annotated[str, AfterValidator(_lease_name)] = _field(
        "archivmail",
        "a name of at most 200 small letters, digits, dots and dashes",
        "With several shards: process N holds the Lease NAME-shard-N. Two installations in one namespace need two "
        "names.",
    )
    lease_namespace: Annotated[str, AfterValidator(_namespace_or_none)] = _field(
        "",
        "the name of a namespace",
        "With several shards: the namespace of their Leases. Empty: that of the pod.",
    )
    lease_seconds: int = _field(
        LEASE_SECONDS[1],
        f"a whole number from {LEASE_SECONDS[0]} to {LEASE_SECONDS[2]}",
        "With several shards: seconds that a Lease lasts. Runs end when it was not renewed for two thirds of that, and "
        "a replica that died is replaced after all of it.",
        ge=LEASE_SECONDS[0],
        le=LEASE_SECONDS[2],
    )
    egress_allow: Annotated[tuple[Annotated[str, AfterValidator(_destination)], ...], *List] = _field(
        (),
        "networks such as 10.1.0.0/16 or hosts such as *.example.org, with commas between them",
        "Destinations to allow though they are among those that the operator never connects to (loopback, link-local, "
        "a cloud's metadata, the API server; see Security): networks such as 10.1.0.0/16, addresses, or hosts such as "
        "*.example.org, with commas between them. A host here may have any address.",
    )

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings; `given` wins over the environment. Raises SpecInvalid: one sentence about the first error."""
        try:
            return cls(**given)
        except ValidationError as error:
            # `from None`: pydantic's own text repeats the values.
            raise SpecInvalid(_sentence(error.errors(include_url=False)[0])) from None

    @property
    def catalog_url(self) -> str | None:
        """None: SQLite beside a local archive."""
        return self.catalog or None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.shards > 1 and "shard" not in self.model_fields_set:
            raise PydanticCustomError(
                "together",
                "ARCHIVMAIL_SHARDS is more than 1, so set ARCHIVMAIL_SHARD, too: from 0 on, another one in each",
            )
        if self.shard >= self.shards:
            raise PydanticCustomError(
                "together",
                "ARCHIVMAIL_SHARD must be less than ARCHIVMAIL_SHARDS; the first of two processes has 0, the second 1",
            )
        if self.metrics_port == self.health_port:
            raise PydanticCustomError("together", "ARCHIVMAIL_METRICS_PORT and ARCHIVMAIL_HEALTH_PORT must differ")
        return self


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _sentence(error: ErrorDetails) -> str:
    if not error["loc"]:
        return error["msg"]
    # The source names a field by its variable, a keyword argument by itself.
    field = str(error["loc"][0]).lower().removeprefix(PREFIX.lower())
    extra = Settings.model_fields[field].json_schema_extra
    must_be = extra["must_be"] if isinstance(extra, dict) else "another value"
    sentence = f"{variable(field)} must be {must_be}"
    if isinstance(error["input"], str) and SERVICE_LINK.match(error["input"]):
        return f"{sentence}; Kubernetes set it for a Service, so set enableServiceLinks: false in the pod"
    return sentence
