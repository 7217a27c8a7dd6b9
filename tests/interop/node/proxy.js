'use strict';
// A TCP relay in front of the broker whose connections can be cut, so that a
// client sees a network failure the broker did not announce.

const net = require('node:net');

/** Listens on a free port and relays to host:port. */
async function relay(host, port) {
  const sockets = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(port, host);
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    port: server.address().port,
    cut,
    close: () => {
      server.close();
      cut();
    },
  };
}

module.exports = { relay };
