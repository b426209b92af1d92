// Node-RED with node-red-contrib-oauth2: starts it in a folder of its own, on a free port of the
// loopback, triggers the flow over HTTP and checks what the flow brings back.

import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import RED from 'node-red'
import { checkAll, checkPage, checkUser, expect, smallPage } from './lib/contract.mjs'
import { main } from './lib/settings.mjs'

// The ways in which the oauth2 node can be told to authenticate; the flow has a node for each.
const ways = ['basic', 'body', 'both']

await main('node-red', async (s, ok) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-node-red-'))
  try {
    const { url, stop } = await start(folder)
    try {
      ok(`Node-RED ${RED.version()} started`)
      for (const way of ways) {
        check(await walk(`${url}/holdfast/walk?auth=${way}`), s)
        ok(`credentials: ${way}`)
      }
      checkChanges(await walk(`${url}/holdfast/careless`), s)
      ok('a body where none is expected')
    } finally {
      await stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
process.exit() // Node-RED keeps timers

async function start(folder) {
  await copyFile(new URL('node-red/flow.json', import.meta.url), join(folder, 'flow.json'))
  const requests = []
  const server = createServer((req, res) => requests.forEach((handle) => handle(req, res)))
  await RED.init(server, {
    userDir: folder,
    flowFile: 'flow.json',
    credentialSecret: randomBytes(16).toString('hex'),
    httpAdminRoot: '/admin',
    httpNodeRoot: '/',
    disableEditor: true,
    telemetry: { enabled: false },
    externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
    logging: { console: { level: 'warn', metrics: false, audit: false } },
  })
  requests.push(RED.httpNode)
  const started = new Promise((resolve) => RED.events.once('flows:started', resolve))
  await RED.start()
  await started
  await promisify(server.listen.bind(server))(0, '127.0.0.1')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: async () => {
      await RED.stop()
      server.closeAllConnections()
      await promisify(server.close.bind(server))()
    },
  }
}

async function walk(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000) })
  const body = await response.text()
  if (response.status !== 200) throw new Error(`the flow answered ${response.status}: ${body}`)
  return JSON.parse(body)
}

function check(answers, { account, user }) {
  checkPage('list', answers.list, { account, size: 25 })
  answers.pages.forEach((page, i) => checkPage(`list, page ${i + 1}`, page, { account, size: smallPage }))
  checkAll('list page by page', answers.pages.map((page) => page.body), { user })
  checkChanges(answers, { account, user })
  checkUser('get after suspend', answers.suspended, { account, user, state: 'SUSPENDED' })
  checkUser('get after reactivate', answers.active, { account, user, state: 'ACTIVE' })
  expect('answers', Object.keys(answers).length, 6)
}

function checkChanges({ suspend, reactivate }, { account, user }) {
  checkUser('suspend', suspend, { account, user, state: 'SUSPENDED' })
  checkUser('reactivate', reactivate, { account, user, state: 'ACTIVE' })
}
