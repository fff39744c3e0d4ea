import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/**
 * A group of Apache Kafka's consumers that is moved from the classic protocol to the new one (KIP-848) and
 * back while it reads, by one member after the other; in the words of Consume. Each record comes once, to
 * the owner of its partition.
 */
public final class Move {
    /** What is read before the server is killed. */
    private static final int ROUNDS = 8;

    private final String bootstrap;
    private final Consume consume;
    private int round;

    private Move(String bootstrap) {
        this.bootstrap = bootstrap;
        this.consume = new Consume(bootstrap);
    }

    public static void main(String[] args) throws Exception {
        if (!args[0].equals("--bootstrap") || !args[2].equals("--part")) {
            throw new IllegalArgumentException("--bootstrap HOST:PORT --part before|after");
        }
        Move move = new Move(args[1]);
        if (args[3].equals("before")) {
            move.before();
        } else {
            move.after();
        }
    }

    private void before() throws Exception {
        var first = consume.member("classic");
        go(List.of(first));
        expectType("Classic");

        var second = consume.member("consumer");
        go(List.of(first, second));
        expectType("Consumer");
        var third = consume.member("consumer");
        go(List.of(first, second, third));
        first.close();
        go(List.of(second, third));

        var fourth = consume.member("classic");
        go(List.of(second, third, fourth));
        expectType("Consumer");
        second.close();
        go(List.of(third, fourth));
        third.close();
        go(List.of(fourth));
        expectType("Classic");
        var fifth = consume.member("classic");
        go(List.of(fourth, fifth));
        fourth.close();
        fifth.close();
        Consume.check(round == ROUNDS, round);
    }

    private void after() throws Exception {
        round = ROUNDS;
        var member = consume.member("consumer");
        // Of the rounds before nothing comes again.
        go(List.of(member));
        member.close();
    }

    /** Members share the partitions, read a round, and commit it. */
    private void go(List<KafkaConsumer<String, String>> members) throws Exception {
        Consume.share(members);
        consume.produce(round);
        Consume.read(round, members);
        members.forEach(KafkaConsumer::commitSync);
        round++;
    }

    private void expectType(String type) throws Exception {
        try (var admin = Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap))) {
            var listed = admin.listConsumerGroups().all().get(10, TimeUnit.SECONDS);
            var group = listed.stream().filter(one -> one.groupId().equals(Consume.GROUP)).findFirst();
            var found = group.orElseThrow().type().orElseThrow().toString();
            Consume.check(found.equals(type), found + ", not " + type);
        }
    }
}
