import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.GetResponse;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** Topic routing: keys are words between dots; '*' in a binding stands for one word, '#' for any number. */
public class Topics {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f");
    static final String EXCHANGE = "example.logs." + ProcessHandle.current().pid();
    static final List<String> KEYS = List.of("kitchen.oven.error", "kitchen.lamp.info", "garden.pump.error", "garden");
    static final List<String> PATTERNS = List.of("kitchen.#", "*.*.error", "garden.#", "#");

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            channel.exchangeDeclare(EXCHANGE, "topic", false, true, null);
            Map<String, String> queues = new LinkedHashMap<>();
            for (String pattern : PATTERNS) {
                queues.put(pattern, channel.queueDeclare().getQueue());
                channel.queueBind(queues.get(pattern), EXCHANGE, pattern);
            }

            // Confirms tell when all messages are in their queues.
            channel.confirmSelect();
            for (String key : KEYS) {
                channel.basicPublish(EXCHANGE, key, null, "something happened".getBytes(StandardCharsets.UTF_8));
            }
            channel.waitForConfirmsOrDie();

            for (Map.Entry<String, String> queue : queues.entrySet()) {
                System.out.printf("%-10s gets %s%n", queue.getKey(), keysIn(channel, queue.getValue()));
            }
        }
    }

    /** Empties the queue and lists the routing keys of its messages. */
    static StringJoiner keysIn(Channel channel, String queue) throws Exception {
        StringJoiner keys = new StringJoiner(", ");
        for (GetResponse next = channel.basicGet(queue, true); next != null; next = channel.basicGet(queue, true)) {
            keys.add(next.getEnvelope().getRoutingKey());
        }
        return keys;
    }
}
