# TypeScript runs as it is, so there is nothing to build: one image serves every role, chosen by its command.
# Not Alpine: the Temporal SDK's native code needs glibc.
FROM node:24-bookworm-slim

# Small nurseries and few malloc arenas: as in embedded/role.ts.
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=8 MALLOC_ARENA_MAX=2
WORKDIR /app

COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force

COPY . .

# A volume mounted here is the application's to write.
RUN install -d -o node -g node -m 700 /keys

USER node
CMD ["node", "api/main.ts"]
