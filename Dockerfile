# Reins, without graphs and without a database. Graphs go to /app/graphs, with a package.json and the node_modules of their own
# (deploy/docker/graphs.Dockerfile); MONGODB_URI or MONGODB_URI_FILE is required. docs/deployment.md says how to run it.
#
# The tag follows Node 24 and its security updates. Who wants the same bits at each build puts a digest behind it
# (docker buildx imagetools inspect node:24-slim) and renews it by hand.

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No script of a dependency is needed, so none is run.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY gen ./gen
RUN npm run build

FROM node:24-slim
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY bin ./bin
# All that is written goes to /tmp: the rest may be read-only.
ENV NODE_ENV=production \
    REINS_HOST=0.0.0.0 \
    REINS_CONFIG=/app/graphs/langgraph.json \
    REINS_CACHE_DIR=/tmp/reins-cache \
    REINS_LOG_FORMAT=json
# The image's user "node", as a number: that is what Kubernetes can tell from root.
USER 1000:1000
EXPOSE 2024
# Kubernetes takes none of this, and Docker stops nobody for it. A server with TLS needs one of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.REINS_PORT ?? 2024}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/reins.mjs"]
CMD ["serve"]
