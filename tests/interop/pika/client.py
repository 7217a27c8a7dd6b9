"""pika's BlockingConnection against the broker: the list of checks."""

import connecting
import delivering
import publishing
import queues
import routing
from checks import main

MODULES = (connecting, routing, queues, publishing, delivering)

if __name__ == "__main__":
    main()
