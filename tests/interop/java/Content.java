import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.GetResponse;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Properties, header field types and bodies survive the trip unchanged. */
final class Content {
    private Content() {}

    static List<Harness.Check> checks() {
        return List.of(
            Harness.check("properties-round-trip", Content::properties),
            Harness.check("properties-absent", Content::absent),
            Harness.check("user-id-forged-406", Content::userIdForged),
            Harness.check("expiration-invalid-406", Content::expirationInvalid),
            Harness.check("header-types-round-trip", Content::headers),
            Harness.check("body-large", Content::large),
            Harness.check("body-empty", Content::empty));
    }

    /** Sends one message through a queue and fetches it again. */
    private static GetResponse roundTrip(Connection connection, BasicProperties properties, byte[] body) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        channel.basicPublish("", queue, properties, body);
        Harness.isTrue(channel.waitForConfirms(5000), "the publish was nacked");
        return channel.basicGet(queue, true);
    }

    private static void properties(Connection connection) throws Exception {
        BasicProperties sent = new BasicProperties.Builder()
            .contentType("text/plain").contentEncoding("utf-8").deliveryMode(2).priority(7).correlationId("corr-1")
            .replyTo("answers").expiration("600000").messageId("id-1").timestamp(new Date(1700000000000L))
            .type("greeting").userId("guest").appId("interop").clusterId("unused").build();
        Harness.equal(roundTrip(connection, sent, Harness.bytes("x")).getProps(), sent);
    }

    private static void absent(Connection connection) throws Exception {
        BasicProperties none = new BasicProperties.Builder().build();
        Harness.equal(roundTrip(connection, none, Harness.bytes("x")).getProps(), none);
    }

    private static void userIdForged(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        var closed = Harness.shutdown(channel);
        channel.basicPublish("", Harness.unique("any"), new BasicProperties.Builder().userId("somebody").build(), new byte[0]);
        Harness.refusal(Harness.next(closed, "channel close"), 406,
            "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'");
    }

    private static void expirationInvalid(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        var closed = Harness.shutdown(channel);
        channel.basicPublish("", Harness.unique("any"), new BasicProperties.Builder().expiration("soon").build(), new byte[0]);
        Harness.refusal(Harness.next(closed, "channel close"), 406, "PRECONDITION_FAILED - invalid expiration 'soon'");
    }

    private static void headers(Connection connection) throws Exception {
        Map<String, Object> headers = new HashMap<>();
        headers.put("string", "żółw");
        headers.put("empty", "");
        headers.put("true", true);
        headers.put("false", false);
        headers.put("void", null);
        headers.put("byte", (byte) -7);
        headers.put("short", (short) -300);
        headers.put("int", -70000);
        headers.put("long", -5000000000L);
        headers.put("float", 0.5f);
        headers.put("double", 2.25);
        headers.put("bytes", new byte[] {0, (byte) 255, 10});
        headers.put("decimal", new BigDecimal("3.14"));
        headers.put("timestamp", new Date(1700000000000L));
        headers.put("array", Arrays.asList("a", 1, Arrays.asList(true, null), Map.of("deep", "table")));
        headers.put("table", Map.of("inner", Map.of("most", 1L), "also", "here"));
        BasicProperties properties = new BasicProperties.Builder().headers(headers).build();
        Map<String, Object> got = roundTrip(connection, properties, Harness.bytes("x")).getProps().getHeaders();
        Harness.equal(got.keySet(), headers.keySet());
        for (Map.Entry<String, Object> sent : headers.entrySet()) {
            Object received = got.get(sent.getKey());
            boolean same = sent.getValue() instanceof byte[] bytes
                ? Arrays.equals(bytes, (byte[]) received)
                : String.valueOf(plain(received)).equals(String.valueOf(plain(sent.getValue())))
                    && sameKind(sent.getValue(), received);
            Harness.isTrue(same, sent.getKey() + ": got " + received);
        }
    }

    /** The client hands strings out as LongString; numbers must keep their exact type. */
    private static boolean sameKind(Object sent, Object received) {
        return !(sent instanceof Number || sent instanceof Boolean || sent instanceof Date)
            || sent.getClass() == received.getClass();
    }

    /** Strings for LongStrings, sorted maps, all the way down, so that texts compare. */
    private static Object plain(Object value) {
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream()
                .map(entry -> entry.getKey() + "=" + plain(entry.getValue())).sorted().collect(Collectors.toList());
        }
        if (value instanceof List<?> list) return list.stream().map(item -> String.valueOf(plain(item))).collect(Collectors.toList());
        return value;
    }

    private static void large(Connection connection) throws Exception {
        byte[] body = new byte[5 << 20];
        for (int i = 0; i < body.length; i++) body[i] = (byte) (i % 251);
        Harness.isTrue(Arrays.equals(roundTrip(connection, null, body).getBody(), body), "the body changed on the way");
    }

    private static void empty(Connection connection) throws Exception {
        GetResponse message = roundTrip(connection, new BasicProperties.Builder().type("nothing").build(), new byte[0]);
        Harness.equal(List.of(message.getBody().length, message.getProps().getType()), List.of(0, "nothing"));
    }
}
