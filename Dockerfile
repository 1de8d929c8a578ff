# syntax=docker/dockerfile:1
# The image of the operator and of every other archivmail command.
#
#   docker build -t archivmail .                                    with wheels from your package index
#   docker build --build-arg BASE_IMAGE=python@sha256:... .         on a base pinned by digest (released images are)
#   hack/image.sh                                                   by buildah, with wheels downloaded beforehand
#
# BASE_IMAGE: any image with glibc and python3 >= 3.11 that can make virtual environments.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build

# pip reads these from its environment: an index of your own, or a folder of wheels (and no index at all).
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1

# Two environments: /build has pip and the build backend; /opt/archivmail has neither, and is all that is kept.
# The backend's packages come out of the lock of the tests, so that nothing is installed without its hash.
WORKDIR /src
COPY requirements/ requirements/
RUN python3 -m venv /build \
 && python3 -m venv --without-pip /opt/archivmail \
 && awk '/^[a-z]/ {wanted = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/} wanted' requirements/dev.lock \
      > /build/backend.lock \
 && /build/bin/pip install --require-hashes --no-deps --only-binary :all: -r /build/backend.lock \
 && /build/bin/pip --python /opt/archivmail/bin/python \
      install --require-hashes --no-deps --no-compile --only-binary :all: -r requirements/runtime.lock

COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
# Bytecode that is never compared with its source: the image is read-only, and its files' dates mean nothing. None for
# the Kubernetes client's thousand modules of API objects, 60 MB of it, of which archivmail loads a handful.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheels . \
 && /build/bin/pip --python /opt/archivmail/bin/python install --no-deps --no-compile --no-index /build/wheels/*.whl \
 && find /opt/archivmail/lib -type d -name tests -prune -exec rm -rf {} + \
 && /opt/archivmail/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      -x '/kubernetes/(aio/)?client/(api|models)/' /opt/archivmail/lib \
 && mkdir /var/lib/archivmail

FROM ${BASE_IMAGE}

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="archivmail" \
      org.opencontainers.image.description="Kubernetes operator that archives IMAP mailboxes, byte for byte, with proof of completeness." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /opt/archivmail /opt/archivmail
# A new named volume mounted here takes over the owner.
COPY --from=build --chown=65532:65532 /var/lib/archivmail /var/lib/archivmail

# HOME and LOGNAME: the user, which a cluster may replace by one of its own, has no entry in /etc/passwd, and /tmp is
# what a read-only container can write.
ENV PATH=/opt/archivmail/bin:/usr/local/bin:/usr/bin:/bin \
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
