import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Request and reply by direct reply-to: answers come straight to the asking channel, without a queue.
 *
 * <p>The client consumes from the pseudo-queue 'amq.rabbitmq.reply-to' and names it as reply-to in its
 * requests; the broker replaces that by an address that leads back to this channel alone.
 */
public class RequestReply {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f");
    static final String QUEUE = "example.squares." + ProcessHandle.current().pid();
    static final String REPLY_TO = "amq.rabbitmq.reply-to";
    static final int COUNT = 5;

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        try (Connection serving = factory.newConnection(); Connection asking = factory.newConnection()) {
            Channel server = serving.createChannel();
            server.queueDeclare(QUEUE, false, false, true, null);
            server.basicConsume(QUEUE, false, (tag, request) -> answer(server, request), tag -> {});
            ask(asking.createChannel());
        }
    }

    static void answer(Channel channel, Delivery request) throws java.io.IOException {
        int number = Integer.parseInt(text(request));
        // The correlation id goes back unchanged: it tells the client which answer this is.
        String id = request.getProperties().getCorrelationId();
        channel.basicPublish("", request.getProperties().getReplyTo(),
            new BasicProperties.Builder().correlationId(id).build(),
            String.valueOf(number * number).getBytes(StandardCharsets.UTF_8));
        channel.basicAck(request.getEnvelope().getDeliveryTag(), false);
    }

    static void ask(Channel channel) throws Exception {
        Map<String, CompletableFuture<String>> waiting = new ConcurrentHashMap<>();
        // Consume first, without acknowledgements, and then publish on the very same channel.
        channel.basicConsume(REPLY_TO, true,
            (tag, reply) -> waiting.get(reply.getProperties().getCorrelationId()).complete(text(reply)), tag -> {});
        for (int number = 0; number < COUNT; number++) {
            String id = String.valueOf(number);
            waiting.put(id, new CompletableFuture<>());
            channel.basicPublish("", QUEUE, new BasicProperties.Builder().replyTo(REPLY_TO).correlationId(id).build(),
                id.getBytes(StandardCharsets.UTF_8));
        }
        for (int number = 0; number < COUNT; number++) {
            System.out.println(number + " squared is " + waiting.get(String.valueOf(number)).get());
        }
    }

    static String text(Delivery delivery) {
        return new String(delivery.getBody(), StandardCharsets.UTF_8);
    }
}
