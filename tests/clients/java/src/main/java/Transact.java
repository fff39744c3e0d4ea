import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Apache Kafka's own transactional producer: the life that python/transactions.py describes. */
public final class Transact {
    private static final Duration LIMIT = Duration.ofSeconds(25);
    private static final List<String> KEPT = List.of("kept 0", "kept 1", "kept 2");
    private static final List<String> MOVED = List.of("KEPT 0", "KEPT 1", "KEPT 2");

    private final String bootstrap;

    private Transact(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) {
        if (!args[0].equals("--bootstrap") || !args[2].equals("--part")) {
            throw new IllegalArgumentException("--bootstrap HOST:PORT --part before|after");
        }
        Transact transact = new Transact(args[1]);
        if (args[3].equals("before")) {
            transact.before();
            // One transaction is left open, and its producer not closed.
            Runtime.getRuntime().halt(0);
        } else {
            transact.after();
        }
    }

    private void before() {
        var producer = producer("mover");
        commit(producer, "source", KEPT);
        expect("source", KEPT, true);

        producer.beginTransaction();
        produce(producer, "source", "never");
        producer.flush();
        producer.abortTransaction();
        expect("source", KEPT, true);
        expect("source", with(KEPT, "never"), false);

        var consumer = consumer("movers", "source", true);
        var values = read(consumer, 3);
        producer.beginTransaction();
        values.forEach(value -> produce(producer, "target", value.toUpperCase()));
        producer.sendOffsetsToTransaction(positions(consumer), consumer.groupMetadata());
        producer.commitTransaction();
        consumer.close();
        expect("target", MOVED, true);

        commit(producer, "source", List.of("kept 3"));
        consumer = consumer("movers", "source", true);
        same(List.of("kept 3"), read(consumer, 1));
        producer.beginTransaction();
        produce(producer, "target", "not yet");
        producer.sendOffsetsToTransaction(positions(consumer), consumer.groupMetadata());
        producer.flush();
        producer.abortTransaction();
        consumer.close();
        consumer = consumer("movers", "source", true);
        same(List.of("kept 3"), read(consumer, 1));
        consumer.close();

        producer.beginTransaction();
        produce(producer, "source", "of a zombie");
        producer.flush();
        var second = producer("mover");
        commit(second, "source", List.of("kept 4"));
        try {
            producer.commitTransaction();
            throw new AssertionError("a zombie commits");
        } catch (ProducerFencedException | InvalidProducerEpochException expected) {
            // As it should be.
        } catch (KafkaException wrapped) {
            if (!(wrapped.getCause() instanceof ProducerFencedException)) {
                throw wrapped;
            }
        }
        expect("source", with(KEPT, "kept 3", "kept 4"), true);

        second.beginTransaction();
        produce(second, "target", "left open");
        second.flush();
        commit(producer("other"), "target", List.of("kept"));
        expect("target", MOVED, true);
        // From version 4 on each end gives the producer another epoch (transaction.version 2, KIP-890).
        expectEpoch("other", version().startsWith("3.") ? 0 : 1);
    }

    private void after() {
        expect("source", with(KEPT, "kept 3", "kept 4"), true);
        var producer = producer("mover");
        commit(producer, "target", List.of("at last"));
        producer.close();
        expect("target", with(MOVED, "kept", "at last"), true);
        var consumer = consumer("movers", "source", true);
        same(List.of("kept 3", "kept 4"), read(consumer, 2));
        consumer.close();
    }

    /** The client's own version. */
    private static String version() {
        var properties = new Properties();
        try (var stream = KafkaProducer.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            properties.load(stream);
        } catch (IOException problem) {
            throw new AssertionError(problem);
        }
        return properties.getProperty("version");
    }

    private void expectEpoch(String id, int epoch) {
        try (var admin = Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap))) {
            var found = admin.describeTransactions(List.of(id)).description(id).get().producerEpoch();
            if (found != epoch) {
                throw new AssertionError(id + " has epoch " + found + ", not " + epoch);
            }
        } catch (ExecutionException | InterruptedException problem) {
            throw new AssertionError(problem);
        }
    }

    private KafkaProducer<String, String> producer(String id) {
        var producer = new KafkaProducer<>(Map.<String, Object>of(
            "bootstrap.servers", bootstrap,
            "transactional.id", id), new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    private static void produce(KafkaProducer<String, String> producer, String topic, String text) {
        producer.send(new ProducerRecord<>(topic, 0, null, text));
    }

    private static void commit(KafkaProducer<String, String> producer, String topic, List<String> texts) {
        producer.beginTransaction();
        texts.forEach(text -> produce(producer, topic, text));
        producer.commitTransaction();
    }

    private KafkaConsumer<String, String> consumer(String group, String topic, boolean committed) {
        var consumer = new KafkaConsumer<>(Map.<String, Object>of(
            "bootstrap.servers", bootstrap,
            "group.id", group,
            "auto.offset.reset", "earliest",
            "enable.auto.commit", "false",
            "isolation.level", committed ? "read_committed" : "read_uncommitted"),
            new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    /** The first so many values; and that no more come. */
    private static List<String> read(KafkaConsumer<String, String> consumer, int count) {
        List<String> values = new ArrayList<>();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (values.size() < count) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("too late: " + values);
            }
            for (ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(100))) {
                values.add(one.value());
            }
        }
        for (ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(600))) {
            values.add(one.value());
        }
        return values;
    }

    private void expect(String topic, List<String> values, boolean committed) {
        var consumer = consumer("reader-" + System.nanoTime(), topic, committed);
        same(values, read(consumer, values.size()));
        consumer.close();
    }

    private static Map<TopicPartition, OffsetAndMetadata> positions(KafkaConsumer<?, ?> consumer) {
        var positions = new HashMap<TopicPartition, OffsetAndMetadata>();
        consumer.assignment().forEach(
            place -> positions.put(place, new OffsetAndMetadata(consumer.position(place))));
        return positions;
    }

    private static List<String> with(List<String> some, String... more) {
        var all = new ArrayList<>(some);
        all.addAll(List.of(more));
        return all;
    }

    private static void same(List<String> expected, List<String> found) {
        if (!expected.equals(found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }
}
