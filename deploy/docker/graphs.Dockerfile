# An image with your graphs in it. Build it in the folder that has langgraph.json, package.json and package-lock.json:
#     docker build -f path/to/graphs.Dockerfile --build-arg REINS=registry.example/reins:0.1.0 -t registry.example/agents:1 .
# A .dockerignore there keeps node_modules and .env files out.
ARG REINS=reins:0.1.0

FROM node:24-slim AS graphs
WORKDIR /app/graphs
COPY package.json package-lock.json ./
RUN npm ci --omit=dev
COPY . .

FROM ${REINS}
COPY --from=graphs /app/graphs /app/graphs
