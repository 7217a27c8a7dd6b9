#!/bin/sh
# Starts what the container is for. Root hands the volume over to user rabbitmq and becomes that user; anybody else, as
# with 'docker run --user', stays who it is.
set -eu

if [ "$(id -u)" = 0 ] && [ "${1:-}" = rabbitmq-server ]; then
    find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq:rabbitmq '{}' +
    exec su-exec rabbitmq "$@"
fi
exec "$@"
