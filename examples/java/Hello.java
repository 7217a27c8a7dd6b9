import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;

/** The smallest exchange of a message: into a queue by its name, and out again. */
public class Hello {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f");

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            // The broker chooses the name and removes the queue with this connection.
            String queue = channel.queueDeclare().getQueue();

            CompletableFuture<String> received = new CompletableFuture<>();
            channel.basicConsume(queue, true,
                (tag, delivery) -> received.complete(new String(delivery.getBody(), StandardCharsets.UTF_8)), tag -> {});

            // The default exchange, "", takes the routing key for a queue's name.
            channel.basicPublish("", queue, null, "Hello, hare!".getBytes(StandardCharsets.UTF_8));
            System.out.println("received: " + received.get());
        }
    }
}
