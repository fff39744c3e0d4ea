'use strict'
// kafkajs's admin client: topics made, described, and deleted.

const assert = require('node:assert')
const { parseArgs } = require('node:util')
const { ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')

const CONFIGS = { 'retention.ms': '86400000', 'message.timestamp.type': 'LogAppendTime' }

async function main() {
  const { bootstrap } = parseArgs({ options: { bootstrap: { type: 'string' } } }).values
  const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin()
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

  await admin.deleteTopics({ topics: ['made'] })
  assert.ok(!(await admin.listTopics()).includes('made'))
  await admin.disconnect()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
