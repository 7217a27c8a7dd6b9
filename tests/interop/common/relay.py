"""A TCP relay in front of the broker, so that a check can break a connection under its client."""

import socket
import threading

from checks import AMQP_HOST, AMQP_PORT, AMQP_URL


class Relay:
    """Forwards connections made to 'url' to the broker until cut() or close()."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._sockets = []
        self.accepted = 0
        self.port = self._listener.getsockname()[1]
        self.url = AMQP_URL.replace(f"{AMQP_HOST}:{AMQP_PORT}", f"127.0.0.1:{self.port}")
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def cut(self):
        """Breaks every connection that runs through here; new ones are still accepted."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for broken in sockets:
            _shut(broken)

    def close(self):
        _shut(self._listener)
        self.cut()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.create_connection((AMQP_HOST, AMQP_PORT))
            with self._lock:
                self._sockets += [client, broker]
                self.accepted += 1
            for source, target in ((client, broker), (broker, client)):
                target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source, target):
    try:
        while octets := source.recv(65536):
            target.sendall(octets)
    except OSError:
        pass
    _shut(source)
    _shut(target)


def _shut(broken):
    try:
        broken.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    broken.close()
