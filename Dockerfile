# The server of avscene and its page.
#
#   docker build -t avscene .                             for processors
#   docker build -t avscene --build-arg DEVICE=cuda .     for NVIDIA GPUs
#   docker run -p 127.0.0.1:8000:8000 -v avscene:/data -e AVSCENE_TOKEN avscene

ARG PYTHON=3.11
ARG DEVICE=cpu

FROM python:${PYTHON}-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:${PYTHON}-slim AS environment
ARG DEVICE
RUN python -m venv /opt/avscene
ENV PATH=/opt/avscene/bin:$PATH
COPY constraints.txt /
# PyPI has torch for CUDA, 4 GB larger. Both packages must come from the same index; their dependencies follow below.
RUN case "$DEVICE" in \
        cpu) pip install --no-cache-dir --no-deps --constraint /constraints.txt \
             --index-url https://download.pytorch.org/whl/cpu torch torchvision ;; \
        cuda) ;; \
        *) echo "DEVICE=$DEVICE: is neither cpu nor cuda" >&2; exit 2 ;; \
    esac
COPY --from=wheel /dist /dist
RUN pip install --no-cache-dir --constraint /constraints.txt "$(ls /dist/avscene-*.whl)[server]" && pip check

FROM python:${PYTHON}-slim
COPY --from=environment /opt/avscene /opt/avscene
RUN useradd --system --uid 10001 --home-dir /data --no-create-home avscene \
    && install --directory --owner=avscene --group=avscene --mode=0700 /data
ENV PATH=/opt/avscene/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_DATA_HOME=/data \
    XDG_CACHE_HOME=/data/cache \
    HF_HOME=/data/huggingface \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Without proxies, which a container may have in its environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
# From outside a container only 0.0.0.0 is reachable, and it requires a token of 16 characters or more: AVSCENE_TOKEN.
ENTRYPOINT ["avscene"]
CMD ["serve", "--host", "0.0.0.0"]
