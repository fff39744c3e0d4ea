// @kafkajs/confluent-schema-registry and the embedded registry: Avro, Protobuf and JSON Schema are
// registered, encoded, and decoded by another client, by the id in the payload; what doesn't fit is refused.

const assert = require('node:assert')
const { SchemaRegistry, SchemaType, COMPATIBILITY } = require('@kafkajs/confluent-schema-registry')

const SCHEMAS = {
  avro: {
    type: SchemaType.AVRO,
    schema: JSON.stringify({ type: 'record', name: 'Order', namespace: 'shop', fields: [
      { name: 'id', type: 'string' }, { name: 'count', type: 'int' }] }),
    misfit: JSON.stringify({ type: 'record', name: 'Order', namespace: 'shop', fields: [
      { name: 'id', type: 'boolean' }] }),
  },
  protobuf: {
    type: SchemaType.PROTOBUF,
    schema: 'syntax = "proto3";\npackage shop;\nmessage Order { string id = 1; int32 count = 2; }',
    misfit: 'syntax = "proto3";\npackage shop;\nmessage Order { double id = 1; int32 count = 2; }',
  },
  json: {
    type: SchemaType.JSON,
    schema: JSON.stringify({ type: 'object', additionalProperties: false,
      properties: { id: { type: 'string' }, count: { type: 'integer' } } }),
    misfit: JSON.stringify({ type: 'object', additionalProperties: false,
      properties: { id: { type: 'boolean' }, count: { type: 'integer' } } }),
  },
}

async function main () {
  const host = process.argv[process.argv.indexOf('--registry') + 1]
  assert(host, '--registry URL')
  const order = { id: 'a', count: 5 }
  for (const [name, { type, schema, misfit }] of Object.entries(SCHEMAS)) {
    const [writer, reader] = [new SchemaRegistry({ host }), new SchemaRegistry({ host })]
    const subject = `node-${name}-value`
    const options = { subject, compatibility: COMPATIBILITY.BACKWARD }
    const { id } = await writer.register({ type, schema }, options)
    assert.strictEqual((await writer.register({ type, schema }, options)).id, id)
    const decoded = await reader.decode(await writer.encode(id, order))
    assert.deepStrictEqual({ ...decoded }, order)
    assert.strictEqual(await reader.getLatestSchemaId(subject), id)
    assert.strictEqual(await reader.getRegistryIdBySchema(subject, { type, schema }), id)
    await assert.rejects(writer.register({ type, schema: misfit }, options), /incompatible/i)
  }
  console.log('registered, encoded, decoded and refused: Avro, Protobuf, JSON Schema')
}

main().catch(error => { console.error(error); process.exit(1) })
