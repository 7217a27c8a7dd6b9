import java.util.ArrayList;
import java.util.List;

/** Interoperability checks with the RabbitMQ Java client. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) {
        List<Harness.Check> checks = new ArrayList<>();
        checks.addAll(Connecting.checks());
        checks.addAll(Recovering.checks());
        checks.addAll(Routing.checks());
        checks.addAll(Declaring.checks());
        checks.addAll(Delivering.checks());
        checks.addAll(Publishing.checks());
        checks.addAll(Content.checks());
        System.exit(Harness.run(checks) ? 0 : 1);
    }
}
