"""The environment of the process."""

import pytest

from archivmail.model.errors import SpecInvalid
from archivmail.settings import Settings, variable


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch):
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)


def test_an_empty_environment_gives_the_defaults():
    """design §3.4."""
    assert Settings.read().model_dump() == {
        "archive": "./archivmail-data",
        "catalog": "",
        "slots": 8,
        "host_connections": 10,
        "metrics_port": 8080,
        "health_port": 8081,
        "watch_namespaces": (),
        "watch_secrets": False,
        "log_format": "auto",
        "log_level": "info",
        "shard": 0,
        "shards": 1,
        "lease_name": "archivmail",
        "lease_namespace": "",
        "lease_seconds": 15,
        "egress_allow": (),
    }


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        pytest.param("ARCHIVMAIL_ARCHIVE", "s3://bucket/mail", "archive", "s3://bucket/mail", id="archive"),
        pytest.param("ARCHIVMAIL_CATALOG", "postgresql://db/mail", "catalog", "postgresql://db/mail", id="catalog"),
        pytest.param("ARCHIVMAIL_SLOTS", "256", "slots", 256, id="slots"),
        pytest.param("ARCHIVMAIL_HOST_CONNECTIONS", "1000", "host_connections", 1000, id="host-connections"),
        pytest.param("ARCHIVMAIL_METRICS_PORT", "9090", "metrics_port", 9090, id="metrics-port"),
        pytest.param("ARCHIVMAIL_HEALTH_PORT", "9091", "health_port", 9091, id="health-port"),
        pytest.param(
            "ARCHIVMAIL_WATCH_NAMESPACES", " team-a, team-b,", "watch_namespaces", ("team-a", "team-b"), id="namespaces"
        ),
        pytest.param("ARCHIVMAIL_LOG_FORMAT", "JSON", "log_format", "json", id="log-format"),
        pytest.param("ARCHIVMAIL_LOG_LEVEL", "Debug", "log_level", "debug", id="log-level"),
        pytest.param("ARCHIVMAIL_LEASE_NAME", "mail.2-archive", "lease_name", "mail.2-archive", id="lease-name"),
        pytest.param("ARCHIVMAIL_LEASE_NAMESPACE", "mail", "lease_namespace", "mail", id="lease-namespace"),
        pytest.param("ARCHIVMAIL_LEASE_SECONDS", "60", "lease_seconds", 60, id="lease-seconds"),
        pytest.param(
            "ARCHIVMAIL_EGRESS_ALLOW",
            "10.1.0.0/16,fd00::/8,192.0.2.1,*.example.org,mail",
            "egress_allow",
            ("10.1.0.0/16", "fd00::/8", "192.0.2.1", "*.example.org", "mail"),
            id="egress",
        ),
    ],
)
def test_a_variable_sets_its_field(monkeypatch, name, text, field, value):
    """Every variable of design §3.4 is read; lists have commas between their parts."""
    monkeypatch.setenv(name, text)
    assert getattr(Settings.read(), field) == value


def test_a_shard_is_set_with_its_number(monkeypatch):
    """The one setting that needs another."""
    monkeypatch.setenv("ARCHIVMAIL_SHARD", "2")
    monkeypatch.setenv("ARCHIVMAIL_SHARDS", "3")
    assert (Settings.read().shard, Settings.read().shards) == (2, 3)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        pytest.param("SLOTS", "0", "ARCHIVMAIL_SLOTS must be a whole number from 1 to 256", id="slots-0"),
        pytest.param(
            "HOST_CONNECTIONS",
            "0",
            "ARCHIVMAIL_HOST_CONNECTIONS must be a whole number from 1 to 1000",
            id="host-connections-0",
        ),
        pytest.param("SLOTS", "257", "ARCHIVMAIL_SLOTS must be a whole number from 1 to 256", id="slots-257"),
        pytest.param("SLOTS", "many", "ARCHIVMAIL_SLOTS must be a whole number from 1 to 256", id="slots-text"),
        pytest.param("METRICS_PORT", "65536", "ARCHIVMAIL_METRICS_PORT must be a port from 1 to 65535", id="port"),
        pytest.param(
            "METRICS_PORT",
            "tcp://10.0.0.1:8080",
            "ARCHIVMAIL_METRICS_PORT must be a port from 1 to 65535; Kubernetes set it for a Service, so set "
            "enableServiceLinks: false in the pod",
            id="service-link",
        ),
        pytest.param(
            "HEALTH_PORT", "8080", "ARCHIVMAIL_METRICS_PORT and ARCHIVMAIL_HEALTH_PORT must differ", id="one-port"
        ),
        pytest.param(
            "WATCH_NAMESPACES",
            "team-a,Team_B",
            "ARCHIVMAIL_WATCH_NAMESPACES must be names of namespaces with commas between them",
            id="namespace",
        ),
        pytest.param("LOG_FORMAT", "xml", "ARCHIVMAIL_LOG_FORMAT must be json, text or auto", id="log-format"),
        pytest.param("LOG_LEVEL", "loud", "ARCHIVMAIL_LOG_LEVEL must be debug, info, warning or error", id="log-level"),
        pytest.param(
            "SHARD",
            "1",
            "ARCHIVMAIL_SHARD must be less than ARCHIVMAIL_SHARDS; the first of two processes has 0, the second 1",
            id="shard-beyond",
        ),
        pytest.param(
            "SHARDS",
            "3",
            "ARCHIVMAIL_SHARDS is more than 1, so set ARCHIVMAIL_SHARD, too: from 0 on, another one in each",
            id="shards-without-shard",
        ),
        pytest.param(
            "LEASE_NAME",
            "Mail_2",
            "ARCHIVMAIL_LEASE_NAME must be a name of at most 200 small letters, digits, dots and dashes",
            id="lease-name",
        ),
        pytest.param(
            "LEASE_SECONDS", "2", "ARCHIVMAIL_LEASE_SECONDS must be a whole number from 3 to 300", id="lease-seconds"
        ),
        pytest.param(
            "EGRESS_ALLOW",
            "10.1.0.0/99",
            "ARCHIVMAIL_EGRESS_ALLOW must be networks such as 10.1.0.0/16 or hosts such as *.example.org, with commas "
            "between them",
            id="egress",
        ),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(monkeypatch, name, text, sentence):
    """The sentence names the variable and says what it must be."""
    monkeypatch.setenv(f"ARCHIVMAIL_{name}", text)
    with pytest.raises(SpecInvalid) as refused:
        Settings.read()
    assert refused.value.text == sentence


def test_a_keyword_wins_over_the_environment(monkeypatch):
    """Options of the command line do."""
    monkeypatch.setenv("ARCHIVMAIL_ARCHIVE", "/from/environment")
    assert Settings.read(archive="/from/option").archive == "/from/option"


def test_an_empty_variable_counts_as_absent(monkeypatch):
    """A chart writes every variable, set or not; without a catalog it is SQLite beside the archive."""
    for field in Settings.model_fields:
        monkeypatch.setenv(variable(field), "")
    assert Settings.read() == Settings()
    assert Settings.read().catalog_url is None


def test_the_password_of_a_catalog_is_not_shown(monkeypatch):
    """Settings end up in debug logs."""
    monkeypatch.setenv("ARCHIVMAIL_CATALOG", "postgresql://user:hunter2@db/mail")
    assert "hunter2" not in repr(Settings.read()) + str(Settings.read())


def test_every_setting_says_what_it_is_and_what_it_must_be():
    """The reference and the refusals are made from these texts."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.json_schema_extra["must_be"], name
