import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.GetResponse;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.StringJoiner;

/** Headers routing: bindings compare header values; 'x-match' says whether all or any must agree. */
public class Headers {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f");
    static final String EXCHANGE = "example.documents." + ProcessHandle.current().pid();

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            channel.exchangeDeclare(EXCHANGE, "headers", false, true, null);
            String both = bound(channel, Map.of("x-match", "all", "colour", true, "format", "A4"));
            String either = bound(channel, Map.of("x-match", "any", "colour", true, "format", "A4"));

            // Confirms tell when all messages are in their queues.
            channel.confirmSelect();
            publish(channel, "poster", Map.of("colour", true, "format", "A1"));
            publish(channel, "letter", Map.of("colour", false, "format", "A4"));
            publish(channel, "photo", Map.of("colour", true, "format", "A4", "pages", 1));
            publish(channel, "receipt", Map.of("colour", false, "format", "A7"));
            channel.waitForConfirmsOrDie();

            System.out.println("colour and A4: " + documentsIn(channel, both));
            System.out.println("colour or A4: " + documentsIn(channel, either));
        }
    }

    static String bound(Channel channel, Map<String, Object> values) throws Exception {
        String queue = channel.queueDeclare().getQueue();
        channel.queueBind(queue, EXCHANGE, "", values);
        return queue;
    }

    /** The routing key plays no part here. */
    static void publish(Channel channel, String document, Map<String, Object> headers) throws Exception {
        BasicProperties properties = new BasicProperties.Builder().headers(headers).build();
        channel.basicPublish(EXCHANGE, "", properties, document.getBytes(StandardCharsets.UTF_8));
    }

    /** Empties the queue and lists the bodies of its messages. */
    static StringJoiner documentsIn(Channel channel, String queue) throws Exception {
        StringJoiner documents = new StringJoiner(", ");
        for (GetResponse next = channel.basicGet(queue, true); next != null; next = channel.basicGet(queue, true)) {
            documents.add(new String(next.getBody(), StandardCharsets.UTF_8));
        }
        return documents;
    }
}
