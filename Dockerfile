# One image for all roles: the command says which role a container runs. Node runs the TypeScript directly;
# only the workflows are bundled. Alpine is not possible, because the Temporal SDK's native code needs glibc.
FROM node:24-bookworm-slim AS made
WORKDIR /app

COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

COPY . .
# Makes files readable for the user of the containers, also if the checkout was made with a umask of 077.
RUN npm run build:workflows && node deploy/image/slim.ts && chmod -R u=rwX,go=rX .

FROM node:24-bookworm-slim

# Few malloc arenas, and a small young generation of V8's heap, except for the API: as in
# embedded/processes/role.ts.
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=8 MALLOC_ARENA_MAX=2
ENV WORKFLOW_BUNDLE=/app/build/workflows.js
WORKDIR /app

COPY --from=made /app .

# A new volume gets the owner of the folder where it is mounted, so the application can write to it.
RUN install -d -o node -g node -m 700 /keys && install -d -o node -g node -m 755 /shared

USER node
CMD ["node", "--max-semi-space-size=16", "api/main.ts"]
