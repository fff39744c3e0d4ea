import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * Copies a topic with Flink's Kafka connector, exactly once: {@code BOOTSTRAP INPUT OUTPUT RECORDS_FAIL_AT}.
 *
 * <p>A bounded source, checkpoints, a sink with two-phase commits in transactions. Where the fourth argument
 * is a number, the job fails once after so many records and begins again from its last checkpoint. The
 * cluster is in this process.
 */
public final class Copy {
    private static volatile boolean failed;

    private Copy() {}

    public static void main(String[] args) throws Exception {
        int failAt = Integer.parseInt(args[3]);
        var settings = new Configuration();
        settings.setString("restart-strategy.type", "fixed-delay");
        settings.setString("restart-strategy.fixed-delay.attempts", "3");
        settings.setString("restart-strategy.fixed-delay.delay", "500 ms");
        var environment = StreamExecutionEnvironment.createLocalEnvironment(2, settings);
        environment.enableCheckpointing(500);

        var source =
                KafkaSource.<String>builder()
                        .setBootstrapServers(args[0])
                        .setTopics(args[1])
                        .setGroupId("flink-copy")
                        .setStartingOffsets(OffsetsInitializer.earliest())
                        .setBounded(OffsetsInitializer.latest())
                        .setProperty("partition.discovery.interval.ms", "-1")
                        .setValueOnlyDeserializer(new SimpleStringSchema())
                        .build();
        var sink =
                KafkaSink.<String>builder()
                        .setBootstrapServers(args[0])
                        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
                        .setTransactionalIdPrefix("flink-copy")
                        .setProperty("transaction.timeout.ms", "60000")
                        .setRecordSerializer(
                                KafkaRecordSerializationSchema.<String>builder()
                                        .setTopic(args[2])
                                        .setValueSerializationSchema(new SimpleStringSchema())
                                        .build())
                        .build();
        environment
                .fromSource(source, WatermarkStrategy.noWatermarks(), "input")
                .map(new FailOnce(failAt))
                .sinkTo(sink);
        var result = environment.execute("copy");
        System.out.println("copied in " + Duration.ofMillis(result.getNetRuntime()));
    }

    /** Slow enough for several checkpoints; fails at one record, once. */
    private static final class FailOnce
            implements org.apache.flink.api.common.functions.MapFunction<String, String> {
        private static final long serialVersionUID = 1L;
        private final int failAt;
        private int seen;

        FailOnce(int failAt) {
            this.failAt = failAt;
        }

        @Override
        public String map(String value) throws Exception {
            if (++seen % 100 == 0) {
                Thread.sleep(100);
            }
            if (seen == failAt && !failed) {
                failed = true;
                throw new IllegalStateException("as told");
            }
            return value;
        }
    }
}
