FROM tocsin-test-bookworm
COPY temporal-ui /usr/local/bin/temporal-ui
COPY config /home/ui-server/config
RUN useradd --uid 1000 temporal
WORKDIR /home/ui-server
USER temporal
EXPOSE 8080
CMD ["temporal-ui", "--env", "docker", "start"]
