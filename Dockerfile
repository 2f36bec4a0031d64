# One image serves every role, chosen by its command. TypeScript runs as it is; only the workflows are
# bundled. Not Alpine: the Temporal SDK's native code needs glibc.
FROM node:24-bookworm-slim AS made
WORKDIR /app

COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

COPY . .
# A checkout under a umask of 077 must be readable by the user that the roles run as.
RUN npm run build:workflows && node deploy/image/slim.ts && chmod -R u=rwX,go=rX .

FROM node:24-bookworm-slim

# Small nurseries and few malloc arenas, except for the API's nursery: as in embedded/processes/role.ts.
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=8 MALLOC_ARENA_MAX=2
ENV WORKFLOW_BUNDLE=/app/build/workflows.js
WORKDIR /app

COPY --from=made /app .

# Volumes mounted here are the application's to write.
RUN install -d -o node -g node -m 700 /keys && install -d -o node -g node -m 755 /shared

USER node
CMD ["node", "--max-semi-space-size=16", "api/main.ts"]
