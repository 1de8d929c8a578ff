# syntax=docker/dockerfile:1
# The image of the operator and of every other archivmail command.
#
#   docker build -t archivmail .                                    with wheels from your package index
#   docker build --build-arg BASE_IMAGE=python@sha256:... .         on a base pinned by digest (released images are)
#   hack/image.sh                                                   by buildah, with wheels downloaded beforehand
#
# BASE_IMAGE: any image with glibc and python3 >= 3.11 that can make virtual environments. Only its interpreter, the
# standard library and the shared libraries that these need are kept (deploy/image/assemble.py): no shell, no package
# manager.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build

# pip reads these from its environment: an index of your own, or a folder of wheels (and no index at all).
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1

# Two environments: /build has pip, the build backend and what writes the SBOM; /opt/archivmail has none of these.
# Bytecode is never compared with its source: the image is read-only, and its files' dates mean nothing. None for the
# Kubernetes client's thousand models, of which archivmail loads a handful.
WORKDIR /src
COPY requirements/runtime.lock requirements/image.lock requirements/
COPY deploy/image/ deploy/image/
RUN python3 -m venv /build \
 && python3 -m venv --without-pip /opt/archivmail \
 && /build/bin/pip install --require-hashes --no-deps --no-compile --only-binary :all: -r requirements/image.lock \
 && /build/bin/pip --python /opt/archivmail/bin/python \
      install --require-hashes --no-deps --no-compile --only-binary :all: -r requirements/runtime.lock \
 && /build/bin/python deploy/image/assemble.py prune /opt/archivmail \
 && /opt/archivmail/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      -x '/kubernetes/(aio/)?client/models/' /opt/archivmail/lib

COPY pyproject.toml ./
RUN /build/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --no-validate \
      /opt/archivmail/bin/python > /build/sbom.json \
 && /build/bin/python deploy/image/assemble.py fill /opt/archivmail python3 /runtime < /build/sbom.json \
 && mkdir -p /runtime/opt /runtime/var/lib/archivmail \
 && cp -a /opt/archivmail /runtime/opt/ \
 && chown 65532:65532 /runtime/var/lib/archivmail

# What changes with every commit comes last and apart, so that the rest is built once.
COPY README.md LICENSE ./
COPY operator/ operator/
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheels . \
 && /build/bin/pip --python /opt/archivmail/bin/python \
      install --no-warn-script-location --no-deps --no-compile --no-index --root /app /build/wheels/*.whl \
 && /opt/archivmail/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /app -p / /app

FROM scratch

ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="archivmail" \
      org.opencontainers.image.description="Kubernetes operator that archives IMAP mailboxes, byte for byte, with proof of completeness." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The archivmail authors" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# A new named volume mounted on /var/lib/archivmail takes over its owner.
COPY --from=build /runtime /
COPY --from=build /app /

# HOME and LOGNAME: the user, which a cluster may replace by one of its own, has no entry in /etc/passwd, and /tmp is
# what a read-only container can write.
ENV PATH=/opt/archivmail/bin:/usr/local/bin:/usr/bin \
    LANG=C.UTF-8 \
    HOME=/tmp \
    LOGNAME=archivmail \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ARCHIVMAIL_ARCHIVE=/var/lib/archivmail
WORKDIR /var/lib/archivmail
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["archivmail"]
CMD ["operator"]
