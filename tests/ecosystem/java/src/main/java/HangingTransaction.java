import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Begins a transaction, writes a record, says so, and leaves it at that: {@code BOOTSTRAP TOPIC ID}. */
public final class HangingTransaction {
    private HangingTransaction() {}

    public static void main(String[] args) throws Exception {
        var settings =
                Map.<String, Object>of(
                        "bootstrap.servers", args[0],
                        "transactional.id", args[2],
                        "transaction.timeout.ms", 15_000,
                        "key.serializer", StringSerializer.class,
                        "value.serializer", StringSerializer.class);
        var producer = new KafkaProducer<String, String>(settings);
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(args[1], "left")).get();
        System.out.println("open");
        Thread.sleep(60_000);
    }
}
