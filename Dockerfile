# TypeScript runs as it is, so there is nothing to build: one image serves every role, chosen by its command.
# Not Alpine: the Temporal SDK's native code needs glibc.
FROM node:24-bookworm-slim

ENV NODE_ENV=production
WORKDIR /app

COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force

COPY . .

USER node
CMD ["node", "api/main.ts"]
