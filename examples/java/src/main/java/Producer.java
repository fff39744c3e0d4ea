// Produce Avro with Apache Kafka's own client, framed by hand. Run with:
//   mvn --quiet compile exec:java
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Producer {
    private static final Schema SCHEMA = new Schema.Parser().parse("""
        {"type": "record", "name": "Order", "fields": [
            {"name": "id", "type": "long"},
            {"name": "customer", "type": "string"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "note", "type": ["null", "string"], "default": null}
        ]}""");

    public static void main(String[] args) throws Exception {
        int schemaId = register("http://localhost:8081", "orders-value");
        Map<String, Object> config = Map.of("bootstrap.servers", "localhost:9092");
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new ByteArraySerializer())) {
            long id = 0;
            for (String customer : List.of("Ada", "Grace", "Edsger")) {
                GenericRecord order = new GenericRecordBuilder(SCHEMA)
                    .set("id", id++)
                    .set("customer", customer)
                    .set("amount", new BigDecimal("19.99"))
                    .set("placed_at", Instant.now())
                    .build();
                var sent = producer.send(new ProducerRecord<>("orders", customer, encode(schemaId, order))).get();
                System.out.println(customer + " went to " + sent);
            }
        }
    }

    /** Confluent's framing: a zero byte, the schema's id in four, and then the Avro value. */
    private static byte[] encode(int schemaId, GenericRecord value) throws IOException {
        GenericData model = new GenericData();
        model.addLogicalTypeConversion(new Conversions.DecimalConversion());
        model.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
        var bytes = new ByteArrayOutputStream();
        var frame = new DataOutputStream(bytes);
        frame.writeByte(0);
        frame.writeInt(schemaId);
        var encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);
        new GenericDatumWriter<GenericRecord>(SCHEMA, model).write(value, encoder);
        return bytes.toByteArray();
    }

    private static int register(String registry, String subject) throws Exception {
        String quoted = SCHEMA.toString().replace("\\", "\\\\").replace("\"", "\\\"");
        HttpRequest request = HttpRequest.newBuilder(URI.create(registry + "/subjects/" + subject + "/versions"))
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .POST(HttpRequest.BodyPublishers.ofString("{\"schema\": \"" + quoted + "\"}"))
            .build();
        var response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException("the registry refused: " + response.body());
        }
        return Integer.parseInt(response.body().replaceAll("(?s).*\"id\"\\s*:\\s*(\\d+).*", "$1"));
    }
}
