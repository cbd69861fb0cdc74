# headrace in an image: its wheel with the packages of the lock, run by a user of its own.
#
#     docker build --tag headrace .
#     docker run --rm --init --shm-size 1g headrace up --once     # everything, on film ratings
#     docker run --rm --init --shm-size 1g --publish 127.0.0.1:8000:8000 \
#         --env HEADRACE_HOST=0.0.0.0 --env REDIS_URL --env KAFKA_BOOTSTRAP \
#         --volume headrace:/srv/headrace headrace serve
#
# Of the commands only `up` and `serve` answer the health check; run others, such as `stream`, with
# --no-healthcheck. Which build of torch comes (CPU or CUDA) is for the package index to say:
# --build-arg PIP_EXTRA_INDEX_URL=... names another one beside pip's own.

FROM python:3.11-slim-bookworm AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY . .
RUN python -m venv /opt/headrace \
    && /opt/headrace/bin/pip install --constraint constraints.txt .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /srv/headrace headrace
COPY --from=build /opt/headrace /opt/headrace
ENV PATH="/opt/headrace/bin:$PATH"
USER 10001
WORKDIR /srv/headrace
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=3m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as http; http.urlopen('http://127.0.0.1:%s/livez' % os.environ.get('HEADRACE_PORT', 8000), timeout=2)"]
ENTRYPOINT ["headrace"]
CMD ["up"]
