"""pika's BlockingConnection against the broker: the list of checks."""

import connecting
import delivering
import encrypted
import publishing
import queues
import routing
from checks import main

MODULES = (connecting, routing, queues, publishing, delivering, encrypted)

if __name__ == "__main__":
    main()
