FROM python:3.11.14-slim-bookworm AS build
WORKDIR /headstart
RUN python -m venv /venv
COPY requirements.txt ./
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --editable .

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /data headstart
COPY --from=build /venv /venv
COPY --from=build /headstart /headstart
COPY templates /headstart/templates
COPY static /headstart/static
WORKDIR /headstart
USER headstart
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 XDG_DATA_HOME=/data HEADSTART_HOST=0.0.0.0
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["headstart"]
CMD ["serve"]
