'use strict'
// kafkajs's admin client: topics made, described, changed, and deleted; records deleted.

const assert = require('node:assert')
const { parseArgs } = require('node:util')
const { ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')

const CONFIGS = { 'retention.ms': '86400000', 'message.timestamp.type': 'LogAppendTime' }

async function main() {
  const { bootstrap } = parseArgs({ options: { bootstrap: { type: 'string' } } }).values
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const made = {
    topic: 'made',
    numPartitions: 4,
    configEntries: Object.entries(CONFIGS).map(([name, value]) => ({ name, value })),
  }
  assert.equal(await admin.createTopics({ topics: [made] }), true)
  assert.equal(await admin.createTopics({ topics: [made] }), false) // It is there.
  await assert.rejects(admin.createTopics({ topics: [{ topic: 'no/slashes' }] }))

  const { topics } = await admin.fetchTopicMetadata({ topics: ['made'] })
  assert.equal(topics[0].partitions.length, 4)
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: 'made' }],
  })
  const described = new Map(resources[0].configEntries.map((e) => [e.configName, e.configValue]))
  for (const [name, value] of Object.entries(CONFIGS)) assert.equal(described.get(name), value)
  assert.equal((await admin.describeCluster()).brokers.length, 1)
  const offsets = await admin.fetchTopicOffsets('made')
  assert.deepEqual(offsets.map((o) => o.offset), ['0', '0', '0', '0'])

  await admin.createPartitions({ topicPartitions: [{ topic: 'made', count: 6 }] })
  assert.equal((await admin.fetchTopicOffsets('made')).length, 6)
  const resource = { type: ConfigResourceTypes.TOPIC, name: 'made' }
  const configEntries = [{ name: 'retention.ms', value: '1000' }]
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
  const changed = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ ...resource, configNames: ['retention.ms'] }],
  })
  assert.equal(changed.resources[0].configEntries[0].configValue, '1000')
  const producer = kafka.producer()
  await producer.connect()
  const messages = Array.from({ length: 10 }, (_, i) => ({ partition: 5, value: String(i) }))
  await producer.send({ topic: 'made', messages })
  await producer.disconnect()
  await admin.deleteTopicRecords({ topic: 'made', partitions: [{ partition: 5, offset: '4' }] })
  const left = (await admin.fetchTopicOffsets('made')).find((o) => o.partition === 5)
  assert.deepEqual([left.low, left.high], ['4', '10'])

  await admin.deleteTopics({ topics: ['made'] })
  assert.ok(!(await admin.listTopics()).includes('made'))
  await admin.disconnect()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
