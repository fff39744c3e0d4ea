import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Apache Kafka's own consumer: all topics, partitions assigned, committed records only. Writes the rows
 * that tests/interop/python/rows.py describes.
 */
public final class ReadAll {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration SILENCE_MAX = Duration.ofSeconds(30);

    private ReadAll() {}

    public static void main(String[] args) throws Exception {
        Map<String, String> arguments = new HashMap<>();
        for (int i = 0; i < args.length; i += 2) {
            arguments.put(args[i].substring("--".length()), args[i + 1]);
        }
        int records = Integer.parseInt(arguments.get("records"));
        Map<String, Object> config = Map.of(
            "bootstrap.servers", arguments.get("bootstrap"),
            "isolation.level", "read_committed",
            "check.crcs", true);
        List<String> rows = new ArrayList<>();
        try (var consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : arguments.get("topics").split(",")) {
                consumer.partitionsFor(topic)
                    .forEach(each -> partitions.add(new TopicPartition(topic, each.partition())));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long last = System.nanoTime();
            while (rows.size() < records) {
                var polled = consumer.poll(Duration.ofMillis(200));
                for (ConsumerRecord<byte[], byte[]> record : polled) {
                    rows.add(JSON.writeValueAsString(row(record)));
                }
                if (!polled.isEmpty()) {
                    last = System.nanoTime();
                } else if (System.nanoTime() - last > SILENCE_MAX.toNanos()) {
                    throw new IllegalStateException("nothing more after " + rows.size() + " of " + records);
                }
            }
        }
        Files.write(Path.of(arguments.get("out")), rows);
    }

    private static Map<String, Object> row(ConsumerRecord<byte[], byte[]> record) {
        List<List<String>> headers = new ArrayList<>();
        record.headers().forEach(header -> {
            List<String> pair = new ArrayList<>();
            pair.add(header.key());
            pair.add(text(header.value()));
            headers.add(pair);
        });
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("topic", record.topic());
        row.put("partition", record.partition());
        row.put("offset", record.offset());
        row.put("timestamp", record.timestamp());
        row.put("key", text(record.key()));
        row.put("headers", headers);
        row.put("value", text(record.value()));
        return row;
    }

    private static String text(byte[] bytes) {
        return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
    }
}
