import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** Publish and subscribe: a fanout exchange copies each message into every queue bound to it. */
public class PublishSubscribe {
    static final String URL = System.getenv().getOrDefault("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f");
    static final String EXCHANGE = "example.news." + ProcessHandle.current().pid();
    static final List<String> NEWS = List.of("spring is here", "the clover is up");

    public static void main(String[] arguments) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(URL);
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            channel.exchangeDeclare(EXCHANGE, "fanout", false, true, null);
            CountDownLatch unread = new CountDownLatch(2 * NEWS.size());
            subscribe(connection.createChannel(), "Anna", unread);
            subscribe(connection.createChannel(), "Boris", unread);

            // The publisher names the exchange only: it need not know who listens.
            for (String text : NEWS) channel.basicPublish(EXCHANGE, "", null, text.getBytes(StandardCharsets.UTF_8));
            unread.await();
        }
    }

    /** A subscriber's own queue. What was published before it was bound is not for it. */
    static void subscribe(Channel channel, String name, CountDownLatch unread) throws Exception {
        String queue = channel.queueDeclare().getQueue();
        channel.queueBind(queue, EXCHANGE, "");
        channel.basicConsume(queue, true, (tag, delivery) -> {
            System.out.println(name + ": " + new String(delivery.getBody(), StandardCharsets.UTF_8));
            unread.countDown();
        }, tag -> {});
    }
}
