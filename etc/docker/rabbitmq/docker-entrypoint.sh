#!/bin/sh
# Starts what the container is for. Root hands the volume over to user rabbitmq and becomes that user; anybody else, as
# with 'docker run --user', stays who it is.
set -eu

become_rabbitmq() {
    if command -v su-exec >/dev/null; then
        exec su-exec rabbitmq "$@"
    fi
    exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$@"
}

# Nothing, or nothing but flags, is for the server.
case ${1:--} in
-*) set -- rabbitmq-server "$@" ;;
esac
if [ "$(id -u)" = 0 ]; then
    case $1 in
    rabbitmq-server)
        find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq:rabbitmq '{}' +
        become_rabbitmq "$@"
        ;;
    rabbitmq*) become_rabbitmq "$@" ;;
    esac
fi
exec "$@"
