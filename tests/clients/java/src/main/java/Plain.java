import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;

/** Plain JSON (described in ../python/plain.py) to what Avro's generic writer takes. */
final class Plain {
    private Plain() {}

    private static final Map<String, Function<String, Object>> LOGICAL = new HashMap<>();

    static {
        LOGICAL.put("decimal", BigDecimal::new);
        LOGICAL.put("uuid", UUID::fromString);
        LOGICAL.put("date", LocalDate::parse);
        LOGICAL.put("time-millis", LocalTime::parse);
        LOGICAL.put("time-micros", LocalTime::parse);
        LOGICAL.put("timestamp-millis", Instant::parse);
        LOGICAL.put("timestamp-micros", Instant::parse);
        LOGICAL.put("local-timestamp-millis", LocalDateTime::parse);
        LOGICAL.put("local-timestamp-micros", LocalDateTime::parse);
    }

    /** Avro's data model with a Java type for each logical type. */
    static GenericData model() {
        GenericData model = new GenericData();
        model.addLogicalTypeConversion(new Conversions.DecimalConversion());
        model.addLogicalTypeConversion(new Conversions.UUIDConversion());
        model.addLogicalTypeConversion(new TimeConversions.DateConversion());
        model.addLogicalTypeConversion(new TimeConversions.TimeMillisConversion());
        model.addLogicalTypeConversion(new TimeConversions.TimeMicrosConversion());
        model.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
        model.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
        model.addLogicalTypeConversion(new TimeConversions.LocalTimestampMillisConversion());
        model.addLogicalTypeConversion(new TimeConversions.LocalTimestampMicrosConversion());
        return model;
    }

    static Object toNative(JsonNode value, Schema schema) {
        String logical = schema.getProp("logicalType");
        if (LOGICAL.containsKey(logical)) {
            return LOGICAL.get(logical).apply(value.textValue());
        }
        if ("duration".equals(logical)) {
            return new GenericData.Fixed(schema, duration(value));
        }
        return switch (schema.getType()) {
            case NULL -> null;
            case BOOLEAN -> value.booleanValue();
            case INT -> value.intValue();
            case LONG -> Long.parseLong(value.textValue());
            case FLOAT -> Float.parseFloat(value.asText());
            case DOUBLE -> Double.parseDouble(value.asText());
            case STRING -> value.textValue();
            case BYTES -> ByteBuffer.wrap(Base64.getDecoder().decode(value.textValue()));
            case FIXED -> new GenericData.Fixed(schema, Base64.getDecoder().decode(value.textValue()));
            case ENUM -> new GenericData.EnumSymbol(schema, value.textValue());
            case ARRAY -> array(value, schema);
            case MAP -> map(value, schema);
            case RECORD -> record(value, schema);
            case UNION -> union(value, schema);
        };
    }

    private static Object union(JsonNode value, Schema schema) {
        if (value.isNull()) {
            return null;
        }
        List<Schema> others =
            schema.getTypes().stream().filter(branch -> branch.getType() != Schema.Type.NULL).toList();
        if (others.size() == 1) {
            return toNative(value, others.get(0));
        }
        Map.Entry<String, JsonNode> only = value.fields().next();
        Schema chosen =
            others.stream().filter(b -> b.getFullName().equals(only.getKey())).findFirst().orElseThrow();
        return toNative(only.getValue(), chosen);
    }

    private static List<Object> array(JsonNode value, Schema schema) {
        List<Object> items = new ArrayList<>();
        value.forEach(item -> items.add(toNative(item, schema.getElementType())));
        return items;
    }

    private static Map<String, Object> map(JsonNode value, Schema schema) {
        Map<String, Object> entries = new LinkedHashMap<>();
        value.fields().forEachRemaining(
            entry -> entries.put(entry.getKey(), toNative(entry.getValue(), schema.getValueType())));
        return entries;
    }

    private static GenericData.Record record(JsonNode value, Schema schema) {
        GenericData.Record record = new GenericData.Record(schema);
        for (Schema.Field field : schema.getFields()) {
            record.put(field.pos(), toNative(value.get(field.name()), field.schema()));
        }
        return record;
    }

    private static byte[] duration(JsonNode value) {
        ByteBuffer bytes = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        for (String part : List.of("months", "days", "millis")) {
            bytes.putInt((int) value.get(part).longValue());
        }
        return bytes.array();
    }
}
