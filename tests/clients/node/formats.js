// kafkajs and its registry client: Avro, Protobuf and JSON Schema, two versions of each in turn. Writes the
// rows that the tables should have, for `python/rows.py`.

const fs = require('node:fs')
const { SchemaRegistry, SchemaType } = require('@kafkajs/confluent-schema-registry')
const { Kafka, logLevel } = require('kafkajs')

const record = (...fields) => JSON.stringify({ type: 'record', name: 'Order', namespace: 'shop', fields })
const object = (properties) => JSON.stringify({ type: 'object', properties, required: ['id'] })
const message = (...fields) =>
  `syntax = "proto3";\npackage shop;\nmessage Order { ${fields.join(' ')} }\nmessage Other { bool b = 1; }`

const FORMATS = {
  avro: [SchemaType.AVRO,
    record({ name: 'id', type: 'int' }, { name: 'who', type: 'string' }),
    record({ name: 'id', type: 'long' }, { name: 'who', type: 'string' },
      { name: 'price', type: ['null', 'double'], default: null })],
  protobuf: [SchemaType.PROTOBUF,
    message('int32 id = 1;', 'string who = 2;'),
    message('int32 id = 1;', 'string who = 2;', 'double price = 3;')],
  json_schema: [SchemaType.JSON,
    object({ id: { type: 'integer' }, who: { type: 'string' } }),
    object({ id: { type: 'integer' }, who: { type: 'string' }, price: { type: 'number' } })],
}

async function main () {
  const option = (name) => process.argv[process.argv.indexOf(`--${name}`) + 1]
  const registry = new SchemaRegistry({ host: option('registry') })
  const kafka = new Kafka({ brokers: [option('bootstrap')], logLevel: logLevel.ERROR })
  const producer = kafka.producer()
  await producer.connect()
  const expected = {}
  for (const [format, [type, ...schemas]] of Object.entries(FORMATS)) {
    const topic = `node-${format}`
    const subject = `${topic}-value`
    // JSON Schema with an open content model can't gain a property; that isn't what is tried here.
    const options = { subject, compatibility: 'NONE' }
    const ids = []
    for (const schema of schemas) ids.push((await registry.register({ type, schema }, options)).id)
    expected[topic] = []
    for (let n = 0; n < 12; n++) {
      const which = n < 3 ? 0 : n % 2
      const order = { id: n + 1, who: `w${n}`, ...(which && { price: n / 4 }) }
      const value = await registry.encode(ids[which], order)
      await producer.send({ topic, messages: [{ value, partition: 0 }] })
      expected[topic].push({ kafka_format: format, ...order })
    }
  }
  await producer.disconnect()
  fs.writeFileSync(option('expected'), JSON.stringify(expected))
}

main().catch((error) => { console.error(error); process.exit(1) })
