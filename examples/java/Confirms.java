import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Return;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** Publisher confirms: knowing that the broker has taken a message, could not route it, or refused it. */
public class Confirms {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f");

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            channel.confirmSelect();
            CompletableFuture<Return> returned = new CompletableFuture<>();
            channel.addReturnListener((Return message) -> returned.complete(message));

            // A queue for two messages that refuses more, instead of dropping the oldest.
            Map<String, Object> limits = Map.of("x-max-length", 2, "x-overflow", "reject-publish");
            String queue = channel.queueDeclare("", false, true, false, limits).getQueue();

            for (String text : List.of("first", "second", "third")) {
                String answer = publish(channel, queue, text) ? "confirmed" : "refused, the queue is full";
                System.out.println(text + ": " + answer);
            }
            // No queue gets this one. A return comes before its confirm.
            publish(channel, queue + ".misspelt", "fourth");
            System.out.println("fourth: returned, " + returned.get().getReplyText());
        }
    }

    /** Waits for the broker's answer. The flag, 'mandatory', asks for messages back that no queue would get. */
    static boolean publish(Channel channel, String key, String text) throws Exception {
        channel.basicPublish("", key, true, null, text.getBytes(StandardCharsets.UTF_8));
        return channel.waitForConfirms();
    }
}
