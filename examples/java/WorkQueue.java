import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.MessageProperties;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/**
 * A work queue: tasks wait in one queue, and idle workers take them one at a time.
 *
 * <p>Each worker holds at most one task that it has not acknowledged (prefetch 1), so a slow task does
 * not keep quick ones waiting behind it. A task is acknowledged when it is done: had its worker died
 * before that, the broker would give the task to another one.
 */
public class WorkQueue {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f");
    static final String QUEUE = "example.tasks." + ProcessHandle.current().pid();
    static final List<String> TASKS = List.of("0.3", "0.05", "0.05", "0.05", "0.05", "0.05");

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            channel.queueDeclare(QUEUE, true, false, false, null);
            CountDownLatch open = new CountDownLatch(TASKS.size());
            List<Channel> workers = new ArrayList<>();
            for (String name : List.of("worker 1", "worker 2")) workers.add(startWorker(connection, name, open));

            for (String seconds : TASKS) {
                // Persistent messages in a durable queue also survive a restart of the broker.
                channel.basicPublish("", QUEUE, MessageProperties.PERSISTENT_TEXT_PLAIN,
                    seconds.getBytes(StandardCharsets.UTF_8));
            }
            open.await();
            for (Channel worker : workers) worker.close();
            channel.queueDelete(QUEUE);
        }
    }

    /** The client library calls each channel's consumers on a thread of its own. */
    static Channel startWorker(Connection connection, String name, CountDownLatch open) throws Exception {
        Channel channel = connection.createChannel();
        channel.basicQos(1);
        channel.basicConsume(QUEUE, false, (tag, delivery) -> {
            String seconds = new String(delivery.getBody(), StandardCharsets.UTF_8);
            work(Double.parseDouble(seconds));
            channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
            System.out.println(name + " has done " + seconds + " s of work");
            open.countDown();
        }, tag -> {});
        return channel;
    }

    static void work(double seconds) {
        try {
            Thread.sleep((long) (seconds * 1000));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
