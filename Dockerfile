# One image for every process: web, relay, migrate. docker-compose.yml says which is which.

FROM node:24-bookworm-slim AS packages
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev

FROM python:3.11-slim-bookworm AS built
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /srv/tocsin
COPY requirements.txt ./
RUN pip install -r requirements.txt
COPY . .
COPY --from=packages /build/node_modules node_modules
# the values serve this one command only: nothing of them stays in the image
RUN python -m tools.assets \
    && DEBUG=false ALLOWED_HOSTS=build DATABASE_URL=sqlite:////tmp/build.sqlite3 \
       REDIS_URL=redis://build:6379/0 \
       SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
       python manage.py collectstatic --noinput \
    && rm -rf node_modules

FROM python:3.11-slim-bookworm
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH
RUN useradd --system --uid 10001 --no-create-home tocsin
COPY --from=built /opt/venv /opt/venv
COPY --from=built /srv/tocsin /srv/tocsin
WORKDIR /srv/tocsin
USER 10001
EXPOSE 8000
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--workers", "2", "--proxy-headers"]
