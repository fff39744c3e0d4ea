import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Apache Kafka's own consumer in a group: the life that python/groups.py describes. */
public final class Consume {
    static final String GROUP = "readers";
    private static final String TOPIC = "shared";
    private static final Set<Integer> PARTITIONS = Set.of(0, 1, 2);
    private static final int ROUND = 30;
    private static final Duration LIMIT = Duration.ofSeconds(25);

    private final String bootstrap;

    Consume(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) throws Exception {
        if (!args[0].equals("--bootstrap") || !args[2].equals("--part")) {
            throw new IllegalArgumentException("--bootstrap HOST:PORT --part before|after");
        }
        Consume consume = new Consume(args[1]);
        if (args[3].equals("before")) {
            consume.before();
        } else {
            consume.after();
        }
    }

    private void before() throws Exception {
        produce(0);
        var first = member();
        read(0, List.of(first));
        first.commitSync();

        var second = member();
        share(List.of(first, second));
        produce(1);
        read(1, List.of(first, second));
        first.commitSync();
        second.commitSync();
        second.close();
        share(List.of(first));

        produce(2);
        read(2, List.of(first));
        first.commitSync();
        // Read by a member that leaves without a commit: the next one has to read it again.
        produce(3);
        read(3, List.of(first));
        first.close();

        var third = member();
        read(3, List.of(third));
        third.commitSync();
        third.close();
    }

    private void after() throws Exception {
        var member = member();
        produce(4);
        // Of the rounds before nothing comes again.
        read(4, List.of(member));
        Set<TopicPartition> places = PARTITIONS.stream()
            .map(partition -> new TopicPartition(TOPIC, partition)).collect(Collectors.toSet());
        member.committed(places).forEach((place, committed) ->
            check(committed.offset() == 4 * ROUND / PARTITIONS.size(), place + ": " + committed));
        member.close();
    }

    private KafkaConsumer<String, String> member() {
        return member(System.getenv().getOrDefault("GROUP_PROTOCOL", "classic"));
    }

    KafkaConsumer<String, String> member(String protocol) {
        var settings = new HashMap<String, Object>(Map.of(
            "bootstrap.servers", bootstrap, "group.id", GROUP,
            "auto.offset.reset", "earliest", "enable.auto.commit", false));
        if (protocol.equals("consumer")) {
            // The broker says how often heartbeats are sent.
            settings.put("group.protocol", protocol);
        } else {
            settings.put("heartbeat.interval.ms", 500);
            String assignor = System.getenv("ASSIGNOR");
            if (assignor != null) {
                settings.put("partition.assignment.strategy", assignor);
            }
        }
        var consumer = new KafkaConsumer<>(
            settings, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(TOPIC));
        return consumer;
    }

    void produce(int round) throws Exception {
        try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", bootstrap),
                new StringSerializer(), new StringSerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int number = round * ROUND; number < (round + 1) * ROUND; number++) {
                int partition = number % PARTITIONS.size();
                String text = Integer.toString(number);
                sent.add(producer.send(new ProducerRecord<>(TOPIC, partition, null, text)));
            }
            for (Future<RecordMetadata> one : sent) {
                one.get();
            }
        }
    }

    /** Polls until a whole round is read: each record once, by the owner of its partition. */
    static void read(int round, List<KafkaConsumer<String, String>> members) {
        Set<Integer> expected = IntStream.range(round * ROUND, (round + 1) * ROUND)
            .boxed().collect(Collectors.toSet());
        Map<Integer, ConsumerRecord<String, String>> seen = new HashMap<>();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (!seen.keySet().containsAll(expected)) {
            check(System.nanoTime() < deadline, "not in time: " + seen.keySet());
            poll(members, seen);
        }
        for (int more = 0; more < 3; more++) {
            poll(members, seen);
        }
        check(seen.keySet().equals(expected), "records of other rounds: " + seen.keySet());
        seen.forEach((number, record) -> check(
            record.offset() * PARTITIONS.size() + record.partition() == number, record));
    }

    private static void poll(List<KafkaConsumer<String, String>> members,
            Map<Integer, ConsumerRecord<String, String>> seen) {
        for (var member : members) {
            for (var record : member.poll(Duration.ofMillis(200))) {
                var place = new TopicPartition(TOPIC, record.partition());
                check(member.assignment().contains(place), "not its partition: " + record);
                check(seen.put(Integer.valueOf(record.value()), record) == null, "twice: " + record);
            }
        }
    }

    /** Polls until every partition has one owner, and every member some. */
    static void share(List<KafkaConsumer<String, String>> members) {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (true) {
            List<Integer> owned = new ArrayList<>();
            boolean everyone = true;
            for (var member : members) {
                check(member.poll(Duration.ofMillis(200)).isEmpty(), "a record that was committed");
                everyone &= !member.assignment().isEmpty();
            }
            members.forEach(member -> member.assignment().forEach(place -> owned.add(place.partition())));
            if (everyone && owned.size() == PARTITIONS.size() && new TreeSet<>(owned).equals(new TreeSet<>(PARTITIONS))) {
                return;
            }
            check(System.nanoTime() < deadline, "not shared in time: " + owned);
        }
    }

    static void check(boolean holds, Object shown) {
        if (!holds) {
            throw new AssertionError(shown);
        }
    }
}
