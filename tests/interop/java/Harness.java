import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.ShutdownSignalException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs checks one after another, each under its own time limit, and prints one
 * line per check. Also holds the helpers that the check files share.
 */
final class Harness {
    static final String URL = System.getenv("AMQP_URL");
    private static final long CHECK_SECONDS = 15;
    private static final long WAIT_SECONDS = 5;
    private static final String RUN = "java-" + ProcessHandle.current().pid() + "-" + System.nanoTime();
    private static int serial;

    private Harness() {}

    interface Body {
        void run(Connection connection) throws Exception;
    }

    interface Action {
        void run() throws Exception;
    }

    record Check(String name, Body body) {}

    static Check check(String name, Body body) {
        return new Check(name, body);
    }

    /** Runs all checks; true when every one passed. */
    static boolean run(List<Check> checks) {
        ExecutorService worker = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        int failed = 0;
        for (Check check : checks) {
            String why = perform(worker, check);
            System.out.println(why == null ? "ok " + check.name() : "not ok " + check.name() + ": " + why);
            if (why != null) failed++;
        }
        System.out.println("checks: " + checks.size());
        return failed == 0;
    }

    /** Gives the check a connection of its own; returns why it failed, or null. */
    private static String perform(ExecutorService worker, Check check) {
        Future<?> running = worker.submit(() -> {
            try (Connection connection = connect()) {
                check.body().run(connection);
            }
            return null;
        });
        try {
            running.get(CHECK_SECONDS, TimeUnit.SECONDS);
            return null;
        } catch (TimeoutException late) {
            running.cancel(true);
            return "timed out";
        } catch (Exception failure) {
            Throwable cause = failure.getCause() == null ? failure : failure.getCause();
            return String.valueOf(cause).replace('\n', ' ');
        }
    }

    static ConnectionFactory factory() throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        factory.setAutomaticRecoveryEnabled(false);
        return factory;
    }

    static Connection connect() throws Exception {
        return factory().newConnection();
    }

    /** A name no other run uses. */
    static synchronized String unique(String what) {
        serial++;
        return "interop." + RUN + "." + what + "." + serial;
    }

    static void equal(Object got, Object want) {
        if (!Objects.deepEquals(got, want)) throw new AssertionError("got " + got + ", want " + want);
    }

    static void isTrue(boolean holds, String otherwise) {
        if (!holds) throw new AssertionError(otherwise);
    }

    /** Takes the next element, or fails after the time limit. */
    static <T> T next(BlockingQueue<T> from, String what) throws InterruptedException {
        T value = from.poll(WAIT_SECONDS, TimeUnit.SECONDS);
        if (value == null) throw new AssertionError("timed out: " + what);
        return value;
    }

    static <T> List<T> take(BlockingQueue<T> from, int count) throws InterruptedException {
        List<T> taken = new ArrayList<>();
        while (taken.size() < count) taken.add(next(from, "delivery " + (taken.size() + 1) + " of " + count));
        return taken;
    }

    /** Expects the action to fail with the broker's code and the given part of its text. */
    static void refused(int code, String text, Action action) throws Exception {
        try {
            action.run();
        } catch (Exception failure) {
            refusal(failure, code, text);
            return;
        }
        throw new AssertionError("expected " + code + ", but the operation succeeded");
    }

    /** Checks the close method carried by the failure or one of its causes. */
    static void refusal(Throwable failure, int code, String text) {
        for (Throwable at = failure; at != null; at = at.getCause()) {
            if (!(at instanceof ShutdownSignalException signal)) continue;
            if (signal.getReason() instanceof AMQP.Channel.Close close) {
                equal(close.getReplyCode(), code);
                isTrue(close.getReplyText().contains(text), "text was: " + close.getReplyText());
                return;
            }
            if (signal.getReason() instanceof AMQP.Connection.Close close) {
                equal(close.getReplyCode(), code);
                isTrue(close.getReplyText().contains(text), "text was: " + close.getReplyText());
                return;
            }
        }
        throw new AssertionError("expected " + code + ", got " + failure);
    }

    /** The next shutdown of the channel, as an awaitable event. */
    static BlockingQueue<ShutdownSignalException> shutdown(Channel channel) {
        BlockingQueue<ShutdownSignalException> signals = new LinkedBlockingQueue<>();
        channel.addShutdownListener(signals::add);
        return signals;
    }

    static Channel confirming(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        channel.confirmSelect();
        return channel;
    }

    /** An exclusive queue with a name of its own. */
    static String queue(Channel channel) throws Exception {
        return queue(channel, null);
    }

    static String queue(Channel channel, Map<String, Object> arguments) throws Exception {
        return channel.queueDeclare(unique("q"), false, true, false, arguments).getQueue();
    }

    /** Publishes to the queue and waits until all is confirmed. */
    static void fill(Channel channel, String queue, String... bodies) throws Exception {
        for (String body : bodies) channel.basicPublish("", queue, null, bytes(body));
        isTrue(channel.waitForConfirms(5000), "a publish was nacked");
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static List<String> bodies(List<Delivery> deliveries) {
        return deliveries.stream().map(delivery -> text(delivery.getBody())).toList();
    }

    /** Bodies of all the queue holds, fetched with basic.get. */
    static List<String> drain(Channel channel, String queue) throws Exception {
        List<String> bodies = new ArrayList<>();
        for (;;) {
            GetResponse message = channel.basicGet(queue, true);
            if (message == null) return bodies;
            bodies.add(text(message.getBody()));
        }
    }

    /** Consumes into a queue that the check can wait on. */
    static BlockingQueue<Delivery> consume(Channel channel, String queue, boolean autoAck) throws Exception {
        return consume(channel, queue, autoAck, Map.of());
    }

    static BlockingQueue<Delivery> consume(Channel channel, String queue, boolean autoAck, Map<String, Object> arguments)
            throws Exception {
        BlockingQueue<Delivery> inbox = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, autoAck, arguments, (tag, delivery) -> inbox.add(delivery), tag -> {});
        return inbox;
    }
}
