# weightkin as an image that needs no network:
#   docker build --tag weightkin .
#   docker run --rm --network none --volume "$PWD:/work:ro" weightkin \
#     check models --policy policy.toml --registry registry.sqlite
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/weightkin \
    && /opt/weightkin/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.12-slim
COPY --from=build /opt/weightkin /opt/weightkin
RUN useradd --uid 10001 --create-home weightkin
USER 10001
ENV PATH="/opt/weightkin/bin:$PATH" HF_HUB_OFFLINE=1
WORKDIR /work
ENTRYPOINT ["weightkin"]
CMD ["--help"]
