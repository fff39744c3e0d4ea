import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Apache Kafka's own producer with Avro and hand-made framing: 0x00, the schema id, the body.
 *
 * <p>Reads a workload and writes the answers, as ../python/workload.py describes them.
 */
public final class Produce {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Map<String, String> arguments;
    private final Schema schema;
    private final int schemaId;
    private final GenericDatumWriter<Object> writer;

    public static void main(String[] args) throws Exception {
        Map<String, String> arguments = new HashMap<>();
        for (int i = 0; i < args.length; i += 2) {
            arguments.put(args[i].substring("--".length()), args[i + 1]);
        }
        new Produce(arguments).run();
    }

    private Produce(Map<String, String> arguments) throws Exception {
        this.arguments = arguments;
        String text = Files.readString(Path.of(arguments.get("schema")));
        schema = new Schema.Parser().parse(text);
        schemaId = register(text);
        writer = new GenericDatumWriter<>(schema, Plain.model());
    }

    private int register(String text) throws Exception {
        String url = arguments.get("registry") + "/subjects/" + arguments.get("topic") + "-value/versions";
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .POST(HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(Map.of("schema", text))))
            .build();
        HttpResponse<String> response =
            HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IllegalStateException("not registered: " + response.body());
        }
        return JSON.readTree(response.body()).get("id").intValue();
    }

    private void run() throws Exception {
        List<String> answers = new ArrayList<>();
        JsonNode settings = null;
        List<JsonNode> records = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments.get("workload")))) {
            JsonNode parsed = JSON.readTree(line);
            if (parsed.has("producer")) {
                send(settings, records, answers);
                settings = parsed.get("producer");
                records.clear();
            } else {
                records.add(parsed);
            }
        }
        send(settings, records, answers);
        Files.write(Path.of(arguments.get("acks")), answers);
    }

    private void send(JsonNode settings, List<JsonNode> records, List<String> answers) throws Exception {
        if (records.isEmpty()) {
            return;
        }
        Map<String, Object> config = new HashMap<>(Map.of(
            "bootstrap.servers", arguments.get("bootstrap"),
            "acks", settings.get("acks").textValue(),
            "compression.type", settings.get("codec").textValue(),
            "enable.idempotence", settings.get("idempotent").booleanValue(),
            "linger.ms", settings.get("linger_ms").intValue(),
            "max.in.flight.requests.per.connection", settings.get("in_flight").intValue(),
            "delivery.timeout.ms", 30_000,
            "request.timeout.ms", 20_000));
        boolean transactional = settings.hasNonNull("transactional_id");
        if (transactional) {
            config.put("transactional.id", settings.get("transactional_id").textValue());
        }
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            if (transactional) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            for (JsonNode record : records) {
                Future<RecordMetadata> answer = producer.send(toRecord(record));
                if (settings.get("wait_each").booleanValue()) {
                    answer.get(30, TimeUnit.SECONDS);
                }
                sent.add(answer);
            }
            if (transactional) {
                producer.commitTransaction();
            }
        }
        for (Future<RecordMetadata> answer : sent) {
            answers.add(toLine(answer.get(30, TimeUnit.SECONDS)));
        }
    }

    private ProducerRecord<byte[], byte[]> toRecord(JsonNode line) throws IOException {
        var record = new ProducerRecord<>(
            arguments.get("topic"),
            line.get("partition").isNull() ? null : line.get("partition").intValue(),
            line.get("timestamp").isNull() ? null : line.get("timestamp").longValue(),
            bytes(line.get("key")),
            line.get("value").isNull() ? null : frame(line.get("value")));
        line.get("headers").forEach(
            header -> record.headers().add(header.get(0).textValue(), bytes(header.get(1))));
        return record;
    }

    private byte[] frame(JsonNode value) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream framing = new DataOutputStream(bytes);
        framing.writeByte(0);
        framing.writeInt(schemaId);
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, null);
        writer.write(Plain.toNative(value, schema), encoder);
        encoder.flush();
        return bytes.toByteArray();
    }

    private String toLine(RecordMetadata answer) throws IOException {
        boolean known = answer.hasOffset();
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("schema_id", schemaId);
        line.put("partition", known ? answer.partition() : null);
        line.put("offset", known ? answer.offset() : null);
        line.put("timestamp", known ? answer.timestamp() : null);
        return JSON.writeValueAsString(line);
    }

    private static byte[] bytes(JsonNode base64) {
        return base64.isNull() ? null : Base64.getDecoder().decode(base64.textValue());
    }
}
