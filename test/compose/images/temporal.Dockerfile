# Stands for temporalio/server and temporalio/admin-tools, whose programs don't get in each other's way.
FROM tocsin-test-bookworm
COPY temporal-server temporal-sql-tool /usr/local/bin/
COPY schema /etc/temporal/schema
COPY entrypoint.sh /etc/temporal/entrypoint.sh
RUN groupadd --gid 1000 temporal && useradd --uid 1000 --gid temporal --create-home temporal
WORKDIR /etc/temporal
USER temporal
CMD ["/etc/temporal/entrypoint.sh"]
