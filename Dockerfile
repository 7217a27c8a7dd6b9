# leveret in an image of its own: one static binary, no shell, no libraries.
#
# Its context is made by etc/docker/build, which also compiles the binary:
#   etc/docker/build                       # makes leveret:latest
#   docker run -p 5672:5672 leveret        # guest/guest may log in from everywhere
FROM scratch
COPY passwd group /etc/
COPY leveret.toml /etc/leveret/
COPY --chown=999:999 data /var/lib/leveret
COPY leveret /usr/local/bin/leveret
# rabbitmqctl, rabbitmq-diagnostics and the others: links to the binary, for health checks and 'docker exec'.
COPY tools /usr/local/bin
ENV PATH=/usr/local/bin
USER 999:999
# A new volume takes over the owner of the directory it covers, so user 999 can write to it.
VOLUME /var/lib/leveret
WORKDIR /var/lib/leveret
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s \
    CMD ["rabbitmq-diagnostics", "-q", "check_running"]
# AMQP; 15672 is the management interface, 15692 its metrics.
EXPOSE 5671 5672 15671 15672 15692
ENTRYPOINT ["/usr/local/bin/leveret"]
