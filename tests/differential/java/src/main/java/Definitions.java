import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/** Kafka's definitions of its messages, which its client's jar carries: the fields that a body may leave out. */
final class Definitions {
    private static final ObjectMapper JSON = new ObjectMapper().enable(JsonParser.Feature.ALLOW_COMMENTS);
    private static final Map<String, JsonNode> KNOWN = new HashMap<>();
    private static final String NO_ID = "AAAAAAAAAAAAAAAAAAAAAA";

    private Definitions() {}

    /** A body with every field that its version has, and no other. */
    static JsonNode complete(String message, short version, JsonNode body) throws IOException {
        JsonNode definition = KNOWN.get(message);
        if (definition == null) {
            try (var file = Definitions.class.getResourceAsStream("/common/message/" + message + ".json")) {
                if (file == null) {
                    throw new IOException("no message is called " + message);
                }
                definition = JSON.readTree(file);
            }
            KNOWN.put(message, definition);
        }
        return struct(definition, definition.get("fields"), version, body);
    }

    private static ObjectNode struct(JsonNode definition, JsonNode fields, short version, JsonNode given) {
        var whole = JsonNodeFactory.instance.objectNode();
        for (JsonNode field : fields) {
            if (!within(field.get("versions").asText(), version)) {
                continue;
            }
            String name = field.get("name").asText();
            name = Character.toLowerCase(name.charAt(0)) + name.substring(1);
            JsonNode value = given == null ? null : given.get(name);
            boolean tagged = field.has("taggedVersions") && within(field.get("taggedVersions").asText(), version);
            if (value != null) {
                whole.set(name, value(definition, field, version, value));
            } else if (!tagged) {
                whole.set(name, standard(definition, field, version));
            }
        }
        return whole;
    }

    private static JsonNode value(JsonNode definition, JsonNode field, short version, JsonNode given) {
        String type = field.get("type").asText();
        if (type.equals("records") && given.isObject()) {
            return BinaryNode.valueOf(Records.build(given));
        }
        JsonNode fields = fields(definition, field);
        if (fields == null || given.isNull()) {
            return given;
        }
        if (!type.startsWith("[]")) {
            return struct(definition, fields, version, given);
        }
        ArrayNode all = JsonNodeFactory.instance.arrayNode();
        given.forEach(each -> all.add(struct(definition, fields, version, each)));
        return all;
    }

    private static JsonNode standard(JsonNode definition, JsonNode field, short version) {
        var make = JsonNodeFactory.instance;
        String type = field.get("type").asText();
        String text = field.path("default").asText("");
        if (text.equals("null") && within(field.path("nullableVersions").asText("none"), version)) {
            return make.nullNode();
        }
        if (type.startsWith("[]")) {
            return make.arrayNode();
        }
        return switch (type) {
            case "bool" -> make.booleanNode(text.equals("true"));
            case "int8", "int16", "int32", "int64", "uint16", "uint32" ->
                    make.numberNode(text.isEmpty() ? 0 : Long.decode(text));
            case "float64" -> make.numberNode(text.isEmpty() ? 0.0 : Double.parseDouble(text));
            case "string" -> make.textNode(text.equals("null") ? "" : text);
            case "uuid" -> make.textNode(NO_ID);
            case "bytes" -> make.binaryNode(new byte[0]);
            case "records" -> make.nullNode();
            default -> struct(definition, fields(definition, field), version, null);
        };
    }

    /** The fields of a structure, in place or among those that several fields share. */
    private static JsonNode fields(JsonNode definition, JsonNode field) {
        if (field.has("fields")) {
            return field.get("fields");
        }
        String type = field.get("type").asText().replace("[]", "");
        for (JsonNode shared : definition.path("commonStructs")) {
            if (shared.get("name").asText().equals(type)) {
                return shared.get("fields");
            }
        }
        return null;
    }

    /** Whether a range as the definitions write it ({@code 0+}, {@code 2-5}, {@code 3}) has a version. */
    private static boolean within(String range, short version) {
        if (range.equals("none")) {
            return false;
        }
        if (range.endsWith("+")) {
            return version >= Integer.parseInt(range.substring(0, range.length() - 1));
        }
        String[] ends = range.split("-");
        int last = Integer.parseInt(ends[ends.length - 1]);
        return version >= Integer.parseInt(ends[0]) && version <= last;
    }
}
