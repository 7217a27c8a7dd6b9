import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * A TCP relay in front of the broker whose connections can be cut, so that a
 * client sees a network failure the broker did not announce.
 */
final class Relay implements AutoCloseable {
    private final ServerSocket listener;
    private final String host;
    private final int port;
    private final List<Socket> open = new CopyOnWriteArrayList<>();

    Relay(String host, int port) throws IOException {
        this.host = host;
        this.port = port;
        this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        start(this::accept);
    }

    int port() {
        return listener.getLocalPort();
    }

    /** Drops every connection; new ones are still accepted. */
    void cut() {
        for (Socket socket : open) drop(socket);
        open.clear();
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }

    private void accept() {
        try {
            for (;;) {
                Socket near = listener.accept();
                Socket far = new Socket(host, port);
                open.add(near);
                open.add(far);
                start(() -> pipe(near, far));
                start(() -> pipe(far, near));
            }
        } catch (IOException closed) {
            // The listener was closed: the relay is done.
        }
    }

    private static void pipe(Socket from, Socket into) {
        byte[] buffer = new byte[65536];
        try {
            InputStream source = from.getInputStream();
            OutputStream sink = into.getOutputStream();
            for (int count = source.read(buffer); count >= 0; count = source.read(buffer)) sink.write(buffer, 0, count);
        } catch (IOException cut) {
            // Either side went away; the other follows below.
        }
        drop(from);
        drop(into);
    }

    private static void drop(Socket socket) {
        try {
            socket.close();
        } catch (IOException ignored) {
            // Closing is all that was wanted.
        }
    }

    private static void start(Runnable task) {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
    }
}
