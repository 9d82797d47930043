# Lorasmith in a container, from its wheel.
#   docker build --target cpu -t lorasmith:cpu .
#   docker build --target cuda -t lorasmith:cuda .
# How it is used: docs/docker.md.

ARG PYTHON=3.12.11

FROM python:${PYTHON}-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim-bookworm AS common
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HOME=/data \
    LORASMITH_HOME=/data/lorasmith \
    HF_HOME=/data/huggingface
# Volumes take over whose folders they are laid upon.
RUN useradd --uid 1000 --no-create-home --home-dir /data lorasmith \
    && mkdir -p /data /projects \
    && chown lorasmith:lorasmith /data /projects
COPY constraints.txt /wheels/
COPY --from=wheel /wheels/ /wheels/
WORKDIR /projects
VOLUME ["/data", "/projects"]
EXPOSE 7860
# Only a container that serves has anything to answer.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import sys, urllib.request as web; words = open('/proc/1/cmdline', 'rb').read().split(b'\\0'); b'serve' in words or sys.exit(0); web.urlopen('http://127.0.0.1:7860/health', timeout=5)"]
ENTRYPOINT ["lorasmith"]
CMD ["--help"]

# Without TORCH_INDEX (the address of PyTorch's own packages for CPUs) it works as well, and is larger.
FROM common AS cpu
ARG TORCH_INDEX=""
RUN if [ -n "$TORCH_INDEX" ]; then python -m pip install -c /wheels/constraints.txt --index-url "$TORCH_INDEX" torch; fi \
    && python -m pip install -c /wheels/constraints.txt "$(ls /wheels/lorasmith-*.whl)[server,formats,vision]"
USER lorasmith

# For docker run --gpus all: torch brings CUDA's libraries, the driver is the host's.
FROM common AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN python -m pip install -c /wheels/constraints.txt "$(ls /wheels/lorasmith-*.whl)[server,formats,vision,optim]"
USER lorasmith
