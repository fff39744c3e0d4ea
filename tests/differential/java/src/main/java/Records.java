import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.Crc32C;

/**
 * Batches as JSON: {@code {"magic": 2, "codec": "none", "baseOffset": 0, "producerId": -1, "producerEpoch": -1,
 * "baseSequence": -1, "transactional": false, "control": false, "time": 0, "values": ["a"], "keys": ["k"]}}, all
 * but the values optional; {@code "spoil": n} turns the bits of the n-th byte (from the end if negative) over,
 * {@code "cut": n} leaves out the last n bytes, {@code "twice": true} repeats the batch.
 */
final class Records {
    private static final int CHECKSUM_AT = 17;
    private static final int ATTRIBUTES_AT = 21;
    private static final int CONTROL = 0x20;

    private Records() {}

    static byte[] build(JsonNode given) {
        var codec = Compression.of(CompressionType.forName(given.path("codec").asText("none"))).build();
        var builder =
                MemoryRecords.builder(
                        ByteBuffer.allocate(1 << 16),
                        (byte) given.path("magic").asInt(2),
                        codec,
                        TimestampType.CREATE_TIME,
                        given.path("baseOffset").asLong(0),
                        RecordBatch.NO_TIMESTAMP,
                        given.path("producerId").asLong(-1),
                        (short) given.path("producerEpoch").asInt(-1),
                        given.path("baseSequence").asInt(-1),
                        given.path("transactional").asBoolean(false),
                        false,
                        RecordBatch.NO_PARTITION_LEADER_EPOCH);
        long time = given.path("time").asLong(System.currentTimeMillis());
        for (int n = 0; n < given.get("values").size(); n++) {
            builder.append(time, bytes(given.path("keys").path(n)), bytes(given.get("values").get(n)));
        }
        ByteBuffer built = builder.build().buffer();
        if (given.path("control").asBoolean(false)) {
            // The builder makes no control batch of other records than markers.
            built.put(ATTRIBUTES_AT + 1, (byte) (built.get(ATTRIBUTES_AT + 1) | CONTROL));
            built.putInt(CHECKSUM_AT, (int) Crc32C.compute(built, ATTRIBUTES_AT, built.limit() - ATTRIBUTES_AT));
        }
        boolean twice = given.path("twice").asBoolean(false);
        ByteBuffer all = ByteBuffer.allocate(built.remaining() * (twice ? 2 : 1));
        all.put(built.duplicate());
        if (twice) {
            all.put(built.duplicate());
        }
        byte[] bytes = all.array();
        if (given.has("spoil")) {
            int at = given.get("spoil").asInt();
            bytes[at < 0 ? bytes.length + at : at] ^= (byte) 0xff;
        }
        return java.util.Arrays.copyOf(bytes, bytes.length - given.path("cut").asInt(0));
    }

    private static byte[] bytes(JsonNode text) {
        return text.isTextual() ? text.asText().getBytes(StandardCharsets.UTF_8) : null;
    }

    /** Puts the batches of an answer in the place of their bytes' count. */
    static void show(FetchResponseData fetched, JsonNode answer) {
        for (int t = 0; t < fetched.responses().size(); t++) {
            var topic = fetched.responses().get(t);
            for (int p = 0; p < topic.partitions().size(); p++) {
                var partition = (ObjectNode) answer.get("responses").get(t).get("partitions").get(p);
                partition.remove("recordsSizeInBytes");
                partition.remove("records");
                var records = (MemoryRecords) topic.partitions().get(p).records();
                if (records == null) {
                    partition.putNull("records");
                } else {
                    partition.set("records", batches(records));
                }
            }
        }
    }

    private static ArrayNode batches(MemoryRecords records) {
        var all = JsonNodeFactory.instance.arrayNode();
        for (var batch : records.batches()) {
            var shown = all.addObject();
            shown.put("magic", batch.magic());
            shown.put("codec", batch.compressionType().name);
            shown.put("baseOffset", batch.baseOffset());
            shown.put("lastOffset", batch.lastOffset());
            shown.put("timestampType", batch.timestampType().name);
            shown.put("maxTimestamp", batch.maxTimestamp());
            shown.put("partitionLeaderEpoch", batch.partitionLeaderEpoch());
            shown.put("producerId", batch.producerId());
            shown.put("producerEpoch", batch.producerEpoch());
            shown.put("baseSequence", batch.baseSequence());
            shown.put("transactional", batch.isTransactional());
            shown.put("control", batch.isControlBatch());
            var list = shown.putArray("records");
            for (Record record : batch) {
                var one = list.addObject();
                one.put("offset", record.offset());
                one.put("timestamp", record.timestamp());
                one.put("key", text(record.hasKey() ? record.key() : null));
                one.put("value", text(record.hasValue() ? record.value() : null));
                for (Header header : record.headers()) {
                    one.withArray("headers").addObject().put("key", header.key());
                }
            }
        }
        return all;
    }

    private static String text(ByteBuffer bytes) {
        if (bytes == null) {
            return null;
        }
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        for (byte each : copy) {
            if (each < 0x20 || each > 0x7e) {
                return "hex " + HexFormat.of().formatHex(copy);
            }
        }
        return new String(copy, StandardCharsets.US_ASCII);
    }
}
