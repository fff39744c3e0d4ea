import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;

/**
 * Reads what pairs.py prints, and adds what Apache Avro for Java makes of it: each schema as
 * its own text, null if it is invalid, and why the reader can't read what the writer wrote.
 */
public class Oracle {
  public static void main(String[] args) throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode pair = mapper.readTree(line);
      ObjectNode out = mapper.createObjectNode();
      out.set("reader", pair.get("reader"));
      out.set("writer", pair.get("writer"));
      Schema reader = parse(pair.get("reader"));
      Schema writer = parse(pair.get("writer"));
      out.put("readerText", reader == null ? null : reader.toString());
      out.put("writerText", writer == null ? null : writer.toString());
      if (reader == null || writer == null) {
        System.out.println(mapper.writeValueAsString(out));
        continue;
      }
      SchemaCompatibility.SchemaCompatibilityResult result =
          SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getResult();
      ArrayNode reasons = out.putArray("incompatibilities");
      for (SchemaCompatibility.Incompatibility found : result.getIncompatibilities()) {
        reasons.add(found.getType() + " " + found.getLocation());
      }
      System.out.println(mapper.writeValueAsString(out));
    }
  }

  private static Schema parse(JsonNode text) {
    try {
      return new Schema.Parser().parse(text.asText());
    } catch (AvroRuntimeException invalid) {
      return null;
    }
  }
}
