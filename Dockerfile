# The gateway in a container that needs no root, no capability and no writable file system:
#
#   docker build -t modelmux .
#   docker run --read-only --cap-drop ALL -v modelmux-run:/run/modelmux \
#     -v ./gateway.toml:/etc/modelmux/config.toml:ro --env-file keys.env modelmux
#
# deploy/container/check plays these steps without a container engine.

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python3 -m venv /opt/modelmux
RUN /opt/modelmux/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE-MIT LICENSE-APACHE ./
COPY src src
RUN /opt/modelmux/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation .
# What only building needed, and pip itself, have no place in what runs.
RUN /opt/modelmux/bin/python -m pip uninstall --yes editables hatchling pip
RUN python3 -m compileall -q /opt/modelmux/lib

FROM python:3.13-slim
RUN groupadd --gid 65532 modelmux
RUN useradd --uid 65532 --gid 65532 --home-dir /var/lib/modelmux --shell /usr/sbin/nologin modelmux
RUN mkdir -p /etc/modelmux /run/modelmux /var/lib/modelmux
RUN chown 65532:65532 /run/modelmux /var/lib/modelmux
COPY --from=build /opt/modelmux /opt/modelmux
COPY deploy/container/config.toml /etc/modelmux/config.toml
COPY deploy/container/healthcheck.py /opt/modelmux/healthcheck.py
ENV PATH=/opt/modelmux/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/modelmux \
    XDG_RUNTIME_DIR=/run/modelmux \
    MODELMUX_MODE=serve \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /var/lib/modelmux
# Sockets are shared with other containers by this folder.
VOLUME /run/modelmux
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=2 \
    CMD ["python3", "/opt/modelmux/healthcheck.py"]
ENTRYPOINT ["modelmux"]
CMD ["serve"]
