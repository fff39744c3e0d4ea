// kafkajs: PLAIN, SCRAM, OAUTHBEARER and certificates of clients. What a login is, is said in
// `python/logins.py`.
'use strict'

const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')

const argument = (name) => process.argv[process.argv.indexOf(name) + 1]
const read = (path) => fs.readFileSync(path, 'utf-8')

function settings (login) {
  const config = {
    brokers: [login.address],
    ssl: { ca: [read(login.ca)] },
    logLevel: logLevel.NOTHING,
    connectionTimeout: 5000,
    authenticationTimeout: 5000,
    retry: { retries: 1, initialRetryTime: 100 }
  }
  if (login.certificate) {
    config.ssl.cert = read(login.certificate)
    config.ssl.key = read(login.key)
  }
  const mechanism = (login.mechanism || '').toLowerCase()
  if (login.user) config.sasl = { mechanism, username: login.user, password: login.password }
  if (login.token) {
    config.sasl = { mechanism, oauthBearerProvider: async () => ({ value: login.token }) }
  }
  return config
}

async function attempt (login) {
  const kafka = new Kafka(settings(login))
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic: 'logins', messages: [{ value: login.name, partition: 0 }] })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: 'logins-' + login.name })
  await consumer.connect()
  await consumer.subscribe({ topic: 'logins', fromBeginning: true })
  const found = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('it is not read back')), 30000).unref()
    consumer.run({
      eachMessage: async ({ message }) => {
        if (message.value.toString() === login.name) resolve()
      }
    }).catch(reject)
  })
  await found
  await consumer.disconnect()
}

async function main () {
  for (const login of JSON.parse(read(argument('--logins')))) {
    let refused = null
    try {
      await attempt(login)
    } catch (error) {
      refused = error
    }
    if ((refused === null) !== login.good) {
      throw new Error(`${login.name}: ${refused || 'it is let in'}`)
    }
    console.log(`${login.name}: ${refused ? 'refused, ' + refused.name : 'let in'}`)
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})
