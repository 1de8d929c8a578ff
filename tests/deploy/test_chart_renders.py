"""The chart gives what its values ask for, and refuses what cannot work with a sentence that says what to do."""

from __future__ import annotations

import json

import pytest
import yaml

from archivmail.settings import Settings

from .chart import CHART, CRD, SHAPES, HelmError, helm, of_kind, one, pod_specs, render, shape

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_lints_strictly(name: str) -> None:
    """`helm lint --strict` has no warning."""
    said = helm("lint", "--strict", CHART, "--values", shape(name))

    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[WARNING]" not in said


@pytest.mark.parametrize("name", SHAPES)
def test_every_object_is_labelled_and_placed(name: str) -> None:
    """What belongs to a namespace names it, so that `kubectl apply` of rendered manifests puts it there too."""
    own = [each for each in render(values=shape(name)) if each["kind"] != "ConfigMap"]  # those of extraObjects

    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    assert own
    for each in own:
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "archive"
        assert ("namespace" in each["metadata"]) == (each["kind"] not in cluster_wide)


def test_crd_is_rendered_unchanged_but_for_its_metadata() -> None:
    """Neither numbers nor texts suffer from the template, and `helm uninstall` leaves it behind."""
    rendered = one(render(), "CustomResourceDefinition")
    metadata = rendered["metadata"]

    assert rendered | {"metadata": {"name": metadata["name"]}} == yaml.safe_load(CRD.read_text())
    assert metadata["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_crd_goes_when_asked() -> None:
    """`crds.keep=false` and `crds.install=false` do what they say."""
    unkept = one(render("crds.keep=false"), "CustomResourceDefinition")

    assert not unkept["metadata"]["annotations"]
    assert not of_kind(render("crds.install=false"), "CustomResourceDefinition")


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        pytest.param(["persistence.enabled=false"], "name an object store", id="no-volume-and-no-object-store"),
        pytest.param(['archive.url="s3://mail/a"'], "needs catalog.url or catalog.existingSecret", id="no-catalog"),
        pytest.param(["shards=2"], "several replicas need one archive that all of them see", id="no-shared-archive"),
        pytest.param(["serviceAccount.create=false"], "name an existing ServiceAccount", id="no-service-account"),
    ],
)
def test_values_that_cannot_work_are_refused(sets: list[str], sentence: str) -> None:
    """At `helm install`, not in a crash loop."""
    with pytest.raises(HelmError, match=sentence):
        render(*sets)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param('slot="8"', id="misspelt"),
        pytest.param("slots=0", id="no-slots"),
        pytest.param("shards=0", id="no-shards"),
        pytest.param("leaseSeconds=1", id="short-lease"),
        pytest.param('watchNamespaces="team-a"', id="not-a-list"),
        pytest.param('watchNamespaces=["Team A"]', id="not-a-namespace"),
        pytest.param('persistence.size="much"', id="not-a-quantity"),
        pytest.param('image.digest="sha256:abc"', id="not-a-digest"),
        pytest.param('metrics.prometheusRule.staleGrace="1 hour"', id="not-a-duration"),
        pytest.param('archive.url="http://mail"', id="unknown-store"),
        pytest.param('extraEnv=[{"name":"AWS_MAX_ATTEMPTS","value":3}]', id="a-number-for-a-variable"),
        pytest.param('imagePullSecrets=["registry"]', id="a-name-for-a-reference"),
        pytest.param('metrics.dashboards.namespace="Grafana"', id="not-a-namespace"),
    ],
)
def test_schema_refuses_wrong_values(wrong: str) -> None:
    """A misspelt value is not silently a default."""
    with pytest.raises(HelmError, match="values don't meet the specifications of the schema"):
        render(wrong)


def test_environment_is_what_the_settings_read() -> None:
    """Names and forms are those of archivmail.settings."""
    (spec,) = pod_specs(
        render('watchNamespaces=["team-a","team-b"]', 'egressAllow=["10.0.0.0/8"]', "slots=3", 'log={"level":"debug"}')
    )
    environment = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
    read = Settings.read(**{name.removeprefix("ARCHIVMAIL_").lower(): value for name, value in environment.items()})

    assert all(name.startswith("ARCHIVMAIL_") for name in environment)
    assert read.archive == spec["containers"][0]["volumeMounts"][1]["mountPath"]
    assert read.watch_namespaces == ("team-a", "team-b")
    assert read.egress_allow == ("10.0.0.0/8",)
    assert read.slots == 3
    assert read.log_level == "debug"
    ports = {each["name"]: each["containerPort"] for each in spec["containers"][0]["ports"]}
    assert ports == {"metrics": read.metrics_port, "health": read.health_port}


def test_catalog_url_comes_from_a_secret() -> None:
    """Its password stands in no manifest."""
    (spec,) = pod_specs(render('catalog.existingSecret="db"', 'catalog.url="postgresql://plain"'))
    (catalog,) = [each for each in spec["containers"][0]["env"] if each["name"] == "ARCHIVMAIL_CATALOG"]

    assert catalog["valueFrom"]["secretKeyRef"] == {"name": "db", "key": "url"}
    assert "postgresql" not in json.dumps(spec)


def test_claim_outlives_the_release() -> None:
    """`helm uninstall` deletes no mail, unless told to."""
    assert one(render(), "PersistentVolumeClaim")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in one(render("persistence.keep=false"), "PersistentVolumeClaim")["metadata"]


def test_existing_claim_is_mounted_and_none_made() -> None:
    """The claim of somebody else stays theirs."""
    manifests = render('persistence.existingClaim="theirs"')
    (spec,) = pod_specs(manifests)

    assert not of_kind(manifests, "PersistentVolumeClaim")
    assert {"name": "archive", "persistentVolumeClaim": {"claimName": "theirs"}} in spec["volumes"]


def test_image_digest_wins_over_the_tag() -> None:
    """A pinned image stays pinned."""
    digest = f"sha256:{'0' * 64}"
    (spec,) = pod_specs(render('image.tag="v9"', f'image.digest="{digest}"'))

    assert spec["containers"][0]["image"].endswith(f"/archivmail@{digest}")


def test_selectors_find_exactly_their_pods() -> None:
    """Service, PodMonitor and PodDisruptionBudget select the operator's pods and not those of the verify job."""
    manifests = render(values=shape("everything"))
    operator = one(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    verify = one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one(manifests, "Deployment")["spec"]["selector"]["matchLabels"],
        one(manifests, "Service")["spec"]["selector"],
        one(manifests, "PodMonitor")["spec"]["selector"]["matchLabels"],
        one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]

    for selector in selectors:
        assert selector.items() <= operator.items()
        assert not selector.items() <= verify.items()
    policy = one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= operator.items()
    assert policy.items() <= verify.items()


def test_verify_job_runs_beside_the_operator_on_its_volume() -> None:
    """A ReadWriteOnce volume is attached to one node only; any other is left to the scheduler."""
    job = 'verify.schedule="0 3 * * 0"'
    beside = one(render(job), "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    anywhere = one(render(job, 'persistence.accessModes=["ReadWriteMany"]'), "CronJob")

    assert beside["containers"][0]["args"] == ["verify", "--full", "--json"]
    assert beside["automountServiceAccountToken"] is False
    assert beside["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert "affinity" not in anywhere["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_extra_objects_are_filled_in() -> None:
    """Maps and texts alike."""
    extra = {each["metadata"]["name"]: each for each in of_kind(render(values=shape("everything")), "ConfigMap")}

    assert extra["from-a-map"]["data"] == {"release": "archive"}
    assert "mail-archive-from-a-text" in extra
