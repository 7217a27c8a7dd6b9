import com.rabbitmq.http.client.Client;
import com.rabbitmq.http.client.ClientParameters;
import com.rabbitmq.http.client.GetAckMode;
import com.rabbitmq.http.client.GetEncoding;
import com.rabbitmq.http.client.domain.BindingInfo;
import com.rabbitmq.http.client.domain.ExchangeInfo;
import com.rabbitmq.http.client.domain.InboundMessage;
import com.rabbitmq.http.client.domain.NodeInfo;
import com.rabbitmq.http.client.domain.OutboundMessage;
import com.rabbitmq.http.client.domain.PolicyInfo;
import com.rabbitmq.http.client.domain.QueryParameters;
import com.rabbitmq.http.client.domain.QueueInfo;
import com.rabbitmq.http.client.domain.TopicPermissions;
import com.rabbitmq.http.client.domain.UserPermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** The main calls of Hop, one line per check as 'run' counts them. */
public final class Main {
    private static final String RUN = "hop-" + ProcessHandle.current().pid() + "-" + System.nanoTime();
    private static int serial;

    private Main() {}

    interface Body {
        void run(Client client) throws Exception;
    }

    record Check(String name, Body body) {}

    public static void main(String[] arguments) throws Exception {
        String url = System.getenv("MANAGEMENT_URL") + "/api/";
        Client client = new Client(new ClientParameters().url(url).username("guest").password("guest"));
        List<Check> checks = List.of(
                new Check("overview-and-nodes", Main::overview),
                new Check("vhosts", Main::vhosts),
                new Check("users-and-permissions", Main::users),
                new Check("exchanges-and-queues", Main::topology),
                new Check("bindings", Main::bindings),
                new Check("messages", Main::messages),
                new Check("pages", Main::pages),
                new Check("policies", Main::policies),
                new Check("limits", Main::limits),
                new Check("cluster-name", Main::clusterName),
                new Check("definitions", Main::definitions),
                new Check("parameters-of-absent-plugins", Main::absent));
        int failed = 0;
        for (Check check : checks) {
            try {
                check.body().run(client);
                System.out.println("ok " + check.name());
            } catch (Exception | AssertionError error) {
                failed++;
                System.out.println("not ok " + check.name() + ": " + error);
                error.printStackTrace(System.out);
            }
        }
        System.out.println("checks: " + checks.size());
        System.exit(failed == 0 ? 0 : 1);
    }

    private static String unique(String label) {
        return RUN + "-" + label + "-" + ++serial;
    }

    private static void equal(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) throw new AssertionError("got " + got + ", wanted " + wanted);
    }

    private static void truth(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    private static void overview(Client client) {
        var overview = client.getOverview();
        truth(overview.getRabbitMQVersion().matches("[0-9.]+"), "the version");
        truth(overview.getObjectTotals() != null && overview.getQueueTotals() != null, "totals");
        truth(!overview.getExchangeTypes().isEmpty() && !overview.getListeners().isEmpty(), "types and listeners");
        equal(client.whoAmI().getName(), "guest");
        NodeInfo node = client.getNodes().get(0);
        NodeInfo again = client.getNode(node.getName());
        truth(again.isRunning() && again.getMemoryLimit() != 0 && again.getNumberOfProcessors() != 0, "the node");
        truth(client.alivenessTest("/"), "the vhost is alive");
        truth(client.getExtensions() != null, "extensions");
    }

    private static void vhosts(Client client) {
        String name = unique("v/ w");
        client.createVhost(name, false, "of hop", "one", "two");
        try {
            var vhost = client.getVhost(name);
            equal(vhost.getDescription(), "of hop");
            equal(vhost.getTags(), List.of("one", "two"));
            truth(client.getVhosts().stream().anyMatch(each -> each.getName().equals(name)), "it is listed");
            equal(client.getPermissionsIn(name).size(), 1);
        } finally {
            client.deleteVhost(name);
        }
        equal(client.getVhost(name), null);
    }

    private static void users(Client client) throws Exception {
        String name = unique("user");
        client.createUser(name, "secret".toCharArray(), List.of("management", "own"));
        try {
            equal(client.getUser(name).getTags(), List.of("management", "own"));
            client.updatePermissions("/", name, new UserPermissions("^c", "^w", "^r"));
            var permissions = client.getPermissions("/", name);
            equal(Set.of(permissions.getConfigure(), permissions.getWrite(), permissions.getRead()),
                    Set.of("^c", "^w", "^r"));
            equal(client.getPermissionsOf(name).size(), 1);
            client.updateTopicPermissions("/", name, new TopicPermissions("amq.topic", "^a", "^b"));
            equal(client.getTopicPermissions("/", name).get(0).getExchange(), "amq.topic");
            client.clearTopicPermissions("/", name);
            client.clearPermissions("/", name);
            equal(client.getPermissions("/", name), null);
            String url = System.getenv("MANAGEMENT_URL") + "/api/";
            Client other = new Client(new ClientParameters().url(url).username(name).password("secret"));
            equal(other.whoAmI().getName(), name);
        } finally {
            client.deleteUser(name);
        }
        equal(client.getUser(name), null);
    }

    private static void topology(Client client) {
        String exchange = unique("x"), queue = unique("q");
        client.declareExchange("/", exchange, new ExchangeInfo("topic", true, false));
        client.declareQueue("/", queue, new QueueInfo(true, false, false, Map.of("x-max-length", 10)));
        try {
            equal(client.getExchange("/", exchange).getType(), "topic");
            QueueInfo info = client.getQueue("/", queue);
            equal(info.getArguments(), Map.of("x-max-length", 10));
            truth(info.isDurable() && !info.isAutoDelete() && !info.isExclusive(), "its properties");
            truth(client.getQueues("/").stream().anyMatch(each -> each.getName().equals(queue)), "it is listed");
            client.purgeQueue("/", queue);
        } finally {
            client.deleteQueue("/", queue);
            client.deleteExchange("/", exchange);
        }
        equal(client.getQueue("/", queue), null);
        equal(client.getExchange("/", exchange), null);
    }

    private static void bindings(Client client) {
        String queue = unique("q"), exchange = unique("x");
        client.declareQueue("/", queue, new QueueInfo(false, false, false));
        client.declareExchange("/", exchange, new ExchangeInfo("fanout", false, false));
        try {
            client.bindQueue("/", queue, "amq.topic", "a/b c.#", Map.of("k", "v"));
            client.bindQueue("/", queue, "amq.topic", "");
            client.bindExchange("/", exchange, "amq.topic", "x.y");
            List<BindingInfo> between = client.getQueueBindingsBetween("/", "amq.topic", queue);
            equal(between.size(), 2);
            equal(client.getQueueBindings("/", queue).size(), 3);
            equal(client.getExchangeBindingsByDestination("/", exchange).size(), 1);
            client.unbindQueue("/", queue, "amq.topic", "~");
            for (BindingInfo binding : client.getQueueBindingsBetween("/", "amq.topic", queue)) {
                client.unbindQueue("/", queue, "amq.topic", binding.getPropertiesKey());
            }
            equal(client.getQueueBindingsBetween("/", "amq.topic", queue).size(), 0);
        } finally {
            client.deleteQueue("/", queue);
            client.deleteExchange("/", exchange);
        }
    }

    private static void messages(Client client) {
        String queue = unique("q");
        client.declareQueue("/", queue, new QueueInfo(false, false, false));
        try {
            OutboundMessage message =
                    new OutboundMessage().payload("hello").utf8Encoded().properties(Map.of("message_id", "7"));
            truth(client.publish("/", "amq.default", queue, message), "it is routed");
            truth(!client.publish("/", "amq.default", queue + "-none", message), "it is not routed");
            InboundMessage kept =
                    client.get("/", queue, 1, GetAckMode.NACK_REQUEUE_TRUE, GetEncoding.AUTO).get(0);
            equal(kept.getPayload(), "hello");
            InboundMessage taken =
                    client.get("/", queue, 5, GetAckMode.ACK_REQUEUE_FALSE, GetEncoding.BASE64, 100).get(0);
            equal(List.of(taken.getPayloadEncoding(), taken.getProperties().get("message_id")), List.of("base64", "7"));
            truth(taken.isRedelivered(), "it was there before");
            equal(client.get("/", queue), null);
        } finally {
            client.deleteQueue("/", queue);
        }
    }

    private static void pages(Client client) {
        String prefix = unique("page");
        List<String> names = new ArrayList<>();
        try {
            for (int at = 0; at < 5; at++) {
                names.add(prefix + "-" + at);
                client.declareQueue("/", prefix + "-" + at, new QueueInfo(false, false, false));
            }
            var parameters = new QueryParameters().name("^" + prefix, true).pagination().pageSize(2).query();
            var page = client.getQueues("/", parameters);
            equal(List.of(page.getFilteredCount(), page.getItemCount(), page.getPageCount()), List.of(5, 2, 3));
        } finally {
            names.forEach(name -> client.deleteQueue("/", name));
        }
    }

    private static void policies(Client client) {
        String name = unique("p");
        client.declarePolicy("/", name, new PolicyInfo("^" + name, 3, "queues", Map.of("max-length", 9)));
        client.declareOperatorPolicy("/", name, new PolicyInfo("^" + name, 1, "queues", Map.of("expires", 600000)));
        try {
            PolicyInfo policy = client.getPolicies("/").stream()
                    .filter(each -> each.getName().equals(name)).findFirst().orElseThrow();
            equal(List.of(policy.getPriority(), policy.getApplyTo(), policy.getDefinition()),
                    List.of(3, "queues", Map.of("max-length", 9)));
            truth(client.getOperatorPolicies("/").stream().anyMatch(each -> each.getName().equals(name)), "both");
        } finally {
            client.deletePolicy("/", name);
            client.deleteOperatorPolicy("/", name);
        }
        truth(client.getPolicies("/").stream().noneMatch(each -> each.getName().equals(name)), "it is gone");
    }

    private static void limits(Client client) {
        String name = unique("v");
        client.createVhost(name);
        try {
            client.limitMaxNumberOfConnections(name, 10);
            client.limitMaxNumberOfQueues(name, 20);
            var limits = client.getVhostLimits(name);
            equal(List.of(limits.getMaxConnections(), limits.getMaxQueues()), List.of(10, 20));
            client.clearMaxConnectionsLimit(name);
            equal(client.getVhostLimits(name).getMaxConnections(), -1);
            client.clearMaxQueuesLimit(name);
        } finally {
            client.deleteVhost(name);
        }
    }

    private static void clusterName(Client client) {
        String before = client.getClusterName().getName();
        try {
            client.setClusterName("hop's own");
            equal(client.getClusterName().getName(), "hop's own");
        } finally {
            client.setClusterName(before);
        }
    }

    private static void definitions(Client client) {
        String queue = unique("q");
        client.declareQueue("/", queue, new QueueInfo(true, false, false));
        try {
            var definitions = client.getDefinitions();
            truth(definitions.getQueues().stream().anyMatch(each -> each.getName().equals(queue)), "the queue");
            truth(definitions.getUsers().stream().anyMatch(each -> each.getName().equals("guest")), "the user");
            truth(definitions.getGlobalParameters() != null, "global parameters");
        } finally {
            client.deleteQueue("/", queue);
        }
    }

    private static void absent(Client client) {
        equal(client.getShovels().size(), 0);
        equal(client.getUpstreams().size(), 0);
        equal(client.getUpstreamSets().size(), 0);
    }
}
